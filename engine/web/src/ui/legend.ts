/** What the colours and marks mean. */

import { mark } from "../marks.ts";
import { STATE_NAMES, STATE_WORDS } from "../model.ts";
import type { State } from "../model.ts";
import { h } from "./dom.ts";

const ORDER: readonly State[] = [1, 2, 3, 0, 4];

const NOTES: Record<State, string> = {
  0: "no recent report",
  1: "sensors see nobody",
  2: "somebody is here",
  3: "last sign is a while ago",
  4: "sensors switched off",
};

/** The square of a state: colour, pattern and mark, as on the map. */
export function swatch(state: State): HTMLElement {
  return h("span", { class: "swatch", "data-state": STATE_NAMES[state] }, mark(state));
}

export function legend(): HTMLElement {
  const entries = ORDER.map((state) =>
    h(
      "li",
      { title: `${STATE_WORDS[state]}: ${NOTES[state]}` },
      swatch(state),
      h("span", { class: "legend-word" }, STATE_WORDS[state]),
      h("span", { class: "legend-note" }, NOTES[state]),
    ),
  );
  return h("ul", { class: "legend card", "aria-label": "Legend" }, ...entries);
}
