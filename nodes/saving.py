"""What all saving nodes do alike: the words they put into a file, and what they show of it."""

import json
from collections.abc import Mapping

from torch import Tensor

from diffusion.images.codec import to_pil
from diffusion.images.text_chunks import encode_png
from execution.context import Run
from nodes.markers import Ui
from storage.outputs import Outputs, Series


def metadata(run: Run, outputs: Outputs) -> dict[str, str]:
    """The graph and what the client sent along, as JSON texts by keyword: `prompt` first, then `workflow`, …"""
    if outputs.disable_metadata:
        return {}
    extra: Mapping[str, object] = run.extra.get("extra_pnginfo") or {}
    return {"prompt": json.dumps(run.prompt), **{key: json.dumps(value) for key, value in extra.items()}}


def save_png(images: Tensor, series: Series, texts: dict[str, str], run: Run, compress_level: int) -> Ui:
    """Writes each of images (B, H, W, C) as one PNG."""
    entries: list[dict[str, str]] = []
    for index, image in enumerate(images):
        run.check()
        saved = series.save_bytes(encode_png(to_pil(image), texts, compress_level), ".png", batch=index)
        entries.append(saved.entry())
    return Ui({"images": entries})


def preview(images: Tensor, run: Run, outputs: Outputs) -> Ui:
    """Writes images (B, H, W, C) where they are only looked at; quick rather than small."""
    series = outputs.preview_series(width=images.shape[2], height=images.shape[1])
    return save_png(images, series, metadata(run, outputs), run, compress_level=1)
