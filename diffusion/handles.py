"""What travels between the parts of the library and on a graph's wires: a network with everything done to it by value.

Handles are cheap: they share the network, and `dataclasses.replace` or a `with_…` method gives a changed copy. Nothing
reachable from a handle is modified after it was made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol, Self

from torch import Tensor, nn

from diffusion.families.family import Family
from diffusion.families.image_vector import ImageStatistics
from diffusion.families.prediction import PredictionSpec
from diffusion.families.text_encoders import Padding
from diffusion.latents import LatentFormat
from diffusion.patches.hooks import ModelHooks
from diffusion.text.tokenizers import TextTokenizer


class WeightPatch(Protocol):
    """A change to weights, known by the names it changes; hashable, so that patched weights can be remembered."""

    @property
    def names(self) -> frozenset[str]:
        """Names of the tensors it changes, as in the network's state dict."""
        ...

    def apply(self, name: str, weight: Tensor) -> Tensor:
        """The changed tensor, of the same shape; never in place."""
        ...


@dataclass(frozen=True)
class Model:
    """A diffusion network ready to be sampled from."""

    network: nn.Module
    family: Family[Any]
    config: object
    prediction: PredictionSpec
    latent: LatentFormat
    patches: tuple[WeightPatch, ...] = ()
    """Applied to the network's weights in this order."""
    hooks: ModelHooks = field(default_factory=ModelHooks)
    guidance: object | None = None
    """Changes to how predictions are guided; `sampling` knows their type."""
    images: ImageStatistics | None = None
    """Of networks whose vector condition is what CLIP saw in pictures."""
    source: str = ""
    """The file it came from, for messages."""
    driver: object | None = None
    """A sampling loop of its own, see `sampling.driver`."""

    def with_patches(self, *patches: WeightPatch) -> Self:
        return replace(self, patches=self.patches + patches)

    def with_hooks(self, hooks: ModelHooks) -> Self:
        """Adds hooks to those there are."""
        return replace(self, hooks=self.hooks | hooks)

    def with_prediction(self, prediction: PredictionSpec) -> Self:
        return replace(self, prediction=prediction)


@dataclass(frozen=True)
class TextEncoders:
    """The text encoders of one model, by name ("clip_l", "clip_g", …)."""

    networks: Mapping[str, nn.Module]
    family: Family[Any]
    patches: Mapping[str, tuple[WeightPatch, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """By encoder."""
    stop_at_layer: int | None = None
    """Counted from the end: -1 is the last layer; None is the family's usual one ("clip skip")."""
    tokenizers: Mapping[str, TextTokenizer] = field(default_factory=lambda: MappingProxyType({}))
    """By encoder, of those other than CLIP."""
    padding: Padding | None = None
    """How far prompts are padded, other than the family does it."""
    source: str = ""

    def with_patches(self, encoder: str, *patches: WeightPatch) -> Self:
        mine = self.patches.get(encoder, ())
        return replace(self, patches=MappingProxyType({**self.patches, encoder: mine + patches}))

    def stopping_at(self, layer: int) -> Self:
        return replace(self, stop_at_layer=layer)


@dataclass(frozen=True)
class Autoencoder:
    """Between images and latents in VAE scale."""

    network: nn.Module
    """Has `encode(pixels)` and `decode(latent)`, as `models.autoencoder.AutoencoderKL`."""
    channels: int = 4
    downscale: int = 8
    source: str = ""


@dataclass(frozen=True)
class ControlNet:
    """A network that turns a picture into residuals for a diffusion network."""

    network: nn.Module
    """Called as `network(x, timesteps, context, y, hint) -> Control`, with the network's further inputs by name."""
    family: Family[Any] | None = None
    """The model line whose networks it controls, where that is known."""
    hints: LatentFormat | None = None
    """The latent space of its hints; None where they are pictures."""
    takes_mask: bool = False
    """Whether a mask follows the channels of its hints, 1 where the picture stays."""
    mode: int | None = None
    """What the hint is, by number, for networks that know several kinds; None leaves it open."""
    source: str = ""
