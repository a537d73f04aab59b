/** The finder: type two letters of a colleague's name, pick, see where they are. */

import { ApiError } from "../api.ts";
import { icon } from "../marks.ts";
import type { Colleague } from "../model.ts";
import { initials } from "../words.ts";
import { h, setAttribute } from "./dom.ts";

const DEBOUNCE_MS = 180;
const SHORTEST = 2;

export interface FinderEvents {
  search: (query: string, signal: AbortSignal) => Promise<Colleague[]>;
  onPick: (colleague: Colleague) => void;
  /** Looked for somebody without being anybody. */
  onSignIn: () => void;
  signedIn: () => boolean;
}

export class Finder {
  readonly root: HTMLElement;
  readonly #input: HTMLInputElement;
  readonly #list = h("ul", { id: "found", class: "found card", role: "listbox", hidden: true, "aria-label": "Colleagues" });
  readonly #clear: HTMLButtonElement;
  readonly #events: FinderEvents;
  #timer = 0;
  #search: AbortController | null = null;
  #found: readonly Colleague[] = [];
  #active = -1;

  constructor(events: FinderEvents) {
    this.#events = events;
    this.#input = h("input", {
      class: "finder-input",
      type: "text",
      inputmode: "search",
      enterkeyhint: "search",
      placeholder: "Find a colleague",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      maxlength: 64,
      role: "combobox",
      "aria-label": "Find a colleague",
      "aria-expanded": "false",
      "aria-controls": "found",
      "aria-autocomplete": "list",
    });
    this.#clear = h(
      "button",
      { type: "button", class: "finder-clear", "aria-label": "Clear", hidden: true, onclick: () => this.#reset(true) },
      icon("close"),
    );
    this.root = h(
      "div",
      { class: "finder", role: "search" },
      h("div", { class: "finder-box" }, icon("search"), this.#input, this.#clear, h("kbd", { "aria-hidden": "true" }, "/")),
      this.#list,
    );
    this.#input.addEventListener("input", () => this.#typed());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#input.addEventListener("focus", () => this.#typed());
    this.root.addEventListener("focusout", (event) => {
      if (!this.root.contains(event.relatedTarget as Node | null)) this.#close();
    });
  }

  focus(): void {
    this.#input.focus();
    this.#input.select();
  }

  #typed(): void {
    const query = this.#input.value.trim();
    this.#clear.hidden = this.#input.value === "";
    window.clearTimeout(this.#timer);
    this.#search?.abort();
    if (query.length < SHORTEST) {
      this.#close();
      return;
    }
    if (!this.#events.signedIn()) {
      this.#say("Say who you are to find colleagues.", () => this.#events.onSignIn());
      return;
    }
    this.#timer = window.setTimeout(() => void this.#run(query), DEBOUNCE_MS);
  }

  async #run(query: string): Promise<void> {
    const search = new AbortController();
    this.#search = search;
    this.root.classList.add("busy");
    try {
      const found = await this.#events.search(query, search.signal);
      if (!search.signal.aborted) this.#show(found, query);
    } catch (error) {
      if (search.signal.aborted) return;
      const unknown = error instanceof ApiError && error.status === 401;
      if (unknown) this.#say("Sign in to find colleagues.", () => this.#events.onSignIn());
      else this.#say("The finder is not available now.", null);
    } finally {
      if (this.#search === search) this.root.classList.remove("busy");
    }
  }

  #show(found: readonly Colleague[], query: string): void {
    this.#found = found;
    if (found.length === 0) {
      this.#say("Nobody by that name shares a location.", null);
      return;
    }
    this.#list.replaceChildren(
      ...found.map((colleague, i) =>
        h(
          "li",
          {
            id: `found-${i}`,
            class: "person",
            role: "option",
            "aria-selected": "false",
            // Before the field loses the focus and closes the list.
            onpointerdown: (event: PointerEvent) => event.preventDefault(),
            onclick: () => this.#pick(i),
          },
          h("span", { class: "avatar", "aria-hidden": "true" }, initials(colleague.name)),
          h("span", { class: "person-name" }, ...marked(colleague.name, query)),
        ),
      ),
    );
    this.#open();
    this.#activate(0);
  }

  #say(text: string, act: (() => void) | null): void {
    this.#found = [];
    this.#active = -1;
    const hold = (event: PointerEvent): void => event.preventDefault();
    const entry = act
      ? h("button", { type: "button", class: "found-note link", onpointerdown: hold, onclick: act }, text)
      : h("span", { class: "found-note", role: "status" }, text);
    this.#list.replaceChildren(h("li", { role: "presentation" }, entry));
    this.#open();
  }

  #key(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && this.#found.length > 0) {
      event.preventDefault();
      this.#activate((this.#active + step + this.#found.length) % this.#found.length);
    } else if (event.key === "Enter") {
      if (this.#active >= 0) this.#pick(this.#active);
      else if (!this.#list.hidden) this.#list.querySelector("button")?.click();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (this.#list.hidden) this.#reset(false);
      else this.#close();
    }
  }

  #activate(at: number): void {
    this.#active = at;
    for (const [i, option] of [...this.#list.children].entries()) {
      setAttribute(option, "aria-selected", String(i === at));
      if (i === at) option.scrollIntoView({ block: "nearest" });
    }
    setAttribute(this.#input, "aria-activedescendant", at < 0 ? null : `found-${at}`);
  }

  #pick(at: number): void {
    const colleague = this.#found[at];
    if (colleague === undefined) return;
    this.#reset(false);
    this.#input.blur();
    this.#events.onPick(colleague);
  }

  #reset(focus: boolean): void {
    this.#input.value = "";
    this.#clear.hidden = true;
    this.#search?.abort();
    this.#close();
    if (focus) this.#input.focus();
  }

  #open(): void {
    this.#list.hidden = false;
    setAttribute(this.#input, "aria-expanded", "true");
  }

  #close(): void {
    this.#list.hidden = true;
    this.#active = -1;
    setAttribute(this.#input, "aria-expanded", "false");
    setAttribute(this.#input, "aria-activedescendant", null);
  }
}

/** The name with what was typed in bold. */
function marked(name: string, query: string): (Node | string)[] {
  const at = name.toLocaleLowerCase().indexOf(query.toLocaleLowerCase());
  if (at < 0) return [name];
  const end = at + query.length;
  return [name.slice(0, at), h("b", {}, name.slice(at, end)), name.slice(end)];
}
