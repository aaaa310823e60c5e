"""Weights in fewer bits: read as they were meant, computed with as if they had been unpacked before."""

import gguf
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from gguf import GGMLQuantizationType

from diffusion.ops.gguf_blocks import BLOCKS, BlockType, Gguf
from diffusion.ops.layers import Conv2d, Linear, keeping
from diffusion.ops.stored import Float8, Stored, compute_dtype, keep, stochastic_float8, to_float8

# Where the 16-bit scales of a block are; any other bytes mean something whatever they are.
HALVES = {2: (0,), 3: (0, 2), 6: (0,), 7: (0, 2), 8: (0,), 10: (80, 82), 11: (108,), 12: (0, 2), 13: (0, 2), 14: (208,)}
E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2


def blocks(type: BlockType, count: int) -> np.ndarray:
    generator = np.random.default_rng(type)
    found = generator.integers(0, 256, (count, BLOCKS[type][0]), dtype=np.uint8)
    for place in HALVES[type]:
        found[:, place : place + 2] = generator.standard_normal((count, 1)).astype(np.float16).view(np.uint8)
    return found


@pytest.mark.parametrize("type", BlockType)
def test_blocks_are_read_as_the_gguf_package_reads_them(type: BlockType):
    packed = blocks(type, 12)
    expected = gguf.quants.dequantize(packed, GGMLQuantizationType(type))
    ours = Gguf(type).unpack(torch.from_numpy(packed), None, torch.Size(expected.shape), torch.float32)
    assert torch.allclose(ours, torch.from_numpy(expected), rtol=1e-6, atol=1e-6)


def packings(shape: tuple[int, ...]) -> dict[str, Stored]:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(3)) / 10
    rows = weight.flatten(1).abs().amax(1) / 448
    return {
        "plain": Stored(to_float8(weight, E4M3), Float8()),
        "e5m2": Stored(to_float8(weight, E5M2), Float8()),
        "scaled": Stored(to_float8(weight / 0.01, E4M3), Float8(), torch.tensor(0.01)),
        "scaled by rows": Stored(
            to_float8(weight / rows.view(-1, *[1] * (len(shape) - 1)), E4M3), Float8(), rows[:, None]
        ),
        "gguf": Stored(
            torch.from_numpy(gguf.quants.quantize(weight.flatten(1).numpy(), GGMLQuantizationType.Q8_0)),
            Gguf(BlockType.Q8_0),
        ),
    }


@pytest.mark.parametrize("name", packings((1, 32)))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_computes_as_if_its_weight_had_been_unpacked(name: str, dtype: torch.dtype):
    linear, conv = Linear(64, 96, dtype=dtype), Conv2d(32, 8, 3, padding=1, dtype=dtype)
    with torch.no_grad():
        for layer, x in ((linear, torch.randn(5, 64, dtype=dtype)), (conv, torch.randn(2, 32, 6, 6, dtype=dtype))):
            stored = packings(tuple(layer.weight.shape))[name]
            weight = stored.unpack(layer.weight.shape, torch.float32)
            assert layer.bias is not None
            keep(layer, stored)
            expected = F.linear if layer is linear else lambda *args: F.conv2d(*args, padding=1)
            assert layer.bias is not None
            reference = expected(x.float(), weight, layer.bias.float())
            assert layer(x).dtype == dtype
            tolerance = 1e-5 if dtype == torch.float32 else 0.02
            assert (layer(x).float() - reference).norm() < tolerance * reference.norm()
            assert layer.weight.dtype.itemsize == 1
            assert compute_dtype(layer) == dtype


def test_a_layer_of_torch_becomes_one_that_can_keep_its_weight_packed():
    theirs = torch.nn.Linear(32, 4)
    x = torch.randn(3, 32)
    expected = theirs(x)
    assert isinstance(keeping(theirs), Linear)
    assert torch.allclose(theirs(x), expected, atol=1e-6)
    assert keeping(torch.nn.LayerNorm(4)) is None


def test_a_layer_carries_all_it_needs_in_its_own_tensors():
    layer = Linear(32, 4, bias=False)
    keep(layer, packings((4, 32))["scaled"])
    assert {name for name, _ in [*layer.named_parameters(), *layer.named_buffers()]} == {"weight", "weight_scale"}
    assert list(layer.state_dict()) == ["weight"]


@pytest.mark.parametrize("dtype", [E4M3, E5M2])
def test_rounding_by_chance_takes_a_neighbour_and_is_right_on_average(dtype: torch.dtype):
    largest = torch.finfo(dtype).max
    values = torch.cat([torch.randn(2000), torch.randn(2000) * 1e-3, torch.randn(500) * largest, torch.zeros(3)])
    rounded = torch.stack([stochastic_float8(values, dtype, seed).float() for seed in range(64)])
    inside = values.clamp(-largest, largest)
    nearest = to_float8(inside, dtype).float()
    step = torch.maximum(inside.abs() * torch.finfo(dtype).eps, torch.tensor(torch.finfo(dtype).smallest_normal))
    assert ((rounded - inside).abs() <= step).all()
    exact = nearest == inside
    assert (rounded[:, exact] == inside[exact]).all()
    # 64 draws of at most one step each: six standard deviations of their mean.
    assert ((rounded.mean(0) - inside).abs() <= step * 6 * 0.5 / 8).all()
    assert torch.equal(stochastic_float8(values, dtype, 5).float(), rounded[5])


def test_what_is_out_of_range_becomes_the_largest_number_and_not_nan():
    assert to_float8(torch.tensor([1e4, -1e4]), E4M3).float().tolist() == [448.0, -448.0]
