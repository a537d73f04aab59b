/** The time in the demo's building, whose days are shorter than ours. */

import type { Api } from "./api.ts";
import type { DemoClock } from "./model.ts";
import { simulated } from "./words.ts";

const ASK_MS = 15_000;
const AGAIN_MS = 3_000;

export class DemoTime {
  readonly #api: Api;
  #told: { clock: DemoClock; at: number } | null = null;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(api: Api) {
    this.#api = api;
  }

  /** In words; null while it is not known. Asks the engine now and then. */
  words(now: number): string | null {
    const told = this.#told;
    if (now - this.#askedAt > (told === null ? AGAIN_MS : ASK_MS)) {
      this.#askedAt = now;
      void this.#ask();
    }
    if (told === null) return null;
    const { weekday, at_s, speed } = told.clock;
    return simulated(weekday, at_s + ((now - told.at) / 1000) * speed, speed);
  }

  async #ask(): Promise<void> {
    try {
      const clock = await this.#api.clock();
      if (clock !== null) this.#told = { clock, at: Date.now() };
    } catch {
      // The engine is away, and the page says so elsewhere: this clock goes on.
    }
  }
}
