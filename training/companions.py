"""What the trainers of the starter model's companions share: a loop on latents and words, one on pictures, a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from training.autoencoder import differences, to_tensor
from training.pictures import batches
from training.progress import Average, Losses, Stage, lean, warm_then_cosine
from training.run import Run

Network = TypeVar("Network", bound=nn.Module)
PICTURES = 4000


@dataclass(frozen=True)
class Batch:
    """latents: (B, 4, H, W) in model scale. prompts: ids, (B, 77). numbers: of the pictures among the examples."""

    latents: Tensor
    prompts: Tensor
    numbers: Tensor


LossOf = Callable[[Batch, torch.Generator], Tensor]


@dataclass(frozen=True)
class Examples:
    """latents: (N, 4, H, W) in model scale. words: ids, (N, W, 77), W wordings of each."""

    latents: Tensor
    words: Tensor


@dataclass(frozen=True)
class Lesson:
    """How long and how fast a companion learns, by default. name: of its folder in the run's."""

    name: str
    steps: int
    rate: float
    batch: int = 32


def learn(run: Run, lesson: Lesson, examples: Examples, trained: nn.Module, loss_of: LossOf) -> bool:
    """Teach `trained`, on which `loss_of` depends; whether it got to the end.

    What was learned is in `trained`: at the end the average of its weights.
    """
    steps, batch, device = run.steps or lesson.steps, run.batch or lesson.batch, run.device
    optimizer = torch.optim.AdamW(trained.parameters(), lr=lesson.rate, weight_decay=1e-3)
    average = Average(trained)
    stage = Stage(run.folder / lesson.name, trained, optimizer, average, deadline=run.deadline)
    stage.resume()
    latents, words = examples.latents.to(device), examples.words.to(device)
    source = batches(len(latents), batch, run.seed, stage.step)

    def step(number: int) -> Losses:
        generator = torch.Generator(device).manual_seed(run.seed * 1_000_003 + number)
        chosen = torch.from_numpy(next(source)).to(device)
        wording = torch.randint(words.shape[1], (batch,), generator=generator, device=device)
        with lean(device):
            loss = loss_of(Batch(latents[chosen].float(), words[chosen, wording], chosen), generator)
        loss.backward()
        return {"loss": loss}

    done = stage.run(steps, step, warm_then_cosine(lesson.rate, steps, warm=50))
    if done:
        trained.load_state_dict(average.network.state_dict())
    return done


def learn_pictures(
    run: Run, lesson: Lesson, network: Network, loss_of: Callable[[Tensor, torch.Generator], Tensor]
) -> Network | None:
    """The average of a network that learned from PICTURES pictures; None if the deadline came first.

    loss_of(pixels, generator) of a batch, (B, 3, H, W) in -1…1.
    """
    steps, batch, device = run.steps or lesson.steps, run.batch or lesson.batch, run.device
    pictures = run.pictures(PICTURES)
    network = network.to(device)
    average = Average(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lesson.rate)
    stage = Stage(run.folder / lesson.name, network, optimizer, average, deadline=run.deadline)
    stage.resume()
    source = batches(len(pictures), batch, run.seed, stage.step)

    def step(number: int) -> Losses:
        generator = torch.Generator(device).manual_seed(run.seed * 1_000_003 + number)
        with lean(device):
            loss = loss_of(to_tensor(pictures[next(source)]).to(device), generator)
        loss.backward()
        return {"loss": loss}

    return average.network if stage.run(steps, step, warm_then_cosine(lesson.rate, steps)) else None


def edges_too(shown: Tensor, wanted: Tensor) -> Tensor:
    """Absolute error of pixels and of their differences; (B, 3, H, W) each."""
    edges = sum(F.l1_loss(a, b) for a, b in zip(differences(shown), differences(wanted), strict=True))
    return F.l1_loss(shown, wanted) + edges


def publish(path: Path, tensors: Mapping[str, Tensor], title: str) -> None:
    """Write a finished file in float16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    halves = {name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in tensors.items()}
    save_file(halves, path, {"modelspec.title": title})
    print(f"{path.stat().st_size:,} bytes in {path}")
