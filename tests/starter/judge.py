"""Reads a picture of the drawn world: what is on it, in which colour, where, on what ground.

It knows the palette and how shapes look when they are drawn, and nothing of prompts: a picture is read first and
compared with what was asked for afterwards. It is itself tested on drawn scenes.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from scipy import ndimage

from training.scenes import composition
from training.scenes.composition import SINGLE, Background, Composition, Fill, Size, Split, Thing
from training.scenes.palette import NAMES, ColorName, Floats, Image, rgb
from training.scenes.shapes import SHAPES, ShapeName

Mask = NDArray[np.bool_]
SIDE = 128
"""Pictures are read at this many pixels a side."""
STENCIL = 24
GAINS = (0.74, 0.82, 0.9, 0.97, 1.04)
"""Light and shadow multiply a colour by about these."""
APART = 0.17
"""Distance (sRGB, 0…1) from the ground's colour, in whatever light, from which a pixel belongs to something on it."""
SMALLEST = 0.0025
"""Share of the picture below which something is a speck."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing as it looks. x, y: the middle of its box, 0…1, y downwards."""

    shape: ShapeName
    color: ColorName
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Reading:
    things: tuple[Seen, ...]
    background: Background


@dataclass(frozen=True, slots=True)
class Verdict:
    """What of a wanted composition a picture shows. positions can only be right when the objects are."""

    objects: bool
    positions: bool
    background: bool


def judge(picture: Image, wanted: Composition) -> Verdict:
    """picture: (H, W, 3), 0…1."""
    seen = read(picture)
    objects = Counter((thing.color, thing.shape) for thing in seen.things) == Counter(
        (thing.color, thing.shape) for thing in wanted.things
    )
    return Verdict(objects, objects and placed(seen, wanted), seen.background == wanted.background)


def placed(seen: Reading, wanted: Composition) -> bool:
    """Whether things stand in the wanted order, apart from each other, or a single one where it should."""
    if len(wanted.things) == 1:
        thing, (x, y) = seen.things[0], SINGLE[wanted.arrangement]
        return max(abs(thing.x - x), abs(thing.y - y)) < 0.13
    row = wanted.arrangement == "row"
    order = sorted(seen.things, key=lambda thing: thing.x if row else thing.y)
    along = [thing.x if row else thing.y for thing in order]
    across = [thing.y if row else thing.x for thing in order]
    apart = min(np.diff(along)) > 0.15 and max(across) - min(across) < 0.2
    return bool(apart) and [(t.color, t.shape) for t in order] == [(t.color, t.shape) for t in wanted.things]


def read(picture: Image) -> Reading:
    """picture: (H, W, 3), 0…1, square."""
    pixels = resized(picture)
    distances = color_distances(pixels)
    background = read_background(distances)
    mask = on_top(distances, background)
    return Reading(tuple(things(mask, distances)), background)


def resized(picture: Image) -> Image:
    if len(picture) == SIDE:
        return picture
    whole = Pillow.fromarray((np.clip(picture, 0, 1) * 255).round().astype(np.uint8))
    return np.asarray(whole.resize((SIDE, SIDE), Pillow.Resampling.BOX), np.float32) / 255


def color_distances(pixels: Image) -> dict[ColorName, NDArray[Any]]:
    """For each named colour how far each pixel is from it in the light that suits it best, (H, W)."""
    return {name: color_distance(pixels, name) for name in NAMES}


def color_distance(pixels: Image, name: ColorName) -> NDArray[Any]:
    return np.min([np.linalg.norm(pixels - np.minimum(rgb(name) * gain, 1), axis=2) for gain in GAINS], axis=0)


def nearest(distances: Mapping[ColorName, Floats], where: Any) -> ColorName:
    """The colour that most of these pixels are nearest to."""
    stacked = np.stack([distances[name][where] for name in NAMES])
    return NAMES[int(np.bincount(stacked.argmin(0).ravel(), minlength=len(NAMES)).argmax())]


def read_background(distances: Mapping[ColorName, Floats]) -> Background:
    """From the corners, where nothing ever stands."""
    near, far = slice(0, SIDE // 9), slice(-(SIDE // 9), None)
    corners = [(near, near), (near, far), (far, near), (far, far)]
    found: list[ColorName] = [nearest(distances, corner) for corner in corners]
    top_left, top_right, low_left, low_right = found
    split: Split = "plain"
    if top_left == low_left and top_right == low_right and top_left != top_right:
        split = "sides"
    elif top_left == top_right and low_left == low_right and top_left != low_left:
        split = "halves"
    return Background(top_left, None if split == "plain" else low_right, split)


def on_top(distances: Mapping[ColorName, Floats], background: Background) -> Mask:
    """Which pixels are not the ground."""
    ground = distances[background.first].copy()
    if background.second is not None:
        half = np.zeros((SIDE, SIDE), bool)
        half[(slice(None), slice(SIDE // 2, None)) if background.split == "sides" else slice(SIDE // 2, None)] = True
        ground[half] = distances[background.second][half]
    mask = ground > APART
    if background.second is not None:
        # The seam between the halves is a pixel wide and of both colours.
        seam = np.zeros_like(mask)
        middle = slice(SIDE // 2 - 2, SIDE // 2 + 2)
        seam[(slice(None), middle) if background.split == "sides" else middle] = True
        both = np.minimum(distances[background.first], distances[background.second])
        mask &= ~seam | (both > APART)
        opened: Mask = ndimage.binary_opening(mask, np.ones((3, 3)))  # pyright: ignore[reportAssignmentType]
        mask &= ~seam | opened
    return mask


def things(mask: Mask, distances: Mapping[ColorName, Floats]) -> list[Seen]:
    found: list[Seen] = []
    # Stripes of one thing are joined; things stand further apart than that.
    joined = ndimage.binary_closing(np.pad(mask, 8), ndimage.generate_binary_structure(2, 1), iterations=4)[8:-8, 8:-8]
    labels, count = cast(tuple[Any, int], ndimage.label(joined, np.ones((3, 3))))
    for number in range(1, count + 1):
        own = (labels == number) & mask
        if own.sum() < SMALLEST * own.size:
            continue
        rows, columns = np.nonzero(own)
        core = ndimage.binary_erosion(own)
        color = nearest(distances, core if core.sum() > 20 else own)
        x, y = (columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2
        found.append(Seen(shape_of(own), color, float(x / SIDE), float(y / SIDE)))
    return found


def stencil(mask: Mask) -> NDArray[Any]:
    """What fills the box around a mask, as (STENCIL²,) coverages, with the box's proportion behind."""
    rows, columns = np.nonzero(mask)
    box = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    fine = Pillow.fromarray(box.astype(np.uint8) * 255).resize((STENCIL, STENCIL), Pillow.Resampling.BOX)
    proportion = STENCIL * np.log(box.shape[0] / box.shape[1])
    return np.append(np.asarray(fine, np.float32).ravel() / 255, np.float32(proportion))


def shape_of(mask: Mask) -> ShapeName:
    names, stencils = drawn_stencils()
    errors = np.square(stencils - stencil(mask)).sum(1)
    return names[int(errors.argmin())]


@cache
def drawn_stencils() -> tuple[list[ShapeName], NDArray[Any]]:
    """Every shape in every fill and size, drawn some times, as it looks to this judge."""
    names: list[ShapeName] = []
    found: list[NDArray[Any]] = []
    ground = Background("white")
    for shape in SHAPES:
        fills: tuple[Fill, ...] = ("flat", "striped") if shape == "ring" else ("flat", "outlined", "striped")
        for fill in fills:
            sizes: tuple[Size, ...] = ("small", "large")
            for size in sizes:
                for seed in range(20):
                    scene = Composition((Thing(shape, "blue", size, fill),), "centre", ground)
                    picture = composition.draw(scene, SIDE, np.random.default_rng((99, seed)))
                    names.append(shape)
                    found.append(stencil(color_distance(picture, ground.first) > APART))
    return names, np.stack(found)
