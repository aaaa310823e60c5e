"""Every stage of training learns, can be cut and goes on, and writes a file that the library reads as any other's."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from diffusion.models.autoencoder import AutoencoderConfig, AutoencoderKL
from diffusion.patches.lora.apply import apply_lora
from diffusion.patches.weights import patched
from diffusion.store import ModelStore
from diffusion.text.encode import encode, prompt_tokens
from training import autoencoder, few_steps, lora, starter, upscaler
from training.__main__ import STAGES
from training.companions import publish
from training.diffuse import OFFSET, Diffusion
from training.pictures import World, drawn, ids, worded
from training.progress import Average, Stage
from training.run import Run

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Every stage, a few steps of each, at full width."""
    folder = tmp_path_factory.mktemp("training")
    run = Run(folder / "runs", folder / "models", size=64, count=16, steps=3, batch=2)
    for train in STAGES.values():
        assert train(run)
    return run


def test_the_file_is_read_as_stable_diffusion_1_and_fits_into_the_repository(trained: Run):
    loaded = ModelStore().checkpoint(trained.starter)
    assert loaded.model.family.name == "SD 1.x"
    assert loaded.text_encoders is not None
    assert loaded.autoencoder is not None
    assert trained.starter.stat().st_size <= 40_000_000
    own = starter.Starter.load(trained.starter, CPU)
    caption = "a small red star above a blue ring on a yellow background"
    theirs = encode(loaded.text_encoders, prompt_tokens(loaded.text_encoders, caption)).context
    ours = own.text(torch.from_numpy(ids(caption).astype(np.int64))[None])
    assert torch.allclose(theirs, ours, atol=1e-4)
    x, t = torch.randn(1, 4, 8, 8), torch.tensor([500.0])
    assert torch.allclose(loaded.model.network(x, t, ours), own.unet(x, t, ours), atol=1e-4)


def test_words_that_were_never_read_weigh_nothing_in_the_file(trained: Run):
    words = load_file(trained.starter)["cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"]
    used = worded(World(), 16, trained.folder / "pictures")
    known = torch.from_numpy(np.unique(used).astype(np.int64))
    assert words[known].float().abs().sum(1).min() > 0
    assert int((words.float().abs().sum(1) > 0).sum()) == len(known)


def test_the_companions_load_beside_it(trained: Run):
    store = ModelStore()
    loaded = store.checkpoint(trained.starter)
    fits = apply_lora(store.lora(trained.models / "loras/heddle-starter-lineart.safetensors"), loaded.model, None)
    assert fits.unused == ()
    store.controlnet(trained.models / "controlnet/heddle-starter-edges.safetensors", loaded.model)
    enlarged = store.upscaler(trained.models / "upscale_models/heddle-starter-2x.safetensors")(torch.rand(1, 3, 8, 8))
    assert enlarged.shape == (1, 3, 16, 16)
    shown = store.preview_decoder(trained.models / "vae_approx/heddle-starter-decoder.safetensors")
    assert shown(torch.zeros(1, 4, 4, 4)).shape == (1, 3, 32, 32)
    vectors = load_file(trained.models / "embeddings/heddle-starter-emblem.safetensors")["emb_params"]
    assert vectors.shape == (4, starter.TEXT_WIDTH)


@pytest.mark.parametrize(
    ("file", "most"),
    [
        ("loras/heddle-starter-lineart", 2_000_000),
        ("loras/heddle-starter-four-steps", 2_000_000),
        ("controlnet/heddle-starter-edges", 15_000_000),
        ("upscale_models/heddle-starter-2x", 2_000_000),
        ("vae_approx/heddle-starter-decoder", 1_000_000),
    ],
)
def test_companions_are_small(trained: Run, file: str, most: int):
    assert (trained.models / f"{file}.safetensors").stat().st_size <= most


def test_a_stage_that_was_cut_goes_on_to_the_same_weights(trained: Run, tmp_path: Path):
    def weights(run: Run) -> dict[str, torch.Tensor]:
        return load_file(run.models / "upscale_models/heddle-starter-2x.safetensors")

    cut = replace(trained, folder=tmp_path / "runs", models=tmp_path / "models")
    assert not upscaler.train(replace(cut, deadline=time.monotonic()))
    assert upscaler.train(replace(cut, steps=3))
    whole, resumed = weights(trained), weights(cut)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_network_learns_and_its_losses_are_kept(tmp_path: Path):
    network = nn.Linear(4, 1)
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    wanted = x.sum(1, keepdim=True)
    stage = Stage(tmp_path, network, torch.optim.AdamW(network.parameters()), Average(network))

    def learn(step: int) -> dict[str, torch.Tensor]:
        loss = (network(x) - wanted).square().mean()
        loss.backward()
        return {"loss": loss}

    first = float(learn(0)["loss"].detach())
    stage.run(200, learn, lambda step: 0.05)
    assert float(learn(0)["loss"].detach()) < first / 100
    header, row = (tmp_path / "losses.csv").read_text().split()
    assert header == "step,loss"
    assert row.startswith("200,")


@torch.no_grad()
def test_settling_turns_the_latent_into_the_published_space_and_leaves_pictures_alone():
    torch.manual_seed(0)
    network = AutoencoderKL(AutoencoderConfig(latent_channels=4, widths=(32, 32, 32, 32), blocks=1, quantised=True))
    pictures = np.stack([World().picture(number, 64) for number in range(24)])
    x = autoencoder.to_tensor((pictures * 255).round().astype(np.uint8))

    def reconstructed() -> torch.Tensor:
        return network.decode(network.quant_conv(network.encoder(x)).chunk(2, dim=1)[0])

    before = reconstructed()
    autoencoder.settle(network, x)
    assert torch.allclose(reconstructed(), before, atol=1e-3)
    flat = starter.encode(network, x).movedim(1, -1).flatten(0, 2)
    assert flat.mean(0).abs().max() < 1e-3
    assert torch.allclose(torch.cov(flat.T), torch.eye(4), atol=1e-2)


def test_forward_diffusion_has_the_published_variance_and_a_mean_that_is_not_known():
    diffusion = Diffusion.on(CPU)
    generator = torch.Generator().manual_seed(1)
    latent = torch.randn(8, 4, 64, 64, generator=generator)
    assert float(diffusion.alphas[0]) == pytest.approx(1 - 0.00085, abs=1e-6)
    assert float(diffusion.alphas[-1]) == pytest.approx(0.00466, abs=1e-4)
    noise = diffusion.noise(latent, generator)
    assert float(noise.var()) == pytest.approx(1 + OFFSET**2, rel=0.02)
    assert float(noise.mean((2, 3)).std()) == pytest.approx(OFFSET, rel=0.4)
    for timestep in (0, 400, 999):
        noisy = diffusion.noisy(latent, noise, torch.full((8,), timestep))
        assert float(noisy.var()) == pytest.approx(1, rel=0.03)


def test_timesteps_of_a_batch_lie_in_equal_stretches():
    drawn_ones = Diffusion.on(CPU).timesteps(10, torch.Generator().manual_seed(2))
    assert [int(t) // 100 for t in drawn_ones] == list(range(10))


def test_a_lora_in_its_file_does_what_it_did_while_it_was_trained(trained: Run, tmp_path: Path):
    loaded = starter.Starter.load(trained.starter, CPU)
    updates = lora.attach(loaded.unet, rank=2)
    for update in updates.values():
        nn.init.normal_(update.get_parameter("up"), std=0.05, generator=torch.Generator().manual_seed(5))
    publish(tmp_path / "style.safetensors", lora.kohya(updates), "style")
    store = ModelStore()
    applied = apply_lora(store.lora(tmp_path / "style.safetensors"), store.checkpoint(trained.starter).model, None)
    assert applied.unused == ()
    assert applied.model is not None
    read = patched(applied.model.network, applied.model.patches)
    for name in applied.model.patches[0].names:
        module = name.removesuffix(".weight")
        original = load_file(trained.starter)[f"model.diffusion_model.{name}"].float()
        learned: Any = loaded.unet.get_submodule(module).weight
        assert (learned - original).abs().max() > 1e-3
        assert torch.allclose(read.get_submodule(module).get_parameter("weight"), learned, atol=1e-3)


def test_drawing_goes_on_where_it_stopped(tmp_path: Path):
    world = World(seed=3)
    first = np.array(drawn(world, 4, 32, tmp_path))
    again = drawn(world, 4, 32, tmp_path)
    assert np.array_equal(first, again)
    assert np.array_equal(first[2], np.round(world.picture(2, 32) * 255).astype(np.uint8))


def test_the_empty_prompt_is_a_start_and_ends():
    assert ids("").tolist() == [49406, *[49407] * 76]


def test_a_teacher_without_doubt_moves_along_the_line_to_the_clean_latent():
    """Where the noise is known, a step of DDIM arrives at the same latent with less of the same noise."""
    diffusion = Diffusion.on(CPU)
    generator = torch.Generator().manual_seed(3)
    latent, noise = (torch.randn(2, 4, 8, 8, generator=generator) for _ in range(2))
    timesteps = torch.tensor([700, 50])

    class Knowing(nn.Module):
        def forward(self, noisy: torch.Tensor, times: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
            return noise.repeat(len(noisy) // 2, 1, 1, 1)

    noisy = diffusion.noisy(latent, noise, timesteps)
    words = torch.zeros(2, 77, 8)
    arrived = few_steps.teacher_step(diffusion, Knowing(), noisy, timesteps, words, words)  # pyright: ignore
    assert torch.allclose(arrived, diffusion.noisy(latent, noise, timesteps - few_steps.STRIDE), atol=1e-4)
    assert torch.allclose(few_steps.clean(diffusion, noisy, noise, timesteps), latent, atol=1e-4)
    at_the_end = torch.tensor([0, 0])
    assert torch.equal(few_steps.guess(diffusion, Knowing(), latent, at_the_end, words), latent)  # pyright: ignore
