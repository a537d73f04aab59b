/** The map: shows one level, colours its spaces, moves the camera, tells what is picked. */

import { Map as MapView, setWorkerCount, setWorkerUrl } from "maplibre-gl";
import type { GeoJSONSource, MapMouseEvent } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import { extent, turned } from "./geometry.ts";
import type { Point } from "./geometry.ts";
import { Labels } from "./labels.ts";
import { layersOf, patternsOf, SPACE_LAYERS, styleOf } from "./layers.ts";
import { toState } from "./model.ts";
import type { Replica } from "./live.ts";
import type { Plan } from "./plan.ts";
import { calm, PALETTES } from "./theme.ts";
import type { Theme } from "./theme.ts";

setWorkerUrl(workerUrl);
// One small plan at a time: a second worker would only cost memory.
setWorkerCount(1);

/** A change glides over this time; more changes at once than this jump instead. */
const GLIDE_MS = 420;
const GLIDE_AT_ONCE = 160;
const FADE_MS = 170;
/** A plan that takes longer to draw is shown as it comes. */
const PATIENCE_MS = 1200;
/** Zoom steps that a flight may go nearer than the whole level. */
const CLOSER = 1.5;
/** How much of what is around the building a flight may show, in metres. */
const EDGE_M = 3;

export interface Insets {
  top: number;
  right: number;
  bottom: number;
  left: number;
}

export interface FloorEvents {
  onPick: (row: number | null) => void;
  onHover: (row: number | null, x: number, y: number) => void;
}

/** A way to show the whole level: turned by `bearing`, `scale` pixels to the metre. */
interface Fit {
  insets: Insets;
  bearing: number;
  scale: number;
  middle: Point;
}

type Mark = "selected" | "focus" | "hover";

export class Floor {
  readonly #map: MapView;
  readonly #root: HTMLElement;
  readonly #labels: Labels;
  readonly #pin = document.createElement("div");
  readonly #pinText = document.createElement("span");
  readonly #ready: Promise<void>;
  #theme: Theme;
  #plan: Plan | null = null;
  #replica: Replica | null = null;
  #shown = new Uint8Array(0);
  #gliding = new Map<number, { from: number; to: number; start: number }>();
  #marked: Record<Mark, number | null> = { selected: null, focus: null, hover: null };
  #choices: readonly Insets[] = [];
  #insets: Insets = { top: 24, right: 24, bottom: 24, left: 24 };
  #pinRow: number | null = null;
  #fitted = true;

  constructor(root: HTMLElement, theme: Theme, events: FloorEvents) {
    this.#root = root;
    this.#theme = theme;
    this.#map = new MapView({
      container: root,
      style: styleOf(PALETTES[theme]),
      center: [0, 0],
      zoom: 18,
      maxZoom: 23.5,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      maxPitch: 0,
      renderWorldCopies: false,
      fadeDuration: 0,
      keyboard: false,
    });
    this.#map.touchZoomRotate.disableRotation();
    const canvas = this.#map.getCanvas();
    canvas.tabIndex = -1;
    canvas.setAttribute("aria-hidden", "true");
    canvas.removeAttribute("role");
    this.#labels = new Labels(root);
    this.#pin.className = "pin";
    this.#pin.hidden = true;
    this.#pin.append(this.#pinText);
    this.#pinText.className = "pin-text";
    root.append(this.#pin);
    this.#ready = new Promise((resolve) => this.#map.once("load", () => resolve()));
    void this.#ready.then(() => this.#paint());
    this.#listen(events);
  }

  setTheme(theme: Theme): void {
    if (theme === this.#theme) return;
    this.#theme = theme;
    void this.#ready.then(() => this.#paint());
  }

  /** Ways to stay clear of the page's own cards; the one that shows most is taken. */
  setInsets(choices: readonly Insets[]): void {
    const same = JSON.stringify(choices) === JSON.stringify(this.#choices);
    this.#choices = choices;
    this.#insets = choices[0] ?? this.#insets;
    if (!same && this.#fitted) this.fit(false);
  }

  /** Shows a level; `direction` is +1 up, -1 down, 0 where it is the first. */
  async show(plan: Plan, replica: Replica | null, direction: number): Promise<void> {
    await this.#ready;
    const moving = direction !== 0 && !calm();
    if (moving) await this.#fade(direction, false);
    this.#plan = plan;
    this.#replica = replica;
    this.#gliding.clear();
    this.#marked = { selected: null, focus: null, hover: null };
    this.setPin(null, "");
    this.#map.removeFeatureState({ source: "spaces" });
    this.#shown = new Uint8Array(0);
    const loaded = Promise.all([
      this.#source("backdrop").setData(plan.backdrop),
      this.#source("spaces").setData(plan.coloured),
    ]);
    this.#scaleWidths(plan);
    this.#labels.setPlan(plan, PALETTES[this.#theme]);
    this.apply(replica, null);
    this.fit(false);
    await Promise.race([loaded, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
    if (moving) await this.#fade(direction, true);
  }

  /** Colours the rows that changed, or all (`rows` null). */
  apply(replica: Replica | null, rows: readonly number[] | null): void {
    // While the levels change places, the replica may be one level ahead.
    if (replica === null || replica.level !== this.#plan?.level) return;
    this.#replica = replica;
    const first = this.#shown.length !== replica.state.length;
    if (first) this.#shown = new Uint8Array(replica.state.length).fill(255);
    const changed = [...(rows ?? replica.state.keys())].filter(
      (row) => this.#shown[row] !== replica.state[row] && this.#plan?.spaces.has(row),
    );
    const glide = !first && changed.length <= GLIDE_AT_ONCE && !calm();
    const start = performance.now();
    for (const row of changed) {
      const to = toState(replica.state[row]);
      const from = this.#shown[row] === 255 ? to : toState(this.#shown[row]);
      this.#shown[row] = to;
      this.#setState(row, { s: to, f: from, m: glide ? 0 : 1 });
      if (glide) this.#gliding.set(row, { from, to, start });
    }
    if (glide && changed.length > 0) requestAnimationFrame(() => this.#glide());
    this.#drawLabels();
  }

  /** Puts the accent ring on a row, or takes it away. */
  mark(kind: Mark, row: number | null): void {
    const before = this.#marked[kind];
    if (before === row) return;
    if (before !== null) this.#setState(before, { [kind]: false });
    this.#marked[kind] = row;
    if (row !== null && this.#plan?.spaces.has(row)) this.#setState(row, { [kind]: true });
  }

  /** Stands a badge with a pulse on a space. */
  setPin(row: number | null, text: string): void {
    this.#pinRow = row;
    this.#pin.hidden = row === null;
    this.#pinText.textContent = text;
    this.#placePin();
  }

  /** The whole level, turned so that it fills the screen best. */
  fit(animated = true): void {
    const plan = this.#plan;
    if (plan === null) return;
    const tries = this.#choices.flatMap((insets) =>
      [0, -90].map((quarter) => this.#tried(plan, insets, plan.grain + quarter)),
    );
    // North-up is easier to know again; it gives way only where it wastes the screen.
    const worth = ({ scale, bearing }: Fit): number => scale * (bearing === plan.grain ? 1.25 : 1);
    const best = tries.toSorted((a, b) => worth(b) - worth(a))[0];
    if (best === undefined) return;
    this.#insets = best.insets;
    const zoom = Math.log2((best.scale * plan.plane.worldMetres) / 512);
    this.#map.setMinZoom(zoom - 0.6);
    this.#move(best.middle, zoom, best.bearing, animated);
    this.#fitted = true;
  }

  #tried(plan: Plan, insets: Insets, bearing: number): Fit {
    const { clientWidth, clientHeight } = this.#root;
    const [west, north, east, south] = extent(plan.hull.map((p) => turned(p, -bearing)));
    const width = Math.max(80, clientWidth - insets.left - insets.right);
    const height = Math.max(80, clientHeight - insets.top - insets.bottom);
    const scale = Math.min(width / (east - west), height / (south - north));
    const middle = turned([(west + east) / 2, (north + south) / 2], bearing);
    return { insets, bearing, scale, middle };
  }

  /** Flies to a space so that it stands in the free part of the map. */
  flyTo(row: number): void {
    const space = this.#plan?.spaces.get(row);
    const plan = this.#plan;
    if (space === undefined || plan === null) return;
    const [west, north, east, south] = extent(space.ring);
    const across = Math.max(east - west, south - north, 1);
    const { clientWidth, clientHeight } = this.#root;
    const { top, right, bottom, left } = this.#insets;
    const free = Math.min(clientWidth - left - right, clientHeight - top - bottom);
    const close = Math.log2((Math.max(80, free) * plan.plane.worldMetres) / (512 * across * 4));
    const fitZoom = this.#map.getMinZoom() + 0.6;
    const zoom = Math.min(Math.max(close, fitZoom), fitZoom + CLOSER);
    const bearing = this.#map.getBearing();
    const scale = (512 * 2 ** zoom) / plan.plane.worldMetres;
    const wide = (clientWidth - left - right) / scale;
    const high = (clientHeight - top - bottom) / scale;
    this.#move(this.#kept(plan, space.middle, bearing, wide, high), zoom, bearing, true);
    this.#fitted = false;
  }

  /** The centre nearest to `middle` that does not show more of the void than it must. */
  #kept(plan: Plan, middle: Point, bearing: number, wide: number, high: number): Point {
    const [west, north, east, south] = extent(plan.hull.map((p) => turned(p, -bearing)));
    const [x, y] = turned(middle, -bearing);
    const clamp = (at: number, from: number, to: number, view: number): number => {
      const [low, top] = [from - EDGE_M + view / 2, to + EDGE_M - view / 2];
      return low > top ? (from + to) / 2 : Math.min(top, Math.max(low, at));
    };
    return turned([clamp(x, west, east, wide), clamp(y, north, south, high)], bearing);
  }

  zoomBy(step: number): void {
    this.#map.zoomTo(this.#map.getZoom() + step, { duration: calm() ? 0 : 260 });
    this.#fitted = false;
  }

  panBy(x: number, y: number): void {
    this.#map.panBy([x, y], { duration: calm() ? 0 : 160 });
    this.#fitted = false;
  }

  /** Where a space is on the screen, in pixels of the map. */
  screenOf(row: number): { x: number; y: number } | null {
    const space = this.#plan?.spaces.get(row);
    if (space === undefined || this.#plan === null) return null;
    return this.#map.project(this.#plan.plane.toEarth(space.middle));
  }

  #move(middle: Point, zoom: number, bearing: number, animated: boolean): void {
    if (this.#plan === null) return;
    const camera = {
      center: this.#plan.plane.toEarth(middle),
      zoom: Math.min(zoom, this.#map.getMaxZoom()),
      bearing,
      padding: this.#insets,
    };
    if (animated && !calm()) this.#map.easeTo({ ...camera, duration: 650, essential: true });
    else this.#map.jumpTo(camera);
  }

  #listen(events: FloorEvents): void {
    const map = this.#map;
    map.on("render", () => {
      this.#drawLabels();
      this.#placePin();
    });
    map.on("resize", () => {
      this.#labels.resize();
      if (this.#fitted) this.fit(false);
    });
    for (const event of ["dragstart", "wheel", "boxzoomstart"] as const) {
      map.on(event, () => {
        this.#fitted = false;
      });
    }
    map.on("click", (event) => events.onPick(this.#rowAt(event)));
    map.on("mousemove", (event) => {
      const row = this.#rowAt(event);
      this.mark("hover", row);
      map.getCanvas().style.cursor = row === null ? "" : "pointer";
      events.onHover(row, event.point.x, event.point.y);
    });
    map.on("mouseout", () => {
      this.mark("hover", null);
      events.onHover(null, 0, 0);
    });
  }

  #rowAt(event: MapMouseEvent): number | null {
    const layers = SPACE_LAYERS.filter((layer) => this.#map.getLayer(layer));
    // A finger is broader than a pointer: nothing hit, a little around it counts.
    const { x, y } = event.point;
    for (const reach of [0, 5]) {
      const box: [[number, number], [number, number]] = [
        [x - reach, y - reach],
        [x + reach, y + reach],
      ];
      const [hit] = this.#map.queryRenderedFeatures(box, { layers });
      if (hit !== undefined && typeof hit.id === "number") return hit.id;
    }
    return null;
  }

  #source(id: string): GeoJSONSource {
    return this.#map.getSource(id) as GeoJSONSource;
  }

  #setState(row: number, state: Record<string, unknown>): void {
    this.#map.setFeatureState({ source: "spaces", id: row }, state);
  }

  #glide(): void {
    const now = performance.now();
    for (const [row, { start }] of this.#gliding) {
      const t = Math.min(1, (now - start) / GLIDE_MS);
      // Quick at first, then settling.
      this.#setState(row, { m: 1 - (1 - t) ** 3 });
      if (t === 1) this.#gliding.delete(row);
    }
    if (this.#gliding.size > 0) requestAnimationFrame(() => this.#glide());
  }

  #paint(): void {
    const palette = PALETTES[this.#theme];
    for (const { name, image } of patternsOf(palette)) {
      if (this.#map.hasImage(name)) this.#map.updateImage(name, image);
      else this.#map.addImage(name, image, { pixelRatio: 2 });
    }
    const worldMetres = this.#plan?.plane.worldMetres ?? 2.4e7;
    for (const layer of layersOf(palette, worldMetres)) {
      for (const [property, value] of Object.entries(layer.paint ?? {})) {
        this.#map.setPaintProperty(layer.id, property as never, value as never);
      }
    }
    if (this.#plan !== null) this.#labels.setPlan(this.#plan, palette);
    this.#drawLabels();
  }

  #scaleWidths(plan: Plan): void {
    for (const layer of layersOf(PALETTES[this.#theme], plan.plane.worldMetres)) {
      if (!["slab-edge", "wall-line"].includes(layer.id) || layer.type !== "line") continue;
      this.#map.setPaintProperty(layer.id, "line-width", layer.paint?.["line-width"] ?? 1);
    }
  }

  #drawLabels(): void {
    if (this.#plan === null) return;
    const { plane } = this.#plan;
    const origin = this.#map.project(plane.toEarth([0, 0]));
    const east = this.#map.project(plane.toEarth([100, 0]));
    const x = (east.x - origin.x) / 100;
    const y = (east.y - origin.y) / 100;
    this.#labels.draw(this.#replica, { x: origin.x, y: origin.y, cos: x, sin: y });
  }

  #placePin(): void {
    if (this.#pinRow === null) return;
    const place = this.screenOf(this.#pinRow);
    if (place === null) return;
    this.#pin.style.transform = `translate(${place.x}px, ${place.y}px)`;
  }

  async #fade(direction: number, into: boolean): Promise<void> {
    const away = { opacity: 0, transform: `translateY(${(into ? -14 : 14) * direction}px)` };
    const here = { opacity: 1, transform: "none" };
    const frames = into ? [away, here] : [here, away];
    await this.#root.animate(frames, {
      duration: FADE_MS,
      easing: into ? "ease-out" : "ease-in",
      fill: into ? "none" : "forwards",
    }).finished;
    if (into) for (const animation of this.#root.getAnimations()) animation.cancel();
  }
}
