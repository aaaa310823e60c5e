"""Packs' own sampling gives what ours gives, and what packs hang on a model reaches every sampler."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from compat.border import from_pack, to_pack
from diffusion.families.prediction import FlowSchedule, PredictionSpec
from diffusion.patches.pag import with_perturbed_attention
from diffusion.sampling.guidance.core import Cfg
from diffusion.sampling.noise import initial_noise
from diffusion.sampling.process import process_of
from diffusion.sampling.sample import sample_guided
from diffusion.sampling.schedules import schedule
from diffusion.sampling.solvers import SOLVERS, sampler
from nodes.wire import conditions
from tests.nodes import tiny

Sampled = Callable[..., Tensor]
Conds = tuple[list[Any], list[Any]]


def ours(model: Any, conds: Conds, name: str = "euler", cfg: float = 3.0, steps: int = 3, **more: Any) -> Tensor:
    """The same run by our own sampler."""
    latent = more.pop("latent", torch.zeros(1, 4, 8, 8))
    solver = sampler(name)
    levels = process_of(model.prediction).levels
    sigmas = schedule(levels, "karras", steps, discard_penultimate=solver.solver.discard_penultimate)
    guider = Cfg(conditions(conds[0]), conditions(conds[1]), cfg)
    noise = initial_noise(latent.shape, 5)
    return sample_guided(model, guider, latent, noise, solver, sigmas, seed=5, **more).latent


def close(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).norm() < 1e-4 * b.norm())


# One for each thing that solvers ask for: nothing, steps of noise, the unconditional estimate, a Brownian path, tau,
# a schedule one longer, noise of its own for what a mask keeps.
@pytest.mark.parametrize("name", ["euler", "euler_ancestral_cfg_pp", "dpmpp_2m_sde", "sa_solver", "dpm_2", "ddim"])
def test_samplers_are_ours(name: str, patcher: Any, conds: Conds, sampled: Sampled):
    torch.manual_seed(2)
    latent, mask = torch.randn(1, 4, 8, 8), torch.ones(1, 1, 8, 8)
    mask[..., :4] = 0
    theirs = sampled(patcher, name, steps=3, latent=latent, noise_mask=mask)
    assert close(theirs, ours(from_pack(patcher), conds, name, steps=3, latent=latent, noise_mask=mask))


def test_every_sampler_has_a_function_and_an_object(world: Any):
    from comfy import samplers

    for name in SOLVERS:
        assert callable(samplers.sampler_object(name).sampler_function)
        assert callable(getattr(samplers.k_diffusion_sampling, f"sample_{name}"))


def test_conditionings_may_have_areas_masks_times_and_strengths(patcher: Any, conds: Conds, sampled: Sampled):
    torch.manual_seed(9)
    mask = (torch.rand(1, 8, 8) > 0.5).float()
    more = [torch.randn_like(conds[0][0][0]), {"area": (4, 4, 2, 2), "strength": 0.7}]
    late = [torch.randn_like(conds[0][0][0]), {"start_percent": 0.3, "end_percent": 0.9, "mask": mask}]
    conds[0].extend([more, late])
    assert close(sampled(patcher), ours(from_pack(patcher), conds))


def test_a_latent_can_be_changed_in_part(patcher: Any, conds: Conds, sampled: Sampled):
    from comfy.samplers import KSampler

    sigmas = KSampler(patcher, 3, "cpu", "euler", "karras", denoise=0.5).sigmas
    assert len(sigmas) == 4
    assert sigmas[-1] == 0
    assert len(KSampler(patcher, 3, "cpu", "nobody", "nowhere", denoise=0.0).sigmas) == 0


Change = Callable[[Any], None]


def sampler_cfg(patcher: Any) -> None:
    patcher.set_model_sampler_cfg_function(lambda args: args["uncond"] + (args["cond"] - args["uncond"]) * 5.0)


def three_arguments(patcher: Any) -> None:
    patcher.set_model_sampler_cfg_function(lambda cond, uncond, scale: uncond + (cond - uncond) * (scale + 2))


def post_cfg(patcher: Any) -> None:
    patcher.set_model_sampler_post_cfg_function(
        lambda args: args["uncond_denoised"] + (args["cond_denoised"] - args["uncond_denoised"]) * 5.0
    )


def pre_cfg(patcher: Any) -> None:
    def before(args: dict[str, Any]) -> list[Tensor]:
        cond, uncond = args["conds_out"]
        return [uncond + (cond - uncond) * (5.0 / 3.0), uncond]

    patcher.set_model_sampler_pre_cfg_function(before)


def calc_cond_batch(patcher: Any) -> None:
    from comfy import samplers

    def estimates(args: dict[str, Any]) -> list[Tensor]:
        cond, uncond = samplers.calc_cond_batch(
            args["model"], args["conds"], args["input"], args["sigma"], args["model_options"]
        )
        return [uncond + (cond - uncond) * (5.0 / 3.0), uncond]

    patcher.set_model_sampler_calc_cond_batch_function(estimates)


def predict_noise_wrapper(patcher: Any) -> None:
    from comfy.patcher_extension import WrappersMP

    def wrapper(executor: Any, x: Tensor, timestep: Tensor, *rest: Any) -> Tensor:
        executor.class_obj.cfg = 5.0
        return executor(x, timestep, *rest)

    patcher.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, "test", wrapper)


def outer_sample_wrapper(patcher: Any) -> None:
    from comfy.patcher_extension import WrappersMP

    def wrapper(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
        executor.class_obj.cfg = 5.0
        return executor(*args, **kwargs)

    patcher.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, "test", wrapper)


def calc_wrapper(patcher: Any) -> None:
    from comfy.patcher_extension import WrappersMP

    def wrapper(executor: Any, *args: Any) -> list[Tensor]:
        cond, uncond = executor(*args)
        return [uncond + (cond - uncond) * (5.0 / 3.0), uncond]

    patcher.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "test", wrapper)


@pytest.mark.parametrize(
    "change",
    [
        sampler_cfg,
        three_arguments,
        post_cfg,
        pre_cfg,
        calc_cond_batch,
        predict_noise_wrapper,
        outer_sample_wrapper,
        calc_wrapper,
    ],
)
def test_functions_around_guidance_act_in_packs_sampler_and_in_ours(
    change: Change, patcher: Any, conds: Conds, sampled: Sampled
):
    """Each makes of cfg 3 what cfg 5 would be."""
    wanted = ours(from_pack(patcher), conds, cfg=5.0)
    changed = patcher.clone()
    change(changed)
    assert close(sampled(changed), wanted)
    assert close(ours(from_pack(changed), conds), wanted)
    assert not close(sampled(patcher), wanted)


def doubled_keys(patcher: Any) -> None:
    patcher.set_model_attn1_patch(lambda q, k, v, options: (q, k * 2, v))


def replaced_attention(patcher: Any) -> None:
    from comfy.ldm.modules.attention import optimized_attention

    def attention(q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> Tensor:
        return optimized_attention(q, k * 2, v, options["n_heads"])

    for kind, count in (("input", 12), ("middle", 1), ("output", 12)):
        for number in range(count):
            patcher.set_model_attn1_replace(attention, kind, number)


def test_attention_is_replaced_at_every_address(patcher: Any, sampled: Sampled):
    one, other = patcher.clone(), patcher.clone()
    doubled_keys(one)
    replaced_attention(other)
    assert close(sampled(one), sampled(other))
    assert not close(sampled(one), sampled(patcher))


def test_block_patches_see_where_they_are_and_whose_batch_it_is(patcher: Any, conds: Conds, sampled: Sampled):
    seen: dict[str, list[Any]] = {"input": [], "output": [], "emb": [], "attn": []}
    model = patcher.clone()

    def on_input(h: Tensor, options: dict[str, Any]) -> Tensor:
        seen["input"].append((options["block"], tuple(options["cond_or_uncond"]), options["sample_sigmas"].shape[0]))
        return h * 1.1

    def on_output(h: Tensor, skip: Tensor, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
        seen["output"].append(options["block"])
        return h, skip * 0.9

    def on_attention(out: Tensor, options: dict[str, Any]) -> Tensor:
        seen["attn"].append((options["block"], options["block_index"], options["n_heads"], options["dim_head"]))
        return out

    def on_emb(emb: Tensor, width: int, options: dict[str, Any]) -> Tensor:
        seen["emb"].append(width)
        return emb

    model.set_model_input_block_patch(on_input)
    model.set_model_output_block_patch(on_output)
    model.set_model_attn2_output_patch(on_attention)
    model.set_model_emb_patch(on_emb)
    assert not close(sampled(model, steps=1), sampled(patcher, steps=1))
    assert seen["input"][:2] == [(("input", 0), (0, 1), 2), (("input", 1), (0, 1), 2)]
    assert seen["output"][0] == ("output", 0)
    assert seen["attn"][0] == (("input", 1), 0, 4, 8)
    assert seen["emb"] == [32]
    assert close(ours(from_pack(model), conds), sampled(model))


def test_a_function_may_stand_in_for_the_model(patcher: Any, sampled: Sampled):
    calls: list[Any] = []

    def wrapper(apply_model: Any, args: dict[str, Any]) -> Tensor:
        calls.append((sorted(args), args["cond_or_uncond"]))
        return apply_model(args["input"], args["timestep"], **args["c"])

    model = patcher.clone()
    model.set_model_unet_function_wrapper(wrapper)
    assert close(sampled(model), sampled(patcher))
    assert calls[0] == (["c", "cond_or_uncond", "input", "timestep"], [0, 1])


@pytest.mark.parametrize("point", ["apply_model", "diffusion_model", "sampler_sample"])
def test_wrappers_run_around_every_stage(point: str, patcher: Any, sampled: Sampled):
    seen: list[object] = []

    def wrapper(executor: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(executor.class_obj)
        return executor(*args, **kwargs)

    model = patcher.clone()
    model.add_wrapper_with_key(point, "test", wrapper)
    assert close(sampled(model, steps=2), sampled(patcher, steps=2))
    wanted = {"apply_model": model.model, "diffusion_model": model.model.diffusion_model}.get(point)
    assert seen
    assert wanted is None or seen[0] is wanted


def test_a_schedule_of_a_packs_own_takes_the_place_of_the_models(patcher: Any, conds: Conds, sampled: Sampled):
    from comfy import model_sampling

    class Shifted(model_sampling.ModelSamplingDiscreteFlow, model_sampling.CONST):
        pass

    schedule = Shifted(patcher.model.model_config)
    schedule.set_parameters(shift=3.0)
    model = patcher.clone()
    model.add_object_patch("model_sampling", schedule)
    assert model.get_model_object("model_sampling") is schedule
    assert patcher.get_model_object("model_sampling") is patcher.model.model_sampling

    wanted = ours(replace(tiny.model(), prediction=PredictionSpec("flow", FlowSchedule(3.0))), conds)
    assert close(sampled(model), wanted)
    assert not isinstance(patcher.model.model_sampling, Shifted)


def test_guidance_of_our_nodes_acts_in_packs_loop(world: Any, conds: Conds, sampled: Sampled):
    handle = with_perturbed_attention(tiny.model(), 2.0)
    wanted = ours(handle, conds)
    model = to_pack(handle)
    assert close(sampled(model), wanted)
    seen: list[float] = []
    model.set_model_sampler_post_cfg_function(lambda args: (seen.append(args["cond_scale"]), args["denoised"])[1])
    assert close(ours(from_pack(model), conds), wanted)
    assert seen == [3.0] * 3


def test_a_guider_of_a_pack_is_run_by_our_node(patcher: Any, conds: Conds, sampled: Sampled):
    from comfy import samplers

    class Doubled(samplers.CFGGuider):
        def predict_noise(
            self, x: Tensor, timestep: Tensor, model_options: dict[str, Any] = {}, seed: int | None = None
        ) -> Tensor:
            return samplers.sampling_function(
                self.inner_model, x, timestep, self.conds["negative"], self.conds["positive"], self.cfg * 2,
                model_options=model_options, seed=seed,
            )  # fmt: skip

    guider = Doubled(patcher)
    guider.set_conds(*conds)
    guider.set_cfg(2.5)
    guiding = from_pack(guider)
    latent, sigmas = torch.zeros(1, 4, 8, 8), samplers.calculate_sigmas(patcher.model.model_sampling, "karras", 3)
    noise = initial_noise(latent.shape, 5)
    made = sample_guided(guiding.model, guiding.guider, latent, noise, sampler("euler"), sigmas, seed=5)
    assert close(made.latent, ours(from_pack(patcher), conds, cfg=5.0))
    assert to_pack(guiding) is guider


def test_a_sampler_function_of_a_pack_is_run_by_our_node(patcher: Any, conds: Conds, sampled: Sampled):
    from comfy import samplers

    def slow_euler(
        model: Any, x: Tensor, sigmas: Tensor, extra_args: Any = None, callback: Any = None, disable: Any = None,
        rate: float = 1.0,
    ) -> Tensor:  # fmt: skip
        for i in range(len(sigmas) - 1):
            denoised = model(x, sigmas[i] * x.new_ones([x.shape[0]]), **extra_args)
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
            x = x + (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i]) * rate
        return x

    held = samplers.KSAMPLER(slow_euler, {"rate": 1.0})
    assert from_pack(held).driver is not None
    assert to_pack(from_pack(held)) is held
    model, latent = from_pack(patcher), torch.zeros(1, 4, 8, 8)
    sigmas = samplers.calculate_sigmas(patcher.model.model_sampling, "karras", 3)
    guider = Cfg(conditions(conds[0]), conditions(conds[1]), 3.0)
    steps: list[int] = []
    made = sample_guided(
        model, guider, latent, initial_noise(latent.shape, 5), from_pack(held), sigmas, seed=5,
        on_step=lambda step: steps.append(step.index),
    )  # fmt: skip
    assert close(made.latent, ours(model, conds))
    assert steps == [0, 1, 2]
