/** Who one is, and whether one shares one's location. */

import { icon } from "../marks.ts";
import type { Consent, DemoPerson } from "../model.ts";
import { initials } from "../words.ts";
import { h, setAttribute, setText } from "./dom.ts";

/** The card at the foot of the side: the person, and the sharing switch. */
export class PersonCard {
  readonly root: HTMLElement;
  /** On a phone the card is at the end of the sheet; this leads there. */
  readonly chip: HTMLButtonElement;
  readonly #chipAvatar = h("span", { class: "avatar", "aria-hidden": "true" });
  readonly #avatar = h("span", { class: "avatar", "aria-hidden": "true" });
  readonly #you = h("span", { class: "you-label" });
  readonly #name = h("span", { class: "you-name" });
  readonly #switch: HTMLButtonElement;
  readonly #change: HTMLButtonElement;
  readonly #sharing: HTMLElement;
  readonly #note = h("p", { class: "fine", id: "sharing-note", role: "status" });
  #on = false;

  constructor(events: { onChange: () => void; onShare: (on: boolean) => void }) {
    this.#change = h(
      "button",
      { type: "button", class: "you", onclick: events.onChange },
      this.#avatar,
      h("span", { class: "you-text" }, this.#you, this.#name),
      icon("chevron"),
    );
    this.#switch = h(
      "button",
      {
        type: "button",
        class: "switch",
        role: "switch",
        "aria-checked": "false",
        "aria-label": "Share my location",
        "aria-describedby": "sharing-note",
        onclick: () => events.onShare(!this.#on),
      },
      h("span", {}),
    );
    this.#sharing = h(
      "div",
      { class: "sharing" },
      h("div", { class: "sharing-row" }, h("span", {}, "Share my location"), this.#switch),
      this.#note,
    );
    this.chip = h("button", { type: "button", class: "you-chip ghost" }, this.#chipAvatar);
    this.root = h("section", { class: "person-card", "aria-label": "You" }, this.#change, this.#sharing);
    this.setPerson(null, true);
  }

  /** Null is nobody yet; `demo` tells choosing a person from signing in. */
  setPerson(name: string | null, demo: boolean): void {
    setText(this.#you, name === null ? "You are nobody yet" : "You are");
    setText(this.#name, name ?? (demo ? "Choose a person" : "Sign in"));
    for (const avatar of [this.#avatar, this.#chipAvatar]) {
      avatar.replaceChildren(name === null ? icon(demo ? "plus" : "key") : initials(name));
      avatar.classList.toggle("empty", name === null);
    }
    setAttribute(this.chip, "aria-label", name === null ? "Say who you are" : `You are ${name}`);
    this.#sharing.hidden = name === null;
  }

  setConsent(consent: Consent): void {
    this.#on = consent.sharing;
    setAttribute(this.#switch, "aria-checked", String(consent.sharing));
    this.#switch.disabled = false;
    setText(
      this.#note,
      consent.sharing
        ? "Colleagues can see the one place where you were last seen, for 24 hours at most."
        : "Off: nothing about where you are is kept, and nobody can find you.",
    );
    setAttribute(this.#sharing, "data-sharing", String(consent.sharing));
  }

  busy(): void {
    this.#switch.disabled = true;
  }

  failed(): void {
    this.#switch.disabled = false;
    setText(this.#note, "That did not work: nothing has changed. Please try again.");
  }
}

const SHOWN = 60;

/** The dialog in which one becomes a person of the demo, or signs in by a token. */
export class PersonDialog {
  readonly root: HTMLDialogElement;
  readonly #body = h("div", { class: "dialog-body" });
  readonly #title = h("h2", { id: "person-title" });
  readonly #onPerson: (person: DemoPerson) => void;
  readonly #onToken: (token: string) => void;

  constructor(events: { onPerson: (person: DemoPerson) => void; onToken: (token: string) => void }) {
    this.#onPerson = events.onPerson;
    this.#onToken = events.onToken;
    const close = h(
      "button",
      { type: "button", class: "ghost", "aria-label": "Close", onclick: () => this.root.close() },
      icon("close"),
    );
    this.root = h(
      "dialog",
      { class: "dialog", "aria-labelledby": "person-title" },
      h("div", { class: "dialog-head" }, this.#title, close),
      this.#body,
    );
    this.root.addEventListener("click", (event) => {
      if (event.target === this.root) this.root.close();
    });
  }

  /** `people` null: no demo, so a token is asked for. */
  open(people: readonly DemoPerson[] | null, note: string | null): void {
    if (people === null) this.#askToken(note);
    else this.#choose(people);
    if (!this.root.open) this.root.showModal();
  }

  #choose(people: readonly DemoPerson[]): void {
    setText(this.#title, "Who are you?");
    const list = h("ul", { class: "people" });
    const rest = h("p", { class: "fine" });
    const filter = h("input", { class: "field", type: "text", placeholder: "Filter by name", "aria-label": "Filter by name", autocomplete: "off", spellcheck: "false" });
    const show = (): void => {
      const query = filter.value.trim().toLocaleLowerCase();
      const found = people.filter(({ name }) => name.toLocaleLowerCase().includes(query));
      list.replaceChildren(...found.slice(0, SHOWN).map((person) => this.#entry(person)));
      const hidden = found.length - SHOWN;
      setText(rest, hidden > 0 ? `and ${hidden.toLocaleString("en")} more: type a name` : "");
    };
    filter.addEventListener("input", show);
    filter.addEventListener("keydown", (event) => {
      if (event.key === "Enter") list.querySelector("button")?.click();
    });
    show();
    this.#body.replaceChildren(
      h("p", { class: "meaning" }, "This is a demo with simulated people. Be one of them to find others and to try the sharing switch."),
      filter,
      list,
      rest,
    );
    filter.autofocus = true;
  }

  #entry(person: DemoPerson): HTMLLIElement {
    const pick = (): void => {
      this.root.close();
      this.#onPerson(person);
    };
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "person", "data-person": person.id, onclick: pick },
        h("span", { class: "avatar", "aria-hidden": "true" }, initials(person.name)),
        h("span", { class: "person-name" }, person.name),
        h("span", { class: person.sharing ? "tag tag-on" : "tag" }, person.sharing ? "sharing" : "not sharing"),
      ),
    );
  }

  #askToken(note: string | null): void {
    setText(this.#title, "Sign in");
    const field = h("input", { class: "field", type: "password", name: "token", autocomplete: "off", spellcheck: "false", "aria-label": "Access token", placeholder: "Access token", required: true, autofocus: true });
    const form = h(
      "form",
      { method: "dialog" },
      h("p", { class: "meaning" }, note ?? "Paste an access token of your organisation. It stays in this page and is forgotten when you close it."),
      field,
      h("button", { type: "submit", class: "button primary" }, "Sign in"),
    );
    form.addEventListener("submit", () => {
      const token = field.value.trim();
      field.value = "";
      if (token !== "") this.#onToken(token);
    });
    this.#body.replaceChildren(form);
  }
}
