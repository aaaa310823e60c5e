"""Attention in the memory there is."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.ops.attention import attention


def test_where_memory_runs_out_queries_are_answered_in_pieces_and_the_answer_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
):
    generator = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(2, 100, 32, generator=generator) for _ in range(3))
    bias = torch.randn(2, 100, generator=generator)
    expected = attention(query, key, value, 4, bias=bias)
    whole, sizes = F.scaled_dot_product_attention, list[int]()

    def narrow(query: Tensor, *rest: Any, **named: Any) -> Tensor:
        if query.shape[2] > 30:
            raise torch.OutOfMemoryError
        sizes.append(query.shape[2])
        return whole(query, *rest, **named)

    monkeypatch.setattr(F, "scaled_dot_product_attention", narrow)
    assert torch.allclose(attention(query, key, value, 4, bias=bias), expected, atol=1e-6)
    assert sizes == [25, 25, 25, 25]


def test_where_no_piece_is_small_enough_memory_has_run_out(monkeypatch: pytest.MonkeyPatch):
    def never(*_: Any, **__: Any) -> Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(F, "scaled_dot_product_attention", never)
    x = torch.randn(1, 100, 32)
    with pytest.raises(torch.OutOfMemoryError):
        attention(x, x, x, 4)
