import "./style.css";
import { App } from "./app/app";
import { Runner } from "./app/runner";
import { Session } from "./app/session";
import { loadSettings } from "./app/settings";
import { http } from "./client/http";
import { readCatalogue } from "./graph/definitions";
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

// For scripts of packs and for tests: the same objects the page uses.
declare global {
  interface Window {
    heddle: { readonly app: App; readonly runner: Runner };
  }
}
window.heddle = { app, runner };

async function begin(): Promise<void> {
  const settings = await loadSettings();
  app.settings = settings;
  for (let wait = 500; !app.ready; wait = Math.min(5000, wait * 1.5)) {
    try {
      app.setCatalogue(readCatalogue(await http.objectInfo()));
    } catch {
      // The server is still starting, or down; the bar says so.
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
  await session.restore();
}

runner.start();
void begin();
