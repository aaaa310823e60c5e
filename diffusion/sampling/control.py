"""Control networks during sampling: which act at a noise level, on what hint, how strongly, and their sum."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from torch import Tensor

from diffusion.autoencode import encode
from diffusion.handles import Autoencoder, ControlNet
from diffusion.images.batch import repeat_to
from diffusion.images.resize import resize
from diffusion.models.t2i_adapter import T2IAdapter
from diffusion.patches.hooks import Control, Extra
from diffusion.sampling.levels import Levels


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
        network = self.handle.network
        hint = repeat_to(self._hint(call), len(call.x)).to(call.x.device)
        if isinstance(network, T2IAdapter):
            if network.config.hint_channels == 1:
                hint = hint.mean(dim=1, keepdim=True)
            return network(hint)
        return network(call.x, call.timesteps, call.context, call.y, hint, **call.extra)

    def _hint(self, call: ControlCall) -> Tensor:
        """In the latent's size, (B, C, H, W), where hints are latents; else (B, 3, 8H, 8W)."""
        height, width = 8 * call.x.shape[2], 8 * call.x.shape[3]
        if self.handle.hints is None:
            return resize(self.hint.movedim(-1, 1), width, height, "nearest-exact", crop=True)
        if self.vae is None:
            raise ValueError(
                f"{self.handle.source or 'This ControlNet'} sees its hint as a latent: connect the VAE of "
                "its model line to the node that applies it"
            )
        if (height, width) not in self.encoded:
            picture = resize(self.hint.movedim(-1, 1), width, height, "nearest-exact", crop=True).movedim(1, -1)
            self.encoded[height, width] = self.handle.hints.to_model(encode(self.vae, picture))
        return self.encoded[height, width]
