"""Which of our handles become which objects of packs, and the other way round.

The way in is known from the start and imports what it needs when the first such value comes; each module of objects
says itself how they go out.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn

from compat.border import Once, inward
from compat.inside.controls import as_control
from diffusion import handles
from diffusion.models.clip_vision import ClipVisionOutput
from diffusion.sampling.control import ControlLink
from diffusion.sampling.solvers import Sampler
from nodes.guiders import Guiding


@dataclass(frozen=True)
class PackSampler(Sampler):
    """A SAMPLER on the wire that a pack made, or whose run packs want to see."""

    held: Any = None


def register() -> None:
    inward(handles.Model, Once(_model))
    inward(handles.TextEncoders, Once(_clip))
    inward(handles.Autoencoder, Once(_vae))
    inward(handles.ControlNet, _control_net)
    inward(Sampler, _sampler)
    inward(Guiding, _guider)
    inward(ClipVisionOutput, _seen)
    inward(nn.Module, _module)
    inward(list, _list)


def _model(handle: handles.Model) -> Any:
    from comfy.model_patcher import patcher_of

    return patcher_of(handle)


def _clip(handle: handles.TextEncoders) -> Any:
    from comfy.sd import CLIP

    return CLIP.of(handle)


def _vae(handle: handles.Autoencoder) -> Any:
    from comfy.sd import VAE

    return VAE.of(handle)


def _control_net(handle: handles.ControlNet) -> Any:
    from comfy.controlnet import object_of

    return object_of(handle)


def _sampler(sampler: Sampler) -> Any:
    from compat.inside.driver import sampler_object_of

    return sampler_object_of(sampler)


def _guider(guiding: Guiding) -> Any:
    from compat.inside.driver import guider_of

    return guider_of(guiding.guider, guiding.model)


def _seen(seen: ClipVisionOutput) -> Any:
    from comfy.clip_vision import output_of

    return output_of(seen)


def _module(network: nn.Module) -> Any:
    if type(network).__name__ not in ("CLIPVisionModelWithProjection", "SiglipVisionModel"):
        return network
    from comfy.clip_vision import ClipVisionModel

    return ClipVisionModel.of(network)


def _list(values: list[Any]) -> list[Any]:
    """Conditionings under a control network of ours; every other list as it is."""

    def has_ours(entry: Any) -> bool:
        is_pair = isinstance(entry, (list, tuple)) and len(entry) == 2 and isinstance(entry[1], dict)
        return is_pair and isinstance(entry[1].get("control"), ControlLink)

    if not any(has_ours(entry) for entry in values):
        return values
    known: dict[int, Any] = {}

    def changed(entry: Any) -> Any:
        if not has_ours(entry):
            return entry
        link = entry[1]["control"]
        control = known.setdefault(id(link), None) or as_control(link)
        known[id(link)] = control
        return [entry[0], {**entry[1], "control": control}]

    return [changed(entry) for entry in values]
