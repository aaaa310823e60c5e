"""Networks are built around tensors without a copy, without being initialised first, and in the precision asked for."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from diffusion.checkpoints.build import build_network
from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.precision import empty_block, in_dtype
from diffusion.checkpoints.weights import Weights

TENSORS = {"weight": torch.randn(3, 5), "bias": torch.randn(3)}


def linear(weights: Weights) -> nn.Module:
    return build_network(Path("l.safetensors"), "layer", lambda: nn.Linear(5, 3), weights)


def test_a_network_holds_the_tensors_themselves():
    network = linear(Weights.of(TENSORS))
    assert all(network.state_dict()[name].data_ptr() == tensor.data_ptr() for name, tensor in TENSORS.items())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not network.training


def test_layers_are_initialised_again_afterwards():
    linear(Weights.of(TENSORS))
    assert nn.Linear(100, 100).weight.std() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_tensors_are_converted_as_torch_converts_them(dtype: torch.dtype):
    mixed: dict[str, Tensor] = {
        "a": torch.randn(7, 3),
        "b": torch.randn(5).to(dtype),
        "ids": torch.arange(3),
        "one": torch.tensor(2.5),
        "none": torch.empty(0),
    }
    found = in_dtype(Weights.of(mixed), dtype)
    expected = {name: t.to(dtype) if t.is_floating_point() else t for name, t in mixed.items()}
    assert found.dtypes == {name: tensor.dtype for name, tensor in expected.items()}
    fetched = dict(found)
    assert all(torch.equal(fetched[name], tensor) for name, tensor in expected.items())
    assert fetched["b"] is mixed["b"]


def test_without_a_precision_everything_stays():
    weights = Weights.of(TENSORS)
    assert in_dtype(weights, None) is weights


@pytest.mark.parametrize("size", [0, 1, 4096, 2**22 + 3])
def test_a_block_is_memory_of_that_many_bytes(size: int):
    block = empty_block(size)
    assert block.shape == (size,)
    assert block.fill_(3).eq(3).all()


def test_a_wrong_shape_is_named():
    with pytest.raises(CheckpointError, match=r"'bias' of the layer has the shape \(4,\), expected \(3,\)"):
        linear(Weights.of({**TENSORS, "bias": torch.ones(4)}))
