/** Who the page speaks for: a simulated person of the demo, or the holder of a token. */

import { ApiError } from "./api.ts";
import type { Api } from "./api.ts";
import type { DemoPerson } from "./model.ts";
import type { View } from "./ui/view.ts";

export class You {
  readonly #api: Api;
  readonly #view: View;
  readonly #onSignIn: () => void;
  #demo = true;
  #person: DemoPerson | null = null;
  #renewing: Promise<string | null> | null = null;

  constructor(api: Api, view: View, onSignIn: () => void) {
    this.#api = api;
    this.#view = view;
    this.#onSignIn = onSignIn;
    api.renew = () => this.#renew();
    view.onPerson = (person) => void this.#be(person);
    view.onToken = (token) => void this.#hold(token);
  }

  get signedIn(): boolean {
    return this.#api.token !== null;
  }

  /** Whether this is a demo, as far as is known. */
  get demo(): boolean {
    return this.#demo;
  }

  /** Finds out whether this is a demo. */
  async begin(): Promise<void> {
    try {
      this.#demo = (await this.#api.people()) !== null;
    } catch {
      // The engine is away; the levels will say so, and opening the dialog asks again.
    }
    this.#view.person.setPerson(null, this.#demo);
  }

  async choose(note: string | null = null): Promise<void> {
    try {
      const people = await this.#api.people();
      this.#demo = people !== null;
      this.#view.dialog.open(people, note);
    } catch {
      this.#view.setBanner("The engine does not answer.");
    }
  }

  /** Switches sharing, then shows what the engine says is so. */
  async share(on: boolean): Promise<void> {
    this.#view.person.busy();
    try {
      await this.#api.share(on);
      await this.#readConsent();
    } catch {
      this.#view.person.failed();
    }
  }

  /** The live channel was refused; true where a new token may mend that. */
  async refused(): Promise<boolean> {
    const token = await this.#renew();
    if (token !== null) {
      this.#api.token = token;
      return true;
    }
    this.#api.token = null;
    void this.choose("Your token is not accepted any more. Please sign in again.");
    return false;
  }

  async #be(person: DemoPerson): Promise<void> {
    try {
      this.#person = person;
      const { token, name } = await this.#api.demoToken(person.id);
      this.#api.token = token;
      this.#view.person.setPerson(name, true);
      await this.#readConsent();
    } catch {
      this.#view.person.failed();
    }
    this.#onSignIn();
  }

  async #hold(token: string): Promise<void> {
    this.#api.token = token;
    try {
      const { name } = await this.#api.consent();
      this.#view.person.setPerson(name, false);
      await this.#readConsent();
      this.#onSignIn();
    } catch (error) {
      const refused = error instanceof ApiError && error.status === 401;
      if (!refused) return this.#onSignIn();
      this.#api.token = null;
      void this.choose("That token is not accepted. Please check it and try again.");
    }
  }

  async #readConsent(): Promise<void> {
    this.#view.person.setConsent(await this.#api.consent());
  }

  /** One renewal at a time, however many requests met the old token. */
  #renew(): Promise<string | null> {
    const person = this.#person;
    if (person === null) return Promise.resolve(null);
    this.#renewing ??= this.#api
      .demoToken(person.id)
      .then(({ token }) => token)
      .catch(() => null)
      .finally(() => {
        this.#renewing = null;
      });
    return this.#renewing;
  }
}
