"""Writes a checkpoint of the published layout and size with random weights: what is slow or breaks shows all the same.

    python -m benchmarks.random_checkpoint models/checkpoints/random-sd15.safetensors
    python -m benchmarks.random_checkpoint sdxl.safetensors --kind sdxl_base

Weights are drawn so that activations stay near one; the pictures are noise.
"""

import argparse
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.diffusion import inventory


def weight(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """float16. Scales of norms are one, biases zero, everything else has the variance of its fan-in."""
    if name.endswith("position_ids"):
        return torch.arange(shape[-1]).reshape(shape)
    if name.endswith("bias"):
        return torch.zeros(shape, dtype=torch.float16)
    if len(shape) < 2:
        return torch.ones(shape, dtype=torch.float16)
    fan_in = math.prod(shape[1:])
    return (torch.randn(shape, generator=generator) / math.sqrt(fan_in)).half()


def write(path: Path, kind: str = "sd15", seed: int = 0) -> int:
    """Write the file; returns its size in bytes. kind: an inventory of a whole checkpoint."""
    generator = torch.Generator().manual_seed(seed)
    shapes = inventory.shapes(kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: weight(name, shape, generator) for name, shape in shapes.items()}, path)
    return path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--kind", default="sd15", help="sd15, sd15_inpaint, sd21, sdxl_base, sdxl_refiner")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    size = write(arguments.path, arguments.kind, arguments.seed)
    print(f"{arguments.path}: {size / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
