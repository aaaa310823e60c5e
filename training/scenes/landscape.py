"""Landscapes: land under a sky, at an hour of the day, with what stands or floats in them."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import numpy as np

from training.scenes.canvas import Canvas, Points
from training.scenes.palette import Alpha, Floats, Image

Ground = Literal["mountains", "hills", "sea", "desert", "forest"]
Time = Literal["morning", "noon", "sunset", "night"]
Light = Literal["sun", "moon", "stars"]
Extra = Literal["house", "boat", "trees", "lighthouse"]
GROUNDS: tuple[Ground, ...] = ("mountains", "hills", "sea", "desert", "forest")
TIMES: tuple[Time, ...] = ("morning", "noon", "sunset", "night")
EXTRAS: dict[Ground, tuple[Extra, ...]] = {
    "mountains": ("house", "trees"),
    "hills": ("house", "trees", "lighthouse"),
    "sea": ("boat", "lighthouse"),
    "desert": ("house",),
    "forest": ("house",),
}
HORIZON = 0.6

# Sky at the top and at the horizon, and the light that falls on the land: sRGB, 0…1.
SKY: dict[Time, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "morning": ((0.55, 0.72, 0.92), (1.0, 0.87, 0.76)),
    "noon": ((0.22, 0.52, 0.90), (0.72, 0.88, 0.98)),
    "sunset": ((0.25, 0.20, 0.46), (1.0, 0.52, 0.22)),
    "night": ((0.02, 0.04, 0.13), (0.11, 0.16, 0.33)),
}
LIGHT: dict[Time, tuple[float, float, float]] = {
    "morning": (1.0, 0.95, 0.88),
    "noon": (1.0, 1.0, 1.0),
    "sunset": (0.86, 0.58, 0.50),
    "night": (0.26, 0.32, 0.50),
}
LAND: dict[Ground, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "mountains": ((0.52, 0.56, 0.64), (0.27, 0.31, 0.37)),
    "hills": ((0.56, 0.74, 0.42), (0.25, 0.52, 0.22)),
    "sea": ((0.16, 0.50, 0.66), (0.05, 0.26, 0.44)),
    "desert": ((0.96, 0.80, 0.52), (0.84, 0.60, 0.31)),
    "forest": ((0.30, 0.50, 0.30), (0.10, 0.30, 0.16)),
}
SNOW = np.array([0.95, 0.97, 1.0], np.float32)


@dataclass(frozen=True, slots=True)
class Landscape:
    ground: Ground
    time: Time
    lights: tuple[Light, ...] = ()
    clouds: int = 0
    snow: bool = False
    extras: tuple[Extra, ...] = ()

    @property
    def held_out(self) -> bool:
        """Whether this combination is kept for judging and never trained on: about one in ten."""
        key = f"{self.ground}|{self.time}|{self.lights}|{self.clouds}|{self.snow}|{self.extras}"
        return sha256(key.encode()).digest()[0] < 26


def random_landscape(rng: np.random.Generator) -> Landscape:
    ground = GROUNDS[int(rng.integers(len(GROUNDS)))]
    time = TIMES[int(rng.integers(len(TIMES)))]
    lights: tuple[Light, ...]
    if time == "night":
        night: tuple[tuple[Light, ...], ...] = (("moon",), ("stars",), ("moon", "stars"), ())
        lights = night[int(rng.integers(4))]
    else:
        lights = ("sun",) if rng.random() < 0.6 else ()
    clouds = int(rng.choice([0, 1, 2, 3], p=[0.4, 0.2, 0.25, 0.15]))
    snow = ground in ("mountains", "hills", "forest") and rng.random() < 0.3
    extras: tuple[Extra, ...] = tuple(extra for extra in EXTRAS[ground] if rng.random() < 0.4)
    return Landscape(ground, time, lights, clouds, bool(snow), extras)


def draw(scene: Landscape, size: int, rng: np.random.Generator) -> Image:
    """The picture, (size, size, 3) in 0…1."""
    canvas = Canvas(size)
    _, y = canvas.coordinates()
    top, low = (np.array(color, np.float32) for color in SKY[scene.time])
    height = np.clip(y / HORIZON, 0, 1)[..., None] ** 1.4
    canvas.pixels = (top + (low - top) * height).astype(np.float32)
    # Each cloud has a stretch of sky of its own, so that they can be counted; the sun or moon takes what is left.
    stretches = [0.18 + 0.32 * float(slot) for slot in rng.permutation(3)]
    paint_lights(canvas, scene, stretches[-1] if scene.clouds < 3 else 0.34, rng)
    paint_clouds(canvas, scene, stretches[: scene.clouds], rng)
    paint_land(canvas, scene, rng)
    for extra in scene.extras:
        EXTRA_PAINTERS[extra](canvas, scene, rng)
    canvas.grain(rng, 0.006)
    return canvas.pixels


def lit(color: tuple[float, float, float], time: Time) -> Floats:
    return np.array(color, np.float32) * np.array(LIGHT[time], np.float32)


def disc(x: float, y: float, radius: float, corners: int = 48) -> Points:
    turns = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack([x + radius * np.cos(turns), y + radius * np.sin(turns)], 1).astype(np.float32)


def glow(canvas: Canvas, x: float, y: float, radius: float) -> Alpha:
    """1 at a point, fading over `radius`."""
    across, down = canvas.coordinates()
    return np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * radius**2)).astype(np.float32)


def paint_lights(canvas: Canvas, scene: Landscape, place: float, rng: np.random.Generator) -> None:
    if "stars" in scene.lights:
        for _ in range(int(rng.integers(35, 55))):
            x, y = rng.uniform(0.02, 0.98), rng.uniform(0.02, HORIZON - 0.12)
            canvas.paint(
                np.array([1.0, 0.98, 0.9], np.float32), canvas.mask([disc(x, y, rng.uniform(0.003, 0.007), 8)])
            )
    if "sun" in scene.lights:
        x = place + float(rng.uniform(-0.05, 0.05))
        y = {"noon": 0.16, "morning": 0.34, "sunset": 0.47}.get(scene.time, 0.3) + float(rng.uniform(-0.03, 0.03))
        color = np.array([1.0, 0.93, 0.62] if scene.time != "sunset" else [1.0, 0.72, 0.34], np.float32)
        canvas.paint(color, 0.55 * glow(canvas, x, y, 0.14))
        canvas.paint(np.minimum(color * 1.1, 1), canvas.mask([disc(x, y, 0.075)]))
    if "moon" in scene.lights:
        x, y = place + float(rng.uniform(-0.05, 0.05)), float(rng.uniform(0.14, 0.26))
        color = np.array([0.96, 0.95, 0.86], np.float32)
        canvas.paint(color, 0.3 * glow(canvas, x, y, 0.1))
        canvas.paint(color, canvas.mask([disc(x, y, 0.065)]))
        for dx, dy, r in ((-0.02, -0.015, 0.013), (0.022, 0.01, 0.016), (-0.005, 0.028, 0.01)):
            canvas.paint(color * 0.86, canvas.mask([disc(x + dx, y + dy, r, 20)]))


def paint_clouds(canvas: Canvas, scene: Landscape, stretches: list[float], rng: np.random.Generator) -> None:
    color = {"night": (0.34, 0.38, 0.52), "sunset": (1.0, 0.78, 0.66)}.get(scene.time, (1.0, 1.0, 1.0))
    for stretch in stretches:
        x = stretch + float(rng.uniform(-0.03, 0.03))
        y = float(rng.uniform(0.16, 0.36))
        puffs = [
            disc(x + dx, y + dy, r)
            for dx, dy, r in ((-0.065, 0.012, 0.038), (0.0, -0.012, 0.055), (0.065, 0.014, 0.036))
        ]
        base = np.array([[x - 0.065, y], [x + 0.065, y], [x + 0.065, y + 0.05], [x - 0.065, y + 0.05]], np.float32)
        alpha = canvas.mask([*puffs, base])
        _, down = canvas.coordinates()
        shade = np.clip(1.02 - 1.6 * np.clip(down - y + 0.02, 0, 1), 0, 1)[..., None]
        canvas.paint(np.array(color, np.float32) * shade, 0.94 * alpha)


def ridge(rng: np.random.Generator, base: float, height: float, roughness: float, teeth: int) -> Points:
    """A skyline across the picture, closed at the bottom. base: its mean, 0…1 from the top."""
    x = np.linspace(-0.02, 1.02, 160)
    y = np.zeros_like(x)
    for octave in range(4):
        scale = roughness**octave
        waves = teeth * 2**octave
        y += scale * np.sin(2 * np.pi * (waves * x / 2 + rng.random()))
    y = base - height * y / 2
    top = np.stack([x, y], 1)
    return np.concatenate([top, [[1.02, 1.02], [-0.02, 1.02]]]).astype(np.float32)


def peaks(rng: np.random.Generator, base: float, height: float, count: int) -> list[Points]:
    """Triangular mountains side by side, each with a broken flank."""
    found: list[Points] = []
    for i in range(count):
        x = (i + 0.5) / count + float(rng.uniform(-0.06, 0.06))
        tall = height * float(rng.uniform(0.75, 1.1))
        wide = float(rng.uniform(0.9, 1.2)) / count
        corners = [
            (x - wide, base),
            (x - wide * 0.45, base - tall * 0.5),
            (x, base - tall),
            (x + wide * 0.4, base - tall * 0.55),
            (x + wide, base),
        ]
        found.append(np.array(corners, np.float32))
    return found


def paint_land(canvas: Canvas, scene: Landscape, rng: np.random.Generator) -> None:
    far, near = (lit(color, scene.time) for color in LAND[scene.ground])
    haze = np.array(SKY[scene.time][1], np.float32)
    snow = SNOW * np.array(LIGHT[scene.time], np.float32)
    _, y = canvas.coordinates()
    match scene.ground:
        case "sea":
            paint_sea(canvas, scene, far, near, rng)
        case "mountains":
            for points in peaks(rng, 0.78, 0.48, 3):
                alpha = canvas.mask([points])
                canvas.paint((far * 0.75 + haze * 0.25).astype(np.float32), alpha)
                # The flank away from the light.
                apex = points[2]
                flank = np.array([apex, points[3], points[4], [apex[0] + 0.03, 0.78]], np.float32)
                canvas.paint(near, 0.55 * canvas.mask([flank]))
                share = 0.55 if scene.snow else 0.22
                cap = np.clip(((apex[1] + share * (0.78 - apex[1])) - y) * canvas.size / 6, 0, 1)
                canvas.paint(snow, (alpha * cap).astype(np.float32))
            canvas.paint(
                snow * 0.96 if scene.snow else lit((0.30, 0.45, 0.28), scene.time),
                canvas.mask([ridge(rng, 0.74, 0.05, 0.5, 2)]),
            )
        case "hills":
            for step, base in enumerate((0.60, 0.70, 0.82)):
                mix = step / 2
                color = (far * (1 - mix) + near * mix) * 0.92 + haze * 0.08 * (1 - mix)
                if scene.snow:
                    color = snow * (1 - 0.07 * step)
                canvas.paint(color.astype(np.float32), canvas.mask([ridge(rng, base, 0.11, 0.28, 2)]))
        case "desert":
            for step, base in enumerate((0.62, 0.72, 0.84)):
                mix = step / 2
                canvas.paint(
                    (far * (1 - mix) + near * mix).astype(np.float32), canvas.mask([ridge(rng, base, 0.07, 0.2, 1)])
                )
        case "forest":
            canvas.paint(snow if scene.snow else near * 0.9, canvas.mask([ridge(rng, 0.70, 0.03, 0.4, 2)]))
            for step, base in enumerate((0.70, 0.79, 0.90)):
                mix = step / 2
                color = (far * (1 - mix) + near * mix).astype(np.float32)
                paint_firs(canvas, rng, base, 0.24 + 0.05 * step, 9 - step, color, snow if scene.snow else None)


def paint_sea(canvas: Canvas, scene: Landscape, far: Floats, near: Floats, rng: np.random.Generator) -> None:
    x, y = canvas.coordinates()
    depth = np.clip((y - HORIZON) / (1 - HORIZON), 0, 1)
    water = (far + (near - far) * depth[..., None]).astype(np.float32)
    sky = np.array(SKY[scene.time][1], np.float32)
    water = water * 0.8 + sky * 0.2 * (1 - depth[..., None])
    waves = np.sin(
        2
        * np.pi
        * ((6 + 22 * (1 - depth)) * depth * 6 + 0.6 * np.sin(2 * np.pi * (x * 3 + depth * 4) + rng.random() * 6))
    )
    water = water * (1 + 0.05 * waves[..., None])
    canvas.paint(np.clip(water, 0, 1), np.clip((y - HORIZON) * canvas.size + 0.5, 0, 1))


def paint_firs(
    canvas: Canvas,
    rng: np.random.Generator,
    base: float,
    height: float,
    count: int,
    color: Floats,
    snow: Floats | None,
) -> None:
    for i in rng.permutation(count):
        x = (float(i) + 0.5) / count + float(rng.uniform(-0.03, 0.03))
        tall = height * float(rng.uniform(0.8, 1.15))
        paint_fir(canvas, x, base, tall, (color * float(rng.uniform(0.88, 1.1))).astype(np.float32), snow)


def paint_fir(canvas: Canvas, x: float, base: float, tall: float, color: Floats, snow: Floats | None) -> None:
    wide = tall * 0.28
    tiers = [
        np.array(
            [(x, base - tall * top), (x + wide * w, base - tall * low), (x - wide * w, base - tall * low)], np.float32
        )
        for top, low, w in ((1.0, 0.6, 0.62), (0.8, 0.32, 0.82), (0.55, 0.06, 1.0))
    ]
    trunk = np.array(
        [(x - 0.006, base - tall * 0.1), (x + 0.006, base - tall * 0.1), (x + 0.006, base), (x - 0.006, base)],
        np.float32,
    )
    canvas.paint(np.clip(color, 0, 1), canvas.mask([*tiers, trunk]))
    if snow is not None:
        caps = [np.array([t[0], t[0] + 0.45 * (t[1] - t[0]), t[0] + 0.45 * (t[2] - t[0])], np.float32) for t in tiers]
        canvas.paint(snow, canvas.mask(caps))


def box(x: float, y: float, width: float, height: float) -> Points:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float32)


def paint_house(canvas: Canvas, scene: Landscape, rng: np.random.Generator) -> None:
    x, y = float(rng.uniform(0.14, 0.34)), float(rng.uniform(0.80, 0.84))
    walls = box(x, y - 0.10, 0.17, 0.12)
    roof = np.array([(x - 0.025, y - 0.10), (x + 0.085, y - 0.19), (x + 0.195, y - 0.10)], np.float32)
    canvas.shadow(canvas.mask([walls, roof]))
    canvas.paint(lit((0.95, 0.90, 0.80), scene.time), canvas.mask([walls]))
    canvas.paint(
        lit((0.72, 0.25, 0.20), scene.time) if not scene.snow else SNOW * np.array(LIGHT[scene.time], np.float32),
        canvas.mask([roof]),
    )
    canvas.paint(lit((0.38, 0.25, 0.18), scene.time), canvas.mask([box(x + 0.10, y - 0.05, 0.04, 0.07)]))
    window = (
        np.array([1.0, 0.85, 0.42], np.float32)
        if scene.time in ("night", "sunset")
        else lit((0.55, 0.75, 0.9), scene.time)
    )
    canvas.paint(window, canvas.mask([box(x + 0.03, y - 0.07, 0.045, 0.04)]))


def paint_boat(canvas: Canvas, scene: Landscape, rng: np.random.Generator) -> None:
    x, y = float(rng.uniform(0.25, 0.5)), float(rng.uniform(0.76, 0.84))
    hull = np.array([(x - 0.12, y), (x + 0.12, y), (x + 0.08, y + 0.05), (x - 0.08, y + 0.05)], np.float32)
    sail = np.array([(x + 0.005, y - 0.20), (x + 0.005, y - 0.015), (x + 0.11, y - 0.015)], np.float32)
    jib = np.array([(x - 0.012, y - 0.17), (x - 0.012, y - 0.015), (x - 0.085, y - 0.015)], np.float32)
    canvas.paint(lit((0.45, 0.24, 0.14), scene.time), canvas.mask([hull, box(x - 0.006, y - 0.21, 0.009, 0.22)]))
    canvas.paint(lit((0.98, 0.96, 0.92), scene.time) * 0.6 + 0.36, canvas.mask([sail]))
    canvas.paint(lit((0.90, 0.35, 0.28), scene.time) * 0.8 + 0.1, canvas.mask([jib]))


def paint_trees(canvas: Canvas, scene: Landscape, rng: np.random.Generator) -> None:
    snow = SNOW * np.array(LIGHT[scene.time], np.float32) if scene.snow else None
    for x in (0.62, 0.73, 0.84):
        color = lit((0.16, 0.40, 0.20), scene.time)
        paint_fir(
            canvas,
            x + float(rng.uniform(-0.02, 0.02)),
            float(rng.uniform(0.84, 0.90)),
            float(rng.uniform(0.18, 0.25)),
            color,
            snow,
        )


def paint_lighthouse(canvas: Canvas, scene: Landscape, rng: np.random.Generator) -> None:
    x = float(rng.uniform(0.80, 0.86))
    base = 0.70 if scene.ground == "sea" else 0.74
    if scene.ground == "sea":
        rock = np.array(
            [(x - 0.14, base + 0.06), (x - 0.07, base - 0.02), (x + 0.07, base - 0.03), (x + 0.16, base + 0.06)],
            np.float32,
        )
        canvas.paint(lit((0.36, 0.34, 0.33), scene.time), canvas.mask([rock]))
    white, red = lit((0.97, 0.96, 0.93), scene.time), lit((0.82, 0.18, 0.16), scene.time)
    steps = np.linspace(0, 1, 6)
    for i in range(5):
        low, high = base - 0.34 * steps[i], base - 0.34 * steps[i + 1]
        a, b = 0.040 - 0.014 * steps[i], 0.040 - 0.014 * steps[i + 1]
        band = np.array([(x - a, low), (x + a, low), (x + b, high), (x - b, high)], np.float32)
        canvas.paint(white if i % 2 == 0 else red, canvas.mask([band]))
    canvas.paint(np.array([1.0, 0.92, 0.55], np.float32), canvas.mask([box(x - 0.018, base - 0.385, 0.036, 0.045)]))
    cap = np.array([(x - 0.028, base - 0.385), (x, base - 0.43), (x + 0.028, base - 0.385)], np.float32)
    canvas.paint(red, canvas.mask([cap]))
    if scene.time == "night":
        canvas.paint(np.array([1.0, 0.92, 0.6], np.float32), 0.5 * glow(canvas, x, base - 0.36, 0.05))


EXTRA_PAINTERS = {"house": paint_house, "boat": paint_boat, "trees": paint_trees, "lighthouse": paint_lighthouse}
