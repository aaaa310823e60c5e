"""Guiding by pictures through control networks: menu `conditioning/controlnet`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from diffusion.models.controlnet_union import KINDS
from diffusion.sampling.control import ControlLink, ControlSource
from execution.context import Run
from nodes.declare import node
from nodes.markers import Choice, Given, Number, Out
from nodes.wire import Conditioning, ConditioningList, ControlNet, Image, Mask, Vae

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


@node("SetUnionControlNetType", category="conditioning/controlnet")
def set_union_control_net_type(
    *, control_net: ControlNet, type: Annotated[str, Choice(["auto", *KINDS])], run: Given[Run]
) -> ControlNet:
    """Say what the pictures are that a ControlNet for many kinds is shown.

    type: auto leaves it open.
    """
    modes: Mapping[str, int] = getattr(control_net.network, "modes", {})
    if type != "auto" and not modes:
        run.note("this ControlNet knows one kind of hint only, so the type makes no difference")
        return control_net
    if type != "auto" and type not in modes:
        known = ", ".join(modes)
        raise ValueError(f"{control_net.source or 'this ControlNet'} does not know {type!r}; it knows {known}")
    return replace(control_net, mode=modes.get(type))


@node("ControlNetInpaintingAliMamaApply", category="conditioning/controlnet")
def control_net_inpainting_ali_mama_apply(
    *,
    positive: Conditioning,
    negative: Conditioning,
    control_net: ControlNet,
    vae: Vae,
    image: Image,
    mask: Mask,
    strength: Strength = 1.0,
    start_percent: Percent = 0.0,
    end_percent: Percent = 1.0,
) -> tuple[Annotated[Conditioning, Out("positive")], Annotated[Conditioning, Out("negative")]]:
    """Guide by what surrounds the part of a picture that is to be repainted.

    mask: what to repaint, for networks that see one; others see the whole picture.
    start_percent: when in the sampling it begins to guide.
    end_percent: and when it stops.
    """
    if strength == 0:
        return positive, negative
    link = ControlLink(control_net, image, strength, start_percent, end_percent, vae=vae, mask=mask)
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
