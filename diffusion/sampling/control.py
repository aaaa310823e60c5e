"""Control networks during sampling: which act at a noise level, on what hint, how strongly, and their sum."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor, nn

from diffusion.autoencode import encode
from diffusion.handles import Autoencoder, ControlNet, Model
from diffusion.images.batch import repeat_to
from diffusion.images.resize import resize
from diffusion.latents import LatentFormat
from diffusion.models.t2i_adapter import T2IAdapter
from diffusion.patches.hooks import Control, Extra
from diffusion.sampling.levels import Levels


def _itself(network: nn.Module) -> nn.Module:
    return network


@dataclass(frozen=True, slots=True)
class ControlCall:
    """What the diffusion network is about to be shown."""

    x: Tensor
    """(B, C, H, W), scaled as the network gets it; the latent's own channels only."""
    timesteps: Tensor
    """(B,)"""
    context: Tensor
    """(B, T, D)"""
    y: Tensor | None
    sigma: float
    levels: Levels
    extra: Extra = field(default_factory=lambda: MappingProxyType({}))
    network_of: Callable[[nn.Module], nn.Module] = _itself
    """A network as it computes in this run."""
    control_context: Tensor | None = None
    """A text for control networks alone; None: they read the same as the diffusion network."""
    control_y: Tensor | None = None
    """And its vector condition."""


class ControlSource(Protocol):
    """Anything that can add to the inside of a diffusion network."""

    def control(self, call: ControlCall) -> Control | None:
        """What to add in this call; None for nothing."""
        ...


@dataclass(frozen=True)
class ControlLink:
    """A control network at work, and those applied before it."""

    handle: ControlNet
    hint: Tensor
    """(B, H, W, 3) in 0…1, any size."""
    strength: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0
    previous: "ControlSource | None" = None
    vae: Autoencoder | None = None
    """For networks whose hints are latents."""
    mask: Tensor | None = None
    """(B, H, W), 1 where to repaint, for networks that see one beside their hint."""
    encoded: dict[tuple[int, int], Tensor] = field(default_factory=dict[tuple[int, int], Tensor], compare=False)
    """Such hints by size in pixels: every step of a run asks for the same."""

    def control(self, call: ControlCall) -> Control | None:
        before = None if self.previous is None else self.previous.control(call)
        start = call.levels.percent_to_sigma(self.start_percent)
        end = call.levels.percent_to_sigma(self.end_percent)
        if self.strength == 0 or not end <= call.sigma <= start:
            return before
        strength = self.strength
        mine = self._evaluate(call).mapped(lambda residual: residual * strength)
        return mine if before is None else before + mine

    def _evaluate(self, call: ControlCall) -> Control:
        network = call.network_of(self.handle.network)
        hint = repeat_to(self._hint(call), len(call.x)).to(call.x.device)
        if isinstance(network, T2IAdapter):
            if network.config.hint_channels == 1:
                hint = hint.mean(dim=1, keepdim=True)
            return network(hint)
        mode = {} if self.handle.mode is None else {"mode": self.handle.mode}
        context = call.context if call.control_context is None else call.control_context
        y = call.y if call.control_y is None else call.control_y
        return network(call.x, call.timesteps, context, y, hint, **mode, **call.extra)

    def _hint(self, call: ControlCall) -> Tensor:
        """In the latent's size, (B, C, H, W), where hints are latents; else (B, 3, 8H, 8W)."""
        height, width = 8 * call.x.shape[2], 8 * call.x.shape[3]
        if self.handle.hints is None:
            return resize(self.hint.movedim(-1, 1), width, height, "nearest-exact", crop=True)
        if (height, width) not in self.encoded:
            self.encoded[height, width] = self._latent_hint(self.handle.hints, height, width)
        return self.encoded[height, width]

    def _latent_hint(self, hints: LatentFormat, height: int, width: int) -> Tensor:
        """For a picture of height x width pixels; a masked one is black where it is to be repainted."""
        name = self.handle.source or "This ControlNet"
        if self.vae is None:
            raise ValueError(
                f"{name} sees its hint as a latent: connect the VAE of its model line to the node that applies it"
            )
        if self.vae.channels != hints.channels:
            raise ValueError(
                f"{name} sees latents of {hints.channels} channels; the VAE {self.vae.source} makes {self.vae.channels}"
            )
        picture = resize(self.hint.movedim(-1, 1), width, height, "nearest-exact", crop=True)
        if not self.handle.takes_mask:
            return hints.to_model(encode(self.vae, picture.movedim(1, -1)))
        if self.mask is None:
            raise ValueError(f"{name} is for inpainting: apply it with ControlNetInpaintingAliMamaApply and a mask")
        rows, columns = self.hint.shape[1:3]
        stays = 1 - resize(self.mask[:, None], columns, rows, "bilinear", crop=False).round()
        stays = resize(stays, width, height, "nearest-exact", crop=True)
        latent = hints.to_model(encode(self.vae, (picture * stays).movedim(1, -1)))
        return torch.cat([latent, resize(stays, latent.shape[3], latent.shape[2], "nearest-exact", crop=False)], dim=1)


def check_controls(source: ControlSource | None, model: Model) -> None:
    """Refuse control networks that read the text of another model line. Raises ValueError, naming the file."""
    while isinstance(source, ControlLink):
        theirs, ours = _context_width(source.handle.network), getattr(model.config, "context_width", None)
        if theirs is not None and ours is not None and theirs != ours:
            name = Path(source.handle.source).name or "a ControlNet"
            line = "another model line" if source.handle.family is None else source.handle.family.name
            raise ValueError(
                f"{name}: this ControlNet is for {line}, whose text has the width {theirs}; the model is "
                f"{model.family.name}, whose text has {ours}"
            )
        source = source.previous


def _context_width(network: nn.Module) -> int | None:
    config = getattr(network, "config", None)
    return getattr(getattr(config, "base", config), "context_width", None)


def networks_of(source: ControlSource | None) -> list[nn.Module]:
    """The control networks at work in a condition, as far as they are ours."""
    found: list[nn.Module] = []
    while isinstance(source, ControlLink):
        found.append(source.handle.network)
        source = source.previous
    return found
