"""How much memory a value is taken to keep alive."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from execution.size import weigh

MIB = 2**20


@dataclass(slots=True)
class Slotted:
    tensor: torch.Tensor


def a_network() -> torch.nn.Module:
    return torch.nn.Sequential(*[torch.nn.Linear(128, 128, bias=False) for _ in range(16)])


@pytest.mark.parametrize(
    ("value", "least"),
    [
        (torch.zeros(MIB // 4), MIB),
        ({"samples": torch.zeros(MIB // 4)}, MIB),
        ([[torch.zeros(MIB // 4), {}], [torch.zeros(MIB // 4), {}]], 2 * MIB),
        (Slotted(torch.zeros(MIB // 4)), MIB),
        (a_network(), MIB),
        ("x" * MIB, MIB),
        (b"x" * MIB, MIB),
    ],
    ids=["tensor", "latent", "conditioning", "object", "network", "text", "bytes"],
)
def test_a_value_weighs_what_it_holds(value: Any, least: int):
    assert least <= weigh(value).total <= least * 1.2


def test_data_that_contains_itself_is_weighed_once():
    circle: list[Any] = [torch.zeros(MIB // 4)]
    circle.append(circle)
    assert MIB <= weigh(circle).total <= 1.1 * MIB


def test_a_million_items_are_estimated_quickly():
    assert 8_000_000 <= weigh([float(i) for i in range(1_000_000)]).total <= 40_000_000
    texts = [f"{i:09}" for i in range(1_000_000)]
    assert 30_000_000 <= weigh(texts).total <= 90_000_000


def test_an_object_whose_properties_raise_is_weighed_anyway():
    class Bad:
        @property
        def nbytes(self) -> int:
            raise RuntimeError

    assert weigh(Bad()).total == 64
