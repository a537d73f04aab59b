/** The panel of one space, and of one colleague: what is known, how sure, how old. */

import { icon } from "../marks.ts";
import { FREE, STATE_NAMES, STATE_WORDS, isKnown, toState } from "../model.ts";
import type { Colleague, ColleagueLocation, SpaceNow } from "../model.ts";
import type { Replica } from "../live.ts";
import type { Plan, Space } from "../plan.ts";
import { ago, countOf, initials, meaning, plural, standing, where } from "../words.ts";
import type { Inside } from "../words.ts";
import { h, setAttribute, setShare, setText } from "./dom.ts";
import { swatch } from "./legend.ts";

const SEATS_DRAWN = 24;

interface Fact {
  root: HTMLElement;
  value: HTMLElement;
}

function fact(label: string): Fact {
  const value = h("dd", {});
  return { root: h("div", { class: "fact" }, h("dt", {}, label), value), value };
}

function backButton(onClose: () => void): HTMLButtonElement {
  return h(
    "button",
    { type: "button", class: "back", onclick: onClose },
    icon("back"),
    h("span", {}, "Overview"),
  );
}

function confidenceFact(): Fact & { set: (percent: number) => void } {
  const made = fact("Confidence");
  const bar = h("span", { class: "bar", "aria-hidden": "true" }, h("span", {}));
  const text = h("span", {});
  made.value.append(bar, text);
  return {
    ...made,
    set(percent) {
      setShare(bar, percent / 100);
      setText(text, `${percent}%`);
    },
  };
}

export interface SpaceFacts {
  space: Space;
  level: string;
  now: SpaceNow;
  /** Now, on the clock of `now.since`. */
  at: number;
  /** Spaces that stand in this one. */
  inside: Inside | null;
}

export class SpacePanel {
  readonly root: HTMLElement;
  readonly #kind = h("p", { class: "eyebrow" });
  readonly #name = h("h2", { class: "panel-title", tabindex: "-1" });
  readonly #chip = h("div", { class: "chip" });
  readonly #meaning = h("p", { class: "meaning" });
  readonly #seats = h("div", { class: "seats", "aria-hidden": "true" });
  readonly #people = fact("People");
  readonly #inside = fact("Inside");
  readonly #capacity = fact("Made for");
  readonly #confidence = confidenceFact();
  readonly #age = fact("Last report");
  #chipState = "";

  constructor(onClose: () => void) {
    this.root = h(
      "section",
      { class: "panel", "aria-label": "Space" },
      backButton(onClose),
      this.#kind,
      this.#name,
      this.#chip,
      this.#meaning,
      this.#seats,
      h(
        "dl",
        { class: "facts" },
        ...[this.#people, this.#capacity, this.#inside, this.#confidence, this.#age].map((f) => f.root),
      ),
    );
  }

  focus(): void {
    this.#name.focus({ preventScroll: true });
  }

  update({ space, level, now, at, inside }: SpaceFacts): void {
    setText(this.#kind, where(space.kind, level));
    setText(this.#name, space.name);
    this.#setChip(now);
    setText(this.#meaning, meaning(now, space.kind, space.capacity, at, inside));
    this.#drawSeats(space, now);
    const count = countOf(now.count, space.capacity);
    const counted = isKnown(now.state);
    this.#people.root.hidden = count === null || !counted;
    setText(this.#people.value, count?.replace("/", " of ") ?? "");
    this.#capacity.root.hidden = space.capacity === null || !this.#people.root.hidden || space.kind === "desk";
    setText(this.#capacity.value, plural(space.capacity ?? 0, "person", "people"));
    this.#inside.root.hidden = inside === null;
    setText(this.#inside.value, inside === null ? "" : freeInside(inside));
    this.#confidence.root.hidden = !counted;
    this.#confidence.set(now.confidence);
    setText(this.#age.value, now.since === null ? "none yet" : ago(at - now.since));
  }

  #setChip(now: SpaceNow): void {
    const name = STATE_NAMES[now.state];
    if (this.#chipState === name) return;
    this.#chipState = name;
    setAttribute(this.#chip, "data-state", name);
    this.#chip.replaceChildren(swatch(now.state), h("span", {}, STATE_WORDS[now.state]));
  }

  /** A seat a person, filled where somebody is. */
  #drawSeats(space: Space, now: SpaceNow): void {
    const seats = space.capacity ?? 0;
    const taken = now.count ?? 0;
    const draw = space.kind !== "desk" && seats > 1 && seats <= SEATS_DRAWN && now.count !== null;
    this.#seats.hidden = !draw;
    if (!draw) return;
    while (this.#seats.childElementCount < seats) this.#seats.append(h("span", {}));
    while (this.#seats.childElementCount > seats) this.#seats.lastElementChild?.remove();
    for (const [i, seat] of [...this.#seats.children].entries()) {
      seat.classList.toggle("taken", i < taken);
    }
  }
}

function freeInside({ free, known, total }: Inside): string {
  const desks = plural(total, "desk");
  return known === total ? `${free} of ${desks} free` : `${free} free, ${known} of ${desks} known`;
}

/** Desks with `row` as their parent, or null where there are none. */
export function insideOf(plan: Plan, replica: Replica | undefined, row: number): Inside | null {
  const inside = { free: 0, known: 0, total: 0 };
  for (const space of plan.spaces.values()) {
    if (space.parent !== row || space.kind !== "desk") continue;
    const state = toState(replica?.state[space.row]);
    inside.total += 1;
    if (state === FREE) inside.free += 1;
    if (isKnown(state)) inside.known += 1;
  }
  return inside.total === 0 ? null : inside;
}

export class ColleaguePanel {
  readonly root: HTMLElement;
  readonly #avatar = h("span", { class: "avatar large", "aria-hidden": "true" });
  readonly #name = h("h2", { class: "panel-title", tabindex: "-1" });
  readonly #line = h("p", { class: "meaning", role: "status" });
  readonly #space = fact("Where");
  readonly #level = fact("Level");
  readonly #age = fact("Seen");
  readonly #confidence = confidenceFact();
  readonly #facts: HTMLElement;
  readonly #show: HTMLButtonElement;

  constructor(events: { onClose: () => void; onShow: () => void }) {
    this.#show = h(
      "button",
      { type: "button", class: "button", onclick: events.onShow },
      icon("pin"),
      h("span", {}, "Show on the map"),
    );
    this.#facts = h(
      "dl",
      { class: "facts" },
      ...[this.#space, this.#level, this.#age, this.#confidence].map((f) => f.root),
    );
    this.root = h(
      "section",
      { class: "panel panel-person", "aria-label": "Colleague" },
      backButton(events.onClose),
      h("div", { class: "panel-head" }, this.#avatar, this.#name),
      this.#line,
      this.#facts,
      this.#show,
      h(
        "p",
        { class: "fine" },
        icon("lock"),
        "Only the last place is kept, for 24 hours at most. Never a trail.",
      ),
    );
  }

  focus(): void {
    this.#name.focus({ preventScroll: true });
  }

  waiting({ name }: Colleague): void {
    this.#head(name, "waiting");
    setText(this.#line, "Looking …");
  }

  failed({ name }: Colleague): void {
    this.#head(name, "failed");
    setText(this.#line, "The finder is not available now. Please try again in a moment.");
  }

  /** Null is the one answer for unknown, not sharing, and nowhere to be seen. */
  update({ name }: Colleague, location: ColleagueLocation | null, level: string, ageMs: number): void {
    this.#head(name, location === null ? "none" : "found");
    if (location === null) {
      setText(this.#line, "Not available. They may not be in, or may not be sharing: the answer is the same.");
      return;
    }
    const { name: place, kind } = location.space;
    setText(this.#line, `${standing(kind, place)}, seen ${ago(ageMs)}.`);
    setText(this.#space.value, location.space.name);
    setText(this.#level.value, level);
    setText(this.#age.value, ago(ageMs));
    this.#confidence.set(location.confidence);
  }

  #head(name: string, answer: "waiting" | "failed" | "none" | "found"): void {
    setText(this.#name, name);
    setText(this.#avatar, initials(name));
    setAttribute(this.root, "data-answer", answer);
    this.#facts.hidden = this.#show.hidden = answer !== "found";
  }
}
