"""A style LoRA (arXiv:2106.09685): everything the model knows, as ink lines on paper."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from diffusion.images.canny import LUMA, correlate
from diffusion.models.unet import UNet
from training import companions
from training.autoencoder import to_tensor
from training.companions import PICTURES, Batch, Examples, Lesson, publish
from training.diffuse import Diffusion
from training.run import Run
from training.starter import Starter, encode

RANK = 16
PAPER = (0.97, 0.95, 0.90)
INK = (0.13, 0.12, 0.18)


class LowRank(nn.Module):
    """weight → weight + up · down; nothing at first. Convolutions of one pixel are as linear layers."""

    def __init__(self, weight: Tensor, rank: int = RANK):
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, weight.shape[1]) / weight.shape[1] ** 0.5)
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.up @ self.down).view(weight.shape)


def attach(network: UNet, rank: int = RANK) -> nn.ModuleDict:
    """Put an update on every linear layer of the transformers; returns them by kohya's names of their layers."""
    updates = nn.ModuleDict()
    for name, module in network.named_modules():
        weight = getattr(module, "weight", None)
        if ".transformer_blocks." in name and isinstance(weight, nn.Parameter) and weight.ndim == 2:
            update = LowRank(weight, rank).to(weight.device)
            parametrize.register_parametrization(module, "weight", update)
            updates[f"lora_unet_{name.replace('.', '_')}"] = update
    return updates


def kohya(updates: nn.ModuleDict) -> dict[str, Tensor]:
    """Updates as the tensors of a file in kohya's layout. A reader finds scale 1: alpha is the rank."""
    tensors: dict[str, Tensor] = {}
    for name, update in updates.items():
        assert isinstance(update, LowRank)
        tensors |= {f"{name}.lora_down.weight": update.down, f"{name}.lora_up.weight": update.up}
        tensors[f"{name}.alpha"] = torch.tensor(float(len(update.down)))
    return tensors


def line_art(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) in 0…1 to the same picture drawn in ink: its edges, dark where they are strong."""
    grey = (pictures * torch.tensor(LUMA).to(pictures)[:, None, None]).sum(1, True)
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]).to(pictures)
    # A colour may differ from its neighbour and not in brightness: the strongest channel counts.
    edges = [
        torch.hypot(correlate(channel, sobel, "replicate"), correlate(channel, sobel.T, "replicate"))
        for channel in (grey, *pictures.split(1, 1))
    ]
    ink = ((torch.stack(edges).amax(0) - 0.25) / 0.9).clamp(0, 1)
    paper, dark = (torch.tensor(color).to(pictures)[:, None, None] for color in (PAPER, INK))
    return paper * (1 - ink) + dark * ink


def train(run: Run) -> bool:
    """Learn and write the LoRA; False if the deadline came first."""
    starter = Starter.load(run.starter, run.device)
    pictures = run.pictures(PICTURES)
    latents = [
        encode(starter.autoencoder, line_art(to_tensor(pictures[i : i + 32]).to(run.device) / 2 + 0.5) * 2 - 1)
        for i in range(0, len(pictures), 32)
    ]
    updates, diffusion = attach(starter.unet), Diffusion.on(run.device)

    def loss_of(batch: Batch, generator: torch.Generator) -> Tensor:
        context = starter.text(batch.prompts)
        return diffusion.loss(lambda noisy, times: starter.unet(noisy, times, context), batch.latents, generator)

    examples = Examples(torch.cat(latents), run.words(PICTURES))
    done = companions.learn(run, Lesson("lineart", 2000, 1e-3), examples, updates, loss_of)
    if done:
        path = run.models / "loras" / "heddle-starter-lineart.safetensors"
        publish(path, kohya(updates), "Heddle starter, line art")
    return done
