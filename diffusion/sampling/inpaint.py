"""Inpainting: any model changes only the part of a latent that a mask selects."""

import torch
from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.guidance.core import GuidedRun, with_mask_change
from diffusion.sampling.network_inputs import Latents


class MaskedDenoiser:
    """Shows the kept part noised to each level, and answers with the latent itself there."""

    def __init__(self, run: GuidedRun, latents: Latents, noise: Tensor):
        """noise: what the kept part is noised with, shaped as the latent."""
        if latents.mask is None:
            raise ValueError("Inpainting needs a mask")
        self._run, self._latent, self._mask, self._noise = run, latents.image, latents.mask, noise
        self._marginals = run.predictor.process.prediction.marginals

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        mask = self._mask_at(sigma)
        return self._outside(self._run(self._inside(x, sigma, mask), sigma), mask)

    def with_unconditional(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        mask = self._mask_at(sigma)
        denoised, unconditional = self._run.with_unconditional(self._inside(x, sigma, mask), sigma)
        return self._outside(denoised, mask), unconditional

    def _mask_at(self, sigma: Tensor) -> Tensor:
        change = self._run.guidance.mask
        return self._mask if change is None else change(sigma, self._mask, self._run)

    def _inside(self, x: Tensor, sigma: Tensor, mask: Tensor) -> Tensor:
        kept = self._marginals.noised(self._latent, self._noise, sigma.view(-1, 1, 1, 1))
        return x * mask + kept * (1 - mask)

    def _outside(self, denoised: Tensor, mask: Tensor) -> Tensor:
        return denoised * mask + self._latent * (1 - mask)


def with_differential_diffusion(model: Model, strength: float = 1.0) -> Model:
    """Shades of the mask say *when* a place begins to change: Levin & Fried (arXiv:2306.00950).

    At each level only places whose mask is at least the share of the time still to go are repainted.
    strength: below 1 the mask's own shades are mixed in.
    """

    def change(sigma: Tensor, mask: Tensor, run: GuidedRun) -> Tensor:
        levels, schedule = run.predictor.process.levels, run.predictor.schedule
        ends = torch.tensor([float(schedule[0]), max(levels.sigma_min, float(schedule[-1]))])
        first, last = levels.timestep(ends)
        here = levels.timestep(sigma.cpu())[0]
        binary = (mask >= (here - last) / (first - last)).to(mask.dtype)
        return binary * strength + mask * (1 - strength)

    return with_mask_change(model, change)
