"""Scaled dot-product attention, the one place where it is called."""

import torch.nn.functional as F
from torch import Tensor


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int, *, float32_scores: bool = False) -> Tensor:
    """softmax(q k^T / sqrt(D / heads)) v for every head; arXiv:1706.03762.

    query: (B, T, D); key, value: (B, S, D). Returns (B, T, D). With `float32_scores` half-precision inputs are
    multiplied in float32, for networks whose scores exceed the range of float16.
    """
    dtype = value.dtype
    if float32_scores and dtype.itemsize < 4:
        query, key, value = query.float(), key.float(), value.float()
    out = F.scaled_dot_product_attention(_split(query, heads), _split(key, heads), _split(value, heads))
    return out.transpose(1, 2).flatten(2).to(dtype)


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, T, D) to (B, heads, T, D / heads), without a copy."""
    batch, tokens, width = x.shape
    return x.view(batch, tokens, heads, width // heads).transpose(1, 2)
