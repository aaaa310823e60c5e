"""`Family`: everything that sets one model line apart, as one value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor, nn

from diffusion.checkpoints.joins import Joins, Modules
from diffusion.families.image_vector import ImageStatistics
from diffusion.families.prediction import PredictionSpec
from diffusion.families.size_vector import SizeVector
from diffusion.families.text_encoders import CombineText, TextEncoderSpec, side_by_side
from diffusion.latents import LatentFormat
from diffusion.patches.hooks import Extra

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
class InputsWanted:
    """What is known where a network's further inputs are made, once for each condition of a run."""

    options: Mapping[str, Any]
    """Of the condition."""
    config: Any
    """Of the network."""
    latent: LatentFormat
    image: Tensor
    """The latent the run is about, (B, C, H, W) in model scale; zeros if the picture is new."""
    mask: Tensor | None
    """(B, 1, H, W), 1 where to repaint."""


class JoinChannels(Protocol):
    def __call__(self, wanted: InputsWanted, channels: int, /) -> Tensor:
        """So many channels to follow those of the noisy latent: (B or 1, channels, H, W) in model scale."""
        ...


@dataclass(frozen=True, slots=True)
class Layout:
    """Another naming of the same network's tensors."""

    name: str
    names: Callable[[Shapes], Mapping[str, str] | None] | None = None
    """Given the shapes of a file in this layout: its names -> our names. None if the file is in another layout."""
    joins: Callable[[Shapes], Joins | None] | None = None
    """The same for layouts that keep apart what ours stacks: our names -> the pieces in the file."""


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
    some_text_encoders: bool = False
    """Whether any of the text encoders will do, where not all are there."""
    combine: CombineText = side_by_side
    """What the network reads of what its text encoders say."""
    loader_types: tuple[str, ...] = ()
    """What the nodes that load text encoders call this line in their menu."""
    vector: SizeVector | None = None
    """How the vector condition is made of pooled text and sizes; None where the network takes none."""
    extra: Callable[[InputsWanted], Extra] | None = None
    """What the network takes beside latent, time, text and vector; None for nothing."""
    joined: JoinChannels | None = None
    """The channels that follow the latent's own where the network takes more; None for those of the UNets."""
    attends_jointly: bool = False
    """Whether text and picture attend to each other in one attention, where a text may not be repeated at will."""
    layouts: tuple[Layout, ...] = ()
    modules: Modules = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """How diffusers calls the modules of the network, where one of ours may be several of theirs."""
    fits_float16: bool = True
    """Whether all it computes stays in the range of float16; else 16-bit work is done in bfloat16."""
    activation_factor: float = 1.0
    """Memory of one sampling step relative to SD 1.x at the same latent size and batch."""


def always(prediction: PredictionSpec, latent: LatentFormat) -> Callable[[Tensors], Variant]:
    """For families in which every file is alike."""
    return lambda tensors: Variant(prediction, latent)
