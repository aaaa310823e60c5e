"""What the trainers of the starter model's companions share: pictures as latents, prompts as states, one loop."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.diffuse import Diffusion
from training.pictures import batches
from training.progress import Average, Losses, Stage, lean, warm_then_cosine
from training.run import Run
from training.starter import Starter

Predict = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(noisy latents, timesteps, ids of prompts, numbers of the pictures) → the noise."""


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


def learn(run: Run, lesson: Lesson, starter: Starter, examples: Examples, trained: nn.Module, predict: Predict) -> bool:
    """Teach `trained`, which `predict` uses, to see the noise in the examples; whether it got to the end.

    What was learned is in `trained`: at the end the average of its weights.
    """
    steps, batch, device = run.steps or lesson.steps, run.batch or lesson.batch, run.device
    optimizer = torch.optim.AdamW(trained.parameters(), lr=lesson.rate, weight_decay=1e-3)
    average = Average(trained)
    stage = Stage(run.folder / lesson.name, trained, optimizer, average, deadline=run.deadline)
    stage.resume()
    latents, words = examples.latents.to(device), examples.words.to(device)
    diffusion = Diffusion.on(device)
    source = batches(len(latents), batch, run.seed, stage.step)

    def step(number: int) -> Losses:
        generator = torch.Generator(device).manual_seed(run.seed * 1_000_003 + number)
        chosen = torch.from_numpy(next(source)).to(device)
        wording = torch.randint(words.shape[1], (batch,), generator=generator, device=device)
        prompts = words[chosen, wording].long()
        with lean(device):
            loss = diffusion.loss(
                lambda noisy, timesteps: predict(noisy, timesteps, prompts, chosen),
                latents[chosen].float(),
                generator,
            )
        loss.backward()
        return {"loss": loss}

    done = stage.run(steps, step, warm_then_cosine(lesson.rate, steps, warm=50))
    if done:
        trained.load_state_dict(average.network.state_dict())
    return done
