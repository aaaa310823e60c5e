"""The values that travel between nodes, in the shapes other people's nodes expect, and the door they come in by.

Letters: B batch, C channels, H W height and width. Tensors are float32 on the CPU. What a node receives is in the
cache: it is never changed, only copied from.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NotRequired, Protocol, TypedDict, cast

from torch import Tensor

from diffusion import handles
from diffusion.sampling.conditioning import Condition
from diffusion.sampling.conditioning import conditions as conditioning_of_pairs
from diffusion.sampling.solvers import Sampler as LibrarySampler
from nodes.markers import Socket
from nodes.signature import describe


class NoiseSource(Protocol):
    """Makes the noise a latent starts from."""

    @property
    def seed(self) -> int:
        """What stochastic samplers go on with."""
        ...

    def generate_noise(self, latent: "LatentDict") -> Tensor:
        """Standard normal numbers shaped as the latent's samples, float32 on the CPU."""
        ...


class LatentDict(TypedDict):
    """A batch of latents. Further keys are carried along."""

    samples: Tensor
    """(B, C, H, W) in VAE scale; a frame axis before H for video."""
    noise_mask: NotRequired[Tensor]
    """(B, 1, H, W) of any size, 1 where to denoise."""
    batch_index: NotRequired[list[int]]
    """Which rows of the noise of a larger batch these are."""
    type: NotRequired[str]


ConditioningList = Sequence[Sequence[Any]]
"""Pairs [embeddings (B, T, D), dict of what goes with them]."""


def read_image(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.ndim != 4 or not value.is_floating_point():
        raise ValueError(f"expected an IMAGE (float tensor of shape (B, H, W, C)), got {describe(value)}")
    return value


def read_mask(value: Any) -> Tensor:
    """(H, W) and (B, 1, H, W) occur in the wild; they become (B, H, W)."""
    if isinstance(value, Tensor) and value.is_floating_point():
        if value.ndim == 2:
            return value[None]
        if value.ndim == 4 and value.shape[1] == 1:
            return value[:, 0]
        if value.ndim == 3:
            return value
    raise ValueError(f"expected a MASK (float tensor of shape (B, H, W)), got {describe(value)}")


def read_latent(value: Any) -> LatentDict:
    if isinstance(value, Mapping):
        latent = cast(LatentDict, value)
        samples: Any = latent.get("samples")
        if isinstance(samples, Tensor) and samples.ndim >= 3:
            return latent
        raise ValueError(f'expected a LATENT (dict with a tensor "samples"), got a dict with {sorted(latent)}')
    raise ValueError(f'expected a LATENT (dict with a tensor "samples"), got {describe(value)}')


def read_conditioning(value: Any) -> ConditioningList:
    if isinstance(value, (list, tuple)):
        pairs = cast(Sequence[Any], value)
        if all(isinstance(p, (list, tuple)) and len(cast(Sequence[Any], p)) == 2 for p in pairs):
            return pairs
    raise ValueError(f"expected a CONDITIONING (list of [tensor, dict]), got {describe(cast(object, value))}")


def conditions(conditioning: ConditioningList) -> tuple[Condition, ...]:
    """What sampling reads of a conditioning."""
    return conditioning_of_pairs([(embeddings, extras) for embeddings, extras in conditioning])


def read_sigmas(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.ndim != 1:
        raise ValueError(f"expected SIGMAS (tensor of shape (steps + 1,)), got {describe(value)}")
    return value


def one_of(type: str, kind: type) -> Callable[[Any], Any]:
    """A reader for handles of the library."""

    def read(value: Any) -> Any:
        if not isinstance(value, kind):
            raise ValueError(f"expected a {type}, got {describe(value)}")
        return value

    return read


def having(type: str, *attributes: str) -> Callable[[Any], Any]:
    """A reader for opaque values: anything with these attributes."""

    def read(value: Any) -> Any:
        if missing := [name for name in attributes if not hasattr(value, name)]:
            raise ValueError(f"expected a {type} (with {', '.join(missing)}), got {describe(value)}")
        return value

    return read


Image = Annotated[Tensor, Socket("IMAGE", read_image)]
"""(B, H, W, C), 0…1; C is 3, or 4 with alpha."""
Mask = Annotated[Tensor, Socket("MASK", read_mask)]
"""(B, H, W), 0…1; 1 is selected."""
Latent = Annotated[LatentDict, Socket("LATENT", read_latent)]
Conditioning = Annotated[ConditioningList, Socket("CONDITIONING", read_conditioning)]
Sigmas = Annotated[Tensor, Socket("SIGMAS", read_sigmas)]
"""(steps + 1,), decreasing, usually ending in 0."""
LatentOperation = Annotated[Callable[..., Tensor], Socket("LATENT_OPERATION")]
"""Called as `operation(latent=tensor)`."""
Svg = Annotated[Any, Socket("SVG", having("SVG", "data"))]
"""Has `data`, a list of byte buffers."""
AnyValue = Annotated[object, Socket("*")]

Model = Annotated[handles.Model, Socket("MODEL", one_of("MODEL", handles.Model))]
Clip = Annotated[handles.TextEncoders, Socket("CLIP", one_of("CLIP", handles.TextEncoders))]
Vae = Annotated[handles.Autoencoder, Socket("VAE", one_of("VAE", handles.Autoencoder))]
ControlNet = Annotated[handles.ControlNet, Socket("CONTROL_NET", one_of("CONTROL_NET", handles.ControlNet))]
Sampler = Annotated[LibrarySampler, Socket("SAMPLER", one_of("SAMPLER", LibrarySampler))]
Noise = Annotated[NoiseSource, Socket("NOISE", having("NOISE", "seed", "generate_noise"))]
