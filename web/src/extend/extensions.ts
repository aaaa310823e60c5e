/** What packs' scripts added, and the guarded way they are loaded: a script that fails costs nobody else anything. */

import { address } from "../client/http";
import type { Command } from "../app/commands";
import type { App } from "../app/app";
import type { GraphNode } from "../graph/document";
import type { Json } from "../graph/json";
import type { Prompt } from "../graph/prompt";
import type { ApiPrompt, Extension, Heddle, MenuEntry, NodeView, PanelEntry, Value, WidgetEntry } from "./api";
import { t } from "../words/words";

export class Extensions {
  readonly commands: Command[] = [];
  readonly menus: MenuEntry[] = [];
  readonly panels: PanelEntry[] = [];
  readonly widgets = new Map<string, WidgetEntry>();
  private readonly badges: ((node: NodeView) => string | null)[] = [];
  private readonly before: Parameters<Heddle["beforeQueue"]>[0][] = [];
  private readonly after: Parameters<Heddle["afterQueue"]>[0][] = [];
  private readonly handlers = new Map<string, ((data: Value) => void)[]>();

  constructor(private readonly app: App) {}

  view(node: GraphNode): NodeView {
    const editor = this.app.active;
    return { id: node.id, type: node.type, title: editor.title(node), values: (node.values ?? {}) as Readonly<Record<string, Value>>, selected: editor.selection.nodes.has(node.id) };
  }

  /** Runs a pack's function; what it throws is reported, not passed on. */
  private guard<T>(what: string, run: () => T, otherwise: T): T {
    try {
      return run();
    } catch (error) {
      this.app.notify({ tone: "error", text: t("An extension failed ({what}): {why}", { what, why: error instanceof Error ? error.message : String(error) }) });
      return otherwise;
    }
  }

  badge(node: GraphNode): string {
    if (this.badges.length === 0) return "";
    const view = this.view(node);
    return this.badges.map((badge) => this.guard("decoration", () => badge(view), null)).filter(Boolean).join(" · ");
  }

  menusFor(node: GraphNode): readonly MenuEntry[] {
    const view = this.view(node);
    return this.menus.filter((entry) => this.guard(entry.name, () => entry.when?.(view) ?? true, false));
  }

  async beforeQueue(prompt: Prompt): Promise<Prompt> {
    let next: ApiPrompt = prompt as ApiPrompt;
    for (const hook of this.before) next = (await hook(next)) ?? next;
    return next as unknown as Prompt;
  }

  afterQueue(id: string): void {
    for (const hook of this.after) this.guard("after queueing", () => hook(id), undefined);
  }

  message(type: string, data: Json): void {
    for (const handler of this.handlers.get(type) ?? []) this.guard(type, () => handler(data as Value), undefined);
  }

  private api(name: string): Heddle {
    const { app } = this;
    return {
      version: 1,
      addCommand: ({ id, name: title, key, run }) => {
        this.commands.push({ id: `${name}.${id}`, name: title, group: "Edit", keys: key ? [key] : [], run: () => this.guard(title, run, undefined) });
      },
      addNodeMenu: (entry) => void this.menus.push(entry),
      addPanel: (entry) => {
        this.panels.push(entry);
        this.commands.push({ id: `${name}.panel.${entry.id}`, name: `Panel: ${entry.title}`, group: "View", keys: [], run: () => this.togglePanel(entry.id) });
        app.changed();
      },
      addWidget: (entry) => void this.widgets.set(entry.type, entry),
      decorate: (badge) => void this.badges.push(badge),
      beforeQueue: (hook) => void this.before.push(hook),
      afterQueue: (hook) => void this.after.push(hook),
      onMessage: (type, handler) => void this.handlers.set(type, [...(this.handlers.get(type) ?? []), handler]),
      nodes: () => [...app.active.graph.nodes.values()].map((node) => this.view(node)),
      setValue: (node, key, value) => app.active.setValue(node, key, value as Json),
      select: (nodes) => app.active.select({ nodes: new Set(nodes) }),
      notify: (text) => app.notify({ tone: "info", text }),
      fetchApi: (path, init) => fetch(address(`api/${path.replace(/^\/+/, "")}`), init),
    };
  }

  togglePanel(id: string): void {
    const { app } = this;
    app.sidebar = app.sidebar === `panel:${id}` ? "none" : `panel:${id}`;
    app.changed();
  }

  /** Loads every script the server lists. Returns a sentence for each pack whose scripts were left out. */
  async load(): Promise<readonly string[]> {
    let urls: readonly string[];
    try {
      const answer: unknown = await (await fetch(address("api/extensions"))).json();
      urls = Array.isArray(answer) ? answer.filter((url): url is string => typeof url === "string") : [];
    } catch {
      return [];
    }
    const foreign = new Map<string, string>();
    for (const url of urls) {
      const pack = /^\/extensions\/([^/]+)\//.exec(url)?.[1] ?? url;
      try {
        const missing = await this.loadOne(new URL(url.replace(/^\//, ""), document.baseURI).href, pack);
        if (missing !== null && !foreign.has(pack)) foreign.set(pack, missing);
      } catch (error) {
        foreign.set(pack, error instanceof Error ? error.message : String(error));
      }
    }
    return [...foreign].map(([pack, why]) => `${decodeURIComponent(pack)}: ${why}`);
  }

  /** Null, or what the script needs that is not here. */
  private async loadOne(url: string, pack: string): Promise<string | null> {
    const source = await (await fetch(url)).text();
    const needs = /(?:from|import)\s*\(?\s*["']([^"']*\/scripts\/[^"']+)["']/.exec(source)?.[1];
    if (needs) return t("its script is written for another editor and needs {module}, which Heddle does not have. Its nodes work without it.", { module: needs.replace(/^(\.\.\/)+/, "") });
    const module = (await import(/* @vite-ignore */ url)) as { readonly heddle?: Extension };
    await module.heddle?.(this.api(pack));
    return null;
  }
}
