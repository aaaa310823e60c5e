"""Control networks: attached to prompts, they act in sampling, from one share of it to another."""

from typing import Any

import pytest
import torch

from diffusion.handles import ControlNet
from nodes.previews import Previews
from tests.nodes import tiny
from tests.nodes.conftest import Call


@pytest.fixture(scope="module")
def control_net() -> ControlNet:
    return tiny.control_net()


@pytest.fixture(autouse=True)
def previews(given: dict[str, Any]) -> None:
    given["previews"] = Previews("none")


@pytest.fixture(scope="module")
def model():
    return tiny.model()


HINT = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))


def sampled(call: Call, model: Any, positive: Any, negative: Any) -> torch.Tensor:
    return call(
        "KSampler",
        model=model,
        seed=1,
        steps=2,
        cfg=4.0,
        sampler_name="euler",
        scheduler="normal",
        positive=positive,
        negative=negative,
        latent_image={"samples": torch.zeros(1, 4, 8, 8)},
        denoise=1.0,
    )["samples"]


def applied(call: Call, control_net: ControlNet, **sent: Any) -> Any:
    usual = {"positive": tiny.prompt(0), "negative": tiny.prompt(1), "image": HINT, "strength": 1.0}
    return call("ControlNetApplyAdvanced", control_net=control_net, **{**usual, **sent})


def test_a_picture_guides(call: Call, model: Any, control_net: ControlNet):
    plain = sampled(call, model, tiny.prompt(0), tiny.prompt(1))
    guided = sampled(call, model, *applied(call, control_net))
    assert not tiny.close(plain, guided)


@pytest.mark.parametrize("sent", [{"strength": 0.0}, {"start_percent": 0.4, "end_percent": 0.6}])
def test_without_strength_or_outside_its_time_it_does_not(call: Call, model: Any, control_net: ControlNet, sent: Any):
    plain = sampled(call, model, tiny.prompt(0), tiny.prompt(1))
    assert torch.equal(sampled(call, model, *applied(call, control_net, **sent)), plain)


def test_the_old_way_reaches_the_negative_prompt_too(call: Call, model: Any, control_net: ControlNet):
    sent = {"control_net": control_net, "image": HINT, "strength": 1.0}
    old = call("ControlNetApply", conditioning=tiny.prompt(0), **sent)
    new = sampled(call, model, *applied(call, control_net))
    assert tiny.close(sampled(call, model, old, tiny.prompt(1)), new)
    assert (
        call("ControlNetApply", conditioning=tiny.prompt(0), **{**sent, "strength": 0.0})[0][1].get("control") is None
    )


def test_several_act_together(call: Call, model: Any, control_net: ControlNet):
    positive, negative = applied(call, control_net, strength=0.5)
    both = applied(call, control_net, strength=0.5, positive=positive, negative=negative)
    assert tiny.close(sampled(call, model, *both), sampled(call, model, *applied(call, control_net)))
