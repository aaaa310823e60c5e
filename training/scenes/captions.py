"""What is in a picture, in words that vary while the facts do not."""

from collections.abc import Sequence

import numpy as np

from training.scenes.composition import Background, Composition, Thing
from training.scenes.landscape import Landscape

COUNTS = {1: "one", 2: "two", 3: "three"}


def caption(scene: Composition | Landscape, rng: np.random.Generator) -> str:
    """One of many sentences that describe the scene truly."""
    match scene:
        case Composition():
            return composition_caption(scene, rng)
        case Landscape():
            return landscape_caption(scene, rng)


def composition_caption(scene: Composition, rng: np.random.Generator) -> str:
    ground = background_phrase(scene.background, rng)
    things = [thing_phrase(thing, rng) for thing in scene.things]
    if len(things) == 1:
        what = f"{things[0]}{single_place(scene.arrangement, rng)}"
    elif len(things) == 2:
        what = pair_phrase(things, scene.arrangement == "row", rng)
    else:
        what = triple_phrase(things, scene.arrangement == "row", rng)
    return choose(rng, f"{what} {ground}", f"{what} {ground}", f"{what}, {ground}")


def thing_phrase(thing: Thing, rng: np.random.Generator) -> str:
    size = (
        ""
        if rng.random() < 0.25
        else choose(rng, *{"small": ("small", "little"), "large": ("large", "big")}[thing.size])
    )
    fill = "" if thing.fill == "flat" else thing.fill
    words = [size, fill, thing.color, thing.shape] if rng.random() < 0.8 else [fill, size, thing.color, thing.shape]
    return article(" ".join(word for word in words if word))


def article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def single_place(arrangement: str, rng: np.random.Generator) -> str:
    match arrangement:
        case "centre":
            return choose(rng, "", "", " in the centre", " in the middle")
        case "left" | "right":
            return choose(rng, f" on the {arrangement}", f" at the {arrangement}")
        case _:
            return choose(
                rng, f" at the {arrangement}", " in the upper part" if arrangement == "top" else " in the lower part"
            )


def pair_phrase(things: Sequence[str], row: bool, rng: np.random.Generator) -> str:
    first, second = things
    if row:
        return choose(
            rng,
            f"{first} to the left of {second}",
            f"{first} left of {second}",
            f"{second} to the right of {first}",
            f"{second} right of {first}",
            f"{first} on the left and {second} on the right",
        )
    return choose(
        rng,
        f"{first} above {second}",
        f"{first} above {second}",
        f"{second} below {first}",
        f"{first} over {second}",
        f"{first} at the top and {second} at the bottom",
    )


def triple_phrase(things: Sequence[str], row: bool, rng: np.random.Generator) -> str:
    first, second, third = things
    listed = f"{first}, {second} and {third}"
    if row:
        return choose(rng, f"{listed} from left to right", f"{listed} in a row", f"{listed} side by side")
    return choose(rng, f"{listed} from top to bottom", f"{listed} in a column", f"{first} above {second} above {third}")


def background_phrase(background: Background, rng: np.random.Generator) -> str:
    first, second = background.first, background.second
    match background.split:
        case "plain":
            return choose(
                rng,
                f"on {article(first)} background",
                f"on {article(first)} background",
                f"on {first}",
                f"against {first}",
            )
        case "sides":
            return choose(
                rng,
                f"on a background of {first} on the left and {second} on the right",
                f"on a background that is half {first}, half {second}",
            )
        case "halves":
            return choose(
                rng, f"on a background of {first} above and {second} below", f"on a background of {first} over {second}"
            )


def landscape_caption(scene: Landscape, rng: np.random.Generator) -> str:
    ground = ("snowy " if scene.snow else "") + scene.ground
    place = ground if scene.ground in ("mountains", "hills") and rng.random() < 0.6 else f"the {ground}"
    if scene.ground in ("desert", "forest") and rng.random() < 0.5:
        place = article(ground)
    if scene.time == "sunset":
        opening = choose(rng, f"sunset over {place}", f"{place} at sunset")
    elif scene.time == "night":
        opening = choose(rng, f"night over {place}", f"{place} at night")
    elif scene.time == "morning":
        opening = choose(rng, f"morning over {place}", f"{place} in the morning")
    else:
        opening = choose(rng, f"{place} at noon", f"noon over {place}")
    parts = [sky_phrase(scene, rng), *(article(extra) if extra != "trees" else "trees" for extra in scene.extras)]
    parts = [part for part in parts if part]
    if rng.random() < 0.5:
        parts.reverse()
    if not parts:
        return opening
    return f"{opening} {choose(rng, 'with', 'with', 'and')} {joined(parts)}"


def sky_phrase(scene: Landscape, rng: np.random.Generator) -> str:
    lights = [
        {"sun": choose(rng, "the sun", "a sun"), "moon": choose(rng, "the moon", "a moon"), "stars": "stars"}[light]
        for light in scene.lights
    ]
    if scene.clouds:
        lights.append(f"{COUNTS[scene.clouds]} {'cloud' if scene.clouds == 1 else 'clouds'}")
    return joined(lights)


def joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def choose(rng: np.random.Generator, *of: str) -> str:
    return of[int(rng.integers(len(of)))]
