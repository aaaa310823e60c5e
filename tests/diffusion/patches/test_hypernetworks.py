"""Hypernetworks: read from the files people have, and added to what attention makes keys and values of."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.checkpoints.errors import CheckpointError
from diffusion.patches.hooks import BlockInfo, CallInfo
from diffusion.patches.hypernetwork import open_hypernetwork, with_hypernetwork
from tests.diffusion.sampling import tiny

WIDTH = tiny.CONTEXT_WIDTH
INFO = BlockInfo(CallInfo(torch.Size((1, 4, 8, 8)), torch.tensor([1.0])), "input", 1)


def state(width: int, seed: int, *, norm: bool = False, old: bool = False) -> dict[str, Tensor]:
    """Two linear layers, the one in the middle twice as wide."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) / 4

    names = ("linear1", "linear2") if old else ("linear.0", "linear.3" if norm else "linear.2")
    found = {
        f"{names[0]}.weight": draw(2 * width, width),
        f"{names[0]}.bias": draw(2 * width),
        f"{names[1]}.weight": draw(width, 2 * width),
        f"{names[1]}.bias": draw(width),
    }
    if norm:
        found |= {"linear.2.weight": draw(2 * width) + 1, "linear.2.bias": draw(2 * width)}
    return found


def file(path: Path, **settings: Any) -> Path:
    norm, old = settings.pop("norm", False), settings.pop("old", False)
    widths = settings.pop("widths", (WIDTH, 32))
    pairs = {width: [state(width, i, norm=norm, old=old) for i in (width, width + 1)] for width in widths}
    torch.save({**pairs, "step": 100, "name": "h", "layer_structure": [1, 2, 1], **settings}, path)
    return path


def reference(tensors: dict[str, Tensor], x: Tensor, activation: Any, at_end: bool) -> Tensor:
    (first, second), norm = [n for n, t in tensors.items() if t.ndim == 2], "linear.2.weight"
    x = activation(F.linear(x, tensors[first], tensors[first.replace("weight", "bias")]))
    if tensors.get(norm) is not None and tensors[norm].ndim == 1:
        x = F.layer_norm(x, x.shape[-1:], tensors[norm], tensors["linear.2.bias"])
    x = F.linear(x, tensors[second], tensors[second.replace("weight", "bias")])
    return activation(x) if at_end else x


@pytest.mark.parametrize(
    ("settings", "activation"),
    [
        ({}, lambda x: x),
        ({"old": True, "activation_func": "linear"}, lambda x: x),
        ({"activation_func": "relu"}, F.relu),
        ({"activation_func": "swish", "activate_output": True}, F.hardswish),
        ({"activation_func": "mish", "norm": True, "is_layer_norm": True}, F.mish),
    ],
)
def test_keys_and_values_are_made_of_changed_tokens(tmp_path: Path, settings: dict[str, Any], activation: Any):
    hypernetwork = open_hypernetwork(file(tmp_path / "h.pt", **settings))
    hook = with_hypernetwork(tiny.model(), hypernetwork, 0.5).hooks.attn2_inputs[0]
    query, tokens = torch.randn(1, 9, 32), torch.randn(1, 7, WIDTH)
    q, k, v = hook(query, tokens, tokens, INFO)
    assert q is query
    for seed, ours in ((WIDTH, k), (WIDTH + 1, v)):
        tensors = state(WIDTH, seed, norm=settings.get("norm", False), old=settings.get("old", False))
        expected = tokens + 0.5 * reference(tensors, tokens, activation, settings.get("activate_output", False))
        assert torch.allclose(ours, expected, atol=1e-5)


def test_it_acts_in_the_network_and_not_on_widths_it_does_not_know(tmp_path: Path):
    model, hypernetwork = tiny.model(), open_hypernetwork(file(tmp_path / "h.pt"))
    inputs = torch.randn(1, 4, 8, 8), torch.tensor([5.0]), torch.randn(1, 7, WIDTH)
    changed = with_hypernetwork(model, hypernetwork, 1.0)
    assert not torch.allclose(model.network(*inputs), model.network(*inputs, hooks=changed.hooks), rtol=1e-3)
    assert with_hypernetwork(model, hypernetwork, 0.0) is model
    tokens = torch.randn(1, 7, 64)
    assert changed.hooks.attn1_inputs[0](tokens, tokens, tokens, INFO)[1] is tokens


def test_one_for_another_model_line_is_refused_by_name(tmp_path: Path):
    other = open_hypernetwork(file(tmp_path / "sd2.pt", widths=(320, 1024)))
    with pytest.raises(ValueError, match=r"sd2\.pt: this hypernetwork is for tokens of width 320, 1024; SD 1\.x reads"):
        with_hypernetwork(tiny.model(), other, 1.0)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"a": torch.zeros(1)}, "holds no hypernetwork"),
        ({768: torch.zeros(1)}, "no pair of state dicts"),
        ({8: [{"x.weight": torch.zeros(8, 8)}] * 2}, "unknown tensor 'x.weight'"),
        ({8: [{"linear.0.weight": torch.full((8, 8), torch.nan)}] * 2}, "NaN"),
        ({8: [{"linear.0.weight": torch.zeros(8, 9)}] * 2}, "takes 9 numbers, not 8"),
        ({8: [state(8, 0)] * 2, "activation_func": "zigzag"}, "unknown activation 'zigzag'"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_reason(tmp_path: Path, content: dict[Any, Any], problem: str):
    torch.save(content, tmp_path / "h.pt")
    with pytest.raises(CheckpointError, match=rf"h\.pt: .*{problem}"):
        open_hypernetwork(tmp_path / "h.pt")
