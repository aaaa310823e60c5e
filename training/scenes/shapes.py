"""The eight shapes, as polygons about the origin with a radius of about one."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from training.scenes.canvas import Points

ShapeName = Literal["circle", "square", "triangle", "star", "ring", "heart", "cross", "crescent"]
SHAPES: tuple[ShapeName, ...] = get_args(ShapeName)


@dataclass(frozen=True, slots=True)
class Outline:
    """One polygon and perhaps a hole in it, (N, 2) each."""

    outer: Points
    hole: Points | None = None


def outline(name: ShapeName) -> Outline:
    match name:
        case "circle":
            return Outline(round_polygon(64))
        case "square":
            return Outline(points((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)))
        case "triangle":
            return Outline(points((0, -0.95), (1.02, 0.8), (-1.02, 0.8)))
        case "star":
            turns = np.arange(10) * np.pi / 5 - np.pi / 2
            radii = np.where(np.arange(10) % 2 == 0, 1.08, 0.43)
            return Outline(np.stack([radii * np.cos(turns), radii * np.sin(turns) + 0.06], 1).astype(np.float32))
        case "ring":
            return Outline(round_polygon(64), round_polygon(48) * 0.54)
        case "heart":
            t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
            x = 16 * np.sin(t) ** 3
            y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
            return Outline(np.stack([x / 16.5, y / 15.5 - 0.1], 1).astype(np.float32))
        case "cross":
            a, b = 0.34, 1.0
            corners = (
                (-a, -b),
                (a, -b),
                (a, -a),
                (b, -a),
                (b, a),
                (a, a),
                (a, b),
                (-a, b),
                (-a, a),
                (-b, a),
                (-b, -a),
                (-a, -a),
            )
            return Outline(points(*corners))
        case "crescent":
            return Outline(crescent())


def round_polygon(corners: int) -> Points:
    turns = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack([np.cos(turns), np.sin(turns)], 1).astype(np.float32)


def crescent() -> Points:
    """The unit disc without a disc of radius 0.8 whose centre lies 0.46 to the right."""
    shift, radius = 0.46, 0.8
    x = (1 - radius**2 + shift**2) / (2 * shift)
    outer_angle = math.atan2(math.sqrt(1 - x**2), x)
    inner_angle = math.atan2(math.sqrt(1 - x**2), x - shift)
    outer = np.linspace(outer_angle, 2 * np.pi - outer_angle, 48)
    inner = np.linspace(2 * np.pi - inner_angle, inner_angle, 40)
    xs = np.concatenate([np.cos(outer), shift + radius * np.cos(inner)])
    ys = np.concatenate([np.sin(outer), radius * np.sin(inner)])
    return np.stack([xs + 0.15, ys], 1).astype(np.float32)


def points(*corners: tuple[float, float]) -> Points:
    return np.array(corners, np.float32)
