"""Where one training run keeps its things, how large it is, and when it must stop."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.pictures import World, drawn, worded
from training.progress import best_device


@dataclass(frozen=True)
class Run:
    """folder: states, losses and drawn pictures. models: where finished files go, in folders by their kind.

    size: pixels of a picture's side. steps, batch: in place of a stage's own. deadline: see `Stage`.
    """

    folder: Path
    models: Path
    size: int = 256
    count: int = 80_000
    seed: int = 0
    steps: int | None = None
    batch: int | None = None
    deadline: float = math.inf

    @property
    def device(self) -> torch.device:
        return best_device()

    @property
    def starter(self) -> Path:
        return self.models / "checkpoints" / "heddle-starter.safetensors"

    @property
    def autoencoder(self) -> Path:
        return self.folder / "autoencoder" / "autoencoder.safetensors"

    def pictures(self, most: int | None = None) -> NDArray[np.uint8]:
        """The drawn pictures, (N, size, size, 3), at most so many of them."""
        return drawn(World(self.seed), self.count, self.size, self.folder / "pictures")[:most]

    def words(self, most: int | None = None) -> Tensor:
        """Their captions as ids, int32 (N, W, 77)."""
        found = worded(World(self.seed), self.count, self.folder / "pictures")[:most]
        return torch.from_numpy(found.astype(np.int32))

    def judged(self, count: int = 64) -> NDArray[np.uint8]:
        """Pictures of combinations that are never trained on."""
        return drawn(World(self.seed, held_out=True), count, self.size, self.folder / "pictures")
