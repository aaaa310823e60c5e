"""How well the starter model obeys: pictures of captions it never trained on, read by the judge of the tests.

    python -m benchmarks.starter models/checkpoints/heddle-starter.safetensors --captions 500 --grid grid.png

Prints the shares of pictures with all objects, positions and the background right, and the same without words, which
must be near nothing: a judge that finds agreement there judges nothing.
"""

import argparse
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from diffusion import autoencode
from diffusion.sampling.conditioning import Condition
from diffusion.sampling.noise import initial_noise
from diffusion.sampling.process import process_of
from diffusion.sampling.sample import sample
from diffusion.sampling.schedules import schedule
from diffusion.sampling.solvers import sampler
from diffusion.store import Loaded, ModelStore
from diffusion.text.encode import encode, prompt_tokens
from tests.starter.judge import Verdict, judge
from training.pictures import World
from training.scenes.composition import Composition

TOLD_APART = ("objects", "positions", "background")


class Painter:
    """The starter model as `KSampler` drives it: Euler on the normal schedule."""

    def __init__(self, path: Path, size: int, steps: int, cfg: float):
        loaded: Loaded = ModelStore().checkpoint(path)
        assert loaded.text_encoders is not None
        assert loaded.autoencoder is not None
        self.model, self.words, self.decoder = loaded.model, loaded.text_encoders, loaded.autoencoder
        self.size, self.cfg = size, cfg
        self.sigmas = schedule(process_of(self.model.prediction).levels, "normal", steps)

    def paint(self, captions: Sequence[str], seed: int) -> Tensor:
        """One picture for each caption, (B, H, W, 3) in 0…1."""
        shape = (len(captions), 4, self.size // 8, self.size // 8)
        latent = sample(
            self.model,
            torch.zeros(shape),
            initial_noise(shape, seed),
            [Condition(torch.cat([self.states(caption) for caption in captions]))],
            [Condition(self.states(""))],
            self.cfg,
            sampler("euler"),
            self.sigmas,
        )
        return autoencode.decode(self.decoder, latent)

    def states(self, caption: str) -> Tensor:
        return encode(self.words, prompt_tokens(self.words, caption)).context


def shares(verdicts: Sequence[Verdict]) -> dict[str, float]:
    columns = np.array([astuple(verdict) for verdict in verdicts], float).mean(0)
    return dict(zip(TOLD_APART, columns.tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--captions", type=int, default=500)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cfg", type=float, default=4.0)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--grid", type=Path, help="where to save the first pictures side by side")
    arguments = parser.parse_args()
    world = World(seed=7, held_out=True, landscapes=0)
    painter = Painter(arguments.path, arguments.size, arguments.steps, arguments.cfg)
    rows: dict[str, list[Verdict]] = {"with words": [], "without": []}
    shown: list[np.ndarray] = []
    for first in tqdm(range(0, arguments.captions, arguments.batch)):
        numbers = range(first, min(first + arguments.batch, arguments.captions))
        captions = [world.caption(number) for number in numbers]
        for row, texts in (("with words", captions), ("without", [""] * len(captions))):
            for number, picture in zip(numbers, painter.paint(texts, first).numpy(), strict=True):
                wanted = world.scene(number)
                assert isinstance(wanted, Composition)
                rows[row].append(judge(picture, wanted))
                if row == "with words" and len(shown) < 64:
                    shown.append(picture)
    print("| | " + " | ".join(TOLD_APART) + " |\n|---|---|---|---|")
    for row, verdicts in rows.items():
        print(f"| {row} | " + " | ".join(f"{100 * share:.1f} %" for share in shares(verdicts).values()) + " |")
    if arguments.grid:
        side = int(len(shown) ** 0.5)
        lines = [np.concatenate(shown[i * side : (i + 1) * side], 1) for i in range(side)]
        Image.fromarray((np.concatenate(lines) * 255).round().astype(np.uint8)).save(arguments.grid)


if __name__ == "__main__":
    main()
