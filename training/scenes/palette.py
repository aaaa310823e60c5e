"""The ten colours that have names, far enough apart to be told by eye and by arithmetic."""

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

ColorName = Literal["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "white", "black"]
Floats = NDArray[np.floating[Any]]
Image = Floats
"""(H, W, 3), 0…1, as seen on a screen (sRGB)."""
Alpha = Floats
"""(H, W), 0…1."""

NAMES: tuple[ColorName, ...] = get_args(ColorName)
_RGB: dict[ColorName, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (247, 127, 0),
    "yellow": (252, 211, 30),
    "green": (45, 146, 71),
    "cyan": (40, 196, 206),
    "blue": (29, 78, 186),
    "purple": (112, 48, 160),
    "pink": (244, 143, 188),
    "white": (246, 244, 238),
    "black": (28, 28, 32),
}


def rgb(name: ColorName) -> Floats:
    """(3,), 0…1."""
    return np.array(_RGB[name], np.float32) / 255
