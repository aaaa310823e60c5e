"""What nodes receive, by the names packs annotate it with."""

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any, TypedDict

from torch import Tensor

from comfy_api.util import VideoCodec, VideoComponents, VideoContainer

ImageInput = Tensor
"""(B, H, W, C), 0…1."""
MaskInput = Tensor
"""(B, H, W), 0…1."""


class AudioInput(TypedDict):
    """waveform: (B, C, T). sample_rate: in Hz."""

    waveform: Tensor
    sample_rate: int


class LatentInput(TypedDict, total=False):
    """samples: (B, C, H, W), or with a frame axis before H."""

    samples: Tensor
    noise_mask: Tensor
    batch_index: list[int]


class VideoInput(ABC):
    """A video that may still lie in its file."""

    @abstractmethod
    def get_components(self) -> VideoComponents:
        """Everything decoded."""

    @abstractmethod
    def save_to(
        self,
        path: Any,
        format: VideoContainer = VideoContainer.AUTO,
        codec: VideoCodec = VideoCodec.AUTO,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Write a file, or into an open one. metadata: JSON-able, by keyword."""

    def get_stream_source(self) -> Any:
        """A path, or a buffer that holds the file."""
        from io import BytesIO

        buffer = BytesIO()
        self.save_to(buffer)
        buffer.seek(0)
        return buffer

    def get_dimensions(self) -> tuple[int, int]:
        """Width and height, pixels."""
        images = self.get_components().images
        return images.shape[2], images.shape[1]

    def get_frame_rate(self) -> Fraction:
        return Fraction(self.get_components().frame_rate)

    def get_frame_count(self) -> int:
        return len(self.get_components().images)

    def get_duration(self) -> float:
        """Seconds."""
        components = self.get_components()
        return float(len(components.images) / components.frame_rate)

    def get_container_format(self) -> str:
        return "mp4"
