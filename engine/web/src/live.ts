/**
 * A live replica of levels over the WebSocket of the engine, without dependencies.
 *
 * Rules it keeps:
 * - A delta is applied only where its `prev` is the replica's offset and its epoch the
 *   replica's epoch; anything else drops the position and asks for a snapshot.
 * - After a lost connection every level resumes from its epoch and offset.
 * - Back-off doubles with jitter, so that a restarted engine is not met by all at once.
 * - Silence for two and a half heartbeats is a lost connection.
 */

export interface Replica {
  readonly level: string;
  plan: string;
  epoch: string;
  offset: number;
  /** One entry a row, see `model.ts`. */
  state: Uint8Array;
  /** People, or -1 where only presence is known. */
  count: Int32Array;
  /** Percent. */
  confidence: Uint8Array;
  /** When the newest evidence came, on the clock of `now`; NaN where there is none. */
  since: Float64Array;
}

export type Phase = "idle" | "connecting" | "live" | "waiting" | "refused";

export interface Status {
  phase: Phase;
  /** When the last message came, on the clock of `now`; null before the first. */
  heardAt: number | null;
  /** When the next attempt starts, in phase "waiting". */
  retryAt: number | null;
  /** Attempts since the connection was last stable. */
  attempts: number;
  /** Close code that ended it, in phase "refused". */
  code: number | null;
}

/** As much of a browser's WebSocket as this module uses. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  onerror: (() => void) | null;
  send(text: string): void;
  close(): void;
}

export interface LiveOptions {
  /** Opens a socket; injected so that tests need no network. */
  open: () => Socket;
  /** A bearer token, or null where none is needed. */
  token: () => string | null;
  /** `rows` is null after a snapshot: every row may have changed. */
  onLevel: (replica: Replica, rows: readonly number[] | null) => void;
  onStatus: (status: Status) => void;
  now?: () => number;
  random?: () => number;
  setTimer?: (run: () => void, ms: number) => number;
  clearTimer?: (timer: number) => void;
}

type Column = (number | null)[];

interface Snapshot {
  type: "snapshot";
  level: string;
  plan: string;
  epoch: string;
  offset: number;
  state: number[];
  count: Column;
  confidence: number[];
  age_s: Column;
}

interface Delta {
  type: "delta";
  level: string;
  epoch: string;
  prev: number;
  offset: number;
  index: number[];
  state: number[];
  count: Column;
  confidence: number[];
  age_s: Column;
}

type Message =
  | Snapshot
  | Delta
  | { type: "hello"; heartbeat_s: number }
  | { type: "resumed"; level: string; epoch: string; offset: number }
  | { type: "reset"; level: string; reason: string }
  | { type: "unsubscribed"; level: string }
  | { type: "heartbeat" }
  | { type: "error"; code: number; message: string; retryable: boolean };

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const STABLE_MS = 5_000;
const OPEN_MS = 10_000;
/** From here up the engine does not want us back (until something changes). */
const FINAL_CODES = 4500;

export class Live {
  readonly #options: Required<LiveOptions>;
  readonly #levels = new Set<string>();
  readonly #replicas = new Map<string, Replica>();
  /** Levels whose replica may be resumed or extended. */
  readonly #synced = new Set<string>();
  #socket: Socket | null = null;
  #open = false;
  #phase: Phase = "idle";
  #heardAt: number | null = null;
  #retryAt: number | null = null;
  #code: number | null = null;
  #attempts = 0;
  #heartbeatMs = 15_000;
  #retryTimer: number | null = null;
  #watchdog: number | null = null;
  #stableTimer: number | null = null;

  constructor(options: LiveOptions) {
    this.#options = {
      now: () => Date.now(),
      random: Math.random,
      setTimer: (run, ms) => globalThis.setTimeout(run, ms) as unknown as number,
      clearTimer: (timer) => globalThis.clearTimeout(timer),
      ...options,
    };
  }

  get status(): Status {
    return {
      phase: this.#phase,
      heardAt: this.#heardAt,
      retryAt: this.#retryAt,
      attempts: this.#attempts,
      code: this.#code,
    };
  }

  replica(level: string): Replica | undefined {
    return this.#replicas.get(level);
  }

  subscribe(levels: Iterable<string>): void {
    const added = [...levels].filter((level) => !this.#levels.has(level));
    for (const level of added) this.#levels.add(level);
    if (this.#open && added.length > 0) this.#sendSubscribe(added);
  }

  unsubscribe(levels: Iterable<string>): void {
    const removed = [...levels].filter((level) => this.#levels.delete(level));
    for (const level of removed) {
      this.#replicas.delete(level);
      this.#synced.delete(level);
    }
    if (this.#open && removed.length > 0) this.#send({ unsubscribe: removed });
  }

  /** Connects, or connects again now, without waiting for the back-off. */
  start(): void {
    if (this.#open) return;
    this.#drop();
    this.#code = null;
    this.#connect();
  }

  stop(): void {
    this.#drop();
    this.#setPhase("idle");
  }

  /** Ends a connection that the caller knows to be dead, and connects again. */
  restart(): void {
    this.#drop();
    this.start();
  }

  #connect(): void {
    this.#retryAt = null;
    this.#setPhase(this.#heardAt === null && this.#attempts === 0 ? "connecting" : "waiting");
    let socket: Socket;
    try {
      socket = this.#options.open();
    } catch {
      this.#retry();
      return;
    }
    this.#socket = socket;
    this.#watch(OPEN_MS);
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      this.#open = true;
      const token = this.#options.token();
      if (token !== null) this.#send({ token });
      this.#sendSubscribe([...this.#levels]);
    };
    socket.onmessage = (event) => {
      if (socket === this.#socket) this.#receive(event.data);
    };
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#closed(event.code);
    };
    // An error is always followed by a close, which does the work.
    socket.onerror = () => undefined;
  }

  #closed(code: number): void {
    this.#drop();
    if (code >= FINAL_CODES && code < 5000) {
      this.#code = code;
      this.#setPhase("refused");
      return;
    }
    this.#retry();
  }

  #retry(): void {
    const ceiling = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#attempts);
    const wait = ceiling * (0.5 + this.#options.random() / 2);
    this.#attempts += 1;
    this.#retryAt = this.#options.now() + wait;
    this.#setPhase("waiting");
    this.#retryTimer = this.#options.setTimer(() => {
      this.#retryTimer = null;
      this.#connect();
    }, wait);
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#open = false;
    for (const timer of [this.#retryTimer, this.#watchdog, this.#stableTimer]) {
      if (timer !== null) this.#options.clearTimer(timer);
    }
    this.#retryTimer = this.#watchdog = this.#stableTimer = this.#retryAt = null;
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  #watch(ms: number): void {
    if (this.#watchdog !== null) this.#options.clearTimer(this.#watchdog);
    this.#watchdog = this.#options.setTimer(() => this.#closed(1006), ms);
  }

  #receive(data: unknown): void {
    let message: Message;
    try {
      message = JSON.parse(String(data)) as Message;
    } catch {
      this.#closed(1007);
      return;
    }
    this.#heardAt = this.#options.now();
    this.#watch(this.#heartbeatMs * 2.5);
    this.#apply(message);
  }

  #apply(message: Message): void {
    switch (message.type) {
      case "hello":
        this.#heartbeatMs = Math.max(1, message.heartbeat_s) * 1000;
        this.#watch(this.#heartbeatMs * 2.5);
        this.#stableTimer = this.#options.setTimer(() => {
          this.#attempts = 0;
        }, STABLE_MS);
        this.#setPhase("live");
        break;
      case "snapshot":
        this.#replace(message);
        break;
      case "delta":
        this.#extend(message);
        break;
      case "resumed":
        this.#resumed(message.level, message.epoch, message.offset);
        break;
      case "reset":
        this.#synced.delete(message.level);
        break;
      case "error":
      case "heartbeat":
      case "unsubscribed":
        break;
      default:
        // A newer engine may say more; what is not understood changes nothing.
        message satisfies never;
    }
  }

  #replace(message: Snapshot): void {
    if (!this.#levels.has(message.level)) return;
    const now = this.#options.now();
    const replica: Replica = {
      level: message.level,
      plan: message.plan,
      epoch: message.epoch,
      offset: message.offset,
      state: Uint8Array.from(message.state),
      count: Int32Array.from(message.count, (count) => count ?? -1),
      confidence: Uint8Array.from(message.confidence),
      since: Float64Array.from(message.age_s, (age) => sinceOf(age, now)),
    };
    this.#replicas.set(message.level, replica);
    this.#synced.add(message.level);
    this.#options.onLevel(replica, null);
  }

  #extend(message: Delta): void {
    const replica = this.#replicas.get(message.level);
    // Between a lost position and its snapshot, deltas of the old one may still come.
    if (replica === undefined || !this.#synced.has(message.level)) return;
    if (message.epoch !== replica.epoch || message.prev !== replica.offset) {
      this.#askAgain(message.level);
      return;
    }
    const now = this.#options.now();
    const rows: number[] = [];
    for (const [at, row] of message.index.entries()) {
      if (row < 0 || row >= replica.state.length) {
        this.#askAgain(message.level);
        return;
      }
      replica.state[row] = message.state[at] ?? 0;
      replica.count[row] = message.count[at] ?? -1;
      replica.confidence[row] = message.confidence[at] ?? 0;
      replica.since[row] = sinceOf(message.age_s[at] ?? null, now);
      rows.push(row);
    }
    replica.offset = message.offset;
    this.#options.onLevel(replica, rows);
  }

  #resumed(level: string, epoch: string, offset: number): void {
    const replica = this.#replicas.get(level);
    if (replica === undefined || replica.epoch !== epoch || replica.offset !== offset) {
      this.#askAgain(level);
    }
  }

  #askAgain(level: string): void {
    this.#synced.delete(level);
    this.#send({ unsubscribe: [level] });
    this.#send({ subscribe: [level] });
  }

  #sendSubscribe(levels: string[]): void {
    if (levels.length === 0) return;
    const resume: Record<string, { epoch: string; offset: number }> = {};
    for (const level of levels) {
      const replica = this.#replicas.get(level);
      if (replica !== undefined && this.#synced.has(level)) {
        resume[level] = { epoch: replica.epoch, offset: replica.offset };
      }
    }
    this.#send(
      Object.keys(resume).length > 0 ? { subscribe: levels, resume } : { subscribe: levels },
    );
  }

  #send(message: object): void {
    if (this.#open) this.#socket?.send(JSON.stringify(message));
  }

  #setPhase(phase: Phase): void {
    this.#phase = phase;
    this.#options.onStatus(this.status);
  }
}

function sinceOf(ageS: number | null, now: number): number {
  return ageS === null ? Number.NaN : now - ageS * 1000;
}
