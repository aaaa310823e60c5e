"""Perturbed-attention guidance: Ahn et al. (arXiv:2403.17377)."""

from types import MappingProxyType

from torch import Tensor

from diffusion.handles import Model
from diffusion.patches.hooks import BlockInfo, ModelHooks, Place
from diffusion.sampling.guidance.weakened import with_weakened_guidance


def with_perturbed_attention(model: Model, scale: float = 3.0) -> Model:
    """Away from the network whose middle self-attention looks at nothing but each token itself."""
    identity = ModelHooks(attn1_replacements=MappingProxyType({Place("middle", 0): _identity}))
    return with_weakened_guidance(model, identity, scale)


def _identity(query: Tensor, key: Tensor, value: Tensor, info: BlockInfo) -> Tensor:
    return value
