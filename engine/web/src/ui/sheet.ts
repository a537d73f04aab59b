/** On a phone the side is a sheet at the foot of the screen: peeking, half or full. */

import { h, setAttribute } from "./dom.ts";

type Detent = "peek" | "half" | "full";
const DETENTS: readonly Detent[] = ["peek", "half", "full"];

/** Pixels of a drag that still count as a tap, and per millisecond as a flick. */
const TAP_PX = 6;
const FLICK = 0.5;

export class Sheet {
  readonly handle: HTMLButtonElement;
  readonly #side: HTMLElement;
  readonly #narrow = matchMedia("(max-width: 820px)");
  #detent: Detent = "peek";
  #drag: { y: number; at: number; top: number; moved: boolean } | null = null;

  constructor(side: HTMLElement, onLayout: () => void) {
    this.#side = side;
    this.handle = h("button", { type: "button", class: "handle", "aria-expanded": "false", "aria-label": "Show more" });
    this.handle.addEventListener("click", (event) => {
      // A keyboard's click has no drag before it.
      if (event.detail === 0) this.set(this.#detent === "full" ? "peek" : "full");
    });
    this.#narrow.addEventListener("change", onLayout);
    side.addEventListener("pointerdown", (event) => this.#down(event));
    this.set("peek");
  }

  get narrow(): boolean {
    return this.#narrow.matches;
  }

  /** Pixels of the screen that the sheet covers when it is as high as it is now. */
  get covered(): number {
    if (!this.narrow) return 0;
    const height = window.innerHeight;
    return { peek: 222, half: height * 0.5, full: height * 0.5 }[this.#detent];
  }

  set(detent: Detent): void {
    this.#detent = detent;
    setAttribute(this.#side, "data-detent", detent);
    setAttribute(this.handle, "aria-expanded", String(detent !== "peek"));
    setAttribute(this.handle, "aria-label", detent === "full" ? "Show less" : "Show more");
  }

  #down(event: PointerEvent): void {
    const target = event.target as HTMLElement;
    const grip = target.closest(".handle, .head") !== null && target.closest("select, .ghost") === null;
    if (!this.narrow || !grip) return;
    const { top } = this.#side.getBoundingClientRect();
    this.#drag = { y: event.clientY, at: event.timeStamp, top, moved: false };
    const move = (next: PointerEvent): void => this.#move(next);
    const up = (last: PointerEvent): void => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", up);
      removeEventListener("pointercancel", up);
      this.#up(last);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
    addEventListener("pointercancel", up);
  }

  #move(event: PointerEvent): void {
    const drag = this.#drag;
    if (drag === null) return;
    const by = event.clientY - drag.y;
    if (Math.abs(by) > TAP_PX) drag.moved = true;
    if (!drag.moved) return;
    this.#side.classList.add("dragged");
    const top = Math.max(window.innerHeight * 0.06, drag.top + by);
    this.#side.style.setProperty("--sheet-top", `${top}px`);
  }

  #up(event: PointerEvent): void {
    const drag = this.#drag;
    this.#drag = null;
    if (drag === null) return;
    this.#side.classList.remove("dragged");
    this.#side.style.removeProperty("--sheet-top");
    const at = DETENTS.indexOf(this.#detent);
    if (!drag.moved) {
      this.set(this.#detent === "full" ? "peek" : (DETENTS[at + 1] ?? "full"));
      return;
    }
    const by = event.clientY - drag.y;
    const speed = by / Math.max(1, event.timeStamp - drag.at);
    if (Math.abs(speed) > FLICK) {
      this.set(DETENTS[Math.max(0, Math.min(2, at + (speed < 0 ? 1 : -1)))] ?? "peek");
      return;
    }
    const share = 1 - (drag.top + by) / window.innerHeight;
    this.set(share > 0.7 ? "full" : share > 0.36 ? "half" : "peek");
  }
}
