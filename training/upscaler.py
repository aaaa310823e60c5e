"""A 2x upscaler in the compact layout of Real-ESRGAN (arXiv:2107.10833), for pictures of the drawn world."""

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.models.srvgg import SRVGG, SRVGGConfig
from training.companions import Lesson, edges_too, learn_pictures, publish
from training.run import Run

CONFIG = SRVGGConfig(channels=3, width=48, convolutions=10, scale=2)
WEAR = 0.02
"""Deviation of the noise on small pictures: what an autoencoder leaves behind is not clean either."""


def smaller(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 3, 2H, 2W) in 0…1 to the half size, a little worn."""
    small = F.interpolate(pixels, scale_factor=0.5, mode="area")
    wear = torch.randn(small.shape, generator=generator, device=small.device)
    strength = WEAR * torch.rand(len(small), 1, 1, 1, generator=generator, device=small.device)
    return (small + strength * wear).clamp(0, 1)


def train(run: Run) -> bool:
    """Learn and write the upscaler; False if the deadline came first."""
    torch.manual_seed(run.seed)
    network = SRVGG(CONFIG)

    def loss_of(pixels: Tensor, generator: torch.Generator) -> Tensor:
        wanted = pixels / 2 + 0.5
        return edges_too(network(smaller(wanted, generator)), wanted)

    learned = learn_pictures(run, Lesson("upscaler", 4000, 5e-4, batch=16), network, loss_of)
    if learned is None:
        return False
    path = run.models / "upscale_models" / "heddle-starter-2x.safetensors"
    publish(path, learned.state_dict(), "Heddle starter, 2x upscaler")
    return True
