"""Recognises ControlNet files: original and diffusers' naming, whole weights and differences to a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from diffusion.checkpoints.describe import describe
from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.read import Checkpoint
from diffusion.checkpoints.rename import Part, convert
from diffusion.checkpoints.weights import Source, Weights
from diffusion.families.diffusers_layout import from_diffusers
from diffusion.families.family import Family
from diffusion.families.sd2 import SD2
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL
from diffusion.models.controlnet import read_controlnet_config
from diffusion.models.unet_config import UNetConfig

PREFIX = "control_model."
DIFFERENCE = "difference"
"""A tensor of this name marks a file of differences."""


@dataclass(frozen=True)
class FoundControl:
    weights: Weights
    config: UNetConfig
    family: Family[Any]


def find_controlnet(checkpoint: Checkpoint) -> FoundControl:
    """The ControlNet in a file, in the published names. Raises CheckpointError that says what the file is instead."""
    weights = checkpoint.weights
    if any(name.startswith(PREFIX) for name in weights):
        weights = weights.under(PREFIX)
    if (names := from_diffusers(weights.shapes)) is not None:
        weights = convert(weights, {theirs: (Part(ours),) for theirs, ours in names.items()})
    config = read_controlnet_config(weights.shapes)
    if config is None:
        problem = (
            f"this looks like {describe(checkpoint.weights.shapes)}; expected a ControlNet for SD 1.x, 2.x or SDXL"
        )
        raise CheckpointError(checkpoint.path, problem)
    family = SDXL if config.vector_width else SD2 if config.linear_projection else SD15
    return FoundControl(weights, config, family)


def added_to(difference: Weights, network: nn.Module) -> Weights:
    """The tensors of a file of differences, plus those of the network that have the same name and shape."""
    base: Mapping[str, torch.Tensor] = network.state_dict()

    def added(name: str, source: Source) -> Source:
        if name not in base or tuple(base[name].shape) != source.shape:
            return source
        return Source(source.shape, torch.float32, lambda: source.fetch().float() + base[name].float())

    return Weights({name: added(name, source) for name, source in difference.sources.items()})
