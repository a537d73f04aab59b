/** The HTTP interface of the engine. The token lives in this object and nowhere else. */

import type {
  Colleague,
  ColleagueLocation,
  Consent,
  DemoClock,
  DemoPerson,
  LevelInfo,
  StateName,
} from "./model.ts";

/** A refusal by the engine, or (`status` 0) no answer at all. */
export class ApiError extends Error {
  readonly status: number;
  readonly retryable: boolean;

  constructor(status: number, message: string, retryable: boolean) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.retryable = retryable;
  }
}

export interface SpaceAnswer {
  id: string;
  state: StateName;
  count: number | null;
  confidence: number;
  age_s: number | null;
}

interface Request {
  method?: "GET" | "PUT" | "POST" | "DELETE";
  body?: object;
  signal?: AbortSignal;
}

export class Api {
  readonly #base: string;
  #token: string | null = null;
  /** Gets a fresh token when the engine no longer takes the present one. */
  renew: (() => Promise<string | null>) | null = null;

  constructor(base: string) {
    this.#base = base;
  }

  get token(): string | null {
    return this.#token;
  }

  set token(token: string | null) {
    this.#token = token;
  }

  /** Where the live channel is. */
  get liveUrl(): string {
    return new URL("v1/live", this.#base).href.replace(/^http/, "ws");
  }

  async levels(): Promise<LevelInfo[]> {
    return (await this.#json<{ levels: LevelInfo[] }>("v1/levels")).levels;
  }

  plan(level: string): Promise<unknown> {
    return this.#json(`v1/levels/${path(level)}/plan`);
  }

  space(id: string, signal?: AbortSignal): Promise<SpaceAnswer> {
    return this.#json(`v1/spaces/${path(id)}`, signal ? { signal } : {});
  }

  async colleagues(query: string, signal: AbortSignal): Promise<Colleague[]> {
    const route = `v1/colleagues?q=${encodeURIComponent(query)}`;
    return (await this.#json<{ colleagues: Colleague[] }>(route, { signal })).colleagues;
  }

  /** Null is the engine's one answer for everything that is not a location. */
  async location(colleague: string, signal?: AbortSignal): Promise<ColleagueLocation | null> {
    try {
      return await this.#json(
        `v1/colleagues/${encodeURIComponent(colleague)}/location`,
        signal ? { signal } : {},
      );
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  consent(): Promise<Consent> {
    return this.#json("v1/me/consent");
  }

  async share(on: boolean): Promise<void> {
    await this.#fetch("v1/me/consent", { method: on ? "PUT" : "DELETE" });
  }

  /** Null where this is not a demo. */
  async people(): Promise<DemoPerson[] | null> {
    return (await this.#demo<{ people: DemoPerson[] }>("demo/people"))?.people ?? null;
  }

  /** Null where this is not a demo, or its day has not begun. */
  clock(): Promise<DemoClock | null> {
    return this.#demo("demo/clock");
  }

  demoToken(person: string): Promise<{ token: string; expires_at_ms: number; name: string }> {
    return this.#json("demo/token", { method: "POST", body: { person } });
  }

  async #demo<T>(route: string): Promise<T | null> {
    try {
      return await this.#json<T>(route);
    } catch (error) {
      if (error instanceof ApiError && error.status > 0 && error.status < 500) return null;
      throw error;
    }
  }

  async #json<T>(route: string, request: Request = {}): Promise<T> {
    const response = await this.#fetch(route, request);
    return (await response.json()) as T;
  }

  async #fetch(route: string, request: Request): Promise<Response> {
    let response = await this.#once(route, request);
    if (response.status === 401 && this.renew !== null && !route.startsWith("demo/")) {
      const token = await this.renew();
      if (token !== null) {
        this.#token = token;
        response = await this.#once(route, request);
      }
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }

  async #once(route: string, request: Request): Promise<Response> {
    const headers: Record<string, string> = { Accept: "application/json" };
    if (this.#token !== null) headers["Authorization"] = `Bearer ${this.#token}`;
    if (request.body !== undefined) headers["Content-Type"] = "application/json";
    try {
      return await fetch(new URL(route, this.#base), {
        method: request.method ?? "GET",
        headers,
        body: request.body === undefined ? null : JSON.stringify(request.body),
        signal: request.signal ?? AbortSignal.timeout(15_000),
      });
    } catch (error) {
      if (request.signal?.aborted) throw error;
      throw new ApiError(0, "The engine does not answer.", true);
    }
  }
}

async function refusal(response: Response): Promise<ApiError> {
  try {
    const body = (await response.json()) as { message?: string; retryable?: boolean };
    return new ApiError(response.status, body.message ?? "", body.retryable === true);
  } catch {
    return new ApiError(response.status, response.statusText, response.status >= 500);
  }
}

/** Level ids hold a slash that stays one; every part is escaped. */
function path(id: string): string {
  return id.split("/").map(encodeURIComponent).join("/");
}
