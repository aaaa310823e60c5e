"""Multiplying the projections of attention: an experiment in how much each of them says."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from diffusion.handles import Model, TextEncoders


@dataclass(frozen=True)
class ScaledWeights:
    """A weight patch that multiplies tensors by one factor."""

    names: frozenset[str]
    factor: float

    def apply(self, name: str, weight: Tensor) -> Tensor:
        return weight * self.factor


def with_scaled_attention(
    model: Model, attention: Literal["attn1", "attn2"], q: float, k: float, v: float, out: float
) -> Model:
    """Multiplies the projections of all self-attention (attn1) or cross-attention (attn2) of a UNet."""
    endings = {f"{attention}.to_q": q, f"{attention}.to_k": k, f"{attention}.to_v": v, f"{attention}.to_out.0": out}
    return model.with_patches(*_patches(model.network, endings))


def with_scaled_text_attention(encoders: TextEncoders, q: float, k: float, v: float, out: float) -> TextEncoders:
    """The same for the self-attention of all text encoders."""
    endings = {"self_attn.q_proj": q, "self_attn.k_proj": k, "self_attn.v_proj": v, "self_attn.out_proj": out}
    for name, network in encoders.networks.items():
        encoders = encoders.with_patches(name, *_patches(network, endings))
    return encoders


def _patches(network: nn.Module, endings: dict[str, float]) -> list[ScaledWeights]:
    names = [name for name, _ in network.named_parameters()]
    patches: list[ScaledWeights] = []
    for ending, factor in endings.items():
        mine = frozenset(name for name in names if name.endswith((f"{ending}.weight", f"{ending}.bias")))
        if factor != 1 and mine:
            patches.append(ScaledWeights(mine, factor))
    return patches
