"""What diffusion transformers are shown while they are sampled: guidance, pictures to follow, joined channels."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.families.flux import DEV, FLUX
from diffusion.families.sd3 import SD3
from diffusion.handles import Autoencoder, ControlNet, Model
from diffusion.models.autoencoder import AutoencoderKL
from diffusion.patches.hooks import Control
from diffusion.patches.slg import skipping, with_skip_layer_guidance, with_skipping_negative
from diffusion.sampling.conditioning import Condition, conditions, with_tokens
from diffusion.sampling.control import ControlLink
from diffusion.sampling.noise import initial_noise
from diffusion.sampling.process import flow_for_size, process_of
from diffusion.sampling.sample import sample
from diffusion.sampling.schedules import simple
from diffusion.sampling.solvers import sampler
from tests.diffusion.models.oracle import randomised
from tests.diffusion.tiny_transformers import AUTOENCODER, FLUX_CONFIG, SD3_CONFIG


def flux(in_channels: int = 16, guided: bool = True) -> Model:
    config = replace(FLUX_CONFIG, in_channels=in_channels, guided=guided)
    variant = FLUX.variant({"guidance_in.in_layer.weight": torch.empty(0)} if guided else {})
    return Model(randomised(FLUX.build(config)), FLUX, config, variant.prediction, variant.latent)


def sd3() -> Model:
    variant = SD3.variant({})
    return Model(randomised(SD3.build(SD3_CONFIG)), SD3, SD3_CONFIG, variant.prediction, variant.latent)


def prompt(model: Model, seed: int = 0, tokens: int = 7, **options: Any) -> Condition:
    generator = torch.Generator().manual_seed(seed)
    config: Any = model.config
    context = torch.randn(1, tokens, config.context_width, generator=generator)
    pooled = torch.randn(1, config.vector_width, generator=generator)
    known = {name: options.pop(name) for name in ("control",) if name in options}
    return Condition(context, pooled, options=options, **known)


def run(
    model: Model, positive: Condition, negative: Condition | None = None, cfg: float = 1.0, batch: int = 1
) -> Tensor:
    latent = torch.zeros(batch, 16, 8, 8)
    noise = initial_noise(latent.shape, 3)
    sigmas = simple(process_of(model.prediction).levels, 3)
    return sample(model, latent, noise, [positive], [negative] if negative else [], cfg, sampler("euler"), sigmas)


def same(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-4)


def test_flux_is_told_how_closely_to_follow_the_prompt():
    model = flux()
    usual = run(model, prompt(model))
    assert same(usual, run(model, prompt(model, guidance=3.5)))
    assert not same(usual, run(model, prompt(model, guidance=1.0)))
    assert not same(usual, run(model, prompt(model, guidance=None)))


def test_schnell_does_not_listen_to_guidance():
    model = flux(guided=False)
    assert same(run(model, prompt(model)), run(model, prompt(model, guidance=9.0)))


def test_flux_follows_other_pictures_in_a_batch_too():
    model = flux()
    reference = torch.randn(1, 16, 6, 10, generator=torch.Generator().manual_seed(1))
    alone = run(model, prompt(model, reference_latents=[reference]))
    assert not same(alone, run(model, prompt(model)))
    assert same(alone, run(model, prompt(model, reference_latents=[reference]), batch=2)[:1])
    two = prompt(model, reference_latents=[reference, reference])
    assert not same(run(model, two), alone)


def test_a_picture_to_follow_is_shown_to_its_own_prompt_alone():
    model = flux()
    reference = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(1))
    positive, negative = prompt(model, 0, reference_latents=[reference]), prompt(model, 1)
    guided = run(model, positive, negative, cfg=2.0)
    assert guided.isfinite().all()
    assert not same(guided, run(model, prompt(model, 0), negative, cfg=2.0))


@pytest.mark.parametrize("lengths", [(7, 7), (7, 14), (7, 5)])
def test_prompts_of_other_lengths_do_not_change_each_other(lengths: tuple[int, int]):
    """Text attends with the picture in one attention, so no text may be padded or repeated to fit another."""
    model = sd3()
    first, second = (prompt(model, i, tokens) for i, tokens in enumerate(lengths))
    found = run(model, first, second, 2.0)
    sigmas = simple(process_of(model.prediction).levels, 3)
    x = initial_noise((1, 16, 8, 8), 3)
    network: Any = model.network
    for sigma, after in pairwise(sigmas):
        time = sigma.view(1) * 1000
        a, b = (network(x, time, c.context, c.pooled) for c in (first, second))
        x = x + (b + 2.0 * (a - b)) * (after - sigma)
    assert same(found, model.latent.to_vae(x))


@pytest.mark.parametrize("make", [flux, sd3], ids=["Flux", "SD3"])
def test_tokens_of_which_nothing_is_taken_are_as_if_they_were_not_there(make: Any):
    model = make()
    usual = prompt(model, tokens=6)
    pairs = [(usual.context, {"pooled_output": usual.pooled})]
    extra = torch.randn(1, 3, usual.context.shape[2], generator=torch.Generator().manual_seed(5))
    [ignored] = conditions(with_tokens(pairs, extra, attention=0.0))
    [seen] = conditions(with_tokens(pairs, extra, attention=1.0))
    assert same(run(model, ignored), run(model, usual))
    assert not same(run(model, seen), run(model, usual))


def test_fill_sees_the_masked_picture_and_eight_by_eight_pixels_of_the_mask():
    model = flux(in_channels=16 + 16 + 64)
    seen: list[Tensor] = []
    network: Any = model.network
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    picture = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 1, 64, 64)
    mask[:, :, 9, 18] = 1
    run(model, prompt(model, concat_latent_image=picture, concat_mask=mask))
    joined = seen[0][0, 16:]
    assert torch.allclose(joined[:16], model.latent.to_model(picture)[0])
    assert joined[16:].sum() == 1
    assert joined[16 + 8 * 1 + 2, 1, 2] == 1
    run(model, prompt(model))
    assert seen[-1][0, 32:].all()


def test_canny_and_depth_see_a_picture_beside_the_latent():
    model = flux(in_channels=32)
    picture = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(1))
    assert not same(run(model, prompt(model, concat_latent_image=picture)), run(model, prompt(model)))


def test_flux_of_a_size_keeps_its_clock():
    levels, usual = process_of(flow_for_size(DEV, 1024, 1024)).levels, process_of(DEV).levels
    assert levels.timestep(torch.tensor([0.5])) == 0.5
    assert levels.percent_to_sigma(0.5) == pytest.approx(usual.percent_to_sigma(0.5))


def test_skipped_layers_push_away_from_what_the_rest_says():
    model = sd3()
    without = skipping([1])
    assert not same(run(model.with_hooks(without), prompt(model)), run(model, prompt(model)))
    guided = with_skip_layer_guidance(model, without, scale=2.0, start_percent=0.0, end_percent=1.0)
    assert not same(run(guided, prompt(model)), run(model, prompt(model)))
    never = with_skip_layer_guidance(model, without, scale=2.0, start_percent=0.99, end_percent=1.0)
    assert same(run(never, prompt(model)), run(model, prompt(model)))


def test_layers_skipped_for_the_negative_alone_leave_the_positive_as_it_is():
    model = flux()
    skipped = with_skipping_negative(model, skipping([0], [1]))
    positive, negative = prompt(model, 0), prompt(model, 1)
    assert same(run(skipped, positive, negative, 1.0), run(model, positive))
    assert not same(run(skipped, positive, negative, 2.0), run(model, positive, negative, 2.0))


class Echo(torch.nn.Module):
    """A control network that says what hint it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.hints: list[Tensor] = []

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor, y: Tensor, hint: Tensor, **extra: Any) -> Control:
        self.hints.append(hint)
        assert "guidance" in extra
        return Control(double=(torch.arange(64.0).expand(len(x), 16, 64),))


def test_a_control_network_on_latents_sees_the_hint_through_the_vae_once():
    model, echo = flux(), Echo()
    network = randomised(AutoencoderKL(AUTOENCODER))
    encoded: list[Tensor] = []
    encode: Any = network.encode
    network.encode = lambda pixels: encoded.append(pixels) or encode(pixels)  # pyright: ignore
    picture = torch.rand(1, 40, 40, 3)
    link = ControlLink(ControlNet(echo, FLUX, model.latent), picture, 0.5, vae=Autoencoder(network, 16))
    controlled = run(model, prompt(model, control=link))
    assert not same(controlled, run(model, prompt(model)))
    assert [tuple(hint.shape) for hint in echo.hints] == [(1, 16, 8, 8)] * 3
    assert [tuple(pixels.shape) for pixels in encoded] == [(1, 3, 64, 64)]


def test_a_control_network_on_latents_asks_for_a_vae():
    model = flux()
    link = ControlLink(ControlNet(Echo(), FLUX, model.latent, source="c.safetensors"), torch.rand(1, 8, 8, 3))
    with pytest.raises(ValueError, match=r"c\.safetensors sees its hint as a latent: connect the VAE"):
        run(model, prompt(model, control=link))
