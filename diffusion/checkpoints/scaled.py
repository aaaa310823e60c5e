"""Files whose 8-bit weights are stored divided by a scale: gives the true weights, which layers may keep so."""

import torch
from torch import Tensor

from diffusion.checkpoints.weights import Packed, Source, Weights
from diffusion.ops.stored import EIGHT_BIT, Float8, spread

_SCALES = (".scale_weight", ".weight_scale")
"""Beside `<layer>.weight`; the second is the newer name."""
_BESIDE = (".scale_input", ".input_scale", ".comfy_quant")
_MARKER = "scaled_fp8"


def unscaled(weights: Weights) -> Weights:
    """The same names with true weights in float32 wherever an 8-bit one has a scale; scales and marker are left out."""
    scales = {name: suffix for name in weights for suffix in _SCALES if name.endswith(suffix)}
    scaled: dict[str, Source] = {}
    for name, suffix in scales.items():
        layer = f"{name.removesuffix(suffix)}.weight"
        if layer in weights and weights.sources[layer].dtype in EIGHT_BIT:
            scaled[layer] = _multiplied(weights.sources[layer], weights.sources[name])
    if not scaled:
        return weights
    beside = {name for name in weights if name.endswith((*_SCALES, *_BESIDE)) or name.rpartition(".")[2] == _MARKER}
    return Weights({name: scaled.get(name, source) for name, source in weights.sources.items() if name not in beside})


def _multiplied(stored: Source, scale: Source) -> Source:
    def factor() -> Tensor:
        return scale.fetch().float()

    def fetch() -> Tensor:
        return stored.fetch().float() * spread(factor(), len(stored.shape))

    return Source(stored.shape, torch.float32, fetch, Packed(Float8(), stored.fetch, factor))
