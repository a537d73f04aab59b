/**
 * The level as a list of spaces, for screen readers and the keyboard.
 *
 * It is invisible, holds every space with its state in words, and is one tab stop: the
 * arrow keys go from space to space while the map rings the one they are at.
 */

import { KIND_WORDS, STATE_NAMES, STATE_WORDS, toState } from "../model.ts";
import type { Replica } from "../live.ts";
import type { Plan, Space } from "../plan.ts";
import { countOf } from "../words.ts";
import { h, setAttribute, setText } from "./dom.ts";

const ORDER = ["room", "area", "desk", "zone"];

export interface SpaceListEvents {
  onPick: (row: number) => void;
  onFocus: (row: number | null) => void;
}

export class SpaceList {
  readonly root = h("ul", { id: "spaces", class: "vh", role: "listbox", tabindex: "0" });
  readonly #events: SpaceListEvents;
  readonly #items = new Map<number, HTMLLIElement>();
  #plan: Plan | null = null;
  #rows: number[] = [];
  #at = -1;

  constructor(events: SpaceListEvents) {
    this.#events = events;
    this.root.addEventListener("keydown", (event) => this.#key(event));
    this.root.addEventListener("focus", () => this.#go(Math.max(0, this.#at)));
    this.root.addEventListener("blur", () => events.onFocus(null));
  }

  show(plan: Plan, level: string, replica: Replica | undefined): void {
    this.#plan = plan;
    this.#items.clear();
    this.#at = -1;
    const spaces = [...plan.spaces.values()].filter(({ kind }) => ORDER.includes(kind));
    spaces.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) || a.row - b.row);
    this.#rows = spaces.map(({ row }) => row);
    this.root.replaceChildren(...spaces.map((space) => this.#item(space)));
    setAttribute(this.root, "aria-label", `Spaces on ${level}. Arrow keys move, Enter opens.`);
    setAttribute(this.root, "data-level", plan.level);
    setAttribute(this.root, "aria-activedescendant", null);
    if (replica !== undefined) this.update(replica, null);
  }

  update(replica: Replica, rows: readonly number[] | null): void {
    for (const row of rows ?? this.#rows) {
      const item = this.#items.get(row);
      const space = this.#plan?.spaces.get(row);
      if (item === undefined || space === undefined) continue;
      const state = toState(replica.state[row]);
      const raw = replica.count[row] ?? -1;
      const count = countOf(raw < 0 ? null : raw, space.capacity);
      setAttribute(item, "data-state", STATE_NAMES[state]);
      setAttribute(item, "data-count", raw < 0 ? null : String(raw));
      const people = count === null || raw === 0 ? "" : `, ${count.replace("/", " of ")} people`;
      setText(item, `${KIND_WORDS[space.kind]} ${space.name}: ${STATE_WORDS[state]}${people}`);
    }
  }

  #item(space: Space): HTMLLIElement {
    const item = h("li", {
      id: `space-${space.row}`,
      role: "option",
      "aria-selected": "false",
      "data-space": space.id,
      "data-kind": space.kind,
      "data-row": space.row,
      "data-state": "unknown",
      onclick: () => this.#events.onPick(space.row),
    });
    item.textContent = `${KIND_WORDS[space.kind]} ${space.name}`;
    this.#items.set(space.row, item);
    return item;
  }

  #go(at: number): void {
    const row = this.#rows[at];
    if (row === undefined) return;
    const before = this.#rows[this.#at];
    if (before !== undefined) this.#items.get(before)?.setAttribute("aria-selected", "false");
    this.#at = at;
    this.#items.get(row)?.setAttribute("aria-selected", "true");
    setAttribute(this.root, "aria-activedescendant", `space-${row}`);
    this.#events.onFocus(row);
  }

  #key(event: KeyboardEvent): void {
    const last = this.#rows.length - 1;
    const to = {
      ArrowDown: Math.min(last, this.#at + 1),
      ArrowRight: Math.min(last, this.#at + 1),
      ArrowUp: Math.max(0, this.#at - 1),
      ArrowLeft: Math.max(0, this.#at - 1),
      Home: 0,
      End: last,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.#go(to);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      const row = this.#rows[this.#at];
      if (row !== undefined) this.#events.onPick(row);
    }
  }
}
