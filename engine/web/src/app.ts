/** The page: owns what is shown, and hands every part what it needs. */

import { ApiError } from "./api.ts";
import type { Api } from "./api.ts";
import { Details } from "./details.ts";
import { Floor } from "./floor.ts";
import { Live } from "./live.ts";
import type { Replica, Socket, Status } from "./live.ts";
import type { LevelInfo } from "./model.ts";
import { readPlan } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { You } from "./you.ts";
import { counted, nowOf, told } from "./summary.ts";
import type { LevelNumbers } from "./summary.ts";
import { ThemeSwitch } from "./theme.ts";
import { DemoTime } from "./time.ts";
import type { Elsewhere } from "./ui/rooms.ts";
import { View } from "./ui/view.ts";
import { fromHash, setHash } from "./address.ts";
import { levelName } from "./words.ts";

const REFRESH_MS = 15_000;
const AGAIN_MS = 3_000;

export class App {
  readonly #api: Api;
  readonly #view: View;
  readonly #floor: Floor;
  readonly #live: Live;
  readonly #you: You;
  readonly #details: Details;
  readonly #time: DemoTime;
  readonly #plans = new Map<string, Plan>();
  readonly #numbers = new Map<string, LevelNumbers>();
  /** Rows to draw at the next frame by level; null is all of them. */
  readonly #dirty = new Map<string, Set<number> | null>();
  #levels: LevelInfo[] = [];
  #building = "";
  #level: string | null = null;
  #shown: string | null = null;
  #showing: Promise<void> = Promise.resolve();
  #frame = false;

  constructor(root: HTMLElement, api: Api) {
    this.#api = api;
    this.#view = new View(root, {
      onTheme: () => theme.toggle(),
      onBuilding: (id) => this.#enter(id),
      onLevel: (id) => void this.#show(id),
      onPick: (row) => this.#details.openSpace(row, true),
      onFocusRow: (row) => this.#focusRow(row),
      onClose: () => this.#details.close(),
      onZoom: (step) => this.#floor.zoomBy(step),
      onFit: () => this.#floor.fit(),
      onShowColleague: () => void this.#details.goToColleague(),
      onColleague: (colleague) => this.#details.openColleague(colleague),
      onPerson: () => void this.#you.choose(),
      // Who looks at their own place must not go on seeing it once it is erased.
      onShare: (on) => void this.#you.share(on).then(() => this.#details.refresh()),
      search: (query, signal) => this.#api.colleagues(query, signal),
      signedIn: () => this.#you.signedIn,
      onLayout: () => this.#floor.setInsets(this.#view.insets),
    });
    const theme = new ThemeSwitch((next) => {
      this.#view.header.setTheme(next);
      this.#themed?.(next);
    });
    this.#floor = new Floor(this.#view.map, theme.theme, {
      onPick: (row) => (row === null ? this.#details.close() : this.#details.openSpace(row, false)),
      onHover: (row, x, y) => this.#hover(row, x, y),
    });
    this.#themed = (next) => this.#floor.setTheme(next);
    this.#time = new DemoTime(api);
    this.#you = new You(api, this.#view, () => void this.#signedIn());
    this.#live = new Live({
      // The DOM types of its handlers are narrower than what it calls them with.
      open: () => new WebSocket(api.liveUrl, "livefloor.v1.json") as unknown as Socket,
      token: () => api.token,
      onLevel: (replica, rows) => this.#changed(replica, rows),
      onStatus: (status) => this.#status(status),
    });
    this.#details = new Details({
      api,
      view: this.#view,
      floor: this.#floor,
      replica: (level) => this.#live.replica(level),
      plan: (level) => this.#plans.get(level),
      level: () => this.#level,
      name: (level) => this.#name(level),
      has: (level) => this.#info(level) !== undefined,
      go: (level) => this.#show(level, null, true),
    });
    setInterval(() => this.#tick(), 1000);
    setInterval(() => void this.#details.refresh(), REFRESH_MS);
    addEventListener("online", () => this.#live.start());
    addEventListener("offline", () => this.#tick());
    addEventListener("hashchange", () => this.#follow());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && this.#live.status.phase === "waiting") {
        this.#live.start();
      }
    });
  }

  #themed: ((theme: "light" | "dark") => void) | null = null;

  /** Where a space of this level is on the page, in CSS pixels. */
  at(space: string): { x: number; y: number } | null {
    const row = this.#plans.get(this.#level ?? "")?.byId.get(space)?.row;
    const place = row === undefined ? null : this.#floor.screenOf(row);
    if (place === null) return null;
    const { left, top } = this.#view.map.getBoundingClientRect();
    return { x: left + place.x, y: top + place.y };
  }

  async start(): Promise<void> {
    await this.#you.begin();
    await this.#loadLevels();
  }

  async #loadLevels(): Promise<void> {
    try {
      this.#levels = await this.#api.levels();
    } catch (error) {
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
        this.#view.setBanner("Sign in to see this building.");
        void this.#you.choose();
        return;
      }
      this.#view.setBanner("The engine does not answer. Trying again …");
      setTimeout(() => void this.#loadLevels(), AGAIN_MS);
      return;
    }
    this.#view.setBanner(this.#levels.length === 0 ? "No level has a plan yet." : null);
    const [asked] = fromHash();
    const known = this.#levels.find(({ id }) => id === asked);
    const building = known?.building ?? this.#levels[0]?.building;
    if (building !== undefined) this.#enter(building);
  }

  /** Somebody signed in: what was refused may now be had. */
  async #signedIn(): Promise<void> {
    if (this.#levels.length === 0) await this.#loadLevels();
    else if (this.#live.status.phase === "refused") this.#live.start();
  }

  #enter(building: string): void {
    this.#live.unsubscribe(this.#here().map(({ id }) => id));
    this.#building = building;
    const names = new Map(this.#levels.map((level) => [level.building, level.building_name]));
    const buildings = [...names].map(([id, name]) => ({ id, name }));
    this.#view.header.setBuildings(buildings, building);
    const here = this.#here();
    this.#view.levels.setLevels(here);
    for (const level of here) this.#numbers.set(level.id, told(level.summary));
    this.#drawNumbers();
    this.#live.subscribe(here.map(({ id }) => id));
    if (this.#live.status.phase === "idle") this.#live.start();
    const [asked, space] = fromHash();
    const first = here.find(({ id }) => id === asked) ?? lowest(here);
    if (first !== undefined) void this.#show(first.id, space).then(() => this.#loadPlans());
  }

  #here(): LevelInfo[] {
    return this.#levels.filter(({ building }) => building === this.#building);
  }

  #info(level: string | null): LevelInfo | undefined {
    return this.#levels.find(({ id }) => id === level);
  }

  #name(level: string | null): string {
    return levelName(this.#info(level)?.name ?? level ?? "");
  }

  /** The plans of the other levels, one after another: the summaries need them. */
  async #loadPlans(): Promise<void> {
    for (const { id } of this.#here()) {
      try {
        await this.#plan(id);
      } catch {
        // Shown with the engine's own numbers until somebody goes there.
      }
    }
  }

  async #plan(level: string): Promise<Plan> {
    const known = this.#plans.get(level);
    if (known !== undefined) return known;
    const plan = readPlan(level, await this.#api.plan(level));
    this.#plans.set(level, plan);
    this.#mark(level, null);
    return plan;
  }

  /** Goes to a level, and there to a space. The last call wins. */
  async #show(level: string, space: string | null = null, keep = false): Promise<void> {
    if (level !== this.#level && !keep) this.#details.close();
    this.#level = level;
    this.#view.levels.setCurrent(level);
    setHash(level, space);
    let plan: Plan;
    try {
      plan = await this.#plan(level);
    } catch {
      if (this.#level === level) {
        this.#view.setBanner(`The plan of ${this.#name(level)} is not available. Trying again …`);
        setTimeout(() => this.#level === level && void this.#show(level, space), AGAIN_MS);
      }
      return;
    }
    this.#showing = this.#showing.then(() => this.#draw(level, plan));
    await this.#showing;
    const row = space === null ? undefined : plan.byId.get(space)?.row;
    if (this.#level === level && row !== undefined) this.#details.openSpace(row, true);
  }

  async #draw(level: string, plan: Plan): Promise<void> {
    if (this.#level !== level || this.#shown === `${level} ${plan.version}`) return;
    const from = this.#shown === null ? null : this.#info(this.#shown.split(" ")[0] ?? null);
    const to = this.#info(level);
    const direction = from && to ? Math.sign(to.ordinal - from.ordinal) : 0;
    this.#shown = `${level} ${plan.version}`;
    this.#view.setBanner(null);
    this.#floor.setInsets(this.#view.insets);
    const replica = this.#live.replica(level);
    document.title = `${this.#name(level)} · ${to?.building_name ?? ""} · livefloor`;
    this.#view.spaces.show(plan, this.#name(level), replica);
    this.#mark(level, null);
    await this.#floor.show(plan, replica ?? null, direction);
    this.#view.map.dataset["level"] = level;
    this.#mark(level, null);
  }

  #changed(replica: Replica, rows: readonly number[] | null): void {
    const plan = this.#plans.get(replica.level);
    if (plan !== undefined && plan.version !== "" && plan.version !== replica.plan) {
      this.#plans.delete(replica.level);
      if (replica.level === this.#level) void this.#show(replica.level);
      else void this.#plan(replica.level).catch(() => undefined);
    }
    this.#mark(replica.level, rows);
  }

  /** Notes what changed; one frame draws all of it. */
  #mark(level: string, rows: readonly number[] | null): void {
    const noted = this.#dirty.get(level);
    if (rows === null || noted === null) this.#dirty.set(level, null);
    else {
      const set = noted ?? new Set();
      for (const row of rows) set.add(row);
      this.#dirty.set(level, set);
    }
    if (this.#frame) return;
    this.#frame = true;
    requestAnimationFrame(() => {
      this.#frame = false;
      this.#flush();
    });
  }

  #flush(): void {
    for (const [level, noted] of this.#dirty) {
      const replica = this.#live.replica(level);
      const plan = this.#plans.get(level);
      const info = this.#info(level);
      if (replica === undefined || plan === undefined || info === undefined) continue;
      this.#numbers.set(level, counted(plan, replica, info));
      if (level === this.#level && this.#shown === `${level} ${plan.version}`) {
        const rows = noted === null ? null : [...noted];
        this.#floor.apply(replica, rows);
        this.#view.spaces.update(replica, rows);
      }
    }
    this.#dirty.clear();
    this.#drawNumbers();
    this.#drawRooms();
    this.#details.draw();
  }

  #elsewhere(level: string): Elsewhere | null {
    const others = this.#here().filter(({ id }) => id !== level);
    const counts = others.map(({ id }) => ({
      level: id,
      name: this.#name(id),
      rooms: this.#numbers.get(id)?.freeRooms ?? 0,
    }));
    counts.sort((a, b) => b.rooms - a.rooms);
    const [most] = counts;
    return most !== undefined && most.rooms > 0 ? most : null;
  }

  #drawNumbers(): void {
    const here = this.#here();
    for (const { id, name } of here) {
      const numbers = this.#numbers.get(id);
      if (numbers !== undefined) this.#view.levels.update(id, name, numbers);
    }
    const all = here.map(({ id }) => this.#numbers.get(id));
    this.#view.totals.update(all.filter((numbers) => numbers !== undefined));
  }

  /** The rooms of the level that is shown; where none is free, the others count. */
  #drawRooms(): void {
    const level = this.#level ?? "";
    const replica = this.#live.replica(level);
    const plan = this.#plans.get(level);
    if (replica === undefined || plan === undefined) return;
    this.#view.rooms.update(plan, replica, this.#name(level), this.#elsewhere(level));
  }

  #focusRow(row: number | null): void {
    this.#floor.mark("focus", row);
    if (row === null) return this.#view.hideTip();
    if (this.#view.hides(this.#floor.screenOf(row))) this.#floor.flyTo(row);
    const place = this.#floor.screenOf(row);
    if (place !== null) this.#hover(row, place.x, place.y);
  }

  #hover(row: number | null, x: number, y: number): void {
    const space = row === null ? undefined : this.#plans.get(this.#level ?? "")?.spaces.get(row);
    if (space === undefined) return this.#view.hideTip();
    this.#view.showTip(space, nowOf(this.#live.replica(this.#level ?? ""), space.row), x, y);
  }

  #status(status: Status): void {
    this.#view.setStatus(status);
    if (status.phase === "refused") void this.#you.refused().then((again) => again && this.#live.start());
  }

  #tick(): void {
    this.#view.header.setClock(this.#you.demo ? this.#time.words(Date.now()) : null);
    this.#view.setStatus(this.#live.status);
    this.#details.draw();
  }

  #follow(): void {
    const [level, space] = fromHash();
    const info = this.#info(level);
    if (info === undefined) return;
    if (info.building !== this.#building) this.#enter(info.building);
    else void this.#show(info.id, space);
  }
}

/** Where one enters a building: its lowest level above the ground. */
function lowest(levels: readonly LevelInfo[]): LevelInfo | undefined {
  const up = [...levels].sort((a, b) => a.ordinal - b.ordinal);
  return up.find(({ ordinal }) => ordinal >= 0) ?? up.at(-1);
}
