/** The settings that matter. They are kept on the server, so another browser finds them as they are. */

import type { ReactNode } from "react";
import { Label, Radio, RadioGroup, Switch } from "react-aria-components";
import { byId } from "../app/commands";
import type { Settings as Values } from "../app/settings";
import { t } from "../words/words";
import { Sheet } from "./Sheet";
import { useApp, useContextOf } from "./use-app";

type Chosen = "theme" | "language" | "linkStyle" | "wheel" | "seedControl" | "previews" | "units";
type Switched = { [K in keyof Values]: Values[K] extends boolean ? K : never }[keyof Values];

function Choice<K extends Chosen>({ name, label, options }: { readonly name: K; readonly label: string; readonly options: readonly (readonly [Values[K], string])[] }): ReactNode {
  const app = useApp();
  return (
    <RadioGroup value={app.settings[name]} onChange={(value) => app.set({ [name]: value } as Partial<Values>)} className="setting" orientation="horizontal">
      <Label>{label}</Label>
      <div className="segments">{options.map(([value, words]) => <Radio key={value} value={value} className="segment">{words}</Radio>)}</div>
    </RadioGroup>
  );
}

function Toggle({ name, label }: { readonly name: Switched; readonly label: string }): ReactNode {
  const app = useApp();
  return (
    <Switch className="setting switch" isSelected={app.settings[name]} onChange={(on) => app.set({ [name]: on })}>
      {label}
      <span className="switch-track" />
    </Switch>
  );
}

export function Settings(): ReactNode {
  const context = useContextOf();
  const go = (id: string) => (): void => byId.get(id)?.run(context);
  return (
    <Sheet title={t("Settings")} wide={560}>
      <h3 className="setting-group">{t("Looks")}</h3>
      <Choice name="theme" label={t("Theme")} options={[["dark", t("Dark")], ["light", t("Light")], ["system", t("As the system")]]} />
      <Choice name="language" label={t("Language")} options={[["system", t("As the system")], ["en", "English"], ["de", "Deutsch"]]} />
      <Choice name="units" label={t("Sizes in")} options={[["binary", "GiB"], ["decimal", "GB"]]} />
      <h3 className="setting-group">{t("Canvas")}</h3>
      <Choice name="linkStyle" label={t("Links")} options={[["curve", t("Curves")], ["straight", t("Straight")], ["stepped", t("Stepped")]]} />
      <Choice name="wheel" label={t("Wheel")} options={[["auto", t("Automatic")], ["zoom", t("Zooms")], ["pan", t("Scrolls")]]} />
      <Toggle name="links" label={t("Draw links")} />
      <Toggle name="snap" label={t("Snap to the grid")} />
      <Toggle name="guides" label={t("Snap to the edges of other nodes")} />
      <Toggle name="grid" label={t("Show the grid")} />
      <Toggle name="minimap" label={t("Show the minimap")} />
      <h3 className="setting-group">{t("While running")}</h3>
      <Choice name="seedControl" label={t("Seeds change")} options={[["after", t("After queueing")], ["before", t("Before")]]} />
      <Choice name="previews" label={t("Previews while sampling")} options={[["default", t("As the server")], ["latent2rgb", t("Fast")], ["taesd", t("Fine")], ["none", t("None")]]} />
      <div className="setting-links">
        <button type="button" className="button" onClick={go("shortcuts")}>{t("Keyboard shortcuts")}…</button>
        <button type="button" className="button" onClick={go("tour")}>{t("Show the tour again")}</button>
      </div>
    </Sheet>
  );
}
