"""Sampling from a whole, if tiny, model: guidance, regions, inpainting, control, and what goes wrong."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.families.prediction import BetaSchedule, FlowSchedule, PredictionSpec
from diffusion.handles import ControlNet as ControlNetHandle
from diffusion.models.controlnet import ControlNet
from diffusion.patches.hooks import Control, ModelHooks, NetworkCall
from diffusion.sampling.conditioning import Area, conditions
from diffusion.sampling.control import ControlCall, ControlLink
from diffusion.sampling.denoiser import Step
from diffusion.sampling.guidance.core import Cfg
from diffusion.sampling.inpaint import with_differential_diffusion
from diffusion.sampling.noise import initial_noise, no_noise
from diffusion.sampling.process import process_of
from diffusion.sampling.sample import NotFinite, add_noise, fit_latent, sample, sample_guided
from diffusion.sampling.schedules import schedule
from diffusion.sampling.solvers import SOLVERS, sampler
from tests.diffusion.models.oracle import TOLERANCE, randomised, relative_error
from tests.diffusion.sampling import tiny

EULER = sampler("euler")
SHAPE = (1, 4, 16, 16)
MODEL = tiny.model()


def sigmas_of(model: Any, steps: int = 4, name: str = "normal", **options: Any) -> Tensor:
    return schedule(process_of(model.prediction).levels, name, steps, **options)


def run(model: Any = MODEL, **changes: Any) -> Tensor:
    """A text-to-image run of four Euler steps, with whatever a test changes."""
    given: dict[str, Any] = {
        "latent": torch.zeros(SHAPE),
        "noise": initial_noise(SHAPE, 3),
        "positive": [tiny.text(1)],
        "negative": [tiny.text(2)],
        "cfg": 5.0,
        "sampler": EULER,
        "sigmas": sigmas_of(model),
        **changes,
    }
    return sample(model, **given)


def assert_same(one: Tensor, other: Tensor):
    """Up to the rounding of float32 in sums of another order."""
    assert relative_error(one, other) < TOLERANCE


def recording(calls: list[NetworkCall]) -> ModelHooks:
    """Hooks that keep every call of the network."""

    def wrapper(forward: Any, call: NetworkCall) -> Tensor:
        calls.append(call)
        return forward(call)

    return ModelHooks(wrappers=(wrapper,))


@pytest.mark.parametrize("name", SOLVERS)
def test_every_sampler_makes_a_finite_latent(name: str):
    solver = SOLVERS[name]
    sigmas = sigmas_of(MODEL, 5, "karras", discard_penultimate=solver.discard_penultimate)
    # A random network is no smooth denoiser: adaptive steps would go on being refined.
    options = {"rtol": 1.0, "atol": 50.0} if name == "dpm_adaptive" else {}
    result = run(sampler=sampler(name, **options), sigmas=sigmas, seed=5)
    assert result.shape == SHAPE
    assert torch.isfinite(result).all()
    assert torch.equal(result, run(sampler=sampler(name, **options), sigmas=sigmas, seed=5))


@pytest.mark.parametrize("name", [name for name in SOLVERS if name not in ("ddpm", "dpm_adaptive")])
def test_every_sampler_works_on_a_flow_from_pure_noise(name: str):
    model = tiny.model(prediction=PredictionSpec("flow", FlowSchedule(3.0)))
    result = run(model, sampler=sampler(name), sigmas=sigmas_of(model, 5, "simple"))
    assert torch.isfinite(result).all()


def test_euler_is_the_method_written_out_by_hand():
    sigmas = sigmas_of(MODEL)
    levels = process_of(MODEL.prediction).levels
    x = initial_noise(SHAPE, 3) * (1 + sigmas[0] ** 2).sqrt()
    for sigma, following in pairwise(sigmas):
        scaled = x / (sigma**2 + 1).sqrt()
        time = levels.timestep(sigma[None])
        with torch.no_grad():
            eps = [MODEL.network(scaled, time, c.context) for c in (tiny.text(1), tiny.text(2))]
        guided = eps[1] + 5.0 * (eps[0] - eps[1])
        x = x + guided * (following - sigma)
    assert_same(run(), MODEL.latent.to_vae(x))


def test_positive_and_negative_share_one_call_and_that_changes_nothing():
    calls: list[NetworkCall] = []
    together = run(MODEL.with_hooks(recording(calls)))
    assert [len(call.x) for call in calls] == [2] * 4
    assert {call.info.roles for call in calls} == {("positive", "negative")}
    apart = run(negative=[tiny.text(2, tokens=7, control=NoControl())])
    assert_same(together, apart)


class NoControl:
    """Keeps a condition out of everyone else's batch."""

    def control(self, call: ControlCall) -> Control | None:
        return None


def test_prompts_of_different_length_are_repeated_into_one_batch_without_changing_the_result():
    calls: list[NetworkCall] = []
    long = tiny.text(4, tokens=14)
    together = run(MODEL.with_hooks(recording(calls)), negative=[long])
    assert [tuple(call.context.shape) for call in calls] == [(2, 14, tiny.CONTEXT_WIDTH)] * 4
    apart = run(negative=[replace(long, control=NoControl())])
    assert_same(together, apart)


def test_prompts_whose_lengths_do_not_fit_run_one_by_one():
    calls: list[NetworkCall] = []
    run(MODEL.with_hooks(recording(calls)), negative=[tiny.text(4, tokens=11)])
    assert [len(call.x) for call in calls] == [1] * 8


def test_at_cfg_one_the_negative_is_not_evaluated():
    calls: list[NetworkCall] = []
    result = run(MODEL.with_hooks(recording(calls)), cfg=1.0)
    assert [len(call.x) for call in calls] == [1] * 4
    assert_same(result, run(cfg=1.0, negative=[]))


def test_cfg_pp_samplers_evaluate_the_negative_even_at_cfg_one():
    calls: list[NetworkCall] = []
    run(MODEL.with_hooks(recording(calls)), cfg=1.0, sampler=sampler("euler_cfg_pp"))
    assert [len(call.x) for call in calls] == [2] * 4


def test_a_batch_is_its_latents_sampled_one_by_one():
    noise = initial_noise((2, *SHAPE[1:]), 3)
    both = run(latent=torch.zeros(2, *SHAPE[1:]), noise=noise)
    for row in range(2):
        assert_same(both[row : row + 1], run(noise=noise[row : row + 1]))


def test_an_image_is_kept_more_the_less_is_denoised():
    latent = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1)) * 4
    changes = [
        float((run(latent=latent, sigmas=sigmas_of(MODEL, 4, denoise=share)) - latent).abs().mean())
        for share in (0.05, 0.3, 1.0)
    ]
    assert changes == sorted(changes)
    assert torch.equal(run(latent=latent, sigmas=sigmas_of(MODEL, 4, denoise=0.0)), latent)


def test_stopping_and_going_on_is_the_whole_run():
    sigmas = sigmas_of(MODEL, 6)
    whole = run(sigmas=sigmas)
    half = run(sigmas=sigmas[:4])
    rest = run(latent=half, noise=no_noise(SHAPE), sigmas=sigmas[3:])
    assert_same(rest, whole)


def test_stopping_and_going_on_is_the_whole_run_of_a_flow():
    model = tiny.model(prediction=PredictionSpec("flow", FlowSchedule(3.0)))
    sigmas = sigmas_of(model, 6)
    half = run(model, sigmas=sigmas[:4])
    rest = run(model, latent=half, noise=no_noise(SHAPE), sigmas=sigmas[3:])
    assert_same(rest, run(model, sigmas=sigmas))


def test_inpainting_leaves_everything_outside_the_mask_untouched():
    latent = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 128, 128)
    mask[:, :64, :64] = 1
    for name in ("euler", "ddim", "dpmpp_2m", "euler_ancestral", "dpmpp_2m_sde", "euler_cfg_pp"):
        result = run(latent=latent, noise_mask=mask, sampler=sampler(name))
        torch.testing.assert_close(result[..., 8:, :], latent[..., 8:, :], rtol=0, atol=1e-5)
        torch.testing.assert_close(result[..., :8, 8:], latent[..., :8, 8:], rtol=0, atol=1e-5)
        assert float((result - latent)[..., :8, :8].abs().mean()) > 0.1


def test_ddim_noises_the_kept_part_with_noise_of_its_own():
    latent = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 16, 16)
    mask[:, :8] = 1
    assert not torch.allclose(
        run(latent=latent, noise_mask=mask, sampler=sampler("ddim")), run(latent=latent, noise_mask=mask), atol=1e-3
    )


def test_differential_diffusion_changes_places_the_earlier_the_brighter_the_mask():
    latent = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    mask = torch.linspace(0, 1, 16).expand(1, 16, 16)
    seen: list[Tensor] = []
    run(
        with_differential_diffusion(MODEL),
        latent=latent,
        noise_mask=mask,
        sigmas=sigmas_of(MODEL, 8),
        on_step=lambda step: seen.append((step.denoised - MODEL.latent.to_model(latent)).abs().mean(dim=(0, 1, 2))),
    )
    changed = [int((columns > 1e-4).sum()) for columns in seen]
    assert changed == sorted(changed)
    assert changed[0] == 1
    assert changed[-1] >= 14


def test_areas_guide_only_their_part():
    left = tiny.text(5, area=Area(16, 8, 0, 0))
    right = tiny.text(6, area=Area(16, 8, 0, 8))
    calls: list[NetworkCall] = []
    result = run(MODEL.with_hooks(recording(calls)), positive=[left, right])
    assert torch.isfinite(result).all()
    # Each area gets a negative of its own; the whole-picture negative runs too. Areas of one size share a call.
    assert sorted(len(call.x) for call in calls[:2]) == [1, 4]
    assert {tuple(call.x.shape[2:]) for call in calls} == {(16, 8), (16, 16)}


def test_two_areas_that_meet_blend_into_each_other():
    one, other = tiny.text(5), tiny.text(6)
    halves = [replace(one, area=Area(16, 8, 0, 0)), replace(other, area=Area(16, 8, 0, 8))]
    shares = [replace(one, area=Area(1.0, 0.5, 0, 0, "shares")), replace(other, area=Area(1.0, 0.5, 0, 0.5, "shares"))]
    torch.testing.assert_close(run(positive=halves), run(positive=shares))


def test_a_mask_of_ones_is_no_mask_and_strengths_are_relative():
    whole = run()
    ones = torch.ones(1, 128, 128)
    assert_same(run(positive=[tiny.text(1, mask=ones)]), whole)
    assert_same(run(positive=[tiny.text(1, strength=0.3)]), whole)
    assert_same(run(positive=[tiny.text(1), tiny.text(1, strength=3.0)]), whole)


def test_masks_say_where_each_prompt_counts():
    top = torch.zeros(1, 16, 16)
    top[:, :8] = 1
    seen: list[Tensor] = []

    def first(step: Step) -> None:
        seen.append(step.denoised)

    one_step = sigmas_of(MODEL, 1)
    run(positive=[tiny.text(1)], cfg=1.0, sigmas=one_step, on_step=first)
    run(positive=[tiny.text(2)], cfg=1.0, sigmas=one_step, on_step=first)
    both = [tiny.text(1, mask=top), tiny.text(2, mask=1 - top)]
    run(positive=both, cfg=1.0, sigmas=one_step, on_step=first)
    assert_same(seen[2][..., :8, :], seen[0][..., :8, :])
    assert_same(seen[2][..., 8:, :], seen[1][..., 8:, :])


def test_the_bounds_of_a_mask_are_sampled_alone():
    mask = torch.zeros(1, 16, 16)
    mask[:, 3:13, 2:5] = 1
    calls: list[NetworkCall] = []
    run(MODEL.with_hooks(recording(calls)), positive=[tiny.text(1), tiny.text(5, mask=mask, within_mask_bounds=True)])
    assert (10, 8) in {tuple(call.x.shape[2:]) for call in calls}  # at least 8 each way


def test_a_default_condition_acts_where_no_other_does():
    top = torch.zeros(1, 16, 16)
    top[:, :8] = 1
    masked = [tiny.text(1, mask=top), tiny.text(2, mask=1 - top)]
    filled = [tiny.text(1, mask=top), tiny.text(2, default=True)]
    assert_same(run(positive=filled, cfg=1.0), run(positive=masked, cfg=1.0))


def test_a_timestep_range_takes_turns():
    sigmas = sigmas_of(MODEL, 4)
    middle = process_of(MODEL.prediction).levels.percent_to_sigma(0.5)
    calls: list[NetworkCall] = []
    early, late = tiny.text(1, end_percent=0.5), tiny.text(5, start_percent=0.5)
    run(MODEL.with_hooks(recording(calls)), positive=[early, late], cfg=1.0, sigmas=sigmas)
    for call, sigma in zip(calls, sigmas[:-1], strict=True):
        expected = early if float(sigma) >= middle else late
        assert torch.equal(call.context, expected.context)


def test_sizes_and_pooled_text_reach_the_network():
    model = tiny.model(pooled_width=8)
    calls: list[NetworkCall] = []
    text = tiny.text(1, pooled=torch.ones(1, 8), options={"width": 512, "height": 768})
    run(model.with_hooks(recording(calls)), positive=[text], negative=[tiny.text(2, pooled=torch.zeros(1, 8))])
    y = calls[0].y
    assert y is not None
    assert y.shape == (2, 8 + 6 * 256)
    assert torch.equal(y[0, :8], torch.ones(8))
    assert not torch.equal(y[0, 8:], y[1, 8:])  # the negative has the picture's own size, 128


def test_a_model_that_needs_pooled_text_says_so_when_there_is_none():
    with pytest.raises(ValueError, match="SDXL needs a pooled text vector"):
        run(tiny.model(pooled_width=8))


def test_an_inpainting_model_sees_mask_and_masked_picture():
    model = tiny.model(in_channels=9)
    calls: list[NetworkCall] = []
    mask = torch.zeros(1, 16, 16)
    mask[:, :8] = 1
    picture = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    seeing = tiny.text(1, options={"concat_latent_image": picture, "concat_mask": mask})
    run(model.with_hooks(recording(calls)), positive=[seeing], noise_mask=mask)
    positive, negative = calls[0].x[:1], calls[0].x[1:]
    assert torch.equal(positive[:, 4], mask)
    torch.testing.assert_close(positive[:, 5:], model.latent.to_model(picture))
    assert torch.equal(negative[:, 4], mask)


def test_an_inpainting_model_without_a_mask_repaints_grey():
    model = tiny.model(in_channels=9)
    calls: list[NetworkCall] = []
    run(model.with_hooks(recording(calls)))
    assert (calls[0].x[:, 4] == 1).all()
    assert calls[0].x[0, 5:, 0, 0].tolist() == pytest.approx([0.8223, -0.6876, 0.6364, 0.1380])


def controlnet(seed: int = 1) -> ControlNetHandle:
    return ControlNetHandle(network=randomised(ControlNet(tiny.config()), seed=seed))


def test_a_control_net_changes_the_picture_in_its_range_only():
    hint = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    link = ControlLink(controlnet(), hint, strength=0.5)
    plain = run()
    assert not torch.allclose(run(positive=[tiny.text(1, control=link)]), plain, atol=1e-3)
    for silent_link in (replace(link, strength=0.0), replace(link, start_percent=1.0, end_percent=1.0)):
        assert_same(run(positive=[tiny.text(1, control=silent_link)]), plain)


def test_control_nets_in_a_chain_are_summed():
    hint = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    net = controlnet()
    twice = ControlLink(net, hint, 0.25, previous=ControlLink(net, hint, 0.25))
    assert_same(
        run(positive=[tiny.text(1, control=twice)]), run(positive=[tiny.text(1, control=ControlLink(net, hint, 0.5))])
    )


def test_a_control_for_both_sides_is_handed_to_the_negative():
    link = ControlLink(controlnet(), torch.rand(1, 64, 64, 3), 0.5)
    shared = run(positive=[tiny.text(1, control=link, control_on_negative=True)])
    written_out = run(positive=[tiny.text(1, control=link)], negative=[tiny.text(2, control=link)])
    assert torch.equal(shared, written_out)


def test_options_of_a_conditioning_are_read_as_nodes_write_them():
    context, pooled = torch.zeros(1, 7, 16), torch.ones(1, 8)
    (found,) = conditions(
        [(context, {"pooled_output": pooled, "area": ("percentage", 0.5, 1.0, 0.5, 0), "strength": 0.7,
                    "start_percent": 0.1, "unknown": 1})]
    )  # fmt: skip
    assert found.area == Area(0.5, 1.0, 0.5, 0.0, "shares")
    assert (found.strength, found.start_percent, found.end_percent) == (0.7, 0.1, None)
    assert found.pooled is pooled
    assert found.options["unknown"] == 1
    (cells,) = conditions([(context, {"area": (8, 4, 2, 1)})])
    assert cells.area == Area(8, 4, 2, 1)


def test_nan_is_an_error_that_names_the_step():
    def poison(forward: Any, call: NetworkCall) -> Tensor:
        out = forward(call)
        return out * float("nan") if float(call.info.sigmas[0]) < 2.5 else out

    broken = MODEL.with_hooks(ModelHooks(wrappers=(poison,)))
    with pytest.raises(NotFinite, match=r"tiny\.safetensors answered with NaN or infinity at step 3 of 4"):
        run(broken)


def test_a_listener_interrupts_by_raising():
    class Interrupted(Exception):
        pass

    def stop(step: Step) -> None:
        if step.index == 1:
            raise Interrupted

    with pytest.raises(Interrupted):
        run(on_step=stop)


def test_the_last_estimate_is_returned_beside_the_latent():
    result = sample_guided(
        MODEL, Cfg([tiny.text(1)]), torch.zeros(SHAPE), initial_noise(SHAPE, 3), EULER, sigmas_of(MODEL, 6)[:4]
    )
    assert not torch.allclose(result.latent, result.denoised)
    whole = sample_guided(
        MODEL, Cfg([tiny.text(1)]), torch.zeros(SHAPE), initial_noise(SHAPE, 3), EULER, sigmas_of(MODEL)
    )
    torch.testing.assert_close(whole.latent, whole.denoised, rtol=1e-5, atol=1e-5)


def test_an_empty_latent_takes_the_channels_of_the_model():
    assert fit_latent(MODEL, torch.zeros(2, 16, 8, 8)).shape == (2, 4, 8, 8)
    full = torch.ones(1, 16, 8, 8)
    assert fit_latent(MODEL, full) is full


def test_a_latent_of_another_model_line_is_refused():
    with pytest.raises(ValueError, match=r"SD 1\.x works on latents"):
        run(latent=torch.ones(1, 16, 16, 16), noise=initial_noise((1, 16, 16, 16), 0))
    with pytest.raises(ValueError, match="have to match"):
        run(noise=initial_noise((1, 4, 8, 8), 0))


def test_sampling_state_is_float32_whatever_the_network_computes_in():
    half = replace(MODEL, network=randomised(type(MODEL.network)(tiny.config())).to(torch.bfloat16))  # pyright: ignore[reportCallIssue]  # a UNet
    seen: list[Step] = []
    result = run(half, on_step=seen.append)
    assert result.dtype == torch.float32
    assert {step.x.dtype for step in seen} == {step.denoised.dtype for step in seen} == {torch.float32}


@pytest.mark.parametrize("kind", ["eps", "v", "x0", "edm", "lcm"])
def test_every_prediction_can_be_sampled(kind: Any):
    model = tiny.model(prediction=PredictionSpec(kind, BetaSchedule()))
    assert torch.isfinite(run(model)).all()


def test_adaptive_steps_give_up_with_advice_where_no_step_is_small_enough():
    with pytest.raises(ArithmeticError, match="rtol, atol"):
        run(sampler=sampler("dpm_adaptive", rtol=1e-12, atol=1e-12))


def test_noise_added_beforehand_is_noise_added_by_the_run():
    latent = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    sigmas = sigmas_of(MODEL, 4, denoise=0.5)
    noisy = add_noise(MODEL, latent, initial_noise(SHAPE, 3), sigmas)
    assert_same(run(latent=noisy, noise=no_noise(SHAPE), sigmas=sigmas), run(latent=latent, sigmas=sigmas))
    assert torch.equal(add_noise(MODEL, latent, initial_noise(SHAPE, 3), torch.empty(0)), latent)


def test_a_run_without_positive_conditioning_is_refused():
    with pytest.raises(ValueError, match="no positive conditioning"):
        run(positive=[])


def test_a_latent_can_grow_while_a_consistency_model_is_sampled():
    growing = sampler("lcm_upscale", scale_ratio=1.5, scale_steps=-1, upscale_method="bislerp")
    seen: list[Step] = []
    result = run(cfg=1.0, sampler=growing, sigmas=sigmas_of(MODEL, 5), on_step=seen.append)
    assert [step.x.shape[-1] for step in seen] == [16, 19, 21, 24, 24]
    assert result.shape == (1, 4, 24, 24)
