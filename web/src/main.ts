import "./style.css";
import { App } from "./app/app";
import { byId } from "./app/commands";
import { openJson } from "./app/files";
import { Runner } from "./app/runner";
import { Session } from "./app/session";
import { loadSettings } from "./app/settings";
import { http } from "./client/http";
import { readCatalogue } from "./graph/definitions";
import { type Json, parseJson } from "./graph/json";
import { mountPanels } from "./panels/mount";
import { Reader } from "./view/reader";
import { Surface } from "./view/surface";

const stage = document.getElementById("stage");
if (!stage) throw new Error("The page lacks #stage.");

const app = new App();
const runner = new Runner(app);
const surface = new Surface(app, stage, runner);
const session = new Session(app);
mountPanels(surface.commands);
const tree = document.getElementById("reader");
if (tree) new Reader(app, tree);

// For tests, measurements and the curious: the same objects the page uses.
declare global {
  interface Window {
    heddle: { readonly app: App; readonly runner: Runner; open(file: string): void; run(command: string): void };
  }
}
window.heddle = {
  app,
  runner,
  open: (file) => openJson(app, parseJson(file), null),
  run: (command) => byId.get(command)?.run(surface.commands),
};

/** Asks until the server answers: it may still be starting; the bar says when there is no connection. */
async function definitions(): Promise<Json> {
  for (let wait = 500; ; wait = Math.min(5000, wait * 1.5)) {
    try {
      return await http.objectInfo();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

async function begin(): Promise<void> {
  const settings = await loadSettings();
  app.settings = settings;
  const info = await definitions();
  // Scripts of packs may bring widgets for input types of their own, so they come before the definitions are read.
  const foreign = await app.extensions.load();
  app.setCatalogue(readCatalogue(info, new Set(app.extensions.widgets.keys())));
  await session.restore();
  for (const text of foreign) app.notify({ tone: "info", text });
}

runner.start();
void begin();
