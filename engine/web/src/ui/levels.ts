/** The level switch, with what is free on every level. */

import type { LevelInfo } from "../model.ts";
import type { LevelNumbers } from "../summary.ts";
import { badge, levelName, mostlyUnknown, plural } from "../words.ts";
import { h, setAttribute, setShare, setText } from "./dom.ts";

interface Row {
  button: HTMLButtonElement;
  number: HTMLElement;
  of: HTMLElement;
  what: HTMLElement;
  meter: HTMLElement;
}

export class Levels {
  readonly root = h("div", { class: "levels card", role: "radiogroup", "aria-label": "Level" });
  readonly #onPick: (level: string) => void;
  readonly #rows = new Map<string, Row>();
  #current: string | null = null;

  constructor(onPick: (level: string) => void) {
    this.#onPick = onPick;
    this.root.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Highest level first, as in the building. */
  setLevels(levels: readonly LevelInfo[]): void {
    this.#rows.clear();
    const ordered = [...levels].sort((a, b) => b.ordinal - a.ordinal);
    this.root.hidden = ordered.length < 2;
    this.root.replaceChildren(...ordered.map((level) => this.#row(level)));
  }

  #row(level: LevelInfo): HTMLButtonElement {
    const number = h("span", {});
    const of = h("span", { class: "level-of" });
    const what = h("span", {});
    const free = h("span", { class: "level-free" }, number, of, what);
    const meter = h("span", { class: "meter", "aria-hidden": "true" }, h("span", {}));
    const button = h(
      "button",
      {
        type: "button",
        class: "level",
        role: "radio",
        "aria-checked": "false",
        tabindex: "-1",
        "data-level": level.id,
        onclick: () => this.#onPick(level.id),
      },
      h("span", { class: "level-badge", "aria-hidden": "true" }, badge(level.name, level.id)),
      h("span", { class: "level-text" }, h("span", { class: "level-name" }, levelName(level.name)), free),
      meter,
    );
    this.#rows.set(level.id, { button, number, of, what, meter });
    return button;
  }

  setCurrent(level: string): void {
    this.#current = level;
    for (const [id, { button }] of this.#rows) {
      setAttribute(button, "aria-checked", String(id === level));
      button.tabIndex = id === level ? 0 : -1;
    }
  }

  update(level: string, name: string, numbers: LevelNumbers): void {
    const row = this.#rows.get(level);
    if (row === undefined) return;
    const { known, total, free, busy } = numbers;
    const unknown = mostlyUnknown(known, total);
    setAttribute(row.button, "data-unknown", unknown);
    setText(row.number, known === 0 ? "no" : String(unknown ? known : free));
    setText(row.of, unknown && known > 0 ? `/${total}` : "");
    setText(row.what, known === 0 ? " data" : unknown ? " known" : " free");
    setShare(row.meter, unknown ? 0 : busy / known);
    const words = unknown
      ? `${known} of ${plural(total, "space")} known`
      : `${plural(free, "space")} free, ${Math.round((100 * busy) / known)}% in use`;
    setAttribute(row.button, "aria-label", `${levelName(name)}: ${words}`);
    setAttribute(row.button, "title", words);
  }

  #key(event: KeyboardEvent): void {
    const ids = [...this.#rows.keys()];
    const at = ids.indexOf(this.#current ?? "");
    const step = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = ids[(at + step + ids.length) % ids.length];
    if (next === undefined) return;
    this.#onPick(next);
    this.#rows.get(next)?.button.focus();
  }
}
