/** Numbers of a level: from its replica once the plan is there, before that as told. */

import { FREE, isKnown } from "./model.ts";
import type { LevelInfo, SpaceNow, Summary } from "./model.ts";
import { toState } from "./model.ts";
import type { Replica } from "./live.ts";
import type { Plan, Space } from "./plan.ts";

export interface LevelNumbers {
  headcount: number | null;
  capacity: number | null;
  /** Spaces free now, of any kind that one can take. */
  free: number;
  /** Spaces whose state is known: free, in use or likely. */
  known: number;
  total: number;
  /** Spaces in use, and likely ones. */
  busy: number;
  freeDesks: number;
  knownDesks: number;
  desks: number;
  freeRooms: number;
  knownRooms: number;
  rooms: number;
  /** False until the plan has told desks from rooms. */
  split: boolean;
}

const NO_DESKS_OR_ROOMS = {
  freeDesks: 0,
  knownDesks: 0,
  desks: 0,
  freeRooms: 0,
  knownRooms: 0,
  rooms: 0,
};

export function told(summary: Summary): LevelNumbers {
  const busy = summary.occupied + summary.likely;
  return {
    headcount: summary.headcount,
    capacity: summary.capacity,
    free: summary.free,
    known: summary.free + busy,
    total: summary.free + busy + summary.unknown + summary.offline,
    busy,
    ...NO_DESKS_OR_ROOMS,
    split: false,
  };
}

export function counted(plan: Plan, replica: Replica, info: LevelInfo): LevelNumbers {
  const headcount = replica.count[0] ?? -1;
  const numbers: LevelNumbers = {
    headcount: headcount < 0 ? null : headcount,
    capacity: info.summary.capacity,
    free: 0,
    known: 0,
    total: 0,
    busy: 0,
    ...NO_DESKS_OR_ROOMS,
    split: true,
  };
  for (const space of plan.spaces.values()) add(numbers, space, replica);
  return numbers;
}

function add(numbers: LevelNumbers, space: Space, replica: Replica): void {
  if (space.kind !== "desk" && space.kind !== "room" && space.kind !== "area") return;
  const state = toState(replica.state[space.row]);
  const free = state === FREE ? 1 : 0;
  const known = isKnown(state) ? 1 : 0;
  numbers.free += free;
  numbers.busy += known - free;
  numbers.known += known;
  numbers.total += 1;
  if (space.kind === "desk") {
    numbers.desks += 1;
    numbers.knownDesks += known;
    numbers.freeDesks += free;
  } else if (space.kind === "room") {
    numbers.rooms += 1;
    numbers.knownRooms += known;
    numbers.freeRooms += free;
  }
}

export function nowOf(replica: Replica | undefined, row: number): SpaceNow {
  const count = replica?.count[row] ?? -1;
  const since = replica?.since[row] ?? Number.NaN;
  return {
    state: toState(replica?.state[row]),
    count: count < 0 ? null : count,
    confidence: replica?.confidence[row] ?? 0,
    since: Number.isNaN(since) ? null : since,
  };
}
