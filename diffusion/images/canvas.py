"""Room around pictures: padding, stitching. Pictures are channels-last here: (B, H, W, C), 0…1."""

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.images.batch import extend_to, same_channels
from diffusion.images.resize import resize

COLORS = {
    "white": (1.0, 1.0, 1.0),
    "black": (0.0, 0.0, 0.0),
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
}
NEW_ROOM = 0.5
"""Grey, the neutral start for a model that fills the room."""


def filled(batch: int, height: int, width: int, channels: int, color: str) -> Tensor:
    """One colour; a fourth channel is opaque."""
    return torch.tensor((*COLORS[color], 1.0))[:channels].expand(batch, height, width, channels).clone()


def pad_for_outpaint(
    image: Tensor, left: int, top: int, right: int, bottom: int, feathering: int
) -> tuple[Tensor, Tensor]:
    """Returns the larger picture, grey in its new room, and its mask (1, H, W): 1 in the room, fading into the picture.

    The mask falls as the square of the distance from those edges that got room, over `feathering` pixels; a picture
    not twice as large as that is not feathered. The nearest pixel is at distance 0 from the left and top edges and at
    distance 1 from the right and bottom ones, as in the pictures people have made with these masks.
    """
    batch, height, width, channels = image.shape
    grown = image.new_full((batch, height + top + bottom, width + left + right, channels), NEW_ROOM)
    grown[:, top : top + height, left : left + width] = image
    inner = torch.zeros(height, width)
    if feathering > 0 and feathering * 2 < min(height, width):
        rows, columns = torch.arange(height).float(), torch.arange(width).float()
        far = torch.tensor(float("inf"))
        down = torch.minimum(rows if top else far, height - rows if bottom else far).expand(height)
        across = torch.minimum(columns if left else far, width - columns if right else far).expand(width)
        distance = torch.minimum(down[:, None], across)
        inner = ((feathering - distance) / feathering).clamp(min=0) ** 2
    return grown, F.pad(inner, (left, right, top, bottom), value=1.0)[None]


def fit_into(image: Tensor, width: int, height: int, color: str, method: str) -> Tensor:
    """The picture scaled to fit, in the middle of a canvas of width × height."""
    batch, old_height, old_width, channels = image.shape
    factor = min(width / old_width, height / old_height)
    new_width, new_height = max(1, int(old_width * factor)), max(1, int(old_height * factor))
    small = resize(image.movedim(-1, 1), new_width, new_height, method).movedim(1, -1)
    canvas = filled(batch, height, width, channels, color).to(image)
    top, left = (height - new_height) // 2, (width - new_width) // 2
    canvas[:, top : top + new_height, left : left + new_width] = small
    return canvas


def stitch(first: Tensor, second: Tensor, direction: str, match_size: bool, spacing: int, color: str) -> Tensor:
    """Two pictures side by side; the second goes `direction` ("right", "down", "left", "up") of the first.

    match_size: scale the second so that the touching sides are equal, else centre the smaller on black. The shorter
    batch repeats its last picture. spacing: pixels between them, rounded up to even.
    """
    batch = max(len(first), len(second))
    first, second = same_channels(extend_to(first, batch), extend_to(second, batch))
    beside = direction in ("left", "right")
    if match_size:
        height, width = first.shape[1:3]
        ratio = second.shape[2] / second.shape[1]
        size = (max(1, int(height * ratio)), height) if beside else (width, max(1, int(width / ratio)))
        second = resize(second.movedim(-1, 1), *size, "lanczos").movedim(1, -1)
    else:
        side = 1 if beside else 2
        first, second = centred(first, second.shape[side], side), centred(second, first.shape[side], side)
    parts = [first, second] if direction in ("right", "down") else [second, first]
    spacing += spacing % 2
    if spacing:
        height, width = (first.shape[1], spacing) if beside else (spacing, first.shape[2])
        parts.insert(1, filled(batch, height, width, first.shape[-1], color).to(first))
    return torch.cat(parts, dim=2 if beside else 1)


def centred(image: Tensor, length: int, side: int) -> Tensor:
    """At least `length` along dimension `side` (1 height, 2 width), black around."""
    missing = max(0, length - image.shape[side])
    before, after = missing // 2, missing - missing // 2
    return F.pad(image, (0, 0, before, after) if side == 2 else (0, 0, 0, 0, before, after))
