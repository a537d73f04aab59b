/** The frame of the page: where every card stands, and which of them show. */

import type { Insets } from "../floor.ts";
import type { Status } from "../live.ts";
import { icon } from "../marks.ts";
import type { IconName } from "../marks.ts";
import { STATE_NAMES, STATE_WORDS } from "../model.ts";
import type { Colleague, DemoPerson, SpaceNow } from "../model.ts";
import type { Space } from "../plan.ts";
import { countOf } from "../words.ts";
import { h, setAttribute, setText } from "./dom.ts";
import { Finder } from "./finder.ts";
import { Header, Totals } from "./header.ts";
import { legend, swatch } from "./legend.ts";
import { Levels } from "./levels.ts";
import { ColleaguePanel, SpacePanel } from "./panel.ts";
import { PersonCard, PersonDialog } from "./person.ts";
import { FreeRooms } from "./rooms.ts";
import { Sheet } from "./sheet.ts";
import { SpaceList } from "./spaces.ts";

export interface ViewEvents {
  onTheme: () => void;
  onBuilding: (id: string) => void;
  onLevel: (id: string) => void;
  onPick: (row: number) => void;
  onFocusRow: (row: number | null) => void;
  onClose: () => void;
  onZoom: (step: number) => void;
  onFit: () => void;
  onColleague: (colleague: Colleague) => void;
  onShowColleague: () => void;
  onPerson: () => void;
  onShare: (on: boolean) => void;
  search: (query: string, signal: AbortSignal) => Promise<Colleague[]>;
  signedIn: () => boolean;
  onLayout: () => void;
}

type Shown = "overview" | "space" | "colleague";

export class View {
  readonly header: Header;
  readonly totals = new Totals();
  readonly levels: Levels;
  readonly rooms: FreeRooms;
  readonly space: SpacePanel;
  readonly colleague: ColleaguePanel;
  readonly person: PersonCard;
  readonly dialog: PersonDialog;
  readonly spaces: SpaceList;
  readonly map = h("div", { class: "map", role: "region", "aria-label": "Map of the level" });
  onPerson: (person: DemoPerson) => void = () => undefined;
  onToken: (token: string) => void = () => undefined;

  readonly #finder: Finder;
  readonly #sheet: Sheet;
  readonly #root: HTMLElement;
  readonly #overview: HTMLElement;
  readonly #scroll: HTMLElement;
  readonly #banner = h("div", { class: "banner card", role: "alert", hidden: true });
  readonly #tip = h("div", { class: "tip", "aria-hidden": "true", hidden: true });
  readonly #side = h("aside", { class: "side", "aria-label": "Building" });
  #shown: Shown = "overview";
  #returnTo: HTMLElement | null = null;

  constructor(root: HTMLElement, events: ViewEvents) {
    this.#root = root;
    this.header = new Header(events);
    this.levels = new Levels(events.onLevel);
    this.rooms = new FreeRooms(events);
    this.space = new SpacePanel(events.onClose);
    this.colleague = new ColleaguePanel({ onClose: events.onClose, onShow: events.onShowColleague });
    this.person = new PersonCard({ onChange: events.onPerson, onShare: events.onShare });
    this.dialog = new PersonDialog({
      onPerson: (person) => this.onPerson(person),
      onToken: (token) => this.onToken(token),
    });
    this.spaces = new SpaceList({ onPick: events.onPick, onFocus: events.onFocusRow });
    this.#finder = new Finder({
      search: events.search,
      signedIn: events.signedIn,
      onPick: events.onColleague,
      onSignIn: events.onPerson,
    });
    this.#sheet = new Sheet(this.#side, events.onLayout);
    this.#overview = h("div", { class: "overview" }, this.totals.root, this.rooms.root, legend());
    this.#scroll = h("div", { class: "scroll" }, this.#overview, this.space.root, this.colleague.root);
    this.header.root.append(this.person.chip);
    this.person.chip.addEventListener("click", () => {
      this.#sheet.set("full");
      if (!events.signedIn()) events.onPerson();
    });
    this.#side.append(
      this.#sheet.handle,
      this.header.root,
      this.#finder.root,
      this.#scroll,
      this.person.root,
    );
    this.#build(events);
    this.#show("overview");
  }

  #build(events: ViewEvents): void {
    const tool = (name: IconName, label: string, act: () => void): HTMLButtonElement =>
      h("button", { type: "button", "aria-label": label, title: label, onclick: act }, icon(name));
    const tools = h(
      "div",
      { class: "tools card" },
      tool("plus", "Zoom in", () => events.onZoom(1)),
      tool("minus", "Zoom out", () => events.onZoom(-1)),
      tool("fit", "Show the whole level", events.onFit),
    );
    const stage = h(
      "main",
      { class: "stage" },
      this.spaces.root,
      this.map,
      this.levels.root,
      tools,
      legend(),
      this.#banner,
      this.#tip,
    );
    this.#root.append(this.#side, stage, this.dialog.root);
    this.#finder.root.addEventListener("focusin", () => this.#sheet.set("full"));
    document.addEventListener("keydown", (event) => {
      const typing = (event.target as HTMLElement).closest("input, select, dialog") !== null;
      if (event.key === "/" && !typing) {
        event.preventDefault();
        this.#finder.focus();
      } else if (event.key === "Escape" && !typing) events.onClose();
    });
  }

  /** What the cards leave of the map: beside the level switch, or below it. */
  get insets(): readonly [Insets, Insets] {
    const { hidden, offsetHeight } = this.levels.root;
    const narrow = this.#sheet.narrow;
    const edge = narrow ? 16 : 40;
    const bottom = narrow ? this.#sheet.covered + 16 : 92;
    const beside = hidden ? edge : narrow ? 82 : 240;
    const below = hidden ? edge : offsetHeight + edge + 14;
    return [
      { top: edge, right: beside, bottom, left: edge },
      { top: below, right: narrow ? edge : 76, bottom, left: edge },
    ];
  }

  /** True where the page's cards, or the edge, stand in front of a point of the map. */
  hides(place: { x: number; y: number } | null): boolean {
    if (place === null) return false;
    const [{ top, right, bottom, left }] = this.insets;
    const { clientWidth, clientHeight } = this.map;
    const across = place.x >= left && place.x <= clientWidth - right;
    return !across || place.y < top || place.y > clientHeight - bottom;
  }

  showOverview(): void {
    if (this.#shown === "overview") return;
    this.#show("overview");
    this.#sheet.set("peek");
    const back = this.#returnTo;
    this.#returnTo = null;
    if (back?.isConnected) back.focus({ preventScroll: true });
  }

  showSpace(): void {
    this.#leave();
    this.#show("space");
    this.#sheet.set("half");
    if (document.activeElement !== this.spaces.root) this.space.focus();
  }

  showColleague(colleague: Colleague): void {
    this.#leave();
    this.#show("colleague");
    this.#sheet.set("half");
    this.colleague.waiting(colleague);
    this.colleague.focus();
  }

  setStatus(status: Status): void {
    this.header.setStatus(status, Date.now());
    setAttribute(this.#root, "data-stale", status.phase === "waiting" || status.phase === "refused");
  }

  setBanner(text: string | null): void {
    this.#banner.hidden = text === null;
    setText(this.#banner, text ?? "");
  }

  showTip(space: Space, now: SpaceNow, x: number, y: number): void {
    const count = now.count === null || now.count === 0 ? null : countOf(now.count, space.capacity);
    const words = count === null ? STATE_WORDS[now.state] : `${STATE_WORDS[now.state]} · ${count}`;
    setAttribute(this.#tip, "data-state", STATE_NAMES[now.state]);
    this.#tip.replaceChildren(
      swatch(now.state),
      h("span", { class: "tip-name" }, space.name),
      h("span", { class: "tip-state" }, words),
    );
    this.#tip.hidden = false;
    const flip = x > this.map.clientWidth - 220;
    this.#tip.classList.toggle("flip", flip);
    this.#tip.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  }

  hideTip(): void {
    this.#tip.hidden = true;
  }

  #leave(): void {
    if (this.#shown !== "overview") return;
    const { activeElement } = document;
    this.#returnTo = activeElement instanceof HTMLElement ? activeElement : null;
  }

  #show(shown: Shown): void {
    this.#shown = shown;
    this.#overview.hidden = shown !== "overview";
    this.space.root.hidden = shown !== "space";
    this.colleague.root.hidden = shown !== "colleague";
    setAttribute(this.#side, "data-shown", shown);
    this.#scroll.scrollTop = 0;
  }
}
