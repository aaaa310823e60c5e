"""An example pack: two nodes written as typed functions, and a script for the page.

Take `.disabled` off the folder's name to have them in the menu under "examples".
"""

from typing import Annotated

import torch

from execution.context import Run
from nodes.declare import node
from nodes.markers import SEED, Given, Number, Out, Ui
from nodes.wire import Image, Mask

WEB_DIRECTORY = "web"


@node("ExampleFilmGrain", category="examples", title="Film Grain")
def film_grain(
    *,
    image: Image,
    strength: Annotated[float, Number(0, 1, step=0.01)] = 0.1,
    seed: Annotated[int, SEED] = 0,
    mask: Mask | None = None,
    run: Given[Run],
) -> tuple[Annotated[Image, Out("image")], Annotated[Image, Out("grain")]]:
    """Lay grain over pictures, as film has it: strongest in the middle greys.

    strength: 0 changes nothing.
    seed: one seed is one grain, on every machine.
    mask: where to, 1 is everywhere.
    """
    # A generator of our own, on the CPU: torch's is shared, and every device draws other numbers.
    random = torch.Generator("cpu").manual_seed(seed)
    pictures: list[torch.Tensor] = []
    grains: list[torch.Tensor] = []
    for index, picture in enumerate(image):
        grain = torch.randn(picture.shape[:2], generator=random)[..., None] * strength
        luminance = picture[..., :3].mean(-1, keepdim=True)
        grain = grain * 4 * luminance * (1 - luminance)
        if mask is not None:
            grain = grain * mask[index % len(mask)][..., None]
        pictures.append((picture + grain).clamp(0, 1))
        grains.append((0.5 + grain).clamp(0, 1).expand(-1, -1, 3))
        run.progress(index + 1, len(image))
    return torch.stack(pictures), torch.stack(grains)


@node("ExampleMeasure", category="examples", title="Measure Picture", output=True)
def measure(*, image: Image) -> Ui:
    """Show the size of pictures and their mean brightness."""
    count, height, width, _ = image.shape
    return Ui({"text": [f"{count} × {width} × {height}, mean brightness {image.mean():.3f}"]})


NODES = [film_grain, measure]
