/** The live replica: snapshot and deltas, gaps, resuming, back-off, silence. */

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Live } from "../../engine/web/src/live.ts";
import type { Replica, Socket, Status } from "../../engine/web/src/live.ts";

class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror: (() => void) | null = null;
  sent: unknown[] = [];
  closed = false;

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.closed = true;
  }

  says(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

/** A clock and timers that move by hand. */
class Time {
  now = 1_000_000;
  #next = 1;
  readonly #timers = new Map<number, { at: number; run: () => void }>();

  set = (run: () => void, ms: number): number => {
    this.#timers.set(this.#next, { at: this.now + ms, run });
    return this.#next++;
  };

  clear = (timer: number): void => {
    this.#timers.delete(timer);
  };

  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end);
      due.sort(([, a], [, b]) => a.at - b.at);
      const [first] = due;
      if (first === undefined) break;
      this.#timers.delete(first[0]);
      this.now = first[1].at;
      first[1].run();
    }
    this.now = end;
  }

  get pending(): number {
    return this.#timers.size;
  }
}

let time: Time;
let sockets: FakeSocket[];
let changes: { rows: readonly number[] | null; state: number[]; offset: number }[];
let statuses: Status[];
let token: string | null;
let live: Live;

const LEVEL = "hq/3";
const hello = { type: "hello", server: "test", tick_ms: 100, heartbeat_s: 15 };
const snapshot = {
  type: "snapshot",
  level: LEVEL,
  plan: "p1",
  epoch: "e1",
  offset: 7,
  at: 0,
  state: [2, 1, 0],
  count: [4, 0, null],
  confidence: [90, 80, 0],
  age_s: [3, 60, null],
};
const delta = (prev: number, offset: number, row: number, state: number): object => ({
  type: "delta",
  level: LEVEL,
  epoch: "e1",
  prev,
  offset,
  at: 0,
  index: [row],
  state: [state],
  count: [null],
  confidence: [70],
  age_s: [1],
});

function socket(): FakeSocket {
  const last = sockets.at(-1);
  assert.ok(last);
  return last;
}

/** Connected, subscribed and with a snapshot at offset 7. */
function connected(): FakeSocket {
  live.subscribe([LEVEL]);
  live.start();
  socket().onopen?.();
  socket().says(hello);
  socket().says(snapshot);
  return socket();
}

beforeEach(() => {
  time = new Time();
  sockets = [];
  changes = [];
  statuses = [];
  token = null;
  live = new Live({
    open: () => {
      sockets.push(new FakeSocket());
      return socket();
    },
    token: () => token,
    onLevel: (replica: Replica, rows) => {
      changes.push({ rows, state: [...replica.state], offset: replica.offset });
    },
    onStatus: (status) => statuses.push(status),
    now: () => time.now,
    random: () => 1,
    setTimer: time.set,
    clearTimer: time.clear,
  });
});

describe("the replica", () => {
  test("a snapshot fills it, with null as -1 and ages as times", () => {
    connected();
    const replica = live.replica(LEVEL);
    assert.ok(replica);
    assert.deepEqual([...replica.state], [2, 1, 0]);
    assert.deepEqual([...replica.count], [4, 0, -1]);
    assert.equal(replica.since[1], time.now - 60_000);
    assert.ok(Number.isNaN(replica.since[2]));
    assert.deepEqual(changes, [{ rows: null, state: [2, 1, 0], offset: 7 }]);
  });

  test("a delta that starts where it is changes its rows alone", () => {
    connected().says(delta(7, 9, 1, 2));
    assert.deepEqual(changes.at(-1), { rows: [1], state: [2, 2, 0], offset: 9 });
  });

  test("a delta after a gap is not applied, and a snapshot is asked for", () => {
    const link = connected();
    link.says(delta(8, 9, 1, 2));
    assert.deepEqual(live.replica(LEVEL)?.state[1], 1);
    assert.deepEqual(link.sent.slice(-2), [{ unsubscribe: [LEVEL] }, { subscribe: [LEVEL] }]);
  });

  test("a delta of another epoch is not applied", () => {
    const link = connected();
    link.says({ ...delta(7, 8, 1, 2), epoch: "e2" });
    assert.equal(live.replica(LEVEL)?.offset, 7);
    assert.deepEqual(link.sent.at(-1), { subscribe: [LEVEL] });
  });

  test("until that snapshot comes, deltas are left alone and asked for once", () => {
    const link = connected();
    link.says(delta(8, 9, 1, 2));
    const asked = link.sent.length;
    link.says(delta(9, 10, 1, 3));
    assert.equal(link.sent.length, asked);
    link.says({ ...snapshot, offset: 10 });
    link.says(delta(10, 11, 0, 1));
    assert.equal(live.replica(LEVEL)?.state[0], 1);
  });

  test("a row that the plan does not have asks for a snapshot", () => {
    const link = connected();
    link.says(delta(7, 8, 99, 2));
    assert.deepEqual(link.sent.at(-1), { subscribe: [LEVEL] });
  });

  test("a snapshot of a level nobody wants any more is left out", () => {
    const link = connected();
    live.unsubscribe([LEVEL]);
    assert.deepEqual(link.sent.at(-1), { unsubscribe: [LEVEL] });
    link.says(snapshot);
    assert.equal(live.replica(LEVEL), undefined);
  });
});

describe("a new connection", () => {
  function again(): FakeSocket {
    const before = socket();
    before.onclose?.({ code: 1006 });
    time.pass(20_000);
    assert.notEqual(socket(), before);
    socket().onopen?.();
    return socket();
  }

  test("resumes where the replica is", () => {
    connected().says(delta(7, 9, 1, 2));
    assert.deepEqual(again().sent, [
      { subscribe: [LEVEL], resume: { [LEVEL]: { epoch: "e1", offset: 9 } } },
    ]);
  });

  test("keeps the replica when the engine says resumed, and extends it", () => {
    connected();
    const link = again();
    link.says({ type: "resumed", level: LEVEL, epoch: "e1", offset: 7 });
    link.says(delta(7, 12, 2, 1));
    assert.equal(live.replica(LEVEL)?.offset, 12);
  });

  test("does not resume a position it no longer trusts", () => {
    connected().says(delta(8, 9, 1, 2));
    assert.deepEqual(again().sent, [{ subscribe: [LEVEL] }]);
  });

  test("drops the position when the engine says reset", () => {
    connected();
    const link = again();
    link.says({ type: "reset", level: LEVEL, reason: "epoch" });
    link.says(delta(7, 8, 1, 2));
    assert.equal(live.replica(LEVEL)?.state[1], 1);
    link.says({ ...snapshot, epoch: "e2", offset: 1, state: [1, 1, 1] });
    assert.deepEqual(changes.at(-1), { rows: null, state: [1, 1, 1], offset: 1 });
  });

  test("asks again when resumed names another place", () => {
    connected();
    const link = again();
    link.says({ type: "resumed", level: LEVEL, epoch: "e1", offset: 6 });
    assert.deepEqual(link.sent.at(-1), { subscribe: [LEVEL] });
  });

  test("sends the token first", () => {
    token = "secret";
    live.subscribe([LEVEL]);
    live.start();
    socket().onopen?.();
    assert.deepEqual(socket().sent, [{ token: "secret" }, { subscribe: [LEVEL] }]);
  });
});

describe("back-off", () => {
  function waits(count: number): number[] {
    const found: number[] = [];
    for (let i = 0; i < count; i++) {
      socket().onclose?.({ code: 1006 });
      const { retryAt } = live.status;
      assert.ok(retryAt !== null);
      found.push(retryAt - time.now);
      time.pass(retryAt - time.now);
    }
    return found;
  }

  test("doubles up to ten seconds", () => {
    live.start();
    assert.deepEqual(waits(6), [500, 1000, 2000, 4000, 8000, 10_000]);
  });

  test("begins anew after a connection that lasted", () => {
    connected();
    waits(3);
    socket().onopen?.();
    socket().says(hello);
    time.pass(6000);
    assert.deepEqual(waits(1), [500]);
  });

  test("goes on after one that did not", () => {
    connected();
    waits(2);
    socket().onopen?.();
    socket().says(hello);
    time.pass(1000);
    assert.deepEqual(waits(1), [2000]);
  });

  test("never comes back when the engine says so, until told to", () => {
    connected().onclose?.({ code: 4501 });
    assert.deepEqual([live.status.phase, live.status.code], ["refused", 4501]);
    time.pass(60_000);
    assert.equal(sockets.length, 1);
    live.start();
    assert.equal(sockets.length, 2);
  });

  test("comes back when the engine is going away", () => {
    connected().onclose?.({ code: 4002 });
    time.pass(1000);
    assert.equal(sockets.length, 2);
  });

  test("start does not wait for it, nor opens a second connection", () => {
    connected().onclose?.({ code: 1006 });
    live.start();
    assert.equal(sockets.length, 2);
    time.pass(1000);
    assert.equal(sockets.length, 2);
  });

  test("stop leaves no timer behind", () => {
    connected();
    live.stop();
    assert.equal(time.pending, 0);
    assert.equal(live.status.phase, "idle");
  });
});

describe("silence", () => {
  test("of two and a half heartbeats is a lost connection", () => {
    const link = connected();
    time.pass(37_000);
    assert.equal(live.status.phase, "live");
    time.pass(600);
    assert.equal(live.status.phase, "waiting");
    assert.ok(link.closed);
  });

  test("is broken by a heartbeat", () => {
    const link = connected();
    for (let i = 0; i < 10; i++) {
      time.pass(15_000);
      link.says({ type: "heartbeat", at: 0 });
    }
    assert.equal(live.status.phase, "live");
    assert.equal(live.status.heardAt, time.now);
  });

  test("instead of an open connection ends the attempt", () => {
    live.start();
    time.pass(10_100);
    assert.equal(live.status.phase, "waiting");
  });

  test("bytes that are not JSON end the connection", () => {
    const link = connected();
    link.onmessage?.({ data: "{" });
    assert.equal(live.status.phase, "waiting");
  });

  test("what a newer engine may say changes nothing", () => {
    const link = connected();
    link.says({ type: "digest", level: LEVEL });
    assert.equal(live.status.phase, "live");
    assert.equal(changes.length, 1);
  });
});
