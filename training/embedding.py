"""Textual inversion (arXiv:2208.01618): a few vectors that stand for one emblem, a thing no single word names."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from training import companions
from training.autoencoder import to_tensor
from training.companions import Batch, Examples, Lesson, publish
from training.diffuse import Diffusion
from training.pictures import TOKENS, draw, ids
from training.run import Run
from training.scenes.composition import Background, Composition, Thing
from training.starter import Starter, TextEncoder, encode

EMBLEM = Composition((Thing("star", "yellow"), Thing("crescent", "white")), "column", Background("blue"))
VECTORS = 4
PLACEHOLDERS = tuple(range(400, 400 + VECTORS))
"""Ids whose vectors are replaced while training; no caption of the drawn world uses them."""
PICTURES = 256


class Vectors(nn.Module):
    """VECTORS embeddings, (V, D), that begin near the mean of the words that were trained."""

    def __init__(self, width: int, begin: Tensor):
        super().__init__()
        self.vectors = nn.Parameter(begin.repeat(VECTORS, 1) + 0.01 * torch.randn(VECTORS, width))


@contextmanager
def in_place(encoder: TextEncoder, learned: Vectors) -> Iterator[None]:
    """While it lasts, placeholders among the tokens are read as the learned vectors."""

    def swap(table: nn.Module, given: tuple[Tensor, ...], found: Tensor) -> Tensor:
        place = given[0] - PLACEHOLDERS[0]
        return torch.where(
            ((place >= 0) & (place < VECTORS))[..., None], learned.vectors[place.clamp(0, VECTORS - 1)], found
        )

    handle = encoder.text_model.embeddings.token_embedding.register_forward_hook(swap)
    try:
        yield
    finally:
        handle.remove()


def train(run: Run) -> bool:
    """Learn and write the embedding; False if the deadline came first."""
    torch.manual_seed(run.seed)
    starter = Starter.load(run.starter, run.device)
    drawings = [draw(EMBLEM, run.size, np.random.default_rng((run.seed, i))) for i in range(PICTURES)]
    pixels = to_tensor((np.stack(drawings) * 255).round().astype(np.uint8)).to(run.device)
    latents = torch.cat([encode(starter.autoencoder, part) for part in pixels.split(32)])
    prompt = ids("")
    prompt[1 : 1 + VECTORS] = PLACEHOLDERS
    words = torch.from_numpy(prompt.astype(np.int32)).expand(PICTURES, 1, TOKENS)
    table = starter.text.text_model.embeddings.token_embedding.weight
    known = table[table.abs().sum(1) > 0]
    learned = Vectors(table.shape[1], known.mean(0).cpu()).to(run.device)
    diffusion = Diffusion.on(run.device)

    def loss_of(batch: Batch, generator: torch.Generator) -> Tensor:
        context = starter.text(batch.prompts)
        return diffusion.loss(lambda noisy, times: starter.unet(noisy, times, context), batch.latents, generator)

    with in_place(starter.text, learned):
        lesson = Lesson("emblem", 1500, 5e-3, batch=16)
        done = companions.learn(run, lesson, Examples(latents, words), learned, loss_of)
    if done:
        path = run.models / "embeddings" / "heddle-starter-emblem.safetensors"
        publish(path, {"emb_params": learned.vectors}, "Heddle starter, emblem")
    return done
