"""Small values that go with audio, video and shapes."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from fractions import Fraction
from typing import Any

from torch import Tensor


class VideoCodec(StrEnum):
    AUTO = "auto"
    H264 = "h264"

    @classmethod
    def as_input(cls) -> list[str]:
        """The choices of a combo."""
        return [member.value for member in cls]


class VideoContainer(StrEnum):
    AUTO = "auto"
    MP4 = "mp4"

    @classmethod
    def as_input(cls) -> list[str]:
        return [member.value for member in cls]

    @classmethod
    def get_extension(cls, value: Any) -> str:
        """The ending of a file's name, without its dot."""
        return "mp4" if cls(value) in (cls.MP4, cls.AUTO) else ""


@dataclass
class VideoComponents:
    """images: (F, H, W, C), 0…1. frame_rate: frames a second. audio: waveform (B, C, T) and sample rate."""

    images: Tensor
    frame_rate: Fraction
    audio: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class VOXEL:
    """data: (B, X, Y, Z), above 0 where there is something."""

    def __init__(self, data: Tensor):
        self.data = data


class MESH:
    """vertices: (B, V, 3). faces: (B, F, 3), indices of vertices."""

    def __init__(self, vertices: Tensor, faces: Tensor):
        self.vertices, self.faces = vertices, faces
