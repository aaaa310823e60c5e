"""Control networks between the two ways of asking them."""

from typing import Any


def as_control(value: Any) -> Any:
    """A `control` of a conditioning as packs call it: ours become objects of `comfy.controlnet`, all of a chain."""
    from diffusion.sampling.control import ControlLink

    if not isinstance(value, ControlLink):
        return value
    from comfy.controlnet import of_link

    return of_link(value)
