"""Sound as files: WAV by ourselves, everything else through PyAV where it is installed."""

import importlib
import importlib.util
import json
import wave
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from torch import Tensor

CODECS = {"flac": "flac", "mp3": "libmp3lame", "opus": "libopus"}
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)


class NeedsAv(ImportError):
    def __init__(self, what: str):
        super().__init__(f"{what} needs PyAV, which is not installed; `pip install av` brings it", name="av")


def require_av(what: str) -> Any:
    """The module `av`. what: for the sentence of NeedsAv, which is raised without it."""
    try:
        return importlib.import_module("av")
    except ImportError as missing:
        raise NeedsAv(what) from missing


def has_av() -> bool:
    return importlib.util.find_spec("av") is not None


def encode_sound(
    waveform: Tensor, sample_rate: int, format: str, quality: str = "128k", texts: Mapping[str, Any] | None = None
) -> bytes:
    """A whole file. waveform: (C, T), -1…1. quality: bits a second ("128k"), or "V0" for the best variable rate of
    mp3. texts: written as tags. Raises ValueError for an unknown format, NeedsAv."""
    if format == "wav":
        return encode_wav(waveform, sample_rate)
    if format not in CODECS:
        raise ValueError(f"sound can be saved as wav, {', '.join(CODECS)}; got {format!r}")
    av = require_av(f"saving sound as {format}")
    samples = waveform.float().cpu().contiguous().numpy()[:2]
    layout = "mono" if len(samples) == 1 else "stereo"
    # Opus knows five rates; the next one above loses nothing.
    rate = sample_rate if format != "opus" else next((r for r in OPUS_RATES if r >= sample_rate), OPUS_RATES[-1])
    buffer = BytesIO()
    with av.open(buffer, mode="w", format="ogg" if format == "opus" else format) as container:
        for key, value in (texts or {}).items():
            container.metadata[key] = value if isinstance(value, str) else json.dumps(value)
        stream = container.add_stream(CODECS[format], rate=rate, layout=layout)
        if format == "mp3" and quality == "V0":
            stream.codec_context.qscale = 1
        elif format != "flac":
            stream.bit_rate = int(quality.rstrip("k")) * 1000
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate = sample_rate
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def encode_wav(waveform: Tensor, sample_rate: int) -> bytes:
    """16-bit PCM. waveform: (C, T), -1…1."""
    samples = (waveform.float().clamp(-1, 1) * 32767).round().cpu().numpy().astype("<i2")
    buffer = BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(np.ascontiguousarray(samples.T).tobytes())
    return buffer.getvalue()
