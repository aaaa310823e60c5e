"""Turns tensors of one layout into those of another and back, from a table; no value is copied on the way in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.checkpoints.header import Shape
from diffusion.checkpoints.weights import Packed, Source, Weights


@dataclass(frozen=True, slots=True)
class Part:
    """One of our tensors, and how it is found in a tensor of the file."""

    name: str
    """Ours."""
    row: int = 0
    rows: int = 1
    """The file stacks `rows` of our tensors along its first axis; this is number `row`."""
    transposed: bool = False
    """The file holds the matrix the other way round."""
    pointwise: bool = False
    """Ours is a 1x1 convolution, (out, in, 1, 1); the file may hold it as a matrix."""


Table = Mapping[str, Sequence[Part]]
"""The file's name of each tensor -> what it becomes. Every part of a stacked tensor is listed, in order."""


def convert(weights: Weights, table: Table) -> Weights:
    """From the file's layout to ours; names that are not in the table are left out."""
    return Weights(
        {
            part.name: _view(source, part)
            for name, source in weights.sources.items()
            if name in table
            for part in table[name]
        }
    )


def revert(tensors: Mapping[str, Tensor], table: Table, shapes: Mapping[str, Shape]) -> dict[str, Tensor]:
    """From our layout back to the file's, whose shapes are given. Tensors that were split are joined in new memory."""
    reverted: dict[str, Tensor] = {}
    for name, parts in table.items():
        if all(part.name in tensors for part in parts):
            found = [tensors[part.name].mT if part.transposed else tensors[part.name] for part in parts]
            joined = found[0] if len(found) == 1 else torch.cat(found)
            reverted[name] = joined.reshape(shapes.get(name, tuple(joined.shape)))
    return reverted


def _view(source: Source, part: Part) -> Source:
    if part == Part(part.name):
        return source
    shape = source.shape
    if part.rows > 1:
        shape = (shape[0] // part.rows, *shape[1:])
    if part.transposed:
        shape = shape[::-1]
    if part.pointwise and len(shape) == 2:
        shape = (*shape, 1, 1)

    def fetch() -> Tensor:
        tensor = source.fetch()
        if part.rows > 1:
            tensor = tensor.chunk(part.rows)[part.row]
        return (tensor.mT if part.transposed else tensor).reshape(shape)

    packed = None if source.packed is None or part.transposed else _packed_rows(source.packed, part)
    return Source(shape, source.dtype, fetch, packed)


def _packed_rows(packed: Packed, part: Part) -> Packed:
    """Rows stay together however a weight is packed; a layer knows the shape of its weight by itself."""
    if part.rows == 1:
        return packed

    def rows(fetch: Callable[[], Tensor]) -> Tensor:
        whole = fetch()
        return whole.chunk(part.rows)[part.row] if whole.numel() > 1 else whole

    scale = packed.scale
    return Packed(packed.packing, lambda: rows(packed.fetch), None if scale is None else lambda: rows(scale))
