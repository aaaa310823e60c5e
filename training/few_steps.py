"""A LoRA for pictures in four steps: latent consistency (arXiv:2310.04378, as a LoRA arXiv:2311.05556).

The teacher, with guidance, takes one step of DDIM (arXiv:2010.02502) from a noisy latent; the student learns to guess
from where it came the same clean latent as from where it arrived. It is used with the `lcm` sampler at cfg 1.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.models.unet import UNet
from training import companions
from training.companions import Batch, Examples, Lesson, publish
from training.controlnet import empty_prompts
from training.diffuse import Diffusion
from training.lora import attach, kohya
from training.run import Run
from training.starter import Starter
from training.text_to_image import encoded

GUIDANCE = 4.0
STRIDE = 20
"""Timesteps of the teacher's step: 50 of them make a picture."""
SIGMA_DATA, SCALING = 0.5, 10.0
"""How quickly the student's answer turns into its input near timestep 0 (the paper's boundary condition)."""


def clean(diffusion: Diffusion, noisy: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """The latent under this noise."""
    alpha = diffusion.alphas[timesteps][:, None, None, None]
    return (noisy - (1 - alpha).sqrt() * noise) / alpha.sqrt()


def teacher_step(
    diffusion: Diffusion, teacher: UNet, noisy: Tensor, timesteps: Tensor, words: Tensor, nothing: Tensor
) -> Tensor:
    """The guided teacher's latent STRIDE timesteps further."""
    both = teacher(noisy.repeat(2, 1, 1, 1), timesteps.repeat(2), torch.cat([words, nothing])).float()
    with_words, without = both.chunk(2)
    noise = without + GUIDANCE * (with_words - without)
    return diffusion.noisy(clean(diffusion, noisy, noise, timesteps), noise, timesteps - STRIDE)


def guess(diffusion: Diffusion, student: UNet, noisy: Tensor, timesteps: Tensor, words: Tensor) -> Tensor:
    """The student's clean latent."""
    ratio = (timesteps / SCALING)[:, None, None, None] / SIGMA_DATA
    skip, out = 1 / (ratio.square() + 1), ratio / (ratio.square() + 1).sqrt()
    return skip * noisy + out * clean(diffusion, noisy, student(noisy, timesteps, words).float(), timesteps)


def train(run: Run) -> bool:
    """Learn and write the LoRA; False if the deadline came first."""
    torch.manual_seed(run.seed)
    starter, diffusion = Starter.load(run.starter, run.device), Diffusion.on(run.device)
    teacher, student = copy.deepcopy(starter.unet), starter.unet
    updates = attach(student, rank=32)

    def loss_of(batch: Batch, generator: torch.Generator) -> Tensor:
        words, nothing = starter.text(batch.prompts), starter.text(empty_prompts(batch.prompts))
        timesteps = diffusion.timesteps(len(batch.latents), generator).clamp_min(STRIDE)
        noisy = diffusion.noisy(batch.latents, diffusion.noise(batch.latents, generator), timesteps)
        with torch.no_grad():
            arrived = teacher_step(diffusion, teacher, noisy, timesteps, words, nothing)
            wanted = guess(diffusion, student, arrived, timesteps - STRIDE, words)
        return F.huber_loss(guess(diffusion, student, noisy, timesteps, words), wanted, delta=0.05)

    latents = encoded(starter.autoencoder, run.pictures(), run.folder / "text-to-image" / "latents.pt")
    done = companions.learn(
        run, Lesson("few-steps", 4000, 3e-4, batch=64), Examples(latents, run.words()), updates, loss_of
    )
    if done:
        path = run.models / "loras" / "heddle-starter-four-steps.safetensors"
        publish(path, kohya(updates), "Heddle starter, four steps")
    return done
