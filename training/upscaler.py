"""A 2x upscaler in the compact layout of Real-ESRGAN (arXiv:2107.10833), for pictures of the drawn world."""

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from diffusion.models.srvgg import SRVGG, SRVGGConfig
from training.autoencoder import to_tensor
from training.pictures import batches
from training.preview import loss_of
from training.progress import Average, Losses, Stage, lean, warm_then_cosine
from training.run import Run

CONFIG = SRVGGConfig(channels=3, width=48, convolutions=10, scale=2)
PICTURES = 4000
STEPS, BATCH, RATE = 4000, 16, 5e-4
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
    steps, batch, device = run.steps or STEPS, run.batch or BATCH, run.device
    pictures = run.pictures(PICTURES)
    network = SRVGG(CONFIG).to(device)
    average = Average(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    stage = Stage(run.folder / "upscaler", network, optimizer, average, deadline=run.deadline)
    stage.resume()
    source = batches(len(pictures), batch, run.seed, stage.step)

    def learn(number: int) -> Losses:
        generator = torch.Generator(device).manual_seed(run.seed * 1_000_003 + number)
        pixels = to_tensor(pictures[next(source)]).to(device) / 2 + 0.5
        with lean(device):
            loss = loss_of(network(smaller(pixels, generator)), pixels)
        loss.backward()
        return {"loss": loss}

    if not stage.run(steps, learn, warm_then_cosine(RATE, steps)):
        return False
    path = run.models / "upscale_models" / "heddle-starter-2x.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().cpu() for name, value in average.network.state_dict().items()}, path)
    print(f"{path.stat().st_size:,} bytes in {path}")
    return True
