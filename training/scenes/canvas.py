"""A picture that is painted on: smooth edges, gradients, soft shadows, a little grain."""

from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFilter

from training.scenes.palette import Alpha, Floats, Image

Points = Floats
"""(N, 2) of x and y, 0…1 across the picture, y downwards."""
OVERSAMPLING = 4


class Canvas:
    """A square picture. size: pixels of a side."""

    def __init__(self, size: int):
        self.size = size
        self.pixels: Image = np.zeros((size, size, 3), np.float32)

    def mask(self, outer: Sequence[Points], holes: Sequence[Points] = ()) -> Alpha:
        """Coverage of polygons without their holes, anti-aliased."""
        fine = Pillow.new("L", (self.size * OVERSAMPLING, self.size * OVERSAMPLING))
        draw = ImageDraw.Draw(fine)
        for value, polygons in ((255, outer), (0, holes)):
            for points in polygons:
                draw.polygon(self._fine(points), fill=value)
        return self._coarse(fine)

    def line(self, points: Points, width: float, closed: bool = True) -> Alpha:
        """Coverage of a line along points. width: share of the picture's side."""
        fine = Pillow.new("L", (self.size * OVERSAMPLING, self.size * OVERSAMPLING))
        path = self._fine(points)
        if closed:
            path += path[:2]
        ImageDraw.Draw(fine).line(path, fill=255, width=max(1, round(width * self.size * OVERSAMPLING)), joint="curve")
        return self._coarse(fine)

    def paint(self, color: Image, alpha: Alpha) -> None:
        """Lay a colour, (3,) or a whole picture, over what is there."""
        self.pixels += alpha[..., None] * (color - self.pixels)

    def shadow(self, alpha: Alpha, strength: float = 0.22, offset: float = 0.012, blur: float = 0.014) -> None:
        """Darken what lies under a thing, a little below and to the right of it."""
        shift = round(offset * self.size)
        moved = np.roll(alpha, (shift, shift), (0, 1))
        soft = Pillow.fromarray((moved * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(blur * self.size))
        self.pixels *= 1 - strength * (np.asarray(soft, np.float32) / 255)[..., None]

    def coordinates(self) -> tuple[Alpha, Alpha]:
        """x and y of every pixel's centre, 0…1, each (H, W)."""
        axis = (np.arange(self.size, dtype=np.float32) + 0.5) / self.size
        y, x = np.meshgrid(axis, axis, indexing="ij")
        return x, y

    def grain(self, rng: np.random.Generator, strength: float = 0.008) -> None:
        """Fine noise and a slower one, so that plain areas are not dead."""
        fine = rng.standard_normal((self.size, self.size, 1), np.float32)
        coarse = rng.standard_normal((8, 8), np.float32)
        cloud = np.asarray(Pillow.fromarray(coarse).resize((self.size, self.size), Pillow.Resampling.BICUBIC))
        self.pixels = np.clip(self.pixels + strength * fine + 1.5 * strength * cloud[..., None], 0, 1)

    def _fine(self, points: Points) -> list[tuple[float, float]]:
        scaled = points * (self.size * OVERSAMPLING)
        return [(float(x), float(y)) for x, y in scaled]

    def _coarse(self, fine: Pillow.Image) -> Alpha:
        return np.asarray(fine.reduce(OVERSAMPLING), np.float32) / 255
