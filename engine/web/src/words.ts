/** How the page says ages, counts and states. */

import { FREE, KIND_WORDS, LIKELY, OCCUPIED, OFFLINE, shortName } from "./model.ts";
import type { Kind, SpaceNow } from "./model.ts";

/** Desks that stand in a space. */
export interface Inside {
  free: number;
  known: number;
  total: number;
}

/** "12 s", "4 min", "2 h 5 min", "3 days". */
export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h < 24) return min % 60 === 0 ? `${h} h` : `${h} h ${min % 60} min`;
  const days = Math.floor(h / 24);
  return days === 1 ? "1 day" : `${days} days`;
}

/** "just now" or "4 min ago". */
export function ago(ms: number): string {
  return ms < 5000 ? "just now" : `${duration(ms)} ago`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/** "3/8", "3", or null where nobody counts. */
export function countOf(count: number | null, capacity: number | null): string | null {
  if (count === null) return null;
  return capacity === null ? String(count) : `${count}/${capacity}`;
}

/** "Tuesday 09:41 · 60× speed" of a simulated day, from the seconds since its midnight. */
export function simulated(weekday: string, seconds: number, speed: number): string {
  const minutes = Math.floor(seconds / 60);
  const two = (n: number): string => String(n).padStart(2, "0");
  const time = `${weekday} ${two(Math.floor(minutes / 60) % 24)}:${two(minutes % 60)}`;
  return `${time} · ${speed === 1 ? "simulated" : `${Number(speed.toFixed(1))}× speed`}`;
}

/** True where a number of known spaces says little of them all: the engine's own rule. */
export function mostlyUnknown(known: number, total: number): boolean {
  return 2 * known <= total;
}

/** One sentence that says what the state means, and what it rests on. */
export function meaning(
  now: SpaceNow,
  kind: Kind,
  capacity: number | null,
  at: number,
  inside: Inside | null,
): string {
  const age = now.since === null ? null : at - now.since;
  switch (now.state) {
    case FREE:
      return kind === "desk" ? "Its sensor sees nobody here." : "Its sensors see nobody here.";
    case OCCUPIED:
      if (now.count === null || now.count === 0) return "Somebody is here.";
      if (capacity === null) return `${plural(now.count, "person is", "people are")} here.`;
      return `${plural(now.count, "person", "people")} here, made for ${capacity}.`;
    case LIKELY:
      return age === null
        ? "Probably still in use: the evidence is fading."
        : `The last sign of somebody was ${duration(age)} ago, so it is probably still in use.`;
    case OFFLINE:
      return "Its sensors are switched off, so it may be free or in use.";
    default:
      if (inside !== null && inside.known > 0) {
        return `Only ${inside.known} of ${plural(inside.total, "desk")} reported lately, so we do not guess.`;
      }
      return age === null
        ? "No sensor has reported here yet, so we do not guess."
        : `No sensor report for ${duration(age)}, so we do not guess.`;
  }
}

/** "Level 3" of a level that may only have the name "3". */
export function levelName(name: string): string {
  return /^-?\d+$/.test(name) ? `Level ${name}` : name;
}

/** What fits in a level's badge: "3" of "Level 3", "G" of "Ground". */
export function badge(name: string, level: string): string {
  const number = /-?\d+/.exec(name)?.[0];
  return number ?? (name.trim()[0] ?? shortName(level)).toUpperCase();
}

/** "At desk S13", "In Turing". */
export function standing(kind: Kind, name: string): string {
  if (kind !== "desk") return `In ${name}`;
  return /desk/i.test(name) ? `At ${name}` : `At desk ${name}`;
}

export function where(kind: Kind, level: string | null): string {
  return level === null ? KIND_WORDS[kind] : `${KIND_WORDS[kind]} · ${level}`;
}

export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const [first = "?"] = words;
  const last = words.length > 1 ? (words.at(-1) ?? "") : "";
  return ([...first][0] ?? "?").toUpperCase() + ([...last][0] ?? "").toUpperCase();
}
