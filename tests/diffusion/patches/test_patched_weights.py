"""Patches change copies of weights: the originals stay, and only what differs is computed again."""

import copy
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from diffusion.patches.weights import PatchDoesNotFit, forget_patched, patched


@dataclass(frozen=True, eq=False)
class Add:
    """Adds a number to some tensors and counts how often it is asked to."""

    names: frozenset[str]
    amount: float
    calls: list[str] = field(default_factory=list[str])

    def apply(self, name: str, weight: Tensor) -> Tensor:
        self.calls.append(name)
        return weight + self.amount


def add(amount: float, *names: str) -> Add:
    return Add(frozenset(names), amount)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))).eval()


def test_without_patches_it_is_the_network_itself(network: nn.Module):
    assert patched(network, ()) is network


def test_patches_act_in_order_and_the_original_stays_bit_for_bit(network: nn.Module):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    changed = patched(network, (add(1, "0.weight"), add(2, "0.weight", "1.1.running_mean")))
    torch.testing.assert_close(changed.state_dict()["0.weight"], before["0.weight"] + 3)
    torch.testing.assert_close(changed.state_dict()["1.1.running_mean"], before["1.1.running_mean"] + 2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    x = torch.ones(1, 3)
    assert not torch.equal(changed(x), network(x))


def test_what_is_not_patched_is_shared(network: nn.Module):
    changed = patched(network, (add(1, "0.weight"),)).state_dict(keep_vars=True)
    original = network.state_dict(keep_vars=True)
    assert [name for name in original if changed[name] is not original[name]] == ["0.weight"]


def test_the_same_patches_give_the_same_network(network: nn.Module):
    patches = (add(1, "0.weight"),)
    assert patched(network, patches) is patched(network, patches)
    assert patches[0].calls == ["0.weight"]


def test_changing_one_patch_recomputes_only_its_own_layers(network: nn.Module):
    steady, moved = add(1, "0.weight", "0.bias"), add(2, "0.bias")
    patched(network, (steady, moved))
    steady.calls.clear()
    again = patched(network, (steady, add(3, "0.bias")))
    assert steady.calls == ["0.bias"]
    torch.testing.assert_close(again.state_dict()["0.bias"], network.state_dict()["0.bias"] + 4)


def test_what_is_remembered_can_be_freed_and_is_not_copied(network: nn.Module):
    patches = (add(1, "0.weight"),)
    first = patched(network, patches)
    assert patched(copy.deepcopy(network), patches) is not first
    forget_patched(network)
    assert patched(network, patches) is not first
    assert "0.weight" in network.state_dict()


def test_half_precision_weights_are_patched_in_full_precision(network: nn.Module):
    network.half()
    eps = 2**-12
    changed = patched(network, tuple(add(eps, "0.bias") for _ in range(8))).state_dict()["0.bias"]
    expected = (network.state_dict()["0.bias"].float() + 8 * eps).half()
    assert changed.dtype == torch.float16
    assert torch.equal(changed, expected)


def test_a_patch_for_another_network_is_refused(network: nn.Module):
    with pytest.raises(PatchDoesNotFit, match=r"no tensor '7\.weight'"):
        patched(network, (add(1, "7.weight"),))


def test_a_patch_that_changes_the_shape_is_refused(network: nn.Module):
    class Grow(Add):
        def apply(self, name: str, weight: Tensor) -> Tensor:
            return torch.cat([weight, weight])

    with pytest.raises(PatchDoesNotFit, match=r"\(6, 3\) for '0.weight' of shape \(3, 3\)"):
        patched(network, (Grow(frozenset({"0.weight"}), 1),))
