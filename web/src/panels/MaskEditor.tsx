/** Drawing a mask over a loaded picture. What is painted becomes transparent, which is what a loader gives as its mask. */

import { type PointerEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { Button, Dialog as AriaDialog, Modal, ModalOverlay } from "react-aria-components";
import { setLoaded } from "../app/files";
import { http, viewUrl } from "../client/http";
import { type Mask, emptyMask, feather, invertMask, paint } from "../editor/mask";
import type { MediaRef } from "../editor/run";
import type { NodeId } from "../graph/document";
import { useApp } from "./use-app";
import { t } from "../words/words";

interface Props {
  readonly node: NodeId;
  readonly media: MediaRef;
}

const COLOR = [255, 92, 92] as const;

/** The mask as pixels: tinted to look at, or as the alpha of an upload. */
function pixels(mask: Mask, kind: "tint" | "alpha"): ImageData {
  const image = new ImageData(mask.width, mask.height);
  for (let i = 0; i < mask.data.length; i++) {
    const value = mask.data[i] ?? 0;
    image.data.set(kind === "tint" ? [...COLOR, value * 0.6] : [0, 0, 0, 255 - value], i * 4);
  }
  return image;
}

/** The mask a picture already carries in its alpha. */
function carried(image: HTMLImageElement): Mask {
  const canvas = document.createElement("canvas");
  const mask = emptyMask(image.naturalWidth, image.naturalHeight);
  [canvas.width, canvas.height] = [mask.width, mask.height];
  const ctx = canvas.getContext("2d", { willReadFrequently: true });
  ctx?.drawImage(image, 0, 0);
  const source = ctx?.getImageData(0, 0, mask.width, mask.height).data;
  if (source) for (let i = 0; i < mask.data.length; i++) mask.data[i] = 255 - (source[i * 4 + 3] ?? 255);
  return mask;
}

export function MaskEditor({ node, media }: Props): ReactNode {
  const app = useApp();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [mask, setMask] = useState<Mask | null>(null);
  const [past, setPast] = useState<readonly Mask[]>([]);
  const [radius, setRadius] = useState(32);
  const [hardness, setHardness] = useState(0.8);
  const [erase, setErase] = useState(false);
  const [saving, setSaving] = useState(false);
  const last = useRef<readonly [number, number] | null>(null);
  const url = viewUrl(media);

  useEffect(() => {
    const image = new Image();
    image.src = url;
    image.decode().then(() => setMask(carried(image)), () => app.notify({ tone: "error", text: t("The picture could not be loaded.") }));
  }, [url, app]);

  const show = (current: Mask): void => canvas.current?.getContext("2d")?.putImageData(pixels(current, "tint"), 0, 0);
  useEffect(() => {
    if (mask) show(mask);
  }, [mask]);

  const place = (event: PointerEvent): readonly [number, number] => {
    const box = event.currentTarget.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * (mask?.width ?? 1), ((event.clientY - box.top) / box.height) * (mask?.height ?? 1)];
  };
  const stroke = (event: PointerEvent): void => {
    if (!mask || !last.current) return;
    const to = place(event);
    const pressure = event.pointerType === "pen" && event.pressure > 0 ? event.pressure : 1;
    paint(mask, last.current, to, { radius: radius * pressure, hardness, erase: erase || event.altKey || event.buttons === 2 });
    last.current = to;
    show(mask);
  };
  const begin = (event: PointerEvent): void => {
    if (!mask) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setPast([...past.slice(-30), { ...mask, data: mask.data.slice() }]);
    last.current = place(event);
    stroke(event);
  };
  const change = (next: (mask: Mask) => Mask): void => {
    if (!mask) return;
    setPast([...past.slice(-30), mask]);
    setMask(next(mask));
  };
  const undo = (): void => {
    const before = past.at(-1);
    if (!before) return;
    setPast(past.slice(0, -1));
    setMask(before);
  };
  const save = async (): Promise<void> => {
    if (!mask) return;
    setSaving(true);
    const out = document.createElement("canvas");
    [out.width, out.height] = [mask.width, mask.height];
    out.getContext("2d")?.putImageData(pixels(mask, "alpha"), 0, 0);
    const blob = await new Promise<Blob | null>((resolve) => out.toBlob(resolve, "image/png"));
    try {
      if (!blob) throw new Error(t("The mask could not be encoded."));
      const stored = await http.uploadMask(blob, `mask-${media.filename.replace(/\.[^.]+$/, "")}.png`, media);
      setLoaded(app.active, node, stored);
      app.setDialog(null);
    } catch (error) {
      setSaving(false);
      app.fail(error);
    }
  };
  return (
    <ModalOverlay isOpen onOpenChange={(open) => !open && app.setDialog(null)} className="veil deep">
      <Modal className="lightbox">
        <AriaDialog aria-label={t("Draw a mask")}>
          <div className="mask-tools" onKeyDown={(event) => { if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") { event.preventDefault(); undo(); } }}>
            <label>{t("Size")} <input type="range" min="2" max="200" value={radius} onChange={(event) => setRadius(Number(event.target.value))} /></label>
            <label>{t("Hardness")} <input type="range" min="0" max="1" step="0.05" value={hardness} onChange={(event) => setHardness(Number(event.target.value))} /></label>
            <button type="button" className="button" aria-pressed={erase} onClick={() => setErase(!erase)}>{erase ? t("Erasing") : t("Painting")}</button>
            <button type="button" className="button" disabled={past.length === 0} onClick={undo}>{t("Undo")}</button>
            <button type="button" className="button" onClick={() => change(invertMask)}>{t("Invert")}</button>
            <button type="button" className="button" onClick={() => change((one) => feather(one, 4))}>{t("Feather")}</button>
            <button type="button" className="button" onClick={() => change((one) => emptyMask(one.width, one.height))}>{t("Clear")}</button>
            <span className="grow" />
            <Button className="button" onPress={() => app.setDialog(null)}>{t("Cancel")}</Button>
            <button type="button" className="button run" disabled={!mask || saving} onClick={() => void save()}>{saving ? t("Saving…") : t("Use this mask")}</button>
          </div>
          <div className="mask-stage">
            <img alt={media.filename} src={`${url}&channel=rgb`} draggable={false} />
            <canvas
              ref={canvas}
              width={mask?.width ?? 1}
              height={mask?.height ?? 1}
              aria-label={t("Mask: paint with the pointer, Alt erases")}
              onPointerDown={begin}
              onPointerMove={stroke}
              onPointerUp={() => (last.current = null)}
              onPointerCancel={() => (last.current = null)}
              onContextMenu={(event) => event.preventDefault()}
            />
          </div>
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}
