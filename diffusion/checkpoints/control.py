"""Recognises ControlNets and T2I-Adapters: original and diffusers' naming, whole weights and differences to a model."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from diffusion.checkpoints.packing import true_weights
from diffusion.checkpoints.read import Checkpoint
from diffusion.checkpoints.single import Buildable, renamed, unexpected
from diffusion.checkpoints.transformer_control import find_transformer_control
from diffusion.checkpoints.weights import Source, Weights
from diffusion.families.diffusers_layout import from_diffusers
from diffusion.families.family import Family
from diffusion.families.sd2 import SD2
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL
from diffusion.latents import LatentFormat
from diffusion.models.controlnet import ControlNet, read_controlnet_config
from diffusion.models.controlnet_union import UNION_NAMES, UnionControlNet, read_union_config
from diffusion.models.t2i_adapter import T2IAdapter, adapter_from_diffusers, read_t2i_adapter_config

PREFIX = "control_model."
DIFFERENCE = "difference"
"""A tensor of this name marks a file of differences."""


@dataclass(frozen=True)
class FoundControl:
    network: Buildable
    family: Family[Any] | None
    """The model line it controls, where that is known."""
    hints: LatentFormat | None = None
    """The latent space of its hints; None where they are pictures."""
    takes_mask: bool = False
    """Whether a mask follows the channels of its hints."""


def find_controlnet(checkpoint: Checkpoint) -> FoundControl:
    """The ControlNet or T2I-Adapter in a file, in the published names. Raises CheckpointError."""
    weights = checkpoint.weights
    if any(name.startswith(PREFIX) for name in weights):
        weights = weights.under(PREFIX)
    weights = renamed(weights, from_diffusers(weights.shapes, UNION_NAMES))
    if config := read_controlnet_config(weights.shapes):
        family = SDXL if config.vector_width else SD2 if config.linear_projection else SD15
        if union := read_union_config(weights.shapes):
            return FoundControl(Buildable("union ControlNet", weights, lambda: UnionControlNet(config, union)), family)
        return FoundControl(Buildable("ControlNet", weights, lambda: ControlNet(config)), family)
    if found := find_transformer_control(weights):
        return FoundControl(found.network, found.family, found.hints, found.takes_mask)
    adapter = renamed(checkpoint.weights, adapter_from_diffusers(checkpoint.weights.shapes))
    if adapter_config := read_t2i_adapter_config(adapter.shapes):
        return FoundControl(Buildable("T2I-Adapter", adapter, lambda: T2IAdapter(adapter_config)), None)
    raise unexpected(checkpoint, "a ControlNet for SD 1.x, 2.x, SDXL, SD3 or Flux, or a T2I-Adapter")


def added_to(difference: Weights, network: nn.Module) -> Weights:
    """The tensors of a file of differences, plus those of the network that have the same name and shape."""
    base = true_weights(network)

    def added(name: str, source: Source) -> Source:
        if name not in base or base.sources[name].shape != source.shape:
            return source
        return Source(source.shape, torch.float32, lambda: source.fetch().float() + base[name].float())

    return Weights({name: added(name, source) for name, source in difference.sources.items()})
