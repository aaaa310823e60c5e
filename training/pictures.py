"""The drawn world on disk: pictures as one array that is mapped, captions drawn afresh each time they are read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from tqdm import tqdm

from training.scenes import composition, landscape
from training.scenes.captions import caption
from training.scenes.composition import Composition, random_composition
from training.scenes.landscape import Landscape, random_landscape
from training.scenes.palette import Image

LANDSCAPES = 0.35
"""The share of landscapes; compositions take more learning."""

Scene = Composition | Landscape


@dataclass(frozen=True, slots=True)
class World:
    """An endless, numbered set of scenes. seed: another seed is another set. held_out: only scenes never trained on."""

    seed: int = 0
    held_out: bool = False
    landscapes: float = LANDSCAPES

    def scene(self, number: int) -> Scene:
        rng = np.random.default_rng((self.seed, number))
        while True:
            scene = random_landscape(rng) if rng.random() < self.landscapes else random_composition(rng)
            if scene.held_out == self.held_out:
                return scene

    def picture(self, number: int, size: int) -> Image:
        return draw(self.scene(number), size, np.random.default_rng((self.seed, number, 1)))

    def caption(self, number: int, wording: int = 0) -> str:
        return caption(self.scene(number), np.random.default_rng((self.seed, number, 2, wording)))


def draw(scene: Scene, size: int, rng: np.random.Generator) -> Image:
    match scene:
        case Composition():
            return composition.draw(scene, size, rng)
        case Landscape():
            return landscape.draw(scene, size, rng)


def drawn(world: World, count: int, size: int, folder: Path) -> NDArray[np.uint8]:
    """The first `count` pictures, (count, size, size, 3), drawn once and mapped from disk ever after.

    Drawing can be cut short and goes on where it stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{'judged' if world.held_out else 'trained'}-{world.seed}-{size}-{count}"
    path, done_path = folder / f"{name}.npy", folder / f"{name}.json"
    done = json.loads(done_path.read_text()) if done_path.exists() and path.exists() else 0
    pictures: NDArray[np.uint8] = open_memmap(
        path, mode="r+" if done else "w+", dtype=np.uint8, shape=(count, size, size, 3)
    )
    for number in tqdm(range(done, count), desc="drawing", unit="pictures", disable=done == count):
        pictures[number] = np.round(world.picture(number, size) * 255).astype(np.uint8)
        if number % 500 == 499 or number + 1 == count:
            pictures.flush()
            done_path.write_text(json.dumps(number + 1))
    return pictures


def batches(count: int, size: int, seed: int, first: int = 0) -> Iterator[NDArray[np.int64]]:
    """Endless random batches of numbers below `count`, the same for a seed. first: how many batches to pass over."""
    step = first
    while True:
        yield np.random.default_rng((seed, step)).integers(0, count, size)
        step += 1
