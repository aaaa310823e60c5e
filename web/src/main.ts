import "./style.css";
import { App } from "./app/app";
import { byId } from "./app/commands";
import { fileText, openJson } from "./app/files";
import { Runner } from "./app/runner";
import { Session } from "./app/session";
import { defaults, loadSettings } from "./app/settings";
import { http } from "./client/http";
import { toScreen } from "./editor/viewport";
import type { Point } from "./graph/document";
import { type Json, isObject, parseJson } from "./graph/json";
import { type Prompt, toPrompt } from "./graph/prompt";
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
    heddle: {
      readonly app: App;
      readonly runner: Runner;
      open(file: string): void;
      run(command: string): void;
      /** Settings as they come. */
      defaults(): void;
      /** What would be saved, and what would be queued. */
      file(): Json;
      prompt(): Prompt;
      /** Where a point of the graph is on the page. */
      screen(at: Point): Point;
    };
  }
}
window.heddle = {
  app,
  runner,
  open: (file) => openJson(app, parseJson(file), null),
  defaults: () => app.set({ ...defaults, toured: true }),
  file: () => parseJson(fileText(app, app.active)),
  prompt: () => toPrompt(app.active.document, app.catalogue),
  screen: (at) => {
    const [x, y] = toScreen(app.active.viewport, at);
    const box = stage.getBoundingClientRect();
    return [x + box.left, y + box.top];
  },
  run: (command) => byId.get(command)?.run(surface.commands),
};

/** Asks until the server knows its nodes: it answers before they are loaded, and it may still be starting. */
async function definitions(): Promise<Json> {
  for (let wait = 250; ; wait = Math.min(2000, wait * 1.3)) {
    try {
      const info = await http.objectInfo();
      if (isObject(info) && Object.keys(info).length > 0) return info;
    } catch {
      // No answer: the bar says that there is no connection.
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

async function begin(): Promise<void> {
  // Scripts of packs may bring widgets for input types of their own, so they come before the definitions are read.
  const spoken = loadSettings().then((settings) => {
    app.settings = settings;
    return app.speak();
  });
  const [info, foreign] = await Promise.all([definitions(), app.extensions.load(), spoken]);
  app.setDefinitions(info);
  await session.restore();
  // From here on one can work; measured in benchmarks/editor.
  performance.mark("usable");
  for (const text of foreign) app.notify({ tone: "info", text });
  // Texts that packs bring for their nodes are not needed at once.
  const rest = (): void => void http.nodeTexts().then((texts) => isObject(texts) && Object.keys(texts).length > 0 && app.setDefinitions(info, texts), () => undefined);
  if ("requestIdleCallback" in window) requestIdleCallback(rest, { timeout: 3000 });
  else setTimeout(rest, 1000);
}

runner.start();
void begin();
