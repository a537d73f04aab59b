/** What is open beside the map: a space or a colleague, kept fresh while it is. */

import { setHash } from "./address.ts";
import type { Api } from "./api.ts";
import type { Floor } from "./floor.ts";
import type { Replica } from "./live.ts";
import { STATE_NAMES } from "./model.ts";
import type { Colleague, ColleagueLocation, SpaceNow } from "./model.ts";
import type { Plan } from "./plan.ts";
import { nowOf } from "./summary.ts";
import { insideOf } from "./ui/panel.ts";
import type { View } from "./ui/view.ts";
import { initials } from "./words.ts";

type Detail =
  | { kind: "space"; row: number; fresh: { since: number | null; confidence: number } | null }
  | {
      kind: "colleague";
      colleague: Colleague;
      location: ColleagueLocation | null;
      /** When the location was observed, on the page's clock. */
      since: number;
      answered: boolean;
    };

/** The parts of the page that a panel reads and moves. */
export interface Parts {
  api: Api;
  view: View;
  floor: Floor;
  replica: (level: string) => Replica | undefined;
  plan: (level: string) => Plan | undefined;
  /** The level that is shown. */
  level: () => string | null;
  name: (level: string | null) => string;
  has: (level: string) => boolean;
  /** Goes to a level and leaves the panel open. */
  go: (level: string) => Promise<void>;
}

export class Details {
  readonly #parts: Parts;
  #detail: Detail | null = null;
  #asked: AbortController | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get #level(): string | null {
    return this.#parts.level();
  }

  get #plan(): Plan | undefined {
    return this.#parts.plan(this.#level ?? "");
  }

  get #replica(): Replica | undefined {
    return this.#parts.replica(this.#level ?? "");
  }

  /** Opens the panel of a space; `fly` moves the map even if it is in sight. */
  openSpace(row: number, fly: boolean): void {
    if (this.#level === null || !this.#plan?.spaces.has(row)) return;
    this.#asked?.abort();
    this.#detail = { kind: "space", row, fresh: null };
    this.#parts.floor.setPin(null, "");
    this.#parts.floor.mark("selected", row);
    this.#parts.view.showSpace();
    this.draw();
    this.#parts.floor.setInsets(this.#parts.view.insets);
    if (fly || this.#parts.view.hides(this.#parts.floor.screenOf(row))) this.#parts.floor.flyTo(row);
    setHash(this.#level, this.#plan?.spaces.get(row)?.id ?? null);
    void this.refresh();
  }

  /** Opens the panel of a colleague, asks where they are, and goes there. */
  openColleague(colleague: Colleague): void {
    this.#parts.floor.mark("selected", null);
    this.#parts.floor.setPin(null, "");
    this.#detail = { kind: "colleague", colleague, location: null, since: 0, answered: false };
    this.#parts.view.showColleague(colleague);
    void this.refresh().then(() => this.goToColleague());
  }

  /** To the colleague's level and space, with a pulse on it. */
  async goToColleague(): Promise<void> {
    const detail = this.#detail;
    if (detail?.kind !== "colleague" || detail.location === null) return;
    const { level, space } = detail.location;
    if (level === null || !this.#parts.has(level)) return;
    if (level !== this.#level) await this.#parts.go(level);
    if (this.#detail !== detail) return;
    const row = this.#parts.plan(level)?.byId.get(space.id)?.row;
    this.#parts.floor.setInsets(this.#parts.view.insets);
    if (row === undefined) return;
    this.#parts.floor.mark("selected", row);
    this.#parts.floor.setPin(row, initials(detail.colleague.name));
    this.#parts.floor.flyTo(row);
  }

  /** Back to the overview. */
  close(): void {
    if (this.#detail === null) return;
    this.#asked?.abort();
    this.#detail = null;
    this.#parts.floor.mark("selected", null);
    this.#parts.floor.setPin(null, "");
    this.#parts.view.showOverview();
    this.#parts.floor.setInsets(this.#parts.view.insets);
    if (this.#level !== null) setHash(this.#level, null);
  }

  /** Asks anew for what the panel shows: deltas tell changes, not repeated evidence. */
  async refresh(): Promise<void> {
    const detail = this.#detail;
    if (detail === null || document.visibilityState === "hidden") return;
    this.#asked?.abort();
    const { signal } = (this.#asked = new AbortController());
    try {
      if (detail.kind === "space") await this.#refreshSpace(detail, signal);
      else await this.#refreshColleague(detail, signal);
    } catch {
      if (signal.aborted) return;
      if (detail.kind === "colleague") this.#parts.view.colleague.failed(detail.colleague);
      return;
    }
    if (this.#detail === detail) this.draw();
  }

  async #refreshSpace(detail: Detail & { kind: "space" }, signal: AbortSignal): Promise<void> {
    const space = this.#plan?.spaces.get(detail.row);
    if (space === undefined) return;
    const { state, age_s, confidence } = await this.#parts.api.space(space.id, signal);
    const replica = this.#replica;
    if (state !== STATE_NAMES[nowOf(replica, detail.row).state]) return;
    const since = age_s === null ? null : Date.now() - age_s * 1000;
    detail.fresh = { since, confidence };
  }

  async #refreshColleague(detail: Detail & { kind: "colleague" }, signal: AbortSignal): Promise<void> {
    const location = await this.#parts.api.location(detail.colleague.id, signal);
    const moved = detail.answered && location?.space.id !== detail.location?.space.id;
    detail.location = location;
    detail.since = Date.now() - (location?.age_s ?? 0) * 1000;
    detail.answered = true;
    if (location === null) {
      this.#parts.floor.mark("selected", null);
      this.#parts.floor.setPin(null, "");
    } else if (moved) void this.goToColleague();
  }

  /** Writes into the open panel what is known now. */
  draw(): void {
    const detail = this.#detail;
    const plan = this.#plan;
    if (detail === null || plan === undefined || this.#level === null) return;
    const at = Date.now();
    if (detail.kind === "colleague") {
      if (!detail.answered) return this.#parts.view.colleague.waiting(detail.colleague);
      const level = detail.location === null ? "" : this.#parts.name(detail.location.level);
      return this.#parts.view.colleague.update(detail.colleague, detail.location, level, at - detail.since);
    }
    const space = plan.spaces.get(detail.row);
    if (space === undefined) return;
    const replica = this.#replica;
    const now: SpaceNow = newest(nowOf(replica, detail.row), detail.fresh);
    const inside = insideOf(plan, replica, detail.row);
    this.#parts.view.space.update({ space, level: this.#parts.name(this.#level), now, at, inside });
  }
}

/** The later evidence of the two counts. */
function newest(now: SpaceNow, fresh: { since: number | null; confidence: number } | null): SpaceNow {
  if (fresh === null || fresh.since === null) return now;
  if (now.since !== null && now.since >= fresh.since) return now;
  return { ...now, ...fresh };
}
