"""Small networks in the shapes of those that people run, and one step of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from diffusion.families.family import Family
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL
from diffusion.models.unet import UNet
from tests.diffusion.tiny import randomised, unet_config


class DiT(nn.Module):
    """As Flux and its like in what matters here: a few sizes of linear layers, weights in parents too."""

    def __init__(self, width: int = 96, depth: int = 6):
        super().__init__()
        self.positions = nn.Parameter(torch.randn(16, width) / width)
        self.img_in = nn.Linear(16, width)
        self.blocks = nn.ModuleList(DiTBlock(width) for _ in range(depth))
        self.final = nn.Linear(width, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: (B, 16, 16)."""
        h = self.img_in(tokens) + self.positions
        for block in self.blocks:
            h = block(h)
        return self.final(h)


class DiTBlock(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.modulation = nn.Linear(width, 3 * width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, h: Tensor) -> Tensor:
        shift, scale, gate = self.modulation(h.mean(1, keepdim=True)).chunk(3, dim=-1)
        x = self.norm(h) * (1 + scale) + shift
        return h + gate * self.down(nn.functional.gelu(self.up(x)))


@dataclass(frozen=True)
class Sample:
    """A network, and one call of it."""

    network: nn.Module
    step: Callable[[nn.Module], Tensor]

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in [*self.network.parameters(), *self.network.buffers()])


def unet(family: Family) -> Sample:
    config = unet_config(family)
    network = randomised(UNet(config), 1).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(1, 4, 8, 8, generator=generator)
    context = torch.randn(1, 77, config.context_width, generator=generator)
    y = None if config.vector_width is None else torch.randn(1, config.vector_width, generator=generator)
    return Sample(network, lambda net: net(x, torch.tensor([500.0]), context, y))


def dit(width: int = 96, depth: int = 6) -> Sample:
    network = randomised(DiT(width, depth), 1).eval().requires_grad_(False)
    x = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(2))
    return Sample(network, lambda net: net(x))


SAMPLES: Mapping[str, Callable[[], Sample]] = MappingProxyType(
    {"SD 1.5": lambda: unet(SD15), "SDXL": lambda: unet(SDXL), "DiT": dit}
)
