"""A ControlNet (arXiv:2302.05543) for the starter model: edges to a picture."""

import torch
from torch import Tensor

from diffusion.images.canny import canny
from diffusion.models.controlnet import ControlNet
from training import companions
from training.autoencoder import to_tensor
from training.companions import Batch, Examples, Lesson, publish
from training.diffuse import Diffusion
from training.run import Run
from training.starter import UNET, Starter, encode

PICTURES = 12_000
LOW, HIGH = 0.3, 0.7
"""Thresholds of the edges, as the Canny node counts them."""
WITHOUT_WORDS = 0.3
"""Share of prompts that are withheld, so that edges alone are learned from too."""


def begin(starter: Starter) -> ControlNet:
    """A copy of the UNet's input half; what it adds begins at nothing."""
    network = ControlNet(UNET)
    missing, _ = network.load_state_dict(starter.unet.state_dict(), strict=False)
    assert all(name.startswith(("zero_convs", "input_hint_block", "middle_block_out")) for name in missing), missing
    for part in (network.zero_convs, network.middle_block_out, network.input_hint_block[-1]):
        for parameter in part.parameters():
            torch.nn.init.zeros_(parameter)
    return network.to(next(starter.unet.parameters()).device)


def edges_of(pixels: Tensor) -> Tensor:
    """(B, 3, H, W) in 0…1 to edges as white lines on black, uint8 (B, 1, H, W)."""
    return (canny(pixels, LOW, HIGH) * 255).to(torch.uint8)


def train(run: Run) -> bool:
    """Learn and write the ControlNet; False if the deadline came first."""
    starter, device = Starter.load(run.starter, run.device), run.device
    pictures = run.pictures(PICTURES)
    latents: list[Tensor] = []
    hints: list[Tensor] = []
    for i in range(0, len(pictures), 32):
        pixels = to_tensor(pictures[i : i + 32]).to(device)
        latents.append(encode(starter.autoencoder, pixels))
        hints.append(edges_of(pixels / 2 + 0.5))
    edges, network, diffusion = torch.cat(hints), begin(starter), Diffusion.on(device)

    def loss_of(batch: Batch, generator: torch.Generator) -> Tensor:
        silent = torch.rand(len(batch.prompts), 1, generator=generator, device=device) < WITHOUT_WORDS
        context = starter.text(torch.where(silent, empty_prompts(batch.prompts), batch.prompts))
        hint = edges[batch.numbers].float().expand(-1, 3, -1, -1) / 255

        def predict(noisy: Tensor, timesteps: Tensor) -> Tensor:
            control = network(noisy, timesteps, context, None, hint)
            return starter.unet(noisy, timesteps, context, control=control)

        return diffusion.loss(predict, batch.latents, generator)

    examples = Examples(torch.cat(latents), run.words(PICTURES))
    done = companions.learn(run, Lesson("edges", 4000, 3e-4), examples, network, loss_of)
    if done:
        path = run.models / "controlnet" / "heddle-starter-edges.safetensors"
        tensors = {f"control_model.{name}": value for name, value in network.state_dict().items()}
        publish(path, tensors, "Heddle starter, edges")
    return done


def empty_prompts(prompts: Tensor) -> Tensor:
    """Prompts without their words: the start, and ends behind it."""
    empty = prompts[:, -1:].expand_as(prompts).clone()
    empty[:, 0] = prompts[:, 0]
    return empty
