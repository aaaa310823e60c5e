"""A tiny decoder in the layout of TAESD (github.com/madebyollin/taesd): previews of the starter model's latents."""

import torch
from torch import Tensor

from diffusion.models.taesd import TaesdConfig, decoder
from training import autoencoder
from training.companions import Lesson, edges_too, learn_pictures, publish
from training.run import Run
from training.starter import encode

CONFIG = TaesdConfig(latent_channels=4, width=32)


def train(run: Run) -> bool:
    """Learn and write the decoder; False if the deadline came first."""
    torch.manual_seed(run.seed)
    first_stage = autoencoder.load(run)
    network = decoder(CONFIG)

    def loss_of(pixels: Tensor, generator: torch.Generator) -> Tensor:
        return edges_too(network(encode(first_stage, pixels)), pixels / 2 + 0.5)

    learned = learn_pictures(run, Lesson("preview", 4000, 1e-3, batch=16), network, loss_of)
    if learned is None:
        return False
    path = run.models / "vae_approx" / "heddle-starter-decoder.safetensors"
    publish(path, learned.state_dict(), "Heddle starter, previews")
    return True
