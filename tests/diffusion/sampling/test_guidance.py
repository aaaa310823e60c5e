"""Guidance methods: by their formulas, and by what they must leave alone."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.handles import Model
from diffusion.patches.hooks import ModelHooks, NetworkCall
from diffusion.patches.pag import with_perturbed_attention
from diffusion.patches.sag import gaussian_blur, with_self_attention_guidance
from diffusion.sampling.denoiser import Step
from diffusion.sampling.guidance.apg import with_apg
from diffusion.sampling.guidance.by_frame import with_linear_cfg, with_triangle_cfg
from diffusion.sampling.guidance.core import Cfg, GuidanceStep, Guider, guidance_of, with_after, with_before
from diffusion.sampling.guidance.epsilon_scaling import with_epsilon_scaling
from diffusion.sampling.guidance.fresca import by_frequency, with_fresca
from diffusion.sampling.guidance.guiders import DualCfg, PerpNegCfg
from diffusion.sampling.guidance.mahiro import with_mahiro
from diffusion.sampling.guidance.norm import with_cfg_norm
from diffusion.sampling.guidance.operation import with_operation
from diffusion.sampling.guidance.perp_neg import perpendicular, with_perp_neg
from diffusion.sampling.guidance.renorm import with_renormalised_cfg
from diffusion.sampling.guidance.rescale import with_rescaled_cfg
from diffusion.sampling.guidance.tangential import damped, with_tangential_damping
from diffusion.sampling.guidance.weakened import with_weakened_guidance
from diffusion.sampling.guidance.zero_star import with_cfg_zero_star
from diffusion.sampling.noise import initial_noise
from diffusion.sampling.process import process_of
from diffusion.sampling.sample import sample_guided
from diffusion.sampling.schedules import schedule
from diffusion.sampling.solvers import sampler
from tests.diffusion.models.oracle import TOLERANCE, relative_error
from tests.diffusion.sampling import tiny

SHAPE = (2, 4, 16, 16)
MODEL = tiny.model()
POSITIVE, NEGATIVE, EMPTY = tiny.text(1), tiny.text(2), tiny.text(3)
SIGMAS = schedule(process_of(MODEL.prediction).levels, "normal", 3)


def run(model: Model = MODEL, cfg: float = 5.0, guider: Guider | None = None, **changes: Any) -> Tensor:
    given: dict[str, Any] = {"sampler": sampler("euler"), "sigmas": SIGMAS, **changes}
    return sample_guided(
        model, guider or Cfg([POSITIVE], [NEGATIVE], cfg), torch.zeros(SHAPE), initial_noise(SHAPE, 3), **given
    ).latent


def first_step(model: Model, cfg: float = 5.0) -> GuidanceStep:
    """The first evaluation of a run, as hooks see it, with the finished estimate."""
    seen: list[GuidanceStep] = []

    def keep(step: GuidanceStep) -> Tensor:
        seen.append(step)
        return step.denoised

    run(with_after(model, keep), cfg)
    return seen[0]


METHODS: dict[str, Callable[[Model], Model]] = {
    "rescale": with_rescaled_cfg,
    "zero star": with_cfg_zero_star,
    "norm": with_cfg_norm,
    "mahiro": with_mahiro,
    "apg": with_apg,
    "perp neg": lambda model: with_perp_neg(model, [EMPTY]),
    "pag": with_perturbed_attention,
    "sag": with_self_attention_guidance,
    "epsilon scaling": with_epsilon_scaling,
    "tangential damping": with_tangential_damping,
    "renormalised": with_renormalised_cfg,
    "fresca": lambda model: with_fresca(model, freq_cutoff=4),
    "operation": lambda model: with_operation(model, halved),
}


def halved(*, latent: Tensor) -> Tensor:
    return latent / 2


@pytest.mark.parametrize("name", METHODS)
def test_every_method_changes_the_picture_and_keeps_it_finite(name: str):
    changed = run(METHODS[name](MODEL))
    assert torch.isfinite(changed).all()
    assert relative_error(changed, run()) > 1e-3
    assert MODEL.guidance is None


# Mahiro's likeness is one number for the whole batch, by definition.
@pytest.mark.parametrize("name", [name for name in METHODS if name != "mahiro"])
def test_every_method_treats_each_latent_of_a_batch_by_itself(name: str):
    together = run(METHODS[name](MODEL))
    noise = initial_noise(SHAPE, 3)
    alone = sample_guided(
        METHODS[name](MODEL), Cfg([POSITIVE], [NEGATIVE], 5.0), torch.zeros(1, *SHAPE[1:]), noise[:1],
        sampler("euler"), SIGMAS,
    ).latent  # fmt: skip
    assert relative_error(alone, together[:1]) < TOLERANCE


@pytest.mark.parametrize(
    "neutral",
    [
        lambda model: with_rescaled_cfg(model, 0.0),
        lambda model: with_perturbed_attention(model, 0.0),
        lambda model: with_self_attention_guidance(model, 0.0),
        lambda model: with_epsilon_scaling(model, 1.0),
        lambda model: with_apg(model, eta=1.0, norm_threshold=0.0),
        lambda model: with_fresca(model, 1.0, 1.0),
        lambda model: with_renormalised_cfg(model, renorm_cfg=0.0),
        lambda model: with_linear_cfg(model, 5.0),
        lambda model: with_triangle_cfg(model, 5.0),
        lambda model: with_weakened_guidance(model, ModelHooks(), 3.0),
        lambda model: with_weakened_guidance(model, ModelHooks(), 3.0, start_percent=0.5, end_percent=0.4),
    ],
    ids=[
        "rescale 0",
        "pag 0",
        "sag 0",
        "epsilon 1",
        "apg as cfg",
        "fresca 1",
        "no limit",
        "linear 5",
        "triangle 5",
        "nothing weakened",
        "empty range",
    ],
)
def test_neutral_settings_are_plain_guidance(neutral: Callable[[Model], Model]):
    assert relative_error(run(neutral(MODEL)), run()) < TOLERANCE


@pytest.mark.parametrize(
    ("method", "scales"), [(with_linear_cfg, (1.0, 3.0, 5.0)), (with_triangle_cfg, (1.0, 5.0, 1.0))]
)
def test_frames_are_guided_by_scales_of_their_own(method: Callable[[Model, float], Model], scales: tuple[float, ...]):
    shape = (3, *SHAPE[1:])
    noise = initial_noise(shape, 3)

    def sampled(model: Model, cfg: float, rows: slice) -> Tensor:
        given = torch.zeros(shape)[rows], noise[rows], sampler("euler"), SIGMAS
        return sample_guided(model, Cfg([POSITIVE], [NEGATIVE], cfg), *given).latent

    video = sampled(method(MODEL, 1.0), 5.0, slice(None))
    for i, scale in enumerate(scales):
        assert relative_error(video[i : i + 1], sampled(MODEL, scale, slice(i, i + 1))) < TOLERANCE


def test_renormalised_guidance_goes_no_further_than_the_positive_velocity_is_long():
    step = first_step(with_renormalised_cfg(MODEL, renorm_cfg=0.8))
    length, allowed = ((step.x - each).flatten(1).norm(dim=1) for each in (step.denoised, step.positive))
    torch.testing.assert_close(length, 0.8 * allowed, rtol=1e-4, atol=1e-5)


def test_truncated_guidance_begins_below_its_noise_level():
    level = float(SIGMAS[0])
    step = first_step(with_renormalised_cfg(MODEL, cfg_trunc=level))
    assert torch.equal(step.denoised, step.positive)
    assert relative_error(run(with_renormalised_cfg(MODEL, level + 1, 0.0)), run()) < TOLERANCE


def test_rescaled_guidance_has_the_deviation_of_the_positive_v():
    step = first_step(with_rescaled_cfg(MODEL, 1.0))
    sigma = step.level

    def v(denoised: Tensor) -> Tensor:
        return (step.x / (sigma**2 + 1) - denoised) * (sigma**2 + 1).sqrt() / sigma

    dims = (1, 2, 3)
    torch.testing.assert_close(v(step.denoised).std(dim=dims), v(step.positive).std(dim=dims), rtol=1e-4, atol=1e-5)


def test_zero_star_scales_the_unconditional_velocity_to_the_best_fit():
    step = first_step(with_cfg_zero_star(MODEL))
    assert step.negative is not None
    ours = (step.x - step.positive).flatten(1)
    other = (step.x - step.negative).flatten(1)
    scale = ((ours * other).sum(1) / other.square().sum(1)).view(-1, 1, 1, 1)
    expected = step.negative * scale + (step.positive - step.negative * scale) * 5.0
    torch.testing.assert_close(step.denoised, expected, rtol=1e-4, atol=1e-3)


def test_cfg_norm_never_makes_a_vector_longer_than_the_positive_one():
    step = first_step(with_cfg_norm(MODEL))
    assert (step.denoised.norm(dim=1) <= step.positive.norm(dim=1) * (1 + 1e-5)).all()


def test_perpendicular_guidance_ignores_what_the_negative_shares_with_the_positive():
    positive, empty = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    parallel = empty + (positive - empty) * 0.7
    torch.testing.assert_close(
        perpendicular(positive, parallel, empty, 4.0, 1.0), empty + 4 * (positive - empty), rtol=1e-4, atol=1e-4
    )
    across = torch.zeros_like(positive)
    across[:, 0] = 1
    toward = torch.zeros_like(positive)
    toward[:, 1] = 2
    zero = torch.zeros_like(positive)
    torch.testing.assert_close(perpendicular(toward, across, zero, 3.0, 0.5), 3 * (toward - 0.5 * across))


def test_perp_neg_as_a_guider_and_as_a_patch_agree():
    guider = PerpNegCfg([POSITIVE], [NEGATIVE], [EMPTY], cfg=5.0, neg_scale=0.8)
    assert relative_error(run(guider=guider), run(with_perp_neg(MODEL, [EMPTY], 0.8))) < TOLERANCE


def test_dual_guidance_with_equal_parts_is_single_guidance():
    for style in ("regular", "nested"):
        guider = DualCfg([POSITIVE], [POSITIVE], [NEGATIVE], 3.0, 5.0, style)
        assert relative_error(run(guider=guider), run(cfg=5.0)) < TOLERANCE


def test_dual_guidance_adds_up_as_its_styles_say():
    estimates: dict[int, Tensor] = {}

    def note(step: Step) -> None:
        estimates[len(estimates)] = step.denoised

    for guider in (
        Cfg([POSITIVE]), Cfg([EMPTY]), Cfg([NEGATIVE]),
        DualCfg([POSITIVE], [EMPTY], [NEGATIVE], 3.0, 2.0, "regular"),
        DualCfg([POSITIVE], [EMPTY], [NEGATIVE], 3.0, 2.0, "nested"),
    ):  # fmt: skip
        run(guider=guider, sigmas=SIGMAS[[0, -1]], on_step=note)
    p, m, n, regular, nested = (estimates[i] for i in range(5))
    assert relative_error(regular, n + 2 * (m - n) + 3 * (p - m)) < TOLERANCE
    assert relative_error(nested, n + 2 * (m + 3 * (p - m) - n)) < TOLERANCE


def test_apg_keeps_the_part_across_the_positive():
    step = first_step(with_apg(MODEL, eta=0.0, norm_threshold=0.0))
    added = (step.denoised - step.positive).flatten(1)
    cosine = torch.cosine_similarity(added, step.positive.flatten(1))
    torch.testing.assert_close(cosine, torch.zeros(2), rtol=0, atol=1e-4)


def test_apg_limits_how_far_guidance_goes():
    step = first_step(with_apg(MODEL, eta=1.0, norm_threshold=2.0), cfg=4.0)
    distance = (step.denoised - step.positive).flatten(1).norm(dim=1)
    assert (distance <= 2.0 * 3 * (1 + 1e-4)).all()


def test_pag_looks_at_the_network_without_attention_in_the_middle():
    calls: list[NetworkCall] = []

    def wrapper(forward: Any, call: NetworkCall) -> Tensor:
        calls.append(call)
        return forward(call)

    run(with_perturbed_attention(MODEL.with_hooks(ModelHooks(wrappers=(wrapper,)))))
    assert [call.info.roles for call in calls[:2]] == [("positive", "negative"), ("positive",)]
    assert [bool(call.hooks.attn1_replacements) for call in calls[:2]] == [False, True]


def test_damping_leaves_a_score_alone_that_points_the_same_way():
    score = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(damped(score, score * 0.3), score * 0.3, rtol=1e-4, atol=1e-4)
    across = torch.zeros(1, 2, 1, 1)
    across[:, 0] = 1
    strong = torch.zeros(1, 2, 1, 1)
    strong[:, 1] = 2
    torch.testing.assert_close(damped(strong, across), torch.zeros(1, 2, 1, 1))


def test_fresca_scales_what_varies_slowly_and_what_varies_fast():
    flat = torch.ones(1, 1, 16, 16)
    checkered = torch.tensor([1.0, -1.0]).repeat(8).expand(1, 1, 16, 16)
    torch.testing.assert_close(by_frequency(flat + checkered, 0.5, 2.0, 4), flat * 0.5 + checkered * 2.0)


def test_a_gaussian_blur_keeps_the_mean_and_the_flat():
    x = torch.randn(2, 4, 16, 16)
    flat = torch.full((1, 4, 16, 16), 3.0)
    torch.testing.assert_close(gaussian_blur(flat, 9, 2.0), flat)
    assert float(gaussian_blur(x, 9, 2.0).std()) < 0.3
    assert torch.equal(gaussian_blur(x, 9, 0.0), x)


def test_hooks_run_in_the_order_they_were_added():
    order: list[str] = []

    def noting(name: str) -> Callable[[GuidanceStep], Any]:
        def hook(step: GuidanceStep) -> Any:
            order.append(name)
            return (step.positive, step.negative) if name == "before" else step.denoised

        return hook

    model = with_after(with_before(with_after(MODEL, noting("first")), noting("before")), noting("second"))
    run(model)
    assert order == ["before", "first", "second"] * 3


def test_guidance_of_an_unknown_kind_is_refused():
    with pytest.raises(TypeError, match="Guidance"):
        guidance_of(replace(MODEL, guidance="strong"))


def test_at_cfg_one_methods_that_need_no_negative_make_none():
    calls: list[NetworkCall] = []

    def wrapper(forward: Any, call: NetworkCall) -> Tensor:
        calls.append(call)
        return forward(call)

    watched = MODEL.with_hooks(ModelHooks(wrappers=(wrapper,)))
    run(with_cfg_norm(watched), cfg=1.0)
    assert {call.info.roles for call in calls} == {("positive",)}
    calls.clear()
    run(with_self_attention_guidance(watched), cfg=1.0)
    assert calls[0].info.roles == ("positive", "negative")
    assert math.isfinite(float(calls[0].x.sum()))
