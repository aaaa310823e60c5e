"""Patches change what a network makes, do nothing at their neutral settings, and leave the model that came in alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from diffusion.handles import Model
from diffusion.text.encode import encode, prompt_tokens
from nodes.previews import Previews
from tests.nodes import tiny
from tests.nodes.conftest import Call

DOWNSCALE = {"block_number": 1, "downscale_method": "bicubic", "upscale_method": "bicubic", "end_percent": 1.0}
ONES = {"q": 1.0, "k": 1.0, "v": 1.0, "out": 1.0}


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny.model()


@pytest.fixture(autouse=True)
def previews(given: dict[str, Any]) -> None:
    given["previews"] = Previews("none")


def sampled(call: Call, model: Model) -> torch.Tensor:
    return call(
        "KSampler",
        model=model,
        seed=1,
        steps=1,
        cfg=3.0,
        sampler_name="euler",
        scheduler="normal",
        positive=tiny.prompt(0),
        negative=tiny.prompt(1),
        latent_image={"samples": torch.zeros(1, 4, 16, 16)},
        denoise=1.0,
    )["samples"]


@pytest.fixture(scope="module")
def plain(model: Model, request: pytest.FixtureRequest) -> list[torch.Tensor]:
    """Filled by the first test that samples the model as it is."""
    return []


@pytest.mark.parametrize(
    ("id", "sent", "neutral"),
    [
        ("FreeU", {"b1": 1.5, "b2": 1.5}, {"b1": 1.0, "b2": 1.0, "s1": 1.0, "s2": 1.0}),
        ("FreeU_V2", {"b1": 1.5, "b2": 1.5}, {"b1": 1.0, "b2": 1.0, "s1": 1.0, "s2": 1.0}),
        ("HyperTile", {"tile_size": 64, "swap_size": 1}, {"tile_size": 2048, "swap_size": 1}),
        ("PatchModelAddDownscale", DOWNSCALE, {**DOWNSCALE, "downscale_factor": 1.0}),
        ("PerturbedAttentionGuidance", {"scale": 3.0}, {"scale": 0.0}),
        ("TomePatchModel", {"ratio": 0.5}, {"ratio": 0.0}),
        ("SelfAttentionGuidance", {"scale": 1.0, "blur_sigma": 2.0}, {"scale": 0.0, "blur_sigma": 2.0}),
        ("UNetSelfAttentionMultiply", {**ONES, "out": 2.0}, ONES),
        ("UNetCrossAttentionMultiply", {**ONES, "k": 0.5}, ONES),
        ("UNetTemporalAttentionMultiply", {"cross_structural": 2.0}, {"self_temporal": 2.0}),
        ("ModelComputeDtype", {"dtype": "bf16"}, {"dtype": "fp32"}),
    ],
)
def test_a_patch_acts_and_is_neutral_where_it_should_be(
    call: Call, model: Model, plain: list[torch.Tensor], id: str, sent: Any, neutral: Any
):
    if not plain:
        plain.append(sampled(call, model))
    before = plain[0]
    assert not tiny.close(sampled(call, call(id, model=model, **sent)), before)
    after = sampled(call, call(id, model=model, **neutral))
    assert (after - before).norm() < 1e-3 * before.norm()


def test_scaled_text_attention_changes_a_prompt(call: Call):
    clip = tiny.text_encoders()
    changed = call("CLIPAttentionMultiply", clip=clip, **{**ONES, "out": 2.0})
    neutral = call("CLIPAttentionMultiply", clip=clip, **ONES)
    plain, loud, same = (encode(each, prompt_tokens(each, "a cat")).context for each in (clip, changed, neutral))
    assert not torch.allclose(plain, loud, atol=1e-3)
    assert torch.equal(plain, same)


def test_a_network_is_compiled_by_the_backend_asked_for(call: Call, model: Model, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def fake(function: Callable[..., Any], *, backend: str) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            asked.append(backend)
            return function(*args, **kwargs)

        return counted

    before = sampled(call, model)
    monkeypatch.setattr(torch, "compile", fake)
    compiled = call("TorchCompileModel", model=model, backend="inductor")
    assert torch.equal(sampled(call, compiled), before)
    assert set(asked) == {"inductor"}
    asked.clear()
    assert torch.equal(sampled(call, model), before)
    assert asked == []
