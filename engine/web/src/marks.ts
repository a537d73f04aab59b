/** The marks of the states and the icons of the page: one drawing for canvas and DOM. */

import type { State } from "./model.ts";

export interface Mark {
  /** In a box of 16 by 16. */
  path: string;
  filled: boolean;
}

/** By wire number: a question mark, a tick, a person, a clock, a slashed circle. */
export const MARKS: readonly [Mark, Mark, Mark, Mark, Mark] = [
  { path: "M5.6 6a2.4 2.4 0 1 1 3.5 2.1c-.8.4-1.1.9-1.1 1.7M8 12.4v.2", filled: false },
  { path: "M3.8 8.4l2.9 2.9 5.6-6.2", filled: false },
  {
    path: "M8 7.4a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4zM2.9 13.2c0-2.6 2.3-4.4 5.1-4.4s5.1 1.8 5.1 4.4c0 .5-.4.8-.9.8H3.8c-.5 0-.9-.3-.9-.8z",
    filled: true,
  },
  { path: "M8 13.6a5.6 5.6 0 1 0 0-11.2 5.6 5.6 0 0 0 0 11.2zM8 5v3.2l2.2 1.3", filled: false },
  { path: "M8 13.6a5.6 5.6 0 1 0 0-11.2 5.6 5.6 0 0 0 0 11.2zM4.1 4.1l7.8 7.8", filled: false },
];

export const ICONS = {
  search: "M7.2 12.2a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM10.9 10.9l3 3",
  back: "M9.8 3.2L5 8l4.8 4.8",
  close: "M4 4l8 8M12 4l-8 8",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1.2v1.6M8 13.2v1.6M1.2 8h1.6M13.2 8h1.6M3.2 3.2l1.1 1.1M11.7 11.7l1.1 1.1M3.2 12.8l1.1-1.1M11.7 4.3l1.1-1.1",
  moon: "M13.4 9.8A5.9 5.9 0 0 1 6.2 2.6a5.9 5.9 0 1 0 7.2 7.2z",
  pin: "M8 14.4s4.7-4.4 4.7-8a4.7 4.7 0 0 0-9.4 0c0 3.6 4.7 8 4.7 8zM8 8a1.7 1.7 0 1 0 0-3.4A1.7 1.7 0 0 0 8 8z",
  key: "M10.3 9a3.6 3.6 0 1 0-3.4-2.3L2 11.6V14h2.4v-1.6H6v-1.6h1.6l1-1c.5.2 1.1.2 1.7.2zM11 5.4v.1",
  chevron: "M4.2 6.2L8 10l3.8-3.8",
  lock: "M4.2 7.2h7.6c.5 0 .9.4.9.9v4.5c0 .5-.4.9-.9.9H4.2a.9.9 0 0 1-.9-.9V8.1c0-.5.4-.9.9-.9zM5.4 7V5a2.6 2.6 0 0 1 5.2 0v2",
  layers: "M8 2.2l6 3.1-6 3.1-6-3.1zM2.4 8.4L8 11.3l5.6-2.9M2.4 11.2L8 14l5.6-2.8",
  room: "M3.5 13.6V3.3c0-.5.4-.9.9-.9h7.2c.5 0 .9.4.9.9v10.3M2 13.6h12M9.8 8.2v.2",
} as const;

export type IconName = keyof typeof ICONS;

/** What stands in rooms without occupancy, by category. */
export const DECOR: Record<string, string> = {
  stairs: "M2.5 12.8h3v-3h3v-3h3v-3h2.5",
  elevator: "M3 2.5h10v11H3zM8 2.5v11M5.5 7L4.6 8.2h1.8zM10.5 9.2L9.6 8h1.8z",
  restroom:
    "M4.8 4.4a1.2 1.2 0 1 0 0-2.4 1.2 1.2 0 0 0 0 2.4zM4.8 5.8v8M3 6.4v3.4M6.6 6.4v3.4M11.2 4.4a1.2 1.2 0 1 0 0-2.4 1.2 1.2 0 0 0 0 2.4zM11.2 5.8L9 11h4.4zM10.4 11v2.8M12 11v2.8",
  kitchen: "M3.6 5.5h7v4.2a3 3 0 0 1-3 3H6.6a3 3 0 0 1-3-3zM10.6 6.6h1.2a1.4 1.4 0 0 1 0 2.8h-1.2M5.4 3.6V2.2M8 3.6V2.2",
};
DECOR["foodservice"] = DECOR["kitchen"] as string;

const SVG = "http://www.w3.org/2000/svg";

function svg(path: string, filled: boolean): SVGSVGElement {
  const root = document.createElementNS(SVG, "svg");
  root.setAttribute("viewBox", "0 0 16 16");
  root.setAttribute("aria-hidden", "true");
  root.classList.add("icon", filled ? "icon-filled" : "icon-line");
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  root.append(shape);
  return root;
}

export function icon(name: IconName): SVGSVGElement {
  return svg(ICONS[name], false);
}

export function mark(state: State): SVGSVGElement {
  const { path, filled } = MARKS[state];
  return svg(path, filled);
}
