"""What the families of latent diffusion UNets share."""

from collections.abc import Callable
from dataclasses import replace

from diffusion.families.diffusers_layout import from_diffusers
from diffusion.families.family import Layout, Shapes
from diffusion.families.prediction import BetaSchedule, PredictionSpec
from diffusion.models.unet_config import UNetConfig, read_unet_config

DIFFUSERS = Layout("diffusers", from_diffusers)
EPS = PredictionSpec("eps", BetaSchedule())
V = PredictionSpec("v", BetaSchedule())


def recognise_unet(
    fits: Callable[[UNetConfig], bool],
    *,
    heads: int | None = None,
    head_width: int | None = None,
    float32_scores: bool = False,
) -> Callable[[Shapes], UNetConfig | None]:
    """Reads a UNet's configuration and keeps it if `fits` says so, completed by what shapes do not tell."""

    def recognise(shapes: Shapes) -> UNetConfig | None:
        config = read_unet_config(shapes)
        if config is None or not fits(config):
            return None
        return replace(config, heads=heads, head_width=head_width, float32_scores=float32_scores)

    return recognise


def attends_on_first_level(config: UNetConfig) -> bool:
    return any(config.input_depths[0])
