/** Which building, and whether what one sees is live; then its three numbers. */

import type { Status } from "../live.ts";
import { icon } from "../marks.ts";
import { duration, mostlyUnknown } from "../words.ts";
import { h, setAttribute, setText } from "./dom.ts";
import type { LevelNumbers } from "../summary.ts";

export interface Building {
  id: string;
  name: string;
}

export class Header {
  readonly root: HTMLElement;
  readonly #title = h("h1", { class: "building" });
  readonly #clock = h("p", { class: "clock", title: "The time in the simulated office", hidden: true });
  readonly #pill = h("span", { class: "pill", role: "status", "data-phase": "connecting" });
  readonly #pillText = h("span", {});
  readonly #select = h("select", { class: "building-select", "aria-label": "Building" });
  readonly #theme: HTMLButtonElement;

  constructor(events: { onBuilding: (id: string) => void; onTheme: () => void }) {
    this.#pill.append(h("span", { class: "pill-dot", "aria-hidden": "true" }), this.#pillText);
    this.#select.addEventListener("change", () => events.onBuilding(this.#select.value));
    this.#theme = h(
      "button",
      { class: "ghost theme", type: "button", onclick: events.onTheme },
      icon("moon"),
      icon("sun"),
    );
    this.#select.hidden = true;
    this.root = h(
      "header",
      { class: "head" },
      h("div", { class: "head-name" }, this.#title, this.#select, this.#clock),
      this.#pill,
      this.#theme,
    );
  }

  setTheme(theme: "light" | "dark"): void {
    const other = theme === "dark" ? "light" : "dark";
    setAttribute(this.#theme, "aria-label", `Use the ${other} theme`);
    setAttribute(this.#theme, "title", `Use the ${other} theme`);
  }

  setBuildings(buildings: readonly Building[], current: string): void {
    const name = buildings.find(({ id }) => id === current)?.name ?? current;
    setText(this.#title, name);
    this.#select.hidden = buildings.length < 2;
    this.#title.classList.toggle("vh", buildings.length > 1);
    this.#select.replaceChildren(
      ...buildings.map(({ id, name }) =>
        h("option", { value: id, selected: id === current }, name),
      ),
    );
  }

  /** The time of a simulated day; null where the day is a real one. */
  setClock(text: string | null): void {
    this.#clock.hidden = text === null;
    setText(this.#clock, text ?? "");
  }

  /** `at` is now, on the clock of the status. */
  setStatus(status: Status, at: number): void {
    const { phase, heardAt } = status;
    const old = heardAt === null ? null : duration(at - heardAt);
    const offline = !navigator.onLine || (status.attempts > 4 && phase === "waiting");
    const words: Record<Status["phase"], string> = {
      idle: "Paused",
      connecting: "Connecting",
      live: "Live",
      waiting: offline ? "Offline" : "Reconnecting",
      refused: "Signed out",
    };
    const text = phase === "waiting" && old !== null ? `${words[phase]} · ${old} old` : words[phase];
    setText(this.#pillText, text);
    setAttribute(this.#pill, "data-phase", phase === "waiting" && offline ? "offline" : phase);
  }
}

interface Tile {
  root: HTMLElement;
  value: HTMLElement;
  note: HTMLElement;
}

/** People in, free desks, free rooms of the building. */
export class Totals {
  readonly root: HTMLElement;
  readonly #people = tile("People in", "people");
  readonly #desks = tile("Free desks", "desks");
  readonly #rooms = tile("Free rooms", "rooms");

  constructor() {
    const tiles = [this.#people, this.#desks, this.#rooms].map(({ root }) => root);
    this.root = h("dl", { class: "totals" }, ...tiles);
  }

  update(levels: readonly LevelNumbers[]): void {
    const sum = (part: (numbers: LevelNumbers) => number): number =>
      levels.reduce((total, numbers) => total + part(numbers), 0);
    const counted = levels.some(({ headcount }) => headcount !== null);
    const split = levels.length > 0 && levels.every((numbers) => numbers.split);
    show(this.#people, counted ? sum(({ headcount }) => headcount ?? 0) : null, "in the building");
    if (!split) return;
    showFree(this.#desks, sum((n) => n.freeDesks), sum((n) => n.knownDesks), sum((n) => n.desks));
    showFree(this.#rooms, sum((n) => n.freeRooms), sum((n) => n.knownRooms), sum((n) => n.rooms));
  }
}

function tile(label: string, id: string): Tile {
  const value = h("span", { class: "tile-value" }, "–");
  const note = h("span", { class: "tile-note" });
  const root = h(
    "div",
    { class: "tile", "data-total": id },
    h("dt", {}, label),
    h("dd", {}, value, note),
  );
  return { root, value, note };
}

/** What is free, of what: of all, or of the known ones where these are few. */
function showFree(tile: Tile, free: number, known: number, total: number): void {
  if (known === 0 && total > 0) {
    setText(tile.value, "–");
    setText(tile.note, "none known");
  } else show(tile, free, mostlyUnknown(known, total) ? `of ${known} known` : `of ${total}`);
}

function show({ value, note }: Tile, number: number | null, text: string): void {
  setText(value, number === null ? "–" : number.toLocaleString("en"));
  setText(note, number === null ? "" : text);
}
