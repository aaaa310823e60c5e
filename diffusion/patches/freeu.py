"""FreeU: Si et al. (arXiv:2309.11497): stronger backbone features, fewer low frequencies in skip connections."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffusion.handles import Model
from diffusion.patches.hooks import BlockInfo, ModelHooks


def with_freeu(model: Model, b1: float = 1.1, b2: float = 1.2, s1: float = 0.9, s2: float = 0.2) -> Model:
    """b1, s1 act where features are four base widths wide, b2, s2 where they are two.

    b: factor on the first half of the backbone's channels. s: factor on the lowest frequencies of the skip.
    """
    return _with(model, {4: (b1, s1), 2: (b2, s2)}, lambda hidden, b: b)


def with_freeu_v2(model: Model, b1: float = 1.3, b2: float = 1.4, s1: float = 0.9, s2: float = 0.2) -> Model:
    """The later version: the backbone's factor varies with how strong the feature map is at each position."""

    def factor(hidden: Tensor, b: float) -> Tensor:
        mean = hidden.mean(dim=1, keepdim=True)
        low, high = mean.amin(dim=(2, 3), keepdim=True), mean.amax(dim=(2, 3), keepdim=True)
        return 1 + (b - 1) * ((mean - low) / (high - low))

    return _with(model, {4: (b1, s1), 2: (b2, s2)}, factor)


_Factor = Callable[[Tensor, float], "Tensor | float"]


def _with(model: Model, strengths: dict[int, tuple[float, float]], factor: _Factor) -> Model:
    base_width = int(getattr(model.config, "base_width", 0))
    if not base_width:
        raise ValueError(f"FreeU changes the skip connections of a UNet; {model.family.name} has none")
    by_width = {multiple * base_width: pair for multiple, pair in strengths.items()}

    def hook(hidden: Tensor, skip: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor]:
        if hidden.shape[1] not in by_width:
            return hidden, skip
        b, s = by_width[hidden.shape[1]]
        half = hidden.shape[1] // 2
        hidden = torch.cat([hidden[:, :half] * factor(hidden, b), hidden[:, half:]], dim=1)
        return hidden, _low_frequencies(skip, s)

    return model.with_hooks(ModelHooks(output_blocks=(hook,)))


def _low_frequencies(x: Tensor, scale: float) -> Tensor:
    """Multiplies the four lowest frequencies: 0 and -1, down and across."""
    fft: Any = torch.fft  # its functions carry no annotations
    spectrum: Tensor = fft.fftn(x.float(), dim=(-2, -1))
    rows, columns = ([0, -1] if size > 1 else [0] for size in x.shape[-2:])
    for row in rows:
        spectrum[..., row, columns] *= scale
    filtered: Tensor = fft.ifftn(spectrum, dim=(-2, -1))
    return filtered.real.to(x.dtype)
