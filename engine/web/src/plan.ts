/** A level's plan as the page uses it: what to draw, and where every space is. */

import type { Feature, FeatureCollection, Geometry, Position } from "geojson";
import { area, extent, grain, middle, Plane, softened } from "./geometry.ts";
import type { Point, Ring } from "./geometry.ts";
import { FURNITURE } from "./layers.ts";
import type { Kind } from "./model.ts";

export interface Space {
  row: number;
  id: string;
  name: string;
  kind: Kind;
  capacity: number | null;
  parent: number | null;
  /** Largest ring, in the plane of the plan. */
  ring: Ring;
  middle: Point;
}

/** Something that is drawn and has no occupancy: stairs, a restroom, a wall. */
export interface Decor {
  category: string;
  name: string;
  ring: Ring;
  middle: Point;
}

export interface Plan {
  level: string;
  version: string;
  plane: Plane;
  /** Corners of what must be seen. */
  hull: Ring;
  /** How far the building is turned against the compass, degrees. */
  grain: number;
  spaces: ReadonlyMap<number, Space>;
  byId: ReadonlyMap<string, Space>;
  decor: readonly Decor[];
  /** Features with the row as id, coloured by feature-state. */
  coloured: FeatureCollection;
  /** The slab, walls, fixtures and rooms without occupancy. */
  backdrop: FeatureCollection;
}

/** Steps of the shadow under the slab, and how far it reaches, in metres. */
const SHADOW_STEPS = 28;
const SHADOW_M = 2.6;

interface Corner {
  inset: number;
  radius: number;
}

const CORNERS: Record<string, Corner> = {
  outline: { inset: 0, radius: 0.9 },
  zone: { inset: 0.1, radius: 0.5 },
  desk: { inset: 0.03, radius: 0.14 },
  wall: { inset: 0, radius: 0 },
  table: { inset: 0, radius: 0.3 },
  sofa: { inset: 0, radius: 0.3 },
  planter: { inset: 0, radius: 0.3 },
};
const ROOM_CORNER: Corner = { inset: 0.07, radius: 0.22 };

const KINDS = new Set<string>(["building", "level", "zone", "room", "area", "desk"]);
/** Zones lie below areas, areas below rooms, desks on top. */
const ORDER: Record<string, number> = { level: 0, zone: 1, area: 2, room: 3, desk: 4 };

type Properties = Record<string, unknown>;

/** Reads the answer of `/plan`. What it does not understand it leaves out. */
export function readPlan(level: string, body: unknown): Plan {
  const source = body as FeatureCollection & { plan?: string };
  const features = source.features.filter((feature) => feature.geometry !== null);
  const plane = planeOf(features);
  const spaces = new Map<number, Space>();
  const coloured: Feature[] = [];
  const backdrop: Feature[] = [];
  const decor: Decor[] = [];
  for (const feature of features) {
    const properties = feature.properties ?? {};
    const kind = String(properties["kind"] ?? "");
    const row = properties["row"] ?? feature.id;
    const drawn = drawable(feature.geometry, plane, CORNERS[kind] ?? ROOM_CORNER);
    if (typeof row === "number" && KINDS.has(kind)) {
      const space = readSpace(row, properties, kind as Kind, feature.geometry, plane);
      spaces.set(row, space);
      // The level itself is the slab, which the outline draws.
      if (kind !== "level" && kind !== "building") {
        coloured.push({ type: "Feature", id: row, properties: { kind }, geometry: drawn });
      }
    } else {
      backdrop.push({ type: "Feature", properties: { kind }, geometry: drawn });
      const ring = largest(feature.geometry, plane);
      if (ring !== null && kind !== "outline" && kind !== "wall" && !FURNITURE.includes(kind)) {
        const name = String(properties["name"] ?? "");
        decor.push({ category: kind, name, ring, middle: middle(ring) });
      }
    }
  }
  coloured.sort((a, b) => rank(a) - rank(b));
  const outline = outlineOf(features, plane);
  backdrop.unshift(...shadowOf(outline, plane));
  return {
    level,
    version: String(source.plan ?? ""),
    plane,
    hull: outline,
    grain: grain(outline),
    spaces,
    byId: new Map([...spaces.values()].map((space) => [space.id, space])),
    decor,
    coloured: { type: "FeatureCollection", features: coloured },
    backdrop: { type: "FeatureCollection", features: backdrop },
  };
}

/** A blurred shadow: ever larger slabs on one another, each almost clear. */
function shadowOf(outline: Ring, plane: Plane): Feature[] {
  return Array.from({ length: SHADOW_STEPS }, (_, step) => {
    const reach = SHADOW_M * (step / SHADOW_STEPS) - 0.6;
    const closed = outline.map((point) => plane.toEarth(point));
    const [first] = closed;
    const ring = first === undefined ? closed : [...closed, first];
    const coordinates = soft([ring], plane, { inset: -reach, radius: reach + 1.8 });
    return {
      type: "Feature",
      properties: { kind: "shadow" },
      geometry: { type: "Polygon", coordinates },
    };
  });
}

function rank(feature: Feature): number {
  return ORDER[String(feature.properties?.["kind"])] ?? 0;
}

function readSpace(
  row: number,
  properties: Properties,
  kind: Kind,
  geometry: Geometry,
  plane: Plane,
): Space {
  const ring = largest(geometry, plane) ?? [];
  const shown = properties["display_point"] as { coordinates?: Position } | undefined;
  const parent = properties["parent_row"];
  const capacity = properties["capacity"];
  return {
    row,
    id: String(properties["id"] ?? row),
    name: String(properties["name"] ?? properties["id"] ?? row),
    kind,
    capacity: typeof capacity === "number" ? capacity : null,
    parent: typeof parent === "number" ? parent : null,
    ring,
    middle: shown?.coordinates ? plane.toPlane(shown.coordinates) : pointOf(geometry, ring, plane),
  };
}

function pointOf(geometry: Geometry, ring: Ring, plane: Plane): Point {
  if (ring.length >= 3) return middle(ring);
  return plane.toPlane(positions(geometry)[0] ?? [0, 0]);
}

function planeOf(features: readonly Feature[]): Plane {
  let [west, south, east, north] = [180, 90, -180, -90];
  for (const feature of features) {
    for (const [x = 0, y = 0] of positions(feature.geometry)) {
      [west, east] = [Math.min(west, x), Math.max(east, x)];
      [south, north] = [Math.min(south, y), Math.max(north, y)];
    }
  }
  return new Plane((west + east) / 2, (south + north) / 2);
}

function outlineOf(features: readonly Feature[], plane: Plane): Ring {
  const outlines = features.filter((feature) => feature.properties?.["kind"] === "outline");
  const rings = outlines
    .map((feature) => largest(feature.geometry, plane))
    .filter((ring): ring is Ring => ring !== null)
    .sort((a, b) => area(b) - area(a));
  if (rings[0] !== undefined) return rings[0];
  const all = features.flatMap((feature) => positions(feature.geometry));
  const [west, north, east, south] = extent(all.map((position) => plane.toPlane(position)));
  return [
    [west, north],
    [east, north],
    [east, south],
    [west, south],
  ];
}

function positions(geometry: Geometry): Position[] {
  switch (geometry.type) {
    case "Point":
      return [geometry.coordinates];
    case "LineString":
    case "MultiPoint":
      return geometry.coordinates;
    case "Polygon":
    case "MultiLineString":
      return geometry.coordinates.flat();
    case "MultiPolygon":
      return geometry.coordinates.flat(2);
    case "GeometryCollection":
      return geometry.geometries.flatMap(positions);
  }
}

function largest(geometry: Geometry, plane: Plane): Ring | null {
  const polygons =
    geometry.type === "Polygon"
      ? [geometry.coordinates]
      : geometry.type === "MultiPolygon"
        ? geometry.coordinates
        : [];
  const rings = polygons.map((polygon) => (polygon[0] ?? []).map((p) => plane.toPlane(p)));
  rings.sort((a, b) => area(b) - area(a));
  return rings[0] ?? null;
}

/** The geometry with soft corners; lines and points stay as they are. */
function drawable(geometry: Geometry, plane: Plane, corner: Corner): Geometry {
  if (geometry.type === "Polygon") {
    return { type: "Polygon", coordinates: soft(geometry.coordinates, plane, corner) };
  }
  if (geometry.type === "MultiPolygon") {
    const coordinates = geometry.coordinates.map((polygon) => soft(polygon, plane, corner));
    return { type: "MultiPolygon", coordinates };
  }
  return geometry;
}

function soft(polygon: Position[][], plane: Plane, corner: Corner): Position[][] {
  return polygon.map((positions, i) => {
    const ring = positions.map((position) => plane.toPlane(position));
    const shape = i === 0 ? softened(ring, corner.inset, corner.radius) : ring;
    const closed = shape.map((point) => plane.toEarth(point));
    const [first] = closed;
    return first === undefined ? closed : [...closed, first];
  });
}
