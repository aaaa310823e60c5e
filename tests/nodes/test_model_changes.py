"""Nodes that hand a changed model on: the change shows in sampling, and the model that came in stays as it was."""

from typing import Any

import pytest
import torch

from diffusion import latents
from diffusion.families.prediction import BetaSchedule, CosineSchedule, EdmSchedule, FlowSchedule
from diffusion.handles import Model
from nodes.previews import Previews
from tests.nodes import tiny
from tests.nodes.conftest import Call


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny.model()


@pytest.fixture(autouse=True)
def previews(given: dict[str, Any]) -> None:
    given["previews"] = Previews("none")


def sampled(call: Call, model: Model, **latent: Any) -> torch.Tensor:
    return call(
        "KSampler",
        model=model,
        seed=1,
        steps=2,
        cfg=5.0,
        sampler_name="euler",
        scheduler="normal",
        positive=tiny.prompt(0),
        negative=tiny.prompt(1),
        latent_image={"samples": torch.zeros(1, 4, 8, 8), **latent},
        denoise=1.0,
    )["samples"]


@pytest.mark.parametrize(
    ("id", "sent", "kind", "schedule"),
    [
        ("ModelSamplingDiscrete", {"sampling": "v_prediction"}, "v", BetaSchedule()),
        ("ModelSamplingDiscrete", {"sampling": "eps", "zsnr": True}, "eps", BetaSchedule(zero_terminal_snr=True)),
        ("ModelSamplingDiscrete", {"sampling": "lcm"}, "lcm", BetaSchedule(kept=50)),
        ("ModelSamplingContinuousEDM", {"sampling": "edm"}, "edm", EdmSchedule(0.002, 120.0)),
        ("ModelSamplingContinuousV", {"sampling": "v_prediction"}, "v", EdmSchedule(0.03, 500.0, "tangent")),
        ("ModelSamplingStableCascade", {"shift": 2.0}, "eps", CosineSchedule(2.0)),
        ("ModelSamplingSD3", {"shift": 3.0}, "flow", FlowSchedule(3.0, 1000.0)),
        ("ModelSamplingAuraFlow", {"shift": 1.73}, "flow", FlowSchedule(1.73, 1.0)),
    ],
)
def test_a_model_can_be_sampled_otherwise(call: Call, model: Model, id: str, sent: Any, kind: str, schedule: Any):
    changed = call(id, model=model, **sent)
    assert (changed.prediction.kind, changed.prediction.schedule) == (kind, schedule)
    assert changed.network is model.network
    assert model.prediction.kind == "eps"


def test_the_shift_of_flux_grows_with_the_picture(call: Call, model: Model):
    sent = {"max_shift": 1.15, "base_shift": 0.5}
    large = call("ModelSamplingFlux", model=model, width=1024, height=1024, **sent)
    small = call("ModelSamplingFlux", model=model, width=256, height=256, **sent)
    assert large.prediction.schedule.shift == pytest.approx(torch.tensor(1.15).exp().item())
    assert small.prediction.schedule.shift == pytest.approx(torch.tensor(0.5).exp().item())


def test_playground_has_latents_of_its_own(call: Call, model: Model):
    assert call("ModelSamplingContinuousEDM", model=model, sampling="edm_playground_v2.5").latent is latents.PLAYGROUND


@pytest.mark.parametrize(
    ("id", "sent", "neutral"),
    [
        ("RescaleCFG", {"multiplier": 0.7}, {"multiplier": 0.0}),
        ("CFGNorm", {"strength": 1.0}, None),
        ("CFGZeroStar", {}, None),
        ("PerpNeg", {"empty_conditioning": tiny.prompt(2), "neg_scale": 1.0}, None),
        ("APG", {"eta": 0.0, "norm_threshold": 1.0, "momentum": -0.5}, {"eta": 1.0, "norm_threshold": 0.0}),
        ("Mahiro", {}, None),
    ],
)
def test_guidance_is_changed(call: Call, model: Model, id: str, sent: Any, neutral: Any):
    plain = sampled(call, model)
    assert not tiny.close(sampled(call, call(id, model=model, **sent)), plain)
    if neutral is not None:
        assert tiny.close(sampled(call, call(id, model=model, **neutral)), plain)
    assert torch.equal(sampled(call, model), plain)


def test_an_operation_is_applied_to_what_guidance_adds(call: Call, model: Model):
    def nothing(*, latent: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(latent)

    changed = call("LatentApplyOperationCFG", model=model, operation=nothing)
    negative_only = call("LatentApplyOperationCFG", model=model, operation=lambda *, latent: latent)
    assert tiny.close(sampled(call, negative_only), sampled(call, model))
    assert not tiny.close(sampled(call, changed), sampled(call, model))


def test_shades_of_a_mask_say_how_much_may_change(call: Call, model: Model):
    shades = torch.linspace(0, 1, 8).expand(1, 1, 8, 8)
    changed = call("DifferentialDiffusion", model=model, strength=1.0)
    latent = {"samples": torch.zeros(1, 4, 8, 8), "noise_mask": shades}
    differential = sampled(call, changed, **latent).square().mean((0, 1, 2))
    assert differential[0] < differential[-1] / 2, differential
    assert not tiny.close(differential, sampled(call, model, **latent).square().mean((0, 1, 2)))
