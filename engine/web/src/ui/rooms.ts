/** The quick list: which rooms of this level are free now. */

import { FREE, isKnown, toState } from "../model.ts";
import type { Replica } from "../live.ts";
import type { Plan, Space } from "../plan.ts";
import { mostlyUnknown, plural } from "../words.ts";
import { h, setText } from "./dom.ts";
import { swatch } from "./legend.ts";

const AT_FIRST = 8;

export interface Elsewhere {
  level: string;
  name: string;
  rooms: number;
}

export class FreeRooms {
  readonly root: HTMLElement;
  readonly #title = h("h2", {});
  readonly #count = h("span", { class: "count" });
  readonly #list = h("ul", { class: "rooms" });
  readonly #more: HTMLButtonElement;
  readonly #onPick: (row: number) => void;
  readonly #onLevel: (level: string) => void;
  #all = false;
  #key = "";

  constructor(events: { onPick: (row: number) => void; onLevel: (level: string) => void }) {
    this.#onPick = events.onPick;
    this.#onLevel = events.onLevel;
    this.#more = h("button", { type: "button", class: "more link" });
    this.root = h(
      "section",
      { class: "free-rooms", "aria-label": "Free rooms on this level" },
      h("div", { class: "section-head" }, this.#title, this.#count),
      this.#list,
      this.#more,
    );
  }

  update(plan: Plan, replica: Replica, level: string, elsewhere: Elsewhere | null): void {
    this.#more.onclick = () => {
      this.#all = !this.#all;
      this.#key = "";
      this.update(plan, replica, level, elsewhere);
    };
    const rooms = [...plan.spaces.values()].filter(({ kind }) => kind === "room");
    const free = rooms.filter(({ row }) => toState(replica.state[row]) === FREE);
    const known = rooms.filter(({ row }) => isKnown(toState(replica.state[row]))).length;
    const key = `${level} ${plan.version} ${this.#all} ${known} ${free.map(({ row }) => row).join()} ${
      free.length === 0 ? JSON.stringify(elsewhere) : ""
    }`;
    // The list is rebuilt where it differs only: a focused row keeps its focus.
    if (key === this.#key) return;
    this.#key = key;
    setText(this.#title, `Free rooms · ${level}`);
    setText(this.#count, freeOf(free.length, known, rooms.length));
    free.sort((a, b) => (a.capacity ?? 0) - (b.capacity ?? 0) || a.name.localeCompare(b.name));
    const shown = this.#all ? free : free.slice(0, AT_FIRST);
    const rows = shown.map((space) => this.#row(space));
    this.#list.replaceChildren(...(rows.length > 0 ? rows : [this.#none(rooms.length, known, elsewhere)]));
    this.#more.hidden = free.length <= AT_FIRST;
    setText(this.#more, this.#all ? "Show fewer" : `Show all ${free.length}`);
  }

  #row(space: Space): HTMLLIElement {
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "room-row", onclick: () => this.#onPick(space.row) },
        swatch(FREE),
        h("span", { class: "room-name" }, space.name),
        space.capacity !== null &&
          h("span", { class: "room-size" }, plural(space.capacity, "seat")),
      ),
    );
  }

  #none(rooms: number, known: number, elsewhere: Elsewhere | null): HTMLLIElement {
    if (elsewhere === null) return h("li", { class: "none" }, noRoom(rooms, known));
    const go = (): void => this.#onLevel(elsewhere.level);
    return h(
      "li",
      { class: "none" },
      known > 0 || rooms === 0 ? "None free here. " : "None known here. ",
      h("button", { type: "button", class: "link", onclick: go }, `${elsewhere.name} has ${elsewhere.rooms}`),
    );
  }
}

function freeOf(free: number, known: number, total: number): string {
  if (total === 0) return "";
  if (known === 0) return "none known";
  return `${free} of ${mostlyUnknown(known, total) ? `${known} known` : total}`;
}

/** Why no room is shown: "free" is said of rooms that are known, and of no other. */
function noRoom(rooms: number, known: number): string {
  if (rooms === 0) return "There are no rooms on this level.";
  if (known === 0) return "The state of no room is known: no sensor has reported lately.";
  if (known < rooms) return `Of ${plural(known, "known room")}, none is free.`;
  return "No room is free at the moment.";
}
