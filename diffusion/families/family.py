"""`Family`: everything that sets one model line apart, as one value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor, nn

from diffusion.families.image_vector import ImageStatistics
from diffusion.families.prediction import PredictionSpec
from diffusion.families.size_vector import SizeVector
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.latents import LatentFormat

Shapes = Mapping[str, tuple[int, ...]]
"""Tensor names of a network, without any prefix, and their shapes."""
Tensors = Mapping[str, Tensor]
"""The same names and the tensors; reading one may load it from a file."""

Config = TypeVar("Config")


@dataclass(frozen=True, slots=True)
class Variant:
    """What networks of identical shapes may still differ in."""

    prediction: PredictionSpec
    latent: LatentFormat
    images: ImageStatistics | None = None
    """Of networks whose vector condition is what CLIP saw in pictures."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Another naming of the same network's tensors."""

    name: str
    names: Callable[[Shapes], Mapping[str, str] | None]
    """Given the shapes of a file in this layout: its names -> our names. None if the file is in another layout."""


@dataclass(frozen=True, slots=True)
class Family(Generic[Config]):
    """One model line. `Config` is what its network is built from, read off a file's shapes."""

    name: str
    """As people call it: it appears in messages."""
    recognise: Callable[[Shapes], Config | None]
    """The network's configuration, or None if these shapes belong to something else."""
    build: Callable[[Config], nn.Module]
    """The network, weights uninitialised or random; under `torch.device("meta")` it takes no memory."""
    variant: Callable[[Tensors], Variant]
    """Prediction and latent space of a file. It is given the network's tensors and, under their own names, the marker
    tensors that a whole checkpoint carries beside the network (`v_pred`, `ztsnr`, `edm_mean`, …)."""
    text_encoders: tuple[TextEncoderSpec, ...] = ()
    vector: SizeVector | None = None
    """How the vector condition is made of pooled text and sizes; None where the network takes none."""
    layouts: tuple[Layout, ...] = ()
    activation_factor: float = 1.0
    """Memory of one sampling step relative to SD 1.x at the same latent size and batch."""
