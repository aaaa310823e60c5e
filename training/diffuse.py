"""Forward diffusion and the loss that every stage on latents shares."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.families.unet import EPS
from diffusion.sampling.process import process_of

OFFSET = 0.1
"""Deviation of the noise's mean. The published schedule ends before the signal does: at its last step the mean of a
plain picture still shows, and a network that learned to read it there paints grey backgrounds when it begins with pure
noise. Noise whose mean is uncertain hides it."""
GAMMA = 5.0
"""Steps with a higher ratio of signal to noise weigh as if they had this one (Min-SNR, arXiv:2303.09556)."""

Predict = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Diffusion:
    """The forward process of Stable Diffusion 1.x, whose noise the samplers take away."""

    alphas: Tensor
    """What is left of a picture's variance after each timestep (arXiv:2006.11239), (1000,)."""

    @classmethod
    def on(cls, device: torch.device) -> "Diffusion":
        return cls(1 / (1 + process_of(EPS).levels.sigmas.square()).to(device))

    def timesteps(self, count: int, generator: torch.Generator) -> Tensor:
        """(count,) of all timesteps alike, one from each of `count` equal stretches: less variance at no cost."""
        places = torch.arange(count, device=self.alphas.device)
        drawn = torch.rand(count, generator=generator, device=self.alphas.device)
        return ((places + drawn) / count * len(self.alphas)).long().clamp_max(len(self.alphas) - 1)

    def noise(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Normal noise, (B, C, H, W), with a small random mean in each channel."""
        noise = torch.randn(like.shape, generator=generator, device=like.device)
        return noise + OFFSET * torch.randn((*like.shape[:2], 1, 1), generator=generator, device=like.device)

    def noisy(self, latent: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        alpha = self.alphas[timesteps][:, None, None, None]
        return alpha.sqrt() * latent + (1 - alpha).sqrt() * noise

    def loss(self, predict: Predict, latent: Tensor, generator: torch.Generator) -> Tensor:
        """How far a prediction of the noise is off. latent: (B, C, H, W) in model scale. predict(noisy, timesteps)."""
        timesteps = self.timesteps(len(latent), generator)
        noise = self.noise(latent, generator)
        error = (predict(self.noisy(latent, noise, timesteps), timesteps).float() - noise).square().mean((1, 2, 3))
        ratio = self.alphas[timesteps] / (1 - self.alphas[timesteps])
        return (error * (GAMMA / ratio).clamp_max(1)).mean()
