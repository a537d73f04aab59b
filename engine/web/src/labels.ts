/**
 * Names, counts and marks, drawn on a canvas over the map.
 *
 * MapLibre draws text from glyph servers, and one element a label is what makes maps with
 * a thousand of them freeze. A canvas has the system's own font, as sharp as the page,
 * and costs one pass: the map is flat, so one affine step places every label.
 */

import { chord, extent } from "./geometry.ts";
import type { Point, Ring } from "./geometry.ts";
import type { Replica } from "./live.ts";
import { DECOR, MARKS } from "./marks.ts";
import { FREE, LIKELY, OCCUPIED, UNKNOWN, STATE_SHORT, toState } from "./model.ts";
import type { State } from "./model.ts";
import type { Decor, Plan, Space } from "./plan.ts";
import type { Palette } from "./theme.ts";
import { countOf, plural } from "./words.ts";

const FONT = '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, system-ui, sans-serif';
const NAME = `600 12px ${FONT}`;
const NAME_LARGE = `600 14px ${FONT}`;
const NAME_SMALL = `600 10.5px ${FONT}`;
const LINE = `500 11px ${FONT}`;
const LINE_LARGE = `500 12px ${FONT}`;
const ZONE = `600 11px ${FONT}`;

/** Pixels to the metre from which a single desk can be told. */
const CLOSE = 14;

/** Metres to pixels: x' = x + cos·mx − sin·my, y' = y + sin·mx + cos·my. */
export interface Affine {
  x: number;
  y: number;
  cos: number;
  sin: number;
}

/** What is free around a label, across and down the screen, in metres. */
interface Room {
  across: number;
  down: number;
}

interface Item {
  middle: Point;
  ring: Ring;
}

export class Labels {
  readonly #canvas = document.createElement("canvas");
  readonly #context: CanvasRenderingContext2D;
  readonly #root: HTMLElement;
  readonly #widths = new Map<string, number>();
  readonly #rooms = new Map<Item, Room>();
  readonly #marks: readonly Path2D[] = MARKS.map(({ path }) => new Path2D(path));
  readonly #decor = new Map(Object.entries(DECOR).map(([k, path]) => [k, new Path2D(path)]));
  #plan: Plan | null = null;
  #palette: Palette | null = null;
  #bearing = Number.NaN;
  #halo: string | null = null;
  readonly #corners = new Map<Space, { scale: number; at: Point | null }>();
  #desks: Space[] = [];
  #rest: Space[] = [];
  #zones: Space[] = [];

  constructor(root: HTMLElement) {
    this.#root = root;
    this.#canvas.className = "labels";
    this.#canvas.setAttribute("aria-hidden", "true");
    this.#context = this.#canvas.getContext("2d") as CanvasRenderingContext2D;
    root.append(this.#canvas);
    this.resize();
  }

  resize(): void {
    const ratio = devicePixelRatio;
    this.#canvas.width = Math.round(this.#root.clientWidth * ratio);
    this.#canvas.height = Math.round(this.#root.clientHeight * ratio);
  }

  setPlan(plan: Plan, palette: Palette): void {
    this.#palette = palette;
    if (plan === this.#plan) return;
    this.#plan = plan;
    this.#bearing = Number.NaN;
    const spaces = [...plan.spaces.values()];
    this.#desks = spaces.filter((space) => space.kind === "desk");
    this.#zones = spaces.filter((space) => space.kind === "zone");
    this.#rest = spaces.filter((space) => space.kind === "room" || space.kind === "area");
  }

  draw(replica: Replica | null, affine: Affine): void {
    const context = this.#context;
    const { width, height } = this.#canvas;
    const ratio = devicePixelRatio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (this.#plan === null || this.#palette === null) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.lineJoin = context.lineCap = "round";
    context.textAlign = "center";
    context.textBaseline = "middle";
    this.#turn(affine);
    const scale = Math.hypot(affine.cos, affine.sin);
    for (const zone of this.#zones) this.#drawZone(zone, affine, scale);
    for (const decor of this.#plan.decor) this.#drawDecor(decor, affine, scale);
    for (const space of this.#rest) this.#drawRoom(space, replica, affine, scale);
    this.#halo = null;
    for (const desk of this.#desks) this.#drawDesk(desk, replica, affine, scale);
  }

  /** Room around a label depends on how the plan is turned, not on the zoom. */
  #turn(affine: Affine): void {
    const bearing = Math.round((Math.atan2(affine.sin, affine.cos) * 180) / Math.PI);
    if (bearing === this.#bearing) return;
    this.#bearing = bearing;
    this.#rooms.clear();
    this.#corners.clear();
  }

  #room(item: Item, { cos, sin }: Affine): Room {
    let room = this.#rooms.get(item);
    if (room === undefined) {
      const across = chord(item.ring, item.middle, [cos, -sin]);
      const down = chord(item.ring, item.middle, [sin, cos]);
      const scale = Math.hypot(cos, sin);
      room = { across: across * scale, down: down * scale };
      this.#rooms.set(item, room);
    }
    return room;
  }

  /** Place and room of an item in pixels, or null where nobody can see it. */
  #seat(item: Item, affine: Affine, scale: number) {
    const [mx, my] = item.middle;
    const x = affine.x + affine.cos * mx - affine.sin * my;
    const y = affine.y + affine.sin * mx + affine.cos * my;
    const { clientWidth, clientHeight } = this.#root;
    if (x < -80 || y < -60 || x > clientWidth + 80 || y > clientHeight + 60) return null;
    const room = this.#room(item, affine);
    return { x, y, width: room.across * scale, height: room.down * scale };
  }

  #drawRoom(space: Space, replica: Replica | null, affine: Affine, scale: number): void {
    const seat = this.#seat(space, affine, scale);
    if (seat === null || this.#palette === null || seat.width < 20 || seat.height < 16) return;
    const state = toState(replica?.state[space.row]);
    // By the zoom, so that neighbours have one size; unless it is a cupboard.
    const large = scale > 21 && seat.width > 96 && seat.height > 56;
    const inner = seat.width - 10;
    const paint = this.#palette.room[state];
    this.#context.fillStyle = this.#context.strokeStyle = paint.ink;
    this.#halo = state === UNKNOWN || state === LIKELY ? paint.fill : null;
    const most = seat.height < 62 ? 1 : 2;
    const fonts = large ? [NAME_LARGE, NAME] : [NAME, NAME_SMALL];
    const font = fonts.find((f) => this.#fitted(space.name, inner, f, most).length > 0);
    const lines = font
      ? this.#fitted(space.name, inner, font, most)
      : this.#shortened(space.name, inner, NAME_SMALL);
    const step = large ? 17 : 14;
    const detail = detailOf(space, replica, state);
    const blockHeight = lines.length * step + step + 3;
    if (lines.length === 0 || blockHeight > seat.height - 4) {
      if (font && seat.height < 34) this.#drawBrief(space, font, seat, state);
      else this.#drawDetail(detail, state, seat.x, seat.y, inner, large);
      return;
    }
    let y = seat.y - blockHeight / 2 + step / 2;
    this.#context.font = font ?? NAME_SMALL;
    for (const line of lines) {
      this.#write(line, seat.x, y);
      y += step;
    }
    this.#drawDetail(detail, state, seat.x, y + 3, inner, large);
  }

  /** One line is all there is: the name, with the mark where that fits too. */
  #drawBrief(
    { name }: Space,
    font: string,
    seat: { x: number; y: number; width: number },
    state: State,
  ): void {
    const width = this.#width(name, font);
    if (width > seat.width - 8) return this.#drawMark(state, seat.x, seat.y, 12);
    const room = width + 18 < seat.width - 8;
    if (room) this.#drawMark(state, seat.x - width / 2 - 2, seat.y, 11);
    this.#context.font = font;
    this.#write(name, seat.x + (room ? 7 : 0), seat.y);
  }

  /** Text, on a halo where a pattern would cross it. */
  #write(text: string, x: number, y: number): void {
    const context = this.#context;
    if (this.#halo !== null) {
      const ink = context.strokeStyle;
      context.strokeStyle = this.#halo;
      context.lineWidth = 4;
      context.strokeText(text, x, y);
      context.strokeStyle = ink;
    }
    context.fillText(text, x, y);
  }

  /** The mark of the state and, where it fits, its words. */
  #drawDetail(
    texts: readonly string[],
    state: State,
    x: number,
    y: number,
    width: number,
    large: boolean,
  ): void {
    const font = large ? LINE_LARGE : LINE;
    const text = texts.find((candidate) => this.#width(candidate, font) + 15 <= width);
    if (text === undefined) return this.#drawMark(state, x, y, Math.min(13, width));
    const textWidth = this.#width(text, font);
    const left = x - (textWidth + 14) / 2;
    this.#drawMark(state, left + 5, y, 11);
    this.#context.font = font;
    this.#context.textAlign = "left";
    this.#write(text, left + 14, y + 0.5);
    this.#context.textAlign = "center";
  }

  #drawMark(state: State, x: number, y: number, size: number): void {
    const path = this.#marks[state];
    if (path === undefined) return;
    this.#stroke(path, x, y, size, MARKS[state].filled, 1.9);
  }

  #stroke(path: Path2D, x: number, y: number, size: number, filled: boolean, line: number): void {
    const context = this.#context;
    context.save();
    context.translate(x - size / 2, y - size / 2);
    context.scale(size / 16, size / 16);
    if (this.#halo !== null) {
      context.strokeStyle = this.#halo;
      context.lineWidth = 7;
      context.stroke(path);
      context.strokeStyle = context.fillStyle;
    }
    context.lineWidth = line;
    if (filled) context.fill(path);
    else context.stroke(path);
    context.restore();
  }

  #drawDesk(desk: Space, replica: Replica | null, affine: Affine, scale: number): void {
    const seat = this.#seat(desk, affine, scale);
    if (seat === null || this.#palette === null) return;
    const side = Math.min(seat.width, seat.height);
    const state = toState(replica?.state[desk.row]);
    // A free desk needs no mark: it is the one without.
    if (side < 11) return;
    const context = this.#context;
    context.fillStyle = context.strokeStyle = this.#palette.desk[state].ink;
    context.globalAlpha = Math.min(1, (side - 11) / 4);
    const named = seat.height > 34 && this.#width(desk.name, LINE) < seat.width - 8;
    const size = Math.min(16, side * 0.62);
    if (state !== FREE) this.#drawMark(state, seat.x, named ? seat.y - 7 : seat.y, size);
    if (named) {
      context.font = LINE;
      context.fillText(desk.name, seat.x, state === FREE ? seat.y : seat.y + 9);
    }
    context.globalAlpha = 1;
  }

  #drawDecor(decor: Decor, affine: Affine, scale: number): void {
    const seat = this.#seat(decor, affine, scale);
    if (seat === null || this.#palette === null) return;
    const context = this.#context;
    context.fillStyle = context.strokeStyle = this.#palette.decorInk;
    const path = this.#decor.get(decor.category);
    if (path !== undefined) {
      const size = Math.min(30, Math.min(seat.width, seat.height) * 0.45);
      if (size >= 8) this.#stroke(path, seat.x, seat.y, size, false, 1.3);
    } else if (decor.name !== "" && seat.height > 15) {
      const [line] = this.#fitted(decor.name, seat.width - 8, LINE, 1);
      context.font = LINE;
      if (line !== undefined) context.fillText(line, seat.x, seat.y);
    }
  }

  /** A zone's name stands in a corner of it, clear of its desks if one is. */
  #drawZone(zone: Space, affine: Affine, scale: number): void {
    if (this.#palette === null || scale < 5) return;
    const context = this.#context;
    const width = this.#width(zone.name, ZONE);
    const corner = this.#corner(zone, affine, scale, width);
    if (corner === null) return;
    const [mx, my] = corner;
    const x = affine.x + affine.cos * mx - affine.sin * my;
    const y = affine.y + affine.sin * mx + affine.cos * my;
    context.font = ZONE;
    context.lineWidth = 4;
    context.strokeStyle = this.#palette.zone;
    context.strokeText(zone.name, x, y);
    context.fillStyle = this.#palette.zoneInk;
    context.fillText(zone.name, x, y);
  }

  /** Where the name of a zone goes, in metres; worked out anew at every half zoom. */
  #corner(zone: Space, { cos, sin }: Affine, scale: number, width: number): Point | null {
    const known = this.#corners.get(zone);
    if (known !== undefined && Math.abs(Math.log2(known.scale / scale)) < 0.25) {
      return known.at;
    }
    // The screen's axes with the origin of the plan, in pixels.
    const flat = ([x, y]: Point): Point => [cos * x - sin * y, sin * x + cos * y];
    const [left, top, right, bottom] = extent(zone.ring.map(flat));
    const desks = this.#desks.filter(({ parent }) => parent === zone.row);
    const boxes = desks.map(({ ring }) => extent(ring.map(flat)));
    const inX = width / 2 + 8;
    const places: Point[] = [top + 12, bottom - 12].flatMap((y): Point[] => [
      [left + inX, y],
      [right - inX, y],
      [(left + right) / 2, y],
    ]);
    const clear = places.find(([x, y]) =>
      boxes.every(([w, n, e, s]) => x + inX < w || x - inX > e || y + 8 < n || y - 8 > s),
    );
    // Far away a name across desks is clutter; close by, it is better than none.
    const place = clear ?? (scale > CLOSE ? places[0] : undefined);
    const square = scale * scale;
    const corner: Point | null =
      place === undefined
        ? null
        : [
            (cos * place[0] + sin * place[1]) / square,
            (cos * place[1] - sin * place[0]) / square,
          ];
    this.#corners.set(zone, { scale, at: corner });
    return corner;
  }

  /** The whole text in at most `most` lines of `width`, or nothing. */
  #fitted(text: string, width: number, font: string, most: 1 | 2): string[] {
    if (this.#width(text, font) <= width) return [text];
    const space = most === 2 ? bestBreak(text) : -1;
    if (space <= 0) return [];
    const lines = [text.slice(0, space), text.slice(space + 1)];
    return lines.every((line) => this.#width(line, font) <= width) ? lines : [];
  }

  /** As much of the text as fits, if that is enough to know it by. */
  #shortened(text: string, width: number, font: string): string[] {
    for (let length = text.length - 1; length >= 4; length--) {
      const short = `${text.slice(0, length).trimEnd()}…`;
      if (this.#width(short, font) <= width) return [short];
    }
    return [];
  }

  #width(text: string, font: string): number {
    const key = `${font}\n${text}`;
    let width = this.#widths.get(key);
    if (width === undefined) {
      // Counts make new texts for ever; names do not.
      if (this.#widths.size > 4000) this.#widths.clear();
      this.#context.font = font;
      width = this.#context.measureText(text).width;
      this.#widths.set(key, width);
    }
    return width;
  }
}

/** The space nearest to the middle of the text. */
function bestBreak(text: string): number {
  let best = -1;
  for (let i = text.indexOf(" "); i >= 0; i = text.indexOf(" ", i + 1)) {
    if (best < 0 || Math.abs(i - text.length / 2) < Math.abs(best - text.length / 2)) best = i;
  }
  return best;
}

/** What to say under the name, the fullest first. */
function detailOf(space: Space, replica: Replica | null, state: State): readonly string[] {
  const raw = replica?.count[space.row] ?? -1;
  const count = countOf(raw < 0 ? null : raw, space.capacity);
  if (state === OCCUPIED && count !== null && raw > 0) return [count];
  if (state === FREE && space.capacity !== null) {
    return [`Free · ${plural(space.capacity, "seat")}`, "Free"];
  }
  return [STATE_SHORT[state]];
}
