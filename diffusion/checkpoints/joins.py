"""Layouts that keep apart what ours keeps together: tensors of ours as rows of several tensors of a file.

diffusers stores the projections of an attention one by one where the published networks stack them. One table says
which of their modules make one of ours: by it files are read, and small files of changes find their rows.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from diffusion.checkpoints.header import Shape
from diffusion.checkpoints.weights import Source, Weights

KINDS = (".weight", ".bias")


@dataclass(frozen=True, slots=True)
class Piece:
    """A module of another layout, as a share of the rows of one of ours."""

    name: str
    share: int = 1
    """Of the pieces of one module this one has so many parts of the rows."""
    half: Literal[0, 1] | None = None
    """Only the first or the second half of their rows."""


Modules = Mapping[str, Sequence[Piece]]
"""Our module -> the modules that make it, from the first row on. `{i}` stands for the number of a block.

A name that ends in something other than a module's own tensors (`….scale`) is that of a tensor.
"""
Joins = Mapping[str, Sequence[Piece]]
"""The same by tensor, with numbers: our tensor -> tensors of a file."""


def table(rows: Mapping[str, str | Sequence[str | Piece]]) -> dict[str, tuple[Piece, ...]]:
    """A table of modules from names alone, where pieces are whole and of equal size."""
    made: dict[str, tuple[Piece, ...]] = {}
    for ours, theirs in rows.items():
        each = (theirs,) if isinstance(theirs, str) else theirs
        made[ours] = tuple(Piece(name) if isinstance(name, str) else name for name in each)
    return made


def joins_of(modules: Modules, shapes: Mapping[str, Shape]) -> dict[str, tuple[Piece, ...]]:
    """The table for a file with these tensors; tensors of ours for which the file has not all pieces are left out."""
    found: dict[str, tuple[Piece, ...]] = {}
    for ours, theirs in modules.items():
        for kind in ("", *KINDS):
            for i in _numbers(theirs[0].name + kind, shapes):
                made = tuple(Piece(p.name.replace("{i}", i) + kind, p.share, p.half) for p in theirs)
                if all(piece.name in shapes for piece in made):
                    found[ours.replace("{i}", i) + kind] = made
    return found


def _numbers(pattern: str, shapes: Mapping[str, Shape]) -> list[str]:
    """What `{i}` stands for in the names that follow a pattern; one empty text for a name without it that is there."""
    if "{i}" not in pattern:
        return [""] if pattern in shapes else []
    before, after = pattern.split("{i}", 1)
    middles = (
        name[len(before) : len(name) - len(after)]
        for name in shapes
        if name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after)
    )
    return [middle for middle in middles if middle.isdigit()]


def joined_shapes(joins: Joins, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shapes of our tensors."""
    made: dict[str, Shape] = {}
    for ours, theirs in joins.items():
        rows = sum(shapes[p.name][0] // (1 if p.half is None else 2) for p in theirs if shapes[p.name])
        first = shapes[theirs[0].name]
        made[ours] = (rows, *first[1:]) if first else first
    return made


def joined(weights: Weights, joins: Joins) -> Weights:
    """A file's tensors as ours. What is one piece stays mapped; what is several is copied together when fetched."""
    shapes = joined_shapes(joins, weights.shapes)
    return Weights({ours: _source(weights, theirs, shapes[ours]) for ours, theirs in joins.items()})


def _source(weights: Weights, theirs: Sequence[Piece], shape: Shape) -> Source:
    first = weights.sources[theirs[0].name]
    if len(theirs) == 1 and theirs[0].half is None:
        return first

    def part(piece: Piece) -> Tensor:
        tensor = weights[piece.name]
        return tensor if piece.half is None else tensor.chunk(2)[piece.half]

    return Source(shape, first.dtype, lambda: torch.cat([part(piece) for piece in theirs]))


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows `start` to `stop` of one of our tensors, which are another layout's tensor."""

    start: int
    stop: int
    swapped: bool = False
    """Theirs has the halves of these rows the other way round."""


def rows_of(theirs: Sequence[Piece], total: int) -> Mapping[str, Rows]:
    """Which of the `total` rows of our tensor each of their modules holds."""
    if any(piece.half is not None for piece in theirs):
        return {theirs[0].name: Rows(0, total, swapped=True)}
    parts = sum(piece.share for piece in theirs)
    found: dict[str, Rows] = {}
    start = 0
    for piece in theirs:
        stop = start + total * piece.share // parts
        found[piece.name] = Rows(start, stop)
        start = stop
    return found


def numbered(modules: Modules, ours: str) -> Sequence[Piece] | None:
    """The pieces of one of our modules, by its whole name; None for one the table does not know."""
    if ours in modules:
        return modules[ours]
    for found in re.finditer(r"(?<=\.)\d+(?=\.|$)", ours):
        pattern = f"{ours[: found.start()]}{{i}}{ours[found.end() :]}"
        if pattern in modules:
            return [Piece(p.name.replace("{i}", found[0]), p.share, p.half) for p in modules[pattern]]
    return None
