/** What a pack's script is given. Documented in docs/extending-the-editor.md; version 1 only ever grows. */

/** Plain JSON values; whole numbers beyond 2^53 are bigint. */
export type Value = null | boolean | number | bigint | string | readonly Value[] | { readonly [key: string]: Value | undefined };

export interface NodeView {
  readonly id: string;
  readonly type: string;
  readonly title: string;
  readonly values: Readonly<Record<string, Value>>;
  readonly selected: boolean;
}

export interface CommandEntry {
  readonly id: string;
  readonly name: string;
  /** For example "Ctrl+Shift+X". Keys of Heddle's own commands win. */
  readonly key?: string;
  readonly run: () => void;
}

export interface MenuEntry {
  readonly name: string;
  /** Shown only where this says yes. */
  readonly when?: (node: NodeView) => boolean;
  readonly run: (node: NodeView) => void;
}

export interface PanelEntry {
  readonly id: string;
  readonly title: string;
  /** Fills the element; returns what to do when the panel closes. */
  readonly mount: (element: HTMLElement) => void | (() => void);
}

export interface WidgetEntry {
  /** The input type this widget edits, as the node declares it. */
  readonly type: string;
  /** The value in one line, for the node. */
  readonly format?: (value: Value) => string;
  /** Asks the user; resolves to the new value, or undefined to leave it. `anchor` is the widget's place on the page. */
  readonly edit: (value: Value, anchor: { readonly x: number; readonly y: number; readonly width: number; readonly height: number }) => Promise<Value | undefined>;
}

export type ApiPrompt = Readonly<Record<string, { readonly class_type: string; readonly inputs: Readonly<Record<string, Value>> }>>;

export interface Heddle {
  readonly version: 1;
  readonly addCommand: (entry: CommandEntry) => void;
  readonly addNodeMenu: (entry: MenuEntry) => void;
  readonly addPanel: (entry: PanelEntry) => void;
  readonly addWidget: (entry: WidgetEntry) => void;
  /** A few words at the right of a node's title, or null. Called while drawing: answer at once. */
  readonly decorate: (badge: (node: NodeView) => string | null) => void;
  /** May return another prompt, or throw with a sentence for the user to stop the run. */
  readonly beforeQueue: (hook: (prompt: ApiPrompt) => ApiPrompt | void | Promise<ApiPrompt | void>) => void;
  readonly afterQueue: (hook: (promptId: string) => void) => void;
  /** Websocket messages of this type, as a pack's nodes send them. */
  readonly onMessage: (type: string, handler: (data: Value) => void) => void;
  readonly nodes: () => readonly NodeView[];
  readonly setValue: (node: string, name: string, value: Value) => void;
  readonly select: (nodes: readonly string[]) => void;
  readonly notify: (text: string) => void;
  /** Fetches from Heddle's server: `fetchApi("my_pack/things")`. */
  readonly fetchApi: (path: string, init?: RequestInit) => Promise<Response>;
}

/** A script exports this function; it is called once. */
export type Extension = (heddle: Heddle) => void | Promise<void>;
