"""Samplers as nodes: they agree with each other, and report, stop and keep what they should."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from diffusion.handles import Model
from diffusion.models.taesd import TaesdConfig, decoder
from diffusion.store import ModelStore
from execution.context import JobInterrupted
from nodes.previews import Previews
from storage.folders import Folders
from tests.diffusion.models.oracle import randomised
from tests.nodes import tiny
from tests.nodes.conftest import Call, FakeRun

STEPS = 4


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny.model()


@pytest.fixture(autouse=True)
def previews(given: dict[str, Any]) -> None:
    given["previews"] = Previews()


@pytest.fixture
def settings(model: Model) -> dict[str, Any]:
    return {
        "model": model,
        "seed": 5,
        "steps": STEPS,
        "cfg": 3.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "positive": tiny.prompt(0),
        "negative": tiny.prompt(1),
        "latent_image": {"samples": torch.zeros(2, 4, 8, 8), "kept": "as it is"},
        "denoise": 1.0,
    }


def advanced(settings: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The same for KSamplerAdvanced."""
    sent = {name: value for name, value in settings.items() if name not in ("seed", "denoise")}
    usual = {"add_noise": "enable", "start_at_step": 0, "end_at_step": 10000, "return_with_leftover_noise": "disable"}
    return {**sent, "noise_seed": settings["seed"], **usual, **more}


def test_one_seed_is_one_latent(call: Call, settings: dict[str, Any]):
    first, again = call("KSampler", **settings), call("KSampler", **settings)
    other = call("KSampler", **{**settings, "seed": 6})
    assert torch.equal(first["samples"], again["samples"])
    assert not torch.equal(first["samples"], other["samples"])
    assert first["samples"].shape == (2, 4, 8, 8)
    assert first["kept"] == "as it is"
    assert torch.isfinite(first["samples"]).all()


def test_the_pieces_of_custom_sampling_make_what_the_whole_makes(call: Call, settings: dict[str, Any]):
    whole = call("KSampler", **settings)["samples"]
    model, prompts = settings["model"], {name: settings[name] for name in ("positive", "negative")}
    sampler = call("KSamplerSelect", sampler_name="euler")
    sigmas = call("BasicScheduler", model=model, scheduler="normal", steps=STEPS, denoise=1.0)
    latent = settings["latent_image"]
    common = {"sampler": sampler, "sigmas": sigmas, "latent_image": latent}
    custom, _ = call("SamplerCustom", model=model, noise_seed=5, cfg=3.0, add_noise=True, **prompts, **common)
    guider = call("CFGGuider", model=model, cfg=3.0, **prompts)
    noise = call("RandomNoise", noise_seed=5)
    pieces, denoised = call("SamplerCustomAdvanced", noise=noise, guider=guider, **common)
    assert torch.equal(custom["samples"], whole)
    assert torch.equal(pieces["samples"], whole)
    assert tiny.close(denoised["samples"], whole)  # the run ends without noise


def test_two_samplers_can_share_the_steps(call: Call, settings: dict[str, Any]):
    whole = call("KSampler", **settings)["samples"]
    first = call("KSamplerAdvanced", **advanced(settings, end_at_step=2, return_with_leftover_noise="enable"))
    rest = {"add_noise": "disable", "start_at_step": 2, "latent_image": first}
    both = call("KSamplerAdvanced", **advanced(settings, **rest))["samples"]
    assert tiny.close(both, whole)


def test_without_leftover_noise_a_part_ends_clean(call: Call, settings: dict[str, Any]):
    clean = call("KSamplerAdvanced", **advanced(settings, end_at_step=2))["samples"]
    sigmas = call("BasicScheduler", model=settings["model"], scheduler="normal", steps=STEPS, denoise=1.0)[:3].clone()
    sigmas[-1] = 0
    assert torch.equal(clean, sampled(call, settings, call("CFGGuider", **leading(settings)), sigmas))


def test_a_part_without_steps_changes_nothing(call: Call, settings: dict[str, Any]):
    latent = {"samples": torch.randn(1, 4, 8, 8)}
    same = call("KSamplerAdvanced", **advanced(settings, start_at_step=50, latent_image=latent))
    assert torch.equal(same["samples"], latent["samples"])


def test_no_denoising_changes_nothing(call: Call, settings: dict[str, Any]):
    latent = {"samples": torch.randn(1, 4, 8, 8)}
    same = call("KSampler", **{**settings, "denoise": 0.0, "latent_image": latent})
    assert torch.equal(same["samples"], latent["samples"])


def test_less_denoising_stays_closer_to_the_picture(call: Call, settings: dict[str, Any]):
    latent = {"samples": torch.randn(1, 4, 8, 8)}
    moved = [
        (call("KSampler", **{**settings, "latent_image": latent, "denoise": d})["samples"] - latent["samples"]).norm()
        for d in (0.1, 0.5, 1.0)
    ]
    assert moved[0] < moved[1] < moved[2]


def test_what_a_mask_does_not_select_stays(call: Call, settings: dict[str, Any]):
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    latent = {"samples": torch.randn(1, 4, 8, 8), "noise_mask": mask}
    painted = call("KSampler", **{**settings, "latent_image": latent})["samples"]
    assert tiny.close(painted[..., 5:], latent["samples"][..., 5:])
    assert not torch.allclose(painted[..., :3], latent["samples"][..., :3], atol=1e-2)


def test_an_empty_latent_gets_the_channels_of_the_model(call: Call, settings: dict[str, Any]):
    empty = {"samples": torch.zeros(1, 16, 8, 8)}
    assert call("KSampler", **{**settings, "latent_image": empty})["samples"].shape == (1, 4, 8, 8)


def test_a_latent_of_another_model_line_is_refused(call: Call, settings: dict[str, Any]):
    with pytest.raises(ValueError, match="another model line"):
        call("KSampler", **{**settings, "latent_image": {"samples": torch.ones(1, 16, 8, 8)}})


def test_every_step_is_reported_with_a_picture(call: Call, settings: dict[str, Any], run: FakeRun):
    call("KSampler", **settings)
    assert run.steps == [(step, STEPS) for step in range(1, STEPS + 1)]
    assert len(run.previews) == STEPS
    data, format = run.previews[-1]
    with Image.open(BytesIO(data)) as picture:
        assert (picture.format, format, picture.size) == ("JPEG", "jpeg", (64, 64))


def test_previews_are_no_larger_than_asked_for_and_can_be_switched_off(
    call: Call, settings: dict[str, Any], run: FakeRun, given: dict[str, Any]
):
    given["previews"] = Previews(size=16)
    call("KSampler", **settings)
    with Image.open(BytesIO(run.previews[0][0])) as picture:
        assert picture.size == (16, 16)
    run.previews.clear()
    given["previews"] = Previews("none")
    call("KSampler", **settings)
    assert run.previews == []


def test_an_interrupted_job_stops_after_its_step(call: Call, settings: dict[str, Any], run: FakeRun):
    run.stopped = True
    with pytest.raises(JobInterrupted):
        call("KSampler", **settings)
    assert run.steps == []


def test_without_guidance_the_negative_prompt_has_no_say(call: Call, settings: dict[str, Any]):
    one = {**settings, "cfg": 1.0}
    first = call("KSampler", **one)["samples"]
    assert torch.equal(first, call("KSampler", **{**one, "negative": tiny.prompt(9)})["samples"])
    guider = call("BasicGuider", model=settings["model"], conditioning=settings["positive"])
    assert torch.equal(sampled(call, settings, guider), first)


def leading(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in ("model", "positive", "negative", "cfg")}


def sampled(call: Call, settings: Mapping[str, Any], guider: Any, sigmas: Tensor | None = None) -> Tensor:
    if sigmas is None:
        sigmas = call("BasicScheduler", model=settings["model"], scheduler="normal", steps=STEPS, denoise=1.0)
    rest = {"sampler": call("KSamplerSelect", sampler_name="euler"), "latent_image": settings["latent_image"]}
    noise = call("RandomNoise", noise_seed=5)
    return call("SamplerCustomAdvanced", noise=noise, guider=guider, sigmas=sigmas, **rest)[0]["samples"]


def test_two_guidances_with_equal_prompts_are_one(call: Call, settings: dict[str, Any]):
    whole = call("KSampler", **settings)["samples"]
    sent = {"model": settings["model"], "negative": settings["negative"], "cfg_cond2_negative": 3.0}
    both = {"cond1": settings["positive"], "cond2": settings["positive"], "cfg_conds": 7.0}
    dual = sampled(call, settings, call("DualCFGGuider", style="regular", **sent, **both))
    assert tiny.close(dual, whole)
    other = {**both, "cond2": tiny.prompt(4)}
    assert not tiny.close(sampled(call, settings, call("DualCFGGuider", style="nested", **sent, **other)), whole)


def test_perpendicular_guidance_ignores_a_negative_that_equals_the_positive(call: Call, settings: dict[str, Any]):
    prompts = {"positive": settings["positive"], "empty_conditioning": settings["negative"]}
    sent = {"model": settings["model"], "cfg": 3.0, "neg_scale": 1.0}
    same = call("PerpNegGuider", negative=settings["positive"], **prompts, **sent)
    assert tiny.close(sampled(call, settings, same), call("KSampler", **settings)["samples"])


def test_added_noise_is_what_sampling_would_start_from(call: Call, model: Model):
    latent = {"samples": torch.randn(1, 4, 8, 8)}
    noise = call("RandomNoise", noise_seed=3)
    sent = {"noise": noise, "sigmas": torch.tensor([5.0, 1.0]), "latent_image": latent}
    noisy = call("AddNoise", model=model, **sent)["samples"]
    expected = latent["samples"] + 4 * noise.generate_noise(latent) / 0.18215
    assert tiny.close(noisy, expected)
    same = call("AddNoise", model=model, **{**sent, "sigmas": torch.empty(0)})["samples"]
    assert torch.equal(same, latent["samples"])


def test_a_tiny_decoder_in_its_folder_shows_more(
    call: Call, settings: dict[str, Any], run: FakeRun, given: dict[str, Any], tmp_path: Path
):
    folders = Folders(tmp_path)
    folder = folders.directories("vae_approx")[0]
    folder.mkdir(parents=True)
    network = randomised(decoder(TaesdConfig(4)))
    save_file(dict(network.state_dict()), folder / "taesd_decoder.safetensors")
    call("KSampler", **settings)
    factors = run.previews[-1][0]
    given["previews"] = Previews("taesd", 512, folders, ModelStore())
    call("KSampler", **settings)
    decoded = run.previews[-1][0]
    assert decoded != factors
    with Image.open(BytesIO(decoded)) as picture:
        assert picture.size == (64, 64)
