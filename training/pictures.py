"""The drawn world on disk: pictures as one array and their captions, tokenised, as another; both are mapped."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from tqdm import tqdm

from diffusion.text.tokenise import END_ID, START_ID, clip_ids
from training.scenes import composition, landscape
from training.scenes.captions import caption
from training.scenes.composition import Composition, random_composition
from training.scenes.landscape import Landscape, random_landscape
from training.scenes.palette import Image

LANDSCAPES = 0.35
"""The share of landscapes; compositions take more learning."""
WORDINGS = 4
"""Captions that are kept of each picture."""
TOKENS = 77
BLOCK = 250
"""Pictures that one process draws at a time, and that are lost when drawing is cut short."""

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

    Every core draws. Drawing can be cut short and goes on where it stopped.
    """
    shape, work = (count, size, size, 3), partial(_draw_block, world, size)
    return _made(folder / f"{_name(world)}-{size}-{count}", shape, np.uint8, work, "drawing")


def worded(world: World, count: int, folder: Path) -> NDArray[np.uint16]:
    """The captions of the first `count` pictures as CLIP's ids, (count, WORDINGS, TOKENS), kept like the pictures."""
    shape, work = (count, WORDINGS, TOKENS), partial(_word_block, world)
    return _made(folder / f"{_name(world)}-words-{count}", shape, np.uint16, work, "wording")


def ids(text: str) -> NDArray[np.uint16]:
    """One text as a prompt's chunk: start, text, end, and ends up to TOKENS, (TOKENS,)."""
    found = [START_ID, *clip_ids(text)[: TOKENS - 2]]
    return np.array([*found, *[END_ID] * (TOKENS - len(found))], np.uint16)


def batches(count: int, size: int, seed: int, first: int = 0) -> Iterator[NDArray[np.int64]]:
    """Endless random batches of numbers below `count`, the same for a seed. first: how many batches to pass over."""
    step = first
    while True:
        yield np.random.default_rng((seed, step)).integers(0, count, size)
        step += 1


def _name(world: World) -> str:
    return f"{'judged' if world.held_out else 'trained'}-{world.seed}-{round(100 * world.landscapes)}"


def _made(
    path: Path,
    shape: tuple[int, ...],
    dtype: Any,
    work: Callable[[Path, range], None],
    verb: str,
) -> Any:
    """An array that is filled block by block in processes of their own, as far as it is not yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data, progress = path.with_suffix(".npy"), path.with_suffix(".json")
    done = int(json.loads(progress.read_text())) if progress.exists() and data.exists() else 0
    if done < shape[0]:
        open_memmap(data, mode="r+" if done else "w+", dtype=dtype, shape=None if done else shape).flush()
        blocks = [range(first, min(first + BLOCK, shape[0])) for first in range(done, shape[0], BLOCK)]
        # Spawned rather than forked: the parent may hold threads of torch.
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
            finished = pool.map(partial(work, data), blocks)
            for block, _ in zip(tqdm(blocks, desc=verb, unit="blocks"), finished, strict=True):
                progress.write_text(json.dumps(block.stop))
    return np.load(data, mmap_mode="r")


def _draw_block(world: World, size: int, path: Path, numbers: range) -> None:
    pictures: NDArray[np.uint8] = np.load(path, mmap_mode="r+")
    for number in numbers:
        pictures[number] = np.round(world.picture(number, size) * 255).astype(np.uint8)


def _word_block(world: World, path: Path, numbers: range) -> None:
    words: NDArray[np.uint16] = np.load(path, mmap_mode="r+")
    for number in numbers:
        for wording in range(WORDINGS):
            words[number, wording] = ids(world.caption(number, wording))
