"""Files that nodes of the newer style save through `ui`; entries are as `/view` asks for them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from compat.sound import encode_sound, has_av
from compat.world import check, world
from diffusion.images.codec import to_pil
from diffusion.images.text_chunks import encode_animated_png, encode_animated_webp, encode_png
from storage.outputs import Outputs, Series

Entry = dict[str, str]


def images(pixels: Tensor, prefix: str, place: str, cls: Any, compress_level: int = 4) -> Sequence[Entry]:
    """One PNG for each of (B, H, W, C). cls: the node's class, whose hidden graph is written into them."""
    series, texts = series_of(prefix, place, pixels), texts_of(cls)
    entries: list[Entry] = []
    for index, image in enumerate(pixels):
        check()
        entries.append(series.save_bytes(encode_png(to_pil(image), texts, compress_level), ".png", index).entry())
    return entries


def animated_png(pixels: Tensor, prefix: str, place: str, cls: Any, fps: float, compress_level: int) -> Entry:
    frames = [to_pil(image) for image in pixels]
    data = encode_animated_png(frames, fps, texts_of(cls), compress_level)
    return series_of(prefix, place, pixels).save_bytes(data, ".png").entry()


def animated_webp(
    pixels: Tensor, prefix: str, place: str, cls: Any, fps: float, lossless: bool, quality: int, method: int
) -> Entry:
    frames = [to_pil(image) for image in pixels]
    data = encode_animated_webp(frames, fps, texts_of(cls), lossless, quality, method)
    return series_of(prefix, place, pixels).save_bytes(data, ".webp").entry()


def sounds(
    audio: Mapping[str, Any], prefix: str, place: str, cls: Any, format: str | None = None, quality: str = "128k"
) -> Sequence[Entry]:
    """One file for each of the batch. format: None is what browsers play: FLAC, or WAV without PyAV."""
    format = format or ("flac" if has_av() else "wav")
    series, texts = series_of(prefix, place, None), texts_of(cls)
    waveforms: Tensor = audio["waveform"]
    return [
        series.save_bytes(
            encode_sound(waveform, int(audio["sample_rate"]), format, quality, texts), f".{format}", index
        ).entry()
        for index, waveform in enumerate(waveforms)
    ]


def series_of(prefix: str, place: str, pixels: Tensor | None) -> Series:
    """Where files go. place: "output", or "temp" for what is only looked at."""
    outputs: Outputs = world().outputs
    height, width = (0, 0) if pixels is None else (pixels.shape[1], pixels.shape[2])
    if place == "temp":
        return outputs.preview_series(prefix or None, width, height)
    return outputs.series(prefix or "ComfyUI", width, height)


def texts_of(cls: Any) -> dict[str, str]:
    """The graph and what the client sent along, as a saving node of a pack sees them."""
    hidden: Any = getattr(cls, "hidden", None)
    if hidden is None or world().outputs.disable_metadata:
        return {}
    extra: Mapping[str, Any] = hidden.extra_pnginfo or {}
    texts = {key: json.dumps(value) for key, value in extra.items()}
    return {"prompt": json.dumps(hidden.prompt), **texts} if hidden.prompt is not None else texts
