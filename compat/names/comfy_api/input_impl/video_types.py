"""Videos through PyAV, where it is installed."""

import json
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from comfy_api.input import VideoInput
from comfy_api.util import VideoCodec, VideoComponents, VideoContainer
from compat.sound import require_av


class VideoFromFile(VideoInput):
    """file: a path, or a buffer. Nothing is read until it is asked for."""

    def __init__(self, file: str | Path | BytesIO):
        self._file = file

    def get_stream_source(self) -> str | BytesIO:
        if isinstance(self._file, BytesIO):
            self._file.seek(0)
            return self._file
        return str(self._file)

    def _open(self) -> Any:
        return require_av("reading a video").open(self.get_stream_source(), mode="r")

    def get_dimensions(self) -> tuple[int, int]:
        with self._open() as container:
            stream = _video_of(container)
            return stream.width, stream.height

    def get_frame_rate(self) -> Fraction:
        with self._open() as container:
            return Fraction(_video_of(container).average_rate or 1)

    def get_frame_count(self) -> int:
        with self._open() as container:
            stream = _video_of(container)
            return stream.frames or sum(1 for _ in container.decode(stream))

    def get_duration(self) -> float:
        with self._open() as container:
            stream = _video_of(container)
            if stream.duration is not None and stream.time_base is not None:
                return float(stream.duration * stream.time_base)
            rate = stream.average_rate or 1
            return float((stream.frames or sum(1 for _ in container.decode(stream))) / rate)

    def get_container_format(self) -> str:
        with self._open() as container:
            return container.format.name

    def get_components(self) -> VideoComponents:
        with self._open() as container:
            stream = _video_of(container)
            rate = Fraction(stream.average_rate or 1)
            metadata = {key: _unpacked(value) for key, value in container.metadata.items()}
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        if not frames:
            raise ValueError(f"{self._file} holds no frame that can be decoded")
        images = torch.from_numpy(np.stack(frames)).float() / 255
        return VideoComponents(images, rate, self._audio(), metadata)

    def _audio(self) -> dict[str, Any] | None:
        with self._open() as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None:
                return None
            resampler = require_av("reading sound").AudioResampler(format="fltp")
            pieces = [
                piece.to_ndarray() for frame in (*container.decode(stream), None) for piece in resampler.resample(frame)
            ]
            if not pieces:
                return None
            return {"waveform": torch.from_numpy(np.concatenate(pieces, 1))[None], "sample_rate": stream.rate}

    def save_to(
        self,
        path: Any,
        format: VideoContainer = VideoContainer.AUTO,
        codec: VideoCodec = VideoCodec.AUTO,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        components = self.get_components()
        VideoFromComponents(components).save_to(
            path, format, codec, {**(components.metadata or {}), **(metadata or {})}
        )


class VideoFromComponents(VideoInput):
    def __init__(self, components: VideoComponents):
        self._components = components

    def get_components(self) -> VideoComponents:
        return self._components

    def save_to(
        self,
        path: Any,
        format: VideoContainer = VideoContainer.AUTO,
        codec: VideoCodec = VideoCodec.AUTO,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """H.264 in MP4. Frames of odd size lose their last row or column: the format stores colour by pairs."""
        if VideoContainer(format) not in (VideoContainer.AUTO, VideoContainer.MP4):
            raise ValueError(f"a video can be saved as mp4, not as {format}")
        if VideoCodec(codec) not in (VideoCodec.AUTO, VideoCodec.H264):
            raise ValueError(f"a video can be saved with h264, not with {codec}")
        av = require_av("saving a video")
        components = self._components
        rate = Fraction(components.frame_rate).limit_denominator(65_535)
        frames = components.images
        height, width = frames.shape[1] // 2 * 2, frames.shape[2] // 2 * 2
        target = path if hasattr(path, "write") else str(path)
        # Without this flag the container drops keywords it does not know, and with them the workflow.
        with av.open(target, mode="w", format="mp4", options={"movflags": "use_metadata_tags"}) as container:
            for key, value in (metadata or {}).items():
                container.metadata[key] = value if isinstance(value, str) else json.dumps(value)
            stream = container.add_stream("libx264", rate=rate)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            sound = components.audio
            sound_stream = container.add_stream("aac", rate=int(sound["sample_rate"])) if sound else None
            for frame in frames:
                pixels = (frame[:height, :width, :3].clamp(0, 1) * 255).byte().cpu().numpy()
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
            container.mux(stream.encode(None))
            if sound and sound_stream is not None:
                waveform = sound["waveform"][0].float().cpu().contiguous().numpy()
                layout = "mono" if len(waveform) == 1 else "stereo"
                piece = av.AudioFrame.from_ndarray(waveform[:2], format="fltp", layout=layout)
                piece.sample_rate = int(sound["sample_rate"])
                container.mux(sound_stream.encode(piece))
                container.mux(sound_stream.encode(None))


def _video_of(container: Any) -> Any:
    stream = next(iter(container.streams.video), None)
    if stream is None:
        raise ValueError("the file holds no video")
    return stream


def _unpacked(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
