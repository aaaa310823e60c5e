"""What diffusion transformers of several lines have in common (arXiv:2212.09748)."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.models.modulation import modulated
from diffusion.ops.layers import Linear
from diffusion.patches.hooks import Streams


def count(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> int:
    """How many numbered blocks there are behind a prefix."""
    return len({name.removeprefix(prefix).split(".")[0] for name in shapes if name.startswith(prefix)})


class FinalLayer(nn.Module):
    def __init__(self, width: int, out_features: int):
        super().__init__()
        self.linear = Linear(width, out_features)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), Linear(width, 2 * width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x: (B, T, D). condition: (B, D). Returns (B, T, out_features)."""
        shift, scale = self.adaLN_modulation(condition)[:, None].chunk(2, dim=2)
        return self.linear(modulated(x, shift, scale))


def check_text(context_width: int, vector_width: int | None, context: Tensor, y: Tensor | None) -> None:
    """Refuses text that was encoded for another model line."""
    if context.shape[2] != context_width:
        raise ValueError(
            f"This network takes text of width {context_width}, not {context.shape[2]}: "
            "the prompt was encoded for another model."
        )
    if vector_width is not None and (y is None or y.shape[1] != vector_width):
        given = "none" if y is None else f"one of {y.shape[1]}"
        raise ValueError(f"This network needs a pooled text vector of width {vector_width}; it was given {given}.")


def key_bias(text: Tensor | None, tokens: int, dtype: torch.dtype) -> Tensor | None:
    """What is added to the scores of each token in a joint attention, (B, 1, 1, S + tokens); None for nothing.

    text: of the text's tokens, (B, S), which come first.
    """
    return None if text is None else F.pad(text, (0, tokens))[:, None, None].to(dtype)


def controlled(streams: Streams, residuals: tuple[Tensor | None, ...], block: int, start: int = 0) -> Streams:
    """With what a control network adds to the picture's tokens after this block; these begin at token `start`."""
    residual = residuals[block] if block < len(residuals) else None
    if residual is None:
        return streams
    image = streams.image.clone()
    # A network may see further pictures behind its own, which are not controlled.
    image[:, start : start + residual.shape[1]] += residual.to(image)
    return Streams(image, streams.text)
