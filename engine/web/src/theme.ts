/**
 * Colours of the map, light and dark, and the switch between them.
 *
 * Free is blue-green and light, in use is amber and dark: they differ in hue on the axis
 * that every common form of colour blindness keeps, in lightness, and in their mark.
 */

export type Theme = "light" | "dark";
export type Choice = Theme | "auto";

export interface Paint {
  fill: string;
  line: string;
  /** Text and marks on the fill. */
  ink: string;
}

export interface Palette {
  ground: string;
  slab: string;
  slabEdge: string;
  shadow: string;
  wall: string;
  decor: string;
  decorLine: string;
  decorInk: string;
  /** Clear enough to let the colour of a room through. */
  furniture: string;
  zone: string;
  zoneLine: string;
  zoneInk: string;
  ink: string;
  halo: string;
  accent: string;
  hatch: string;
  stripe: string;
  /** By wire number of the state. */
  room: readonly [Paint, Paint, Paint, Paint, Paint];
  desk: readonly [Paint, Paint, Paint, Paint, Paint];
}

export const PALETTES: Record<Theme, Palette> = {
  light: {
    ground: "#e9edf2",
    slab: "#fbfcfd",
    slabEdge: "#c5ced9",
    shadow: "rgba(31, 45, 66, 0.0095)",
    wall: "#a9b5c3",
    decor: "#e8ecf1",
    decorLine: "#d3dae3",
    decorInk: "#76859a",
    furniture: "rgba(30, 45, 66, 0.05)",
    zone: "#f1f4f9",
    zoneLine: "#dbe2eb",
    zoneInk: "#76859a",
    ink: "#17202c",
    halo: "#fbfcfd",
    accent: "#1d5fd6",
    hatch: "#b4beca",
    stripe: "#f0b566",
    room: [
      { fill: "#eef1f4", line: "#b7c1cd", ink: "#566375" },
      { fill: "#cdebf1", line: "#5db4c7", ink: "#08535f" },
      { fill: "#f8bf75", line: "#d98a25", ink: "#582f00" },
      { fill: "#fde6c6", line: "#e2a95b", ink: "#6f4409" },
      { fill: "#fbfcfd", line: "#8996a7", ink: "#566375" },
    ],
    desk: [
      { fill: "#e3e8ee", line: "#a9b5c3", ink: "#566375" },
      { fill: "#a9dde8", line: "#359db4", ink: "#08535f" },
      { fill: "#ee9a33", line: "#c06f0c", ink: "#4a2600" },
      { fill: "#fbd7a3", line: "#dd9f4a", ink: "#6f4409" },
      { fill: "#fbfcfd", line: "#8996a7", ink: "#566375" },
    ],
  },
  dark: {
    ground: "#0c1016",
    slab: "#1a212b",
    slabEdge: "#333f4e",
    shadow: "rgba(0, 0, 0, 0.03)",
    wall: "#4a5869",
    decor: "#232c38",
    decorLine: "#2e3948",
    decorInk: "#8795a8",
    furniture: "rgba(235, 243, 255, 0.06)",
    zone: "#1f2833",
    zoneLine: "#2b3644",
    zoneInk: "#8a98ab",
    ink: "#eef2f7",
    halo: "#1a212b",
    accent: "#78aaff",
    hatch: "#4b5766",
    stripe: "#714a14",
    room: [
      { fill: "#262f3a", line: "#4b5867", ink: "#a9b6c6" },
      { fill: "#123f4a", line: "#2f8da2", ink: "#a9e6f2" },
      { fill: "#8f5710", line: "#e89a35", ink: "#fff1dc" },
      { fill: "#46300f", line: "#a9742a", ink: "#ffdda8" },
      { fill: "#1a212b", line: "#6d7b8c", ink: "#a9b6c6" },
    ],
    desk: [
      { fill: "#323d4a", line: "#566475", ink: "#a9b6c6" },
      { fill: "#1b5f6f", line: "#41b0c7", ink: "#c8f2fa" },
      { fill: "#e38f24", line: "#ffc069", ink: "#2b1600" },
      { fill: "#77501a", line: "#bd8636", ink: "#ffe4bd" },
      { fill: "#1a212b", line: "#6d7b8c", ink: "#a9b6c6" },
    ],
  },
};

const KEY = "livefloor.theme";

/** The chosen theme; "auto" follows the system. Tells `listener` at every change. */
export class ThemeSwitch {
  readonly #system = matchMedia("(prefers-color-scheme: dark)");
  readonly #listener: (theme: Theme) => void;
  #choice: Choice = stored();

  constructor(listener: (theme: Theme) => void) {
    this.#listener = listener;
    this.#system.addEventListener("change", () => this.#apply());
    this.#apply();
  }

  get theme(): Theme {
    if (this.#choice !== "auto") return this.#choice;
    return this.#system.matches ? "dark" : "light";
  }

  toggle(): void {
    const next: Theme = this.theme === "dark" ? "light" : "dark";
    const system: Theme = this.#system.matches ? "dark" : "light";
    // Back at what the system says, the page follows the system again.
    this.#choice = next === system ? "auto" : next;
    try {
      localStorage.setItem(KEY, this.#choice);
    } catch {
      // Storage is closed to us: the choice lasts as long as the page.
    }
    this.#apply();
  }

  #apply(): void {
    document.documentElement.dataset["theme"] = this.theme;
    this.#listener(this.theme);
  }
}

function stored(): Choice {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "auto";
  } catch {
    return "auto";
  }
}

export function calm(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
