/** Choosing one of many: files by folder and picture, models with what is known of them. */

import { type ReactNode, useEffect, useState } from "react";
import { pickFile, setLoaded, useAsInput } from "../app/files";
import { type ModelFile, http, modelPreview, viewUrl } from "../client/http";
import { score } from "../editor/search";
import type { NodeId, Rect } from "../graph/document";
import { formatBytes } from "../words/units";
import { t } from "../words/words";
import { type Choice, Picker } from "./Picker";
import { useApp } from "./use-app";

interface Props {
  readonly node: NodeId;
  readonly entryKey: string;
  readonly anchor: Rect;
}

/** Which folder of models the choices of an input are files of. */
const FOLDERS: Readonly<Record<string, string>> = {
  ckpt_name: "checkpoints",
  lora_name: "loras",
  vae_name: "vae",
  control_net_name: "controlnet",
  unet_name: "diffusion_models",
  clip_name: "text_encoders",
  clip_name1: "text_encoders",
  clip_name2: "text_encoders",
  style_model_name: "style_models",
  gligen_name: "gligen",
  hypernetwork_name: "hypernetworks",
};

const MOST = 300;
const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));

export function ComboPicker({ node: id, entryKey: key, anchor }: Props): ReactNode {
  const app = useApp();
  const editor = app.active;
  const node = editor.graph.nodes.get(id);
  const entry = node && editor.entries(node).find((one) => one.key === key);
  const models = entry ? (FOLDERS[entry.name] ?? null) : null;
  const [folder, setFolder] = useState<string | null>(null);
  const files = useModels(models);
  if (!node || entry?.spec.kind !== "combo") return null;
  const { spec } = entry;
  const value = editor.value(node, key, spec.initial);
  const options = spec.options.map(String);
  const folders = [...new Set(options.map(folderOf))].sort();
  const pictures = spec.upload === "image";
  const pictureOf = (option: string): string => viewUrl({ filename: option.slice(option.lastIndexOf("/") + 1), subfolder: folderOf(option), type: spec.folder }, true);
  const find = (words: string): readonly Choice[] => {
    const within = folder === null ? options : options.filter((option) => folderOf(option) === folder);
    const found = words === "" ? within : within.map((option) => ({ option, points: score(words, option) })).filter(({ points }) => points > 0).sort((a, b) => b.points - a.points).map(({ option }) => option);
    return found.slice(0, MOST).map((option) => ({
      id: option,
      label: folder === null ? option : option.slice(folder === "" ? 0 : folder.length + 1),
      detail: option === String(value) ? t("now") : undefined,
      ...(pictures ? { picture: pictureOf(option) } : {}),
    }));
  };
  const upload = async (): Promise<void> => {
    const file = await pickFile("image/*");
    if (!file) return;
    app.setDialog(null);
    await useAsInput(app, file, node.pos, id);
  };
  const seed = entry.role === "control" ? editor.run.seeds.get(editor.executionId(id)) : undefined;
  const preview = pictures ? (option: string): ReactNode => <img className="thumb-large" alt="" src={pictureOf(option)} /> : models ? (option: string): ReactNode => <Model key={option} folder={models} name={option} file={files.get(option)} /> : undefined;
  const footer = pictures ? (
    <button type="button" className="button" onClick={() => void upload()}>{t("Upload from this machine…")}</button>
  ) : seed ? (
    <button type="button" className="button" onClick={() => { app.setDialog(null); editor.lastSeed(id); }}>{t("Use the seed of the last run ({seed})", { seed: String(seed[1]) })}</button>
  ) : undefined;
  return (
    <Picker
      title={entry.input?.label ?? entry.name}
      placeholder={t("Filter")}
      anchor={anchor}
      find={find}
      current={String(value)}
      close={() => app.setDialog(null)}
      choose={(option) => {
        const chosen = spec.options.find((one) => String(one) === option) ?? option;
        if (pictures) setLoaded(editor, id, String(chosen));
        else editor.setValue(id, key, chosen);
      }}
      empty={spec.options.length === 0 ? t("The server has none of these.") : t("Nothing found.")}
      {...(folders.length > 1 ? { header: <Folders folders={folders} at={folder} go={setFolder} /> } : {})}
      {...(preview ? { preview } : {})}
      {...(footer ? { footer } : {})}
    />
  );
}

function Folders({ folders, at, go }: { readonly folders: readonly string[]; readonly at: string | null; readonly go: (folder: string | null) => void }): ReactNode {
  const chip = (folder: string | null, name: string): ReactNode => (
    // The words typed so far go on filtering, so the field keeps the focus.
    <button key={name} type="button" className="chip" aria-pressed={at === folder} onMouseDown={(event) => event.preventDefault()} onClick={() => go(folder)}>{name}</button>
  );
  return <div className="chips" role="group" aria-label={t("Folder")}>{[chip(null, t("All")), ...folders.map((folder) => chip(folder, folder === "" ? "/" : folder))]}</div>;
}

/** What the server knows of the files in a folder of models, by name. */
function useModels(folder: string | null): ReadonlyMap<string, ModelFile> {
  const [files, setFiles] = useState<ReadonlyMap<string, ModelFile>>(new Map());
  useEffect(() => {
    if (folder !== null) void http.models(folder).then((list) => setFiles(new Map(list.map((file) => [file.name, file]))), () => undefined);
  }, [folder]);
  return files;
}

function Model({ folder, name, file }: { readonly folder: string; readonly name: string; readonly file: ModelFile | undefined }): ReactNode {
  const app = useApp();
  const [bare, setBare] = useState(false);
  return (
    <>
      {file && !bare && <img className="thumb-large" alt="" src={modelPreview(folder, file)} onError={() => setBare(true)} />}
      <h3>{name.slice(name.lastIndexOf("/") + 1)}</h3>
      {folderOf(name) !== "" && <p>{folderOf(name)}</p>}
      {file && <p>{formatBytes(file.size, app.settings.units)} · {new Intl.DateTimeFormat(undefined, { dateStyle: "medium" }).format(file.modified * 1000)}</p>}
    </>
  );
}
