/** The nouns of the page and the words for them; the numbers are those of the wire. */

export const UNKNOWN = 0;
export const FREE = 1;
export const OCCUPIED = 2;
export const LIKELY = 3;
export const OFFLINE = 4;

export type State = 0 | 1 | 2 | 3 | 4;
export const STATES: readonly State[] = [0, 1, 2, 3, 4];

/** Names as the HTTP interface writes them, by wire number. */
export const STATE_NAMES = ["unknown", "free", "occupied", "likely", "offline"] as const;
export type StateName = (typeof STATE_NAMES)[number];

/** What people read, by wire number. */
export const STATE_WORDS = ["Unknown", "Free", "In use", "Probably in use", "Offline"] as const;

/** The same where there is little room. */
export const STATE_SHORT = ["Unknown", "Free", "In use", "Likely", "Offline"] as const;

export type Kind = "building" | "level" | "zone" | "room" | "area" | "desk";

export const KIND_WORDS: Record<Kind, string> = {
  building: "Building",
  level: "Level",
  zone: "Zone",
  room: "Room",
  area: "Area",
  desk: "Desk",
};

export interface Summary {
  headcount: number | null;
  capacity: number | null;
  free: number;
  occupied: number;
  likely: number;
  unknown: number;
  offline: number;
}

export interface LevelInfo {
  id: string;
  building: string;
  building_name: string;
  name: string;
  ordinal: number;
  plan: string;
  summary: Summary;
}

export interface Colleague {
  id: string;
  name: string;
}

export interface ColleagueLocation {
  colleague: string;
  space: { id: string; name: string; kind: Kind };
  level: string | null;
  building: string;
  observed_at_ms: number;
  age_s: number;
  confidence: number;
}

export interface Consent {
  sharing: boolean;
  since_ms: number | null;
  name: string;
  devices: string[];
}

export interface DemoPerson {
  id: string;
  name: string;
  sharing: boolean;
}

/** The time in the demo's building when it was asked for. */
export interface DemoClock {
  weekday: string;
  /** Seconds since midnight. */
  at_s: number;
  /** Simulated seconds in a real one. */
  speed: number;
}

/** What is known of a space now, joined from the plan and the live replica. */
export interface SpaceNow {
  state: State;
  count: number | null;
  confidence: number;
  /** Milliseconds on the page's clock of the newest evidence, or null. */
  since: number | null;
}

export function toState(value: number | undefined): State {
  return value === 1 || value === 2 || value === 3 || value === 4 ? value : UNKNOWN;
}

/** Free, in use or likely. */
export function isKnown(state: State): boolean {
  return state === FREE || state === OCCUPIED || state === LIKELY;
}

/** "3" of "hq/3": what fits on a button. */
export function shortName(level: string): string {
  return level.slice(level.lastIndexOf("/") + 1);
}
