/** Reading a plan, geometry, numbers and words. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { area, chord, contains, grain, middle, Plane, softened } from "../../engine/web/src/geometry.ts";
import type { Ring } from "../../engine/web/src/geometry.ts";
import type { Replica } from "../../engine/web/src/live.ts";
import type { LevelInfo } from "../../engine/web/src/model.ts";
import { readPlan } from "../../engine/web/src/plan.ts";
import { counted, nowOf } from "../../engine/web/src/summary.ts";
import { ago, duration, initials, meaning, mostlyUnknown, simulated } from "../../engine/web/src/words.ts";

const square: Ring = [[0, 0], [10, 0], [10, 10], [0, 10]];
const ell: Ring = [[0, 0], [10, 0], [10, 2], [2, 2], [2, 10], [0, 10]];

describe("geometry", () => {
  test("the plane keeps metres, and the way back", () => {
    const plane = new Plane(4.9, 52.4);
    const [x, y] = plane.toPlane([4.901, 52.401]);
    assert.ok(Math.abs(x - 68) < 0.5, `${x} m east`);
    assert.ok(Math.abs(y + 111.3) < 0.5, `${y} m south`);
    const [longitude, latitude] = plane.toEarth([x, y]);
    assert.ok(Math.abs(longitude - 4.901) < 1e-9);
    assert.ok(Math.abs(latitude - 52.401) < 1e-9);
  });

  for (const [name, ring] of [["either way round", square], ["reversed", square.toReversed()]] as const) {
    test(`an inset makes a ring smaller, ${name}`, () => {
      assert.ok(Math.abs(area(softened(ring, 1, 0)) - 64) < 1e-9);
      assert.ok(Math.abs(area(softened(ring, -1, 0)) - 144) < 1e-9);
    });
  }

  test("rounded corners stay inside and take little away", () => {
    const soft = softened(ell, 0, 0.5);
    assert.ok(area(soft) > area(ell) * 0.95 && area(soft) < area(ell) * 1.02);
  });

  test("a sliver keeps its shape rather than turning inside out", () => {
    const sliver: Ring = [[0, 0], [10, 0], [10, 0.1], [0, 0.1]];
    assert.equal(area(softened(sliver, 0.5, 0)), area(sliver));
  });

  test("points on a straight run make no corner", () => {
    const dotted: Ring = [[0, 0], [5, 0], [10, 0], [10, 10], [0, 10], [0, 10]];
    assert.ok(Math.abs(area(softened(dotted, 1, 0)) - 64) < 1e-9);
  });

  test("the middle of an L is in the L", () => {
    assert.ok(contains(ell, middle(ell)));
  });

  test("a chord is what is free on both sides", () => {
    assert.equal(chord(square, [3, 5], [1, 0]), 6);
    assert.equal(chord(square, [5, 5], [0, 1]), 10);
  });

  test("the grain is the turn of the longest wall", () => {
    assert.equal(grain(square), 0);
    assert.ok(Math.abs(grain([[0, 0], [10, 2], [9, 7], [-1, 5]]) - 11.31) < 0.01);
  });
});

const box = (x: number): number[][][] => [[[x, 0], [x + 1e-4, 0], [x + 1e-4, 1e-4], [x, 1e-4], [x, 0]]];
const feature = (properties: object, x: number, id?: number): object => ({
  type: "Feature",
  id,
  properties,
  geometry: { type: "Polygon", coordinates: box(x) },
});
const body = {
  type: "FeatureCollection",
  level: "hq/3",
  plan: "v1",
  features: [
    feature({ kind: "outline" }, 0),
    feature({ row: 3, id: "d1", name: "D1", kind: "desk", capacity: 1, parent_row: 1 }, 1e-3, 3),
    feature({ row: 1, id: "z", name: "Z", kind: "zone", capacity: null, parent_row: 0 }, 1e-3, 1),
    feature({ row: 2, id: "r", name: "R", kind: "room", capacity: 8, parent_row: 0 }, 2e-3, 2),
    feature({ kind: "stairs" }, 3e-3),
    { type: "Feature", properties: { row: 4, id: "x", kind: "room" }, geometry: null },
  ],
};
const replica: Replica = {
  level: "hq/3",
  plan: "v1",
  epoch: "e",
  offset: 1,
  state: Uint8Array.of(2, 0, 1, 3),
  count: Int32Array.of(12, -1, 0, -1),
  confidence: Uint8Array.of(90, 0, 80, 40),
  since: Float64Array.of(1, Number.NaN, 5, 6),
};

describe("a plan", () => {
  const plan = readPlan("hq/3", body);

  test("has its spaces by row and by id, without those that are nowhere", () => {
    assert.deepEqual([...plan.spaces.keys()].sort(), [1, 2, 3]);
    assert.equal(plan.byId.get("r")?.capacity, 8);
    assert.equal(plan.byId.get("d1")?.parent, 1);
  });

  test("draws desks over rooms over zones, with rows as ids", () => {
    assert.deepEqual(plan.coloured.features.map(({ id }) => id), [1, 2, 3]);
  });

  test("keeps what has no occupancy apart", () => {
    assert.deepEqual(plan.decor.map(({ category }) => category), ["stairs"]);
  });

  test("gives the numbers of its level", () => {
    const info = { summary: { capacity: 40 } } as LevelInfo;
    const numbers = counted(plan, replica, info);
    assert.deepEqual(
      [numbers.headcount, numbers.freeRooms, numbers.rooms, numbers.freeDesks, numbers.desks, numbers.busy],
      [12, 1, 1, 0, 1, 1],
    );
  });

  test("a row beyond the replica is unknown", () => {
    assert.deepEqual(nowOf(replica, 9), { state: 0, count: null, confidence: 0, since: null });
  });
});

describe("words", () => {
  test("durations read as people say them", () => {
    const s = 1000;
    const cases: [number, string][] = [[0, "0 s"], [59 * s, "59 s"], [61 * s, "1 min"], [3600 * s, "1 h"], [7500 * s, "2 h 5 min"], [172_800 * s, "2 days"]];
    for (const [ms, words] of cases) assert.equal(duration(ms), words);
    assert.equal(ago(900), "just now");
  });

  test("stale evidence is called that, and no evidence too", () => {
    const stale = { state: 0 as const, count: null, confidence: 0, since: 0 };
    assert.match(meaning(stale, "room", 8, 12 * 60_000, null), /No sensor report for 12 min/);
    assert.match(meaning({ ...stale, since: null }, "room", 8, 0, null), /has reported here yet/);
    const few = { free: 1, known: 1, total: 8 };
    assert.match(meaning(stale, "zone", null, 5000, few), /^Only 1 of 8 desks reported lately/);
  });

  test("a room in use says how many", () => {
    const now = { state: 2 as const, count: 3, confidence: 90, since: 0 };
    assert.equal(meaning(now, "room", 8, 0, null), "3 people here, made for 8.");
    assert.equal(meaning({ ...now, count: null }, "room", 8, 0, null), "Somebody is here.");
  });

  test("a simulated time goes on past midnight and says how fast", () => {
    assert.equal(simulated("Tuesday", 9 * 3600 + 41 * 60 + 59, 60), "Tuesday 09:41 · 60× speed");
    assert.equal(simulated("Friday", 24 * 3600 + 60, 2.5), "Friday 00:01 · 2.5× speed");
    assert.equal(simulated("Friday", 0, 1), "Friday 00:00 · simulated");
  });

  test("half of the spaces are not most of them", () => {
    assert.deepEqual([0, 4, 5].map((known) => mostlyUnknown(known, 8)), [true, true, false]);
  });

  test("initials are of the first and the last name", () => {
    assert.deepEqual(["Ada Lovelace", "Cher", "Juan de la Cruz"].map(initials), ["AL", "C", "JC"]);
  });
});
