"""Scaled dot-product attention, the one place where it is computed."""

import torch
import torch.nn.functional as F
from torch import Tensor

_MOST_PIECES = 64


def attention(
    query: Tensor, key: Tensor, value: Tensor, heads: int, *, float32_scores: bool = False, bias: Tensor | None = None
) -> Tensor:
    """softmax(q k^T / sqrt(D / heads) + bias) v for every head; arXiv:1706.03762.

    query: (B, T, D); key, value: (B, S, D). bias: (B, S). Returns (B, T, D). With `float32_scores` half-precision
    inputs are multiplied in float32, for networks whose scores exceed the range of float16.
    """
    # Tried on a CPU: oneDNN's products head by head take 0.6 of this kernel's time on one idle core, but they are a
    # thousand small parallel regions, and on two busy cores the threads' waiting for each other made it 3.5.
    dtype = value.dtype
    if float32_scores and dtype == torch.float16:
        query, key, value = query.float(), key.float(), value.float()
    mask = None if bias is None else bias[:, None, None, :].to(query.dtype)
    return attend(_split(query, heads), _split(key, heads), _split(value, heads), mask).to(dtype)


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """The same for heads that are split already: (B, heads, T, D), (B, heads, S, D) to (B, T, heads * D).

    bias: (B, 1, 1, S), added to the scores of each key.
    """
    try:
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    except torch.OutOfMemoryError:
        out = _in_pieces(query, key, value, bias)
    return out.transpose(1, 2).flatten(2)


def _in_pieces(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """The same for some queries at a time, half as many after each overflow: each is answered by itself, and some
    kernels hold the scores of all of them at once."""
    rows = query.shape[2]
    while True:
        rows = -(-rows // 2)
        pieces: tuple[Tensor, ...] = torch.split(query, rows, 2)
        try:
            parts = [F.scaled_dot_product_attention(part, key, value, attn_mask=bias) for part in pieces]
            return torch.cat(parts, dim=2)
        except torch.OutOfMemoryError:
            if rows <= max(query.shape[2] // _MOST_PIECES, 1):
                raise


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, T, D) to (B, heads, T, D / heads), without a copy."""
    batch, tokens, width = x.shape
    return x.view(batch, tokens, heads, width // heads).transpose(1, 2)
