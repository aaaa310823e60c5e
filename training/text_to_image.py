"""Stage two: the words' encoder and the UNet, jointly, on the latents of stage one.

The network predicts noise (arXiv:2006.11239) and learns one prompt in ten as the empty one, for classifier-free
guidance (arXiv:2207.12598).
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diffusion.models.autoencoder import AutoencoderKL
from training import autoencoder, starter
from training.autoencoder import to_tensor
from training.diffuse import Diffusion
from training.pictures import batches, ids
from training.progress import Average, Losses, Stage, lean, warm_then_cosine
from training.run import Run
from training.starter import TextToImage

STEPS, BATCH, RATE = 14_000, 256, 6e-4
WITHOUT_WORDS = 0.1


def encoded(network: AutoencoderKL, pictures: NDArray[np.uint8], path: Path, batch: int = 32) -> Tensor:
    """Latents of all pictures in model scale, float16 (N, 4, H, W), in memory; computed once and kept at `path`."""
    if path.exists():
        return torch.load(path, weights_only=True)
    device = next(network.parameters()).device
    found = [
        starter.encode(network, to_tensor(pictures[first : first + batch]).to(device)).half().cpu()
        for first in range(0, len(pictures), batch)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(latents := torch.cat(found), path)
    return latents


def optimizer_for(network: TextToImage, peak: float) -> torch.optim.Optimizer:
    """AdamW; what is looked up or scales is not decayed, so that rare words keep what they learned."""
    plain = [p for name, p in network.named_parameters() if p.ndim < 2 or "embedding" in name]
    rest = [p for name, p in network.named_parameters() if not (p.ndim < 2 or "embedding" in name)]
    groups = [{"params": rest, "weight_decay": 1e-2}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.99))


def train(run: Run) -> bool:
    """Learn, and write the starter model's file; False if the deadline came first."""
    torch.manual_seed(run.seed)
    steps, batch, device = run.steps or STEPS, run.batch or BATCH, run.device
    folder = run.folder / "text-to-image"
    first_stage, words = autoencoder.load(run), run.words()
    latents = encoded(first_stage, run.pictures(), folder / "latents.pt").to(device)
    network = TextToImage().to(device)
    average = Average(network, decay=0.9995)
    stage = Stage(folder, network, optimizer_for(network, RATE), average, deadline=run.deadline)
    stage.resume()
    prompts_of = words.to(device)
    nothing = torch.from_numpy(ids("").astype(np.int32)).to(device)
    diffusion = Diffusion.on(device)
    source = batches(len(latents), batch, run.seed, stage.step)

    def learn(number: int) -> Losses:
        generator = torch.Generator(device).manual_seed(run.seed * 1_000_003 + number)
        chosen = torch.from_numpy(next(source)).to(device)
        wording = torch.randint(words.shape[1], (batch,), generator=generator, device=device)
        silent = torch.rand(batch, generator=generator, device=device) < WITHOUT_WORDS
        prompts = torch.where(silent[:, None], nothing, prompts_of[chosen, wording])
        with lean(device):
            loss = diffusion.loss(
                lambda noisy, timesteps: network(noisy, timesteps, prompts), latents[chosen].float(), generator
            )
        loss.backward()
        return {"loss": loss}

    if not stage.run(steps, learn, warm_then_cosine(RATE, steps, warm=500)):
        return False
    print(f"{publish(run.starter, first_stage, average.network, words):,} bytes in {run.starter}")
    return True


def publish(path: Path, first_stage: nn.Module, network: TextToImage, words: Tensor) -> int:
    """Write the starter model's file; returns its bytes."""
    parts = {"autoencoder": first_stage, "text": network.text, "unet": network.unet}
    return starter.save(path, parts, words.unique(), {"modelspec.title": "Heddle starter"})
