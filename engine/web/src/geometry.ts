/**
 * Plane geometry of a plan, in metres on the plane of web Mercator: x east, y south.
 *
 * Mercator keeps angles, and a building is small, so one factor turns its units into
 * metres, and the step from here to the screen is one affine map.
 */

export type Point = readonly [number, number];
export type Ring = readonly Point[];

const EARTH_M = 40_075_016.686;
/** Segments of a rounded corner: enough to look round at the closest zoom. */
const ARC_STEPS = 5;

/** A plane with its origin at a place on Earth. */
export class Plane {
  readonly #x0: number;
  readonly #y0: number;
  readonly #metres: number;

  constructor(longitude: number, latitude: number) {
    [this.#x0, this.#y0] = mercator(longitude, latitude);
    this.#metres = EARTH_M * Math.cos((latitude * Math.PI) / 180);
  }

  /** Metres of one whole turn of the Mercator square, at this latitude. */
  get worldMetres(): number {
    return this.#metres;
  }

  toPlane(position: readonly number[]): Point {
    const [x, y] = mercator(position[0] ?? 0, position[1] ?? 0);
    return [(x - this.#x0) * this.#metres, (y - this.#y0) * this.#metres];
  }

  toEarth([x, y]: Point): [number, number] {
    const mx = x / this.#metres + this.#x0;
    const my = y / this.#metres + this.#y0;
    const latitude = (Math.atan(Math.sinh(Math.PI * (1 - 2 * my))) * 180) / Math.PI;
    return [mx * 360 - 180, latitude];
  }
}

function mercator(longitude: number, latitude: number): [number, number] {
  const sin = Math.sin((latitude * Math.PI) / 180);
  const y = 0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI);
  return [(longitude + 180) / 360, y];
}

/** Twice the signed area; the sign is the direction of the ring. */
function doubleArea(ring: Ring): number {
  let sum = 0;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    sum += cross(at(ring, j), at(ring, i));
  }
  return sum;
}

export function area(ring: Ring): number {
  return Math.abs(doubleArea(ring)) / 2;
}

const cross = (a: Point, b: Point): number => a[0] * b[1] - a[1] * b[0];
const minus = (a: Point, b: Point): Point => [a[0] - b[0], a[1] - b[1]];
const along = (a: Point, d: Point, t: number): Point => [a[0] + d[0] * t, a[1] + d[1] * t];

function at(ring: Ring, i: number): Point {
  return ring[(i + ring.length) % ring.length] as Point;
}

function unit(v: Point): Point {
  const length = Math.hypot(v[0], v[1]) || 1;
  return [v[0] / length, v[1] / length];
}

/** The ring without its closing point, repeated points and points on straight runs. */
export function simplified(ring: Ring): Ring {
  const apart = ring.filter((p, i) => {
    const q = at(ring, i - 1);
    return Math.hypot(p[0] - q[0], p[1] - q[1]) > 0.01;
  });
  return apart.filter((p, i) => {
    const before = unit(minus(p, at(apart, i - 1)));
    const after = unit(minus(at(apart, i + 1), p));
    return Math.abs(cross(before, after)) > 1e-3;
  });
}

/** The ring moved inwards by `inset` metres (outwards below 0), corners rounded. */
export function softened(outline: Ring, inset: number, radius: number): Ring {
  const ring = simplified(outline);
  if (ring.length < 3) return outline;
  const inner = inset === 0 ? ring : shrunk(ring, inset);
  return radius > 0 ? rounded(inner, radius) : inner;
}

function shrunk(ring: Ring, inset: number): Ring {
  const turn = Math.sign(doubleArea(ring));
  const inner = ring.map((p, i): Point => {
    const into = unit(minus(p, at(ring, i - 1)));
    const out = unit(minus(at(ring, i + 1), p));
    const sine = cross(into, out);
    // The corner of two lines moved by the same distance lies on the bisector.
    const shift = minus(out, into);
    return along(p, shift, (turn * inset) / sine);
  });
  const same = Math.sign(doubleArea(inner)) === turn;
  const share = area(inner) / area(ring);
  // A sliver would turn inside out: it stays as it was drawn.
  return same && share > 0.3 && share < 1 === inset > 0 ? inner : ring;
}

function rounded(ring: Ring, radius: number): Ring {
  const soft: Point[] = [];
  for (const [i, corner] of ring.entries()) {
    const before = minus(at(ring, i - 1), corner);
    const after = minus(at(ring, i + 1), corner);
    const reach = Math.min(
      radius,
      Math.hypot(before[0], before[1]) * 0.48,
      Math.hypot(after[0], after[1]) * 0.48,
    );
    const from = along(corner, unit(before), reach);
    const to = along(corner, unit(after), reach);
    for (let step = 0; step <= ARC_STEPS; step++) {
      const t = step / ARC_STEPS;
      // A quadratic curve with its control point in the corner.
      const a = along(from, minus(corner, from), t);
      const b = along(corner, minus(to, corner), t);
      soft.push(along(a, minus(b, a), t));
    }
  }
  return soft;
}

export function contains(ring: Ring, [x, y]: Point): boolean {
  let inside = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [xi, yi] = at(ring, i);
    const [xj, yj] = at(ring, j);
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

/** A point well inside: the centroid, or the best of a grid where that is outside. */
export function middle(ring: Ring): Point {
  const twice = doubleArea(ring);
  let x = 0;
  let y = 0;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const a = at(ring, j);
    const b = at(ring, i);
    const w = cross(a, b);
    x += (a[0] + b[0]) * w;
    y += (a[1] + b[1]) * w;
  }
  const centroid: Point = [x / (3 * twice), y / (3 * twice)];
  if (Number.isFinite(centroid[0]) && contains(ring, centroid)) return centroid;
  return roomiest(ring);
}

function roomiest(ring: Ring): Point {
  const [west, north, east, south] = extent(ring);
  let best: Point = at(ring, 0);
  let most = -1;
  for (let i = 1; i < 12; i++) {
    for (let j = 1; j < 12; j++) {
      const p: Point = [west + ((east - west) * i) / 12, north + ((south - north) * j) / 12];
      if (!contains(ring, p)) continue;
      const space = Math.min(chord(ring, p, [1, 0]), chord(ring, p, [0, 1]));
      if (space > most) [best, most] = [p, space];
    }
  }
  return best;
}

export function extent(points: Iterable<Point>): [number, number, number, number] {
  let [west, north, east, south] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    west = Math.min(west, x);
    east = Math.max(east, x);
    north = Math.min(north, y);
    south = Math.max(south, y);
  }
  return [west, north, east, south];
}

/** How far one can see from `p` in `direction` and back, both ways the shorter, twice. */
export function chord(ring: Ring, p: Point, direction: Point): number {
  let ahead = Infinity;
  let behind = Infinity;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const a = minus(at(ring, j), p);
    const edge = minus(at(ring, i), at(ring, j));
    const sine = cross(direction, edge);
    if (Math.abs(sine) < 1e-9) continue;
    const onEdge = cross(a, direction) / sine;
    if (onEdge < 0 || onEdge > 1) continue;
    const distance = cross(a, edge) / sine;
    if (distance >= 0) ahead = Math.min(ahead, distance);
    else behind = Math.min(behind, -distance);
  }
  const shorter = Math.min(ahead, behind);
  return Number.isFinite(shorter) ? shorter * 2 : 0;
}

/** Direction of the longest wall, in degrees clockwise from east, in (-45, 45]. */
export function grain(ring: Ring): number {
  let longest = 0;
  let angle = 0;
  for (let i = 0; i < ring.length; i++) {
    const edge = minus(at(ring, i + 1), at(ring, i));
    const length = Math.hypot(edge[0], edge[1]);
    if (length > longest + 1e-6) {
      longest = length;
      angle = (Math.atan2(edge[1], edge[0]) * 180) / Math.PI;
    }
  }
  const quarter = ((angle % 90) + 90) % 90;
  return quarter > 45 ? quarter - 90 : quarter;
}

export function turned([x, y]: Point, degrees: number): Point {
  const radians = (degrees * Math.PI) / 180;
  const [c, s] = [Math.cos(radians), Math.sin(radians)];
  return [x * c - y * s, x * s + y * c];
}
