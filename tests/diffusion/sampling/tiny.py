"""A model of the usual layout, small enough to sample in a blink, with random weights."""

import torch

from diffusion import latents
from diffusion.families.prediction import BetaSchedule, PredictionSpec
from diffusion.families.sd15 import SD15, SD15_INPAINT
from diffusion.families.sdxl import SDXL
from diffusion.handles import Model
from diffusion.models.unet import UNet
from diffusion.models.unet_config import UNetConfig
from diffusion.sampling.conditioning import Condition
from tests.diffusion.models.oracle import randomised

CONTEXT_WIDTH = 16


def config(in_channels: int = 4, vector_width: int | None = None) -> UNetConfig:
    return UNetConfig(
        in_channels=in_channels,
        out_channels=4,
        base_width=32,
        level_widths=(32, 64),
        input_depths=((1,), (1,)),
        output_depths=((1, 1), (1, 1)),
        middle_residuals=2,
        middle_depth=1,
        context_width=CONTEXT_WIDTH,
        vector_width=vector_width,
        linear_projection=False,
        heads=4,
    )


def model(in_channels: int = 4, pooled_width: int | None = None, prediction: PredictionSpec | None = None) -> Model:
    """4 input channels: an SD 1.x model. 9: its inpainting kind. With pooled text: an SDXL one."""
    family = SD15 if in_channels == 4 else SD15_INPAINT
    vector_width = None
    if pooled_width is not None:
        family, vector_width = SDXL, pooled_width + 6 * 256
    built = config(in_channels, vector_width)
    return Model(
        network=randomised(UNet(built)),
        family=family,
        config=built,
        prediction=prediction or PredictionSpec("eps", BetaSchedule()),
        latent=latents.SD15,
        source="tiny.safetensors",
    )


def text(seed: int, tokens: int = 7, **options: object) -> Condition:
    """Some prompt."""
    generator = torch.Generator().manual_seed(seed)
    context = torch.randn(1, tokens, CONTEXT_WIDTH, generator=generator)
    return Condition(context=context, **options)  # pyright: ignore[reportArgumentType]  # whatever a test needs
