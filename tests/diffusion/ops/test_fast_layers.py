"""Faster ways to compute give what torch's own operations give."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.ops import onednn
from diffusion.ops.attention import attention
from diffusion.ops.layers import Conv2d, Linear, linear_gelu

PRECISIONS = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


def conv_pair(
    in_channels: int, out_channels: int, kernel: int, stride: int, dtype: torch.dtype
) -> tuple[Conv2d, nn.Conv2d]:
    torch.manual_seed(0)
    ours = Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, dtype=dtype)
    theirs = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, dtype=dtype)
    theirs.load_state_dict(ours.state_dict())
    return ours.requires_grad_(False), theirs.requires_grad_(False)


def close(ours: Tensor, theirs: Tensor) -> None:
    tolerance = PRECISIONS[theirs.dtype] * theirs.float().std().item()
    torch.testing.assert_close(ours, theirs, rtol=PRECISIONS[theirs.dtype], atol=tolerance)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(4, 6), (5, 7), (40, 40)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_convolutions_agree_whether_or_not_they_become_products(
    kernel: int, size: tuple[int, int], stride: int, dtype: torch.dtype
):
    ours, theirs = conv_pair(24, 160, kernel, stride, dtype)
    x = torch.randn(2, 24, *size, dtype=dtype)
    for layout in (torch.contiguous_format, torch.channels_last):
        out = ours(x.contiguous(memory_format=layout))
        assert out.shape == theirs(x).shape
        close(out, theirs(x))


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_linear_layers_agree(dtype: torch.dtype):
    layer = Linear(24, 40, dtype=dtype).requires_grad_(False)
    x = torch.randn(2, 7, 24, dtype=dtype)
    close(layer(x), F.linear(x, layer.weight, layer.bias))
    close(layer(x.transpose(0, 1)), F.linear(x.transpose(0, 1), layer.weight, layer.bias))
    close(linear_gelu(x, layer.weight, layer.bias), F.gelu(F.linear(x, layer.weight, layer.bias)))


@pytest.mark.parametrize("dtype", [*PRECISIONS, torch.float16])
@pytest.mark.parametrize(("tokens", "keys"), [(20, 20), (300, 300), (300, 7), (2100, 5)])
def test_attention_agrees_with_torchs_own(tokens: int, keys: int, dtype: torch.dtype):
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, tokens, 48, generator=generator).to(dtype)
    key, value = (torch.randn(2, keys, 48, generator=generator).to(dtype) for _ in range(2))
    q, k, v = (x.float().view(2, -1, 3, 16).transpose(1, 2) for x in (query, key, value))
    expected = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    out = attention(query, key, value, heads=3)
    assert out.dtype == dtype
    assert (out.float() - expected).abs().max() < {torch.float32: 1e-5}.get(dtype, 2e-2)


def test_scores_beyond_the_range_of_float16_need_float32():
    query = torch.full((1, 4, 64), 200.0).half()
    value = torch.randn(1, 4, 64).half()
    out = attention(query, query, value, heads=1, float32_scores=True)
    torch.testing.assert_close(out, value.float().mean(1, keepdim=True).expand(1, 4, 64).half())


def test_layers_learn_where_gradients_are_asked_for():
    """The fast operators have no derivative, so they are not used then."""
    layer, conv = Linear(6, 8), Conv2d(6, 8, 3, padding=1)
    x = torch.randn(1, 300, 6)
    assert not onednn.usable(x, layer.weight)
    loss = attention(layer(x), layer(x), layer(x), heads=2).sum() + conv(x.mT.view(1, 6, 15, 20)).sum()
    loss.backward()
    assert layer.weight.grad is not None
    assert conv.weight.grad is not None


def test_the_fast_product_refuses_mixed_precision():
    assert not onednn.usable(torch.zeros(2, 2), torch.zeros(2, 2, dtype=torch.bfloat16))
    assert not onednn.usable(torch.zeros(2, 2, dtype=torch.float16))


def test_convolutions_store_their_weights_channels_last_from_the_first_use_on():
    layer = Conv2d(6, 8, 3).requires_grad_(False)
    mapped = layer.weight.data
    layer(torch.randn(1, 6, 9, 9))
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(layer.weight, mapped)
    stored = layer.weight.data_ptr()
    layer(torch.randn(1, 6, 9, 9))
    assert layer.weight.data_ptr() == stored
