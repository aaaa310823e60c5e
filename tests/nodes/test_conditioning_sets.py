"""Conditionings told where and when to act, one or a pair at a time."""

from typing import Any

import pytest
import torch

from nodes.previews import Previews
from tests.nodes import tiny
from tests.nodes.conftest import Call
from tests.nodes.test_controlnet import sampled

MASK = torch.zeros(1, 64, 64)
MASK[:, :, :32] = 1
USUAL = {"strength": 0.8, "set_cond_area": "default"}


@pytest.fixture(autouse=True)
def previews(given: dict[str, Any]) -> None:
    given["previews"] = Previews("none")


def test_a_range_has_what_comes_before_and_after(call: Call):
    ranges = call("ConditioningTimestepsRange", start_percent=0.2, end_percent=0.7)
    assert ranges == [(0.2, 0.7), (0.0, 0.2), (0.7, 1.0)]


def test_properties_are_those_of_the_single_nodes(call: Call):
    told = call("ConditioningSetProperties", cond_NEW=tiny.prompt(0), mask=MASK, timesteps=(0.2, 0.7), **USUAL)
    masked = call("ConditioningSetMask", conditioning=tiny.prompt(0), mask=MASK, strength=0.8, set_cond_area="default")
    expected = call("ConditioningSetTimestepRange", conditioning=masked, start=0.2, end=0.7)
    assert told[0][1].keys() == expected[0][1].keys()
    for name, value in expected[0][1].items():
        given = told[0][1][name]
        assert torch.equal(given, value) if isinstance(value, torch.Tensor) else given == value
    bare = call("ConditioningSetProperties", cond_NEW=tiny.prompt(0), **USUAL)
    assert bare[0][1].keys() == tiny.prompt(0)[0][1].keys()


def test_a_default_acts_where_no_other_does(call: Call):
    model, negative = tiny.model(), tiny.prompt(2)
    left = call("ConditioningSetProperties", cond_NEW=tiny.prompt(0), mask=MASK, **{**USUAL, "strength": 1.0})
    both = call("ConditioningSetDefaultCombine", cond=left, cond_DEFAULT=tiny.prompt(1))
    right = call("ConditioningSetProperties", cond_NEW=tiny.prompt(1), mask=1 - MASK, **{**USUAL, "strength": 1.0})
    combined = call("ConditioningCombine", conditioning_1=left, conditioning_2=right)
    assert tiny.close(sampled(call, model, both, negative), sampled(call, model, combined, negative))


def test_pairs_are_two_of_the_single_ones(call: Call):
    prompts = [tiny.prompt(seed) for seed in range(4)]
    more = {"mask": MASK, "timesteps": (0.0, 0.5), **USUAL}
    one = [call("ConditioningSetProperties", cond_NEW=prompt, **more) for prompt in prompts[2:]]
    pair = call("PairConditioningSetProperties", positive_NEW=prompts[2], negative_NEW=prompts[3], **more)
    joined = call(
        "PairConditioningSetPropertiesAndCombine",
        positive=prompts[0],
        negative=prompts[1],
        positive_NEW=prompts[2],
        negative_NEW=prompts[3],
        **more,
    )
    plain = call(
        "PairConditioningCombine",
        positive_A=prompts[0],
        negative_A=prompts[1],
        positive_B=pair[0],
        negative_B=pair[1],
    )
    assert [[options.keys() for _, options in each] for each in pair] == [[one[i][0][1].keys()] for i in range(2)]
    for mine, theirs in zip(joined, plain, strict=True):
        assert [embeddings is other for (embeddings, _), (other, _) in zip(mine, theirs, strict=True)] == [True, True]
    single = call("ConditioningSetPropertiesAndCombine", cond=prompts[0], cond_NEW=prompts[2], **more)
    assert [embeddings is other for (embeddings, _), (other, _) in zip(single, joined[0], strict=True)] == [True, True]
    defaults = call(
        "PairConditioningSetDefaultCombine",
        positive=prompts[0],
        negative=prompts[1],
        positive_DEFAULT=prompts[2],
        negative_DEFAULT=prompts[3],
    )
    assert [[options.get("default", False) for _, options in each] for each in defaults] == [[False, True]] * 2


def test_hooks_are_refused_with_what_to_do(call: Call):
    with pytest.raises(ValueError, match=r"hooks on conditionings are not supported: .* put the LoRA on the model"):
        call("ConditioningSetProperties", cond_NEW=tiny.prompt(0), hooks=object(), **USUAL)
