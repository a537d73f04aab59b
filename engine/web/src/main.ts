/** Starts the page. */

import "./style.css";
import { Api } from "./api.ts";
import { App } from "./app.ts";

const root = document.getElementById("app");
if (root !== null) void new App(root, new Api(document.baseURI)).start();
