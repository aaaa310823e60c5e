"""Guiding by pictures through control networks: menu `conditioning/controlnet`."""

from dataclasses import replace
from typing import Annotated

from diffusion.sampling.control import ControlLink, ControlSource
from nodes.declare import node
from nodes.markers import Number, Out
from nodes.wire import Conditioning, ConditioningList, ControlNet, Image, Vae

Strength = Annotated[float, Number(0.0, 10.0, step=0.01)]
Percent = Annotated[float, Number(0.0, 1.0, step=0.001)]


def controlled(link: ControlLink, also_negative: bool, *conditionings: ConditioningList) -> list[ConditioningList]:
    """Adds a control network to each entry, after those it has already.

    Entries that had the same get the same object, so that sampling may answer them in one batch.
    """
    links: dict[int, ControlLink] = {}

    def after(previous: ControlSource | None) -> ControlLink:
        return links.setdefault(id(previous), replace(link, previous=previous))

    return [
        [
            [embeddings, {**extras, "control": after(extras.get("control")), "control_apply_to_uncond": also_negative}]
            for embeddings, extras in conditioning
        ]
        for conditioning in conditionings
    ]


@node("ControlNetApply", category="conditioning/controlnet", title="Apply ControlNet (OLD)", deprecated=True)
def control_net_apply(
    *, conditioning: Conditioning, control_net: ControlNet, image: Image, strength: Strength = 1.0
) -> Conditioning:
    """Guide by a picture, the negative prompt too."""
    if strength == 0:
        return conditioning
    return controlled(ControlLink(control_net, image, strength), True, conditioning)[0]


@node("ControlNetApplyAdvanced", category="conditioning/controlnet", title="Apply ControlNet")
def control_net_apply_advanced(
    *,
    positive: Conditioning,
    negative: Conditioning,
    control_net: ControlNet,
    image: Image,
    strength: Strength = 1.0,
    start_percent: Percent = 0.0,
    end_percent: Percent = 1.0,
    vae: Vae | None = None,
) -> tuple[Annotated[Conditioning, Out("positive")], Annotated[Conditioning, Out("negative")]]:
    """Guide by a picture.

    start_percent: when in the sampling it begins to guide.
    end_percent: and when it stops.
    vae: only for networks that see the picture as a latent.
    """
    if strength == 0:
        return positive, negative
    link = ControlLink(control_net, image, strength, start_percent, end_percent, vae=vae)
    positive, negative = controlled(link, False, positive, negative)
    return positive, negative


@node(
    "ControlNetApplySD3",
    category="conditioning/controlnet",
    title="Apply Controlnet with VAE",
    modern=True,
    deprecated=True,
)
def control_net_apply_sd3(
    *,
    positive: Conditioning,
    negative: Conditioning,
    control_net: ControlNet,
    vae: Vae,
    image: Image,
    strength: Strength = 1.0,
    start_percent: Percent = 0.0,
    end_percent: Percent = 1.0,
) -> tuple[Annotated[Conditioning, Out("positive")], Annotated[Conditioning, Out("negative")]]:
    """Guide by a picture, through a network that sees it as a latent.

    start_percent: when in the sampling it begins to guide.
    end_percent: and when it stops.
    """
    if strength == 0:
        return positive, negative
    link = ControlLink(control_net, image, strength, start_percent, end_percent, vae=vae)
    positive, negative = controlled(link, False, positive, negative)
    return positive, negative
