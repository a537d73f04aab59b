/** Starts the page. */

import "./style.css";
import { Api } from "./api.ts";
import { App } from "./app.ts";

const root = document.getElementById("app");
if (root !== null) {
  const app = new App(root, new Api(document.baseURI));
  // Where a space is on the screen: for whoever drives the page from outside.
  Object.assign(window, { livefloor: { at: (space: string) => app.at(space) } });
  void app.start();
}
