"""Compositions: one to three things on a plain or two-tone background, each in its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, TypeVar

import numpy as np

from training.scenes.canvas import Canvas, Points
from training.scenes.palette import NAMES, Alpha, ColorName, Image, rgb
from training.scenes.shapes import SHAPES, ShapeName, outline

T = TypeVar("T")
Size = Literal["small", "large"]
Fill = Literal["flat", "outlined", "striped"]
Arrangement = Literal["centre", "left", "right", "top", "bottom", "row", "column"]
Split = Literal["plain", "sides", "halves"]

RADIUS: dict[Size, tuple[float, float]] = {"small": (0.085, 0.105), "large": (0.15, 0.175)}
SINGLE: dict[Arrangement, tuple[float, float]] = {
    "centre": (0.5, 0.5),
    "left": (0.24, 0.5),
    "right": (0.76, 0.5),
    "top": (0.5, 0.24),
    "bottom": (0.5, 0.76),
}


@dataclass(frozen=True, slots=True)
class Thing:
    shape: ShapeName
    color: ColorName
    size: Size = "large"
    fill: Fill = "flat"


@dataclass(frozen=True, slots=True)
class Background:
    """One colour, or two: `sides` left and right, `halves` above and below."""

    first: ColorName
    second: ColorName | None = None
    split: Split = "plain"


@dataclass(frozen=True, slots=True)
class Composition:
    """Things in order: from left to right in a row, from top to bottom in a column."""

    things: tuple[Thing, ...]
    arrangement: Arrangement
    background: Background

    @property
    def held_out(self) -> bool:
        """Whether this combination of shapes and colours is kept for judging and never trained on: about one in ten.

        It depends on which shape has which colour beside which other, not on places or wording.
        """
        key = "|".join(sorted(f"{thing.color} {thing.shape}" for thing in self.things))
        return sha256(key.encode()).digest()[0] < 26


def random_composition(rng: np.random.Generator) -> Composition:
    count = int(rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2]))
    split: Split = ("plain", "sides", "halves")[int(rng.choice(3, p=[0.7, 0.15, 0.15]))]
    grounds: tuple[ColorName, ...] = pick(rng, NAMES, 1 if split == "plain" else 2)
    colors: list[ColorName] = [name for name in NAMES if name not in grounds]
    shapes = pick(rng, SHAPES, count)
    things = tuple(
        Thing(shape, colors[int(rng.integers(len(colors)))], pick_size(rng, count), pick_fill(rng, shape))
        for shape in shapes
    )
    arrangement: Arrangement
    if count == 1:
        arrangement = pick(rng, tuple(SINGLE), 1)[0]
    else:
        arrangement = ("row", "column")[int(rng.integers(2))]
    return Composition(things, arrangement, Background(grounds[0], grounds[1] if len(grounds) > 1 else None, split))


def pick(rng: np.random.Generator, of: Sequence[T], count: int) -> tuple[T, ...]:
    """`count` different ones of a list."""
    return tuple(of[int(i)] for i in rng.choice(len(of), count, replace=False))


def pick_size(rng: np.random.Generator, count: int) -> Size:
    if count == 3:
        return "small"
    return "large" if rng.random() < 0.55 else "small"


def pick_fill(rng: np.random.Generator, shape: ShapeName) -> Fill:
    if shape == "ring":  # an outlined ring would be two rings
        return "flat" if rng.random() < 0.85 else "striped"
    return ("flat", "outlined", "striped")[int(rng.choice(3, p=[0.7, 0.15, 0.15]))]


def draw(composition: Composition, size: int, rng: np.random.Generator) -> Image:
    """The picture, (size, size, 3) in 0…1. rng: small differences of place, radius, turn and grain."""
    canvas = Canvas(size)
    paint_background(canvas, composition.background)
    for thing, (x, y) in zip(composition.things, places(composition), strict=True):
        low, high = RADIUS[thing.size]
        jitter = rng.uniform(-0.02, 0.02, 2)
        centre = np.array([x + jitter[0], y + jitter[1]], np.float32)
        paint_thing(canvas, thing, centre, float(rng.uniform(low, high)), float(rng.uniform(-0.12, 0.12)))
    canvas.grain(rng)
    return canvas.pixels


def places(composition: Composition) -> list[tuple[float, float]]:
    """The centre of each thing, 0…1."""
    count = len(composition.things)
    if count == 1:
        return [SINGLE[composition.arrangement]]
    along = [0.27, 0.73] if count == 2 else [0.19, 0.5, 0.81]
    if composition.arrangement == "row":
        return [(place, 0.5) for place in along]
    return [(0.5, place) for place in along]


def paint_background(canvas: Canvas, background: Background) -> None:
    x, y = canvas.coordinates()
    canvas.paint(rgb(background.first), np.ones_like(x))
    if background.second is not None:
        past = x if background.split == "sides" else y
        canvas.paint(rgb(background.second), np.clip((past - 0.5) * canvas.size + 0.5, 0, 1))
    # Light falls from the upper left.
    canvas.pixels *= (1.03 - 0.05 * (x + y))[..., None]


def paint_thing(canvas: Canvas, thing: Thing, centre: Points, radius: float, turn: float) -> None:
    polygons = outline(thing.shape)
    cosine, sine = np.cos(turn), np.sin(turn)
    rotation = np.array([[cosine, sine], [-sine, cosine]], np.float32)

    def placed(points: Points) -> Points:
        return (points @ rotation) * radius + centre

    outer = placed(polygons.outer)
    whole = canvas.mask([outer], [placed(polygons.hole)] if polygons.hole is not None else [])
    match thing.fill:
        case "flat":
            alpha = whole
        case "outlined":
            alpha = np.minimum(whole, canvas.line(outer, 2 * max(0.016, 0.16 * radius)))
        case "striped":
            alpha = whole * stripes(canvas, radius)
    canvas.shadow(alpha)
    x, y = canvas.coordinates()
    light = 1.06 - 0.12 * ((x - centre[0]) + (y - centre[1]) + 2 * radius) / (4 * radius)
    canvas.paint(np.clip(rgb(thing.color) * light[..., None], 0, 1), alpha)


def stripes(canvas: Canvas, radius: float) -> Alpha:
    """Diagonal bands, five of them across a thing, with smooth edges."""
    x, y = canvas.coordinates()
    period = radius / 2.1
    phase = ((x + y) / np.sqrt(2) / period) % 1
    edge = 1 / (canvas.size * period)
    band = np.abs(phase - 0.5)
    return np.clip((0.31 - band) / edge + 0.5, 0, 1).astype(np.float32)
