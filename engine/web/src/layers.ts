/**
 * The style of the map: no tiles, no glyphs, no sprites, nothing from outside.
 *
 * Occupancy lives in feature-state, so that a change repaints and never re-parses:
 * `s` the state, `f` the state before, `m` how far the change between them has come,
 * `hover`, `selected` and `focus` what the pointer and the keyboard do. Patterns cannot
 * read feature-state, but opacity can: each pattern is a layer that shows by opacity.
 */

import type {
  ExpressionSpecification,
  LayerSpecification,
  StyleSpecification,
} from "maplibre-gl";
import { LIKELY, OFFLINE, UNKNOWN } from "./model.ts";
import type { State } from "./model.ts";
import type { Paint, Palette } from "./theme.ts";

type Expression = ExpressionSpecification;
const E = (...parts: unknown[]): Expression => parts as Expression;

/** What stands in rooms: drawn over their colour, lightly. */
export const FURNITURE = [
  ...["table", "sofa", "planter", "counter", "chair", "plant", "furniture", "equipment"],
  ...["cabinet", "shelf", "screen", "kiosk", "fixture", "seating", "desk"],
];

/** Device pixels of a pattern tile, drawn at twice its size for sharp screens. */
const TILE = 20;

export const SPACE_LAYERS = ["desk-fill", "room-fill", "zone-fill"];

const STATE = E("coalesce", E("feature-state", "s"), 0);
const BEFORE = E("coalesce", E("feature-state", "f"), 0);
const MIX = E("coalesce", E("feature-state", "m"), 1);
const flag = (name: string): Expression => E("boolean", E("feature-state", name), false);

/** A colour by state that glides from the one before. */
function gliding(paints: readonly Paint[], part: keyof Paint): Expression {
  const of = (state: Expression): Expression => {
    const pairs = paints.slice(1).flatMap((paint, i) => [i + 1, paint[part]]);
    return E("match", state, ...pairs, paints[0]?.[part]);
  };
  return E("interpolate", E("linear"), MIX, 0, of(BEFORE), 1, of(STATE));
}

function shownIn(state: State, opacity = 1): Expression {
  const now = E("case", E("==", STATE, state), opacity, 0);
  const before = E("case", E("==", BEFORE, state), opacity, 0);
  return E("interpolate", E("linear"), MIX, 0, before, 1, now);
}

/** A width in metres, whatever the zoom. */
function metres(width: number, worldMetres: number, least: number): Expression {
  const px = (zoom: number): number => Math.max(least, (width * 512 * 2 ** zoom) / worldMetres);
  return E("interpolate", E("exponential", 2), E("zoom"), 14, px(14), 24, px(24));
}

const isKind = (...kinds: string[]): Expression => E("in", E("get", "kind"), E("literal", kinds));
const NOT_ROOMS = ["outline", "shadow", "wall", "walkway", "corridor"];
const polygons = E("==", E("geometry-type"), "Polygon");

export function styleOf(palette: Palette): StyleSpecification {
  const empty = { type: "FeatureCollection" as const, features: [] };
  const shared = { type: "geojson" as const, data: empty, tolerance: 0, buffer: 32, maxzoom: 19 };
  return {
    version: 8,
    sources: { backdrop: shared, spaces: { ...shared } },
    layers: layersOf(palette, 2.4e7),
    transition: { duration: 0, delay: 0 },
  };
}

/** All layers, from the ground up; `worldMetres` scales what has a width in metres. */
export function layersOf(palette: Palette, worldMetres: number): LayerSpecification[] {
  const { room, desk } = palette;
  return [
    { id: "ground", type: "background", paint: { "background-color": palette.ground } },
    ...slab(palette, worldMetres),
    {
      id: "zone-fill",
      type: "fill",
      source: "spaces",
      filter: isKind("zone"),
      paint: { "fill-color": palette.zone, "fill-antialias": true },
    },
    {
      id: "zone-line",
      type: "line",
      source: "spaces",
      filter: isKind("zone"),
      layout: { "line-join": "round" },
      paint: { "line-color": palette.zoneLine, "line-width": 1 },
    },
    {
      id: "decor-fill",
      type: "fill",
      source: "backdrop",
      filter: E("all", polygons, E("!", isKind(...NOT_ROOMS, ...FURNITURE))),
      paint: { "fill-color": palette.decor, "fill-outline-color": palette.decorLine },
    },
    ...spaces("room", ["area", "room"], room, 1.25),
    {
      id: "furniture",
      type: "fill",
      source: "backdrop",
      filter: E("all", polygons, isKind(...FURNITURE)),
      paint: { "fill-color": palette.furniture, "fill-outline-color": palette.furniture },
    },
    ...walls(palette, worldMetres),
    ...spaces("desk", ["desk"], desk, 1),
    ...outlines(palette),
  ];
}

function slab(palette: Palette, worldMetres: number): LayerSpecification[] {
  const filter = isKind("outline");
  return [
    {
      id: "slab-shadow",
      type: "fill",
      source: "backdrop",
      filter: isKind("shadow"),
      paint: {
        "fill-color": palette.shadow,
        "fill-antialias": false,
        "fill-translate": [0, 12],
        "fill-translate-anchor": "viewport",
      },
    },
    {
      id: "slab",
      type: "fill",
      source: "backdrop",
      filter: E("all", polygons, filter),
      paint: { "fill-color": palette.slab },
    },
    {
      id: "slab-edge",
      type: "line",
      source: "backdrop",
      filter,
      layout: { "line-join": "round" },
      paint: { "line-color": palette.slabEdge, "line-width": metres(0.22, worldMetres, 1) },
    },
  ];
}

function walls(palette: Palette, worldMetres: number): LayerSpecification[] {
  const filter = isKind("wall");
  return [
    {
      id: "wall-fill",
      type: "fill",
      source: "backdrop",
      filter: E("all", polygons, filter),
      paint: { "fill-color": palette.wall },
    },
    {
      id: "wall-line",
      type: "line",
      source: "backdrop",
      filter: E("all", E("!", polygons), filter),
      layout: { "line-join": "round", "line-cap": "round" },
      paint: { "line-color": palette.wall, "line-width": metres(0.14, worldMetres, 1) },
    },
  ];
}

/** Fill, patterns and edge of one group of spaces. */
function spaces(
  group: string,
  kinds: string[],
  paints: readonly Paint[],
  width: number,
): LayerSpecification[] {
  const base = { source: "spaces", filter: isKind(...kinds) };
  const pattern = (name: string, image: string, opacity: Expression): LayerSpecification => ({
    ...base,
    id: `${group}-${name}`,
    type: "fill",
    paint: { "fill-pattern": image, "fill-opacity": opacity, "fill-antialias": false },
  });
  return [
    {
      ...base,
      id: `${group}-fill`,
      type: "fill",
      paint: { "fill-color": gliding(paints, "fill"), "fill-antialias": true },
    },
    pattern("unknown", "hatch", shownIn(UNKNOWN)),
    pattern("likely", "stripe", shownIn(LIKELY)),
    {
      ...base,
      id: `${group}-line`,
      type: "line",
      layout: { "line-join": "round" },
      paint: {
        "line-color": gliding(paints, "line"),
        "line-width": E("case", flag("hover"), width + 1, width),
        // An offline space has the dashed edge below instead.
        "line-opacity": E("-", 1, shownIn(OFFLINE)),
      },
    },
    {
      ...base,
      id: `${group}-offline`,
      type: "line",
      layout: { "line-join": "round" },
      paint: {
        "line-color": paints[OFFLINE]?.line ?? "#888",
        "line-width": width + 0.25,
        "line-dasharray": [3, 2],
        "line-opacity": shownIn(OFFLINE),
      },
    },
  ];
}

function outlines(palette: Palette): LayerSpecification[] {
  const shown = E("case", E("any", flag("selected"), flag("focus")), 1, 0);
  const ring = (
    id: string,
    color: string,
    width: number,
    opacity: Expression,
  ): LayerSpecification => ({
    id,
    type: "line",
    source: "spaces",
    layout: { "line-join": "round", "line-cap": "round" },
    paint: { "line-color": color, "line-width": width, "line-opacity": opacity },
  });
  return [
    ring("ring-glow", palette.accent, 9, E("*", 0.25, shown)),
    ring("ring-gap", palette.halo, 5, shown),
    ring("ring", palette.accent, 2.75, shown),
  ];
}

export interface Pattern {
  name: string;
  image: ImageData;
}

/** The two patterns: thin lines one way for unknown, broad ones the other for likely. */
export function patternsOf(palette: Palette): Pattern[] {
  return [
    { name: "hatch", image: diagonal(palette.hatch, 2, 1) },
    { name: "stripe", image: diagonal(palette.stripe, 5, -1) },
  ];
}

function diagonal(color: string, width: number, direction: 1 | -1): ImageData {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = TILE;
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  context.strokeStyle = color;
  context.lineWidth = width;
  context.beginPath();
  // Drawn three times, so that the corners of the tile meet its neighbours.
  for (const shift of [-TILE, 0, TILE]) {
    context.moveTo(shift - 2, direction === 1 ? -2 : TILE + 2);
    context.lineTo(shift + TILE + 2, direction === 1 ? TILE + 2 : -2);
  }
  context.stroke();
  return context.getImageData(0, 0, TILE, TILE);
}
