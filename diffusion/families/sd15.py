"""Stable Diffusion 1.x (arXiv:2112.10752), its inpainting model and InstructPix2Pix (arXiv:2211.09800)."""

from diffusion import latents
from diffusion.families.family import Family, always
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.families.unet import DIFFUSERS, EPS, recognise_unet
from diffusion.models.unet import UNet
from diffusion.models.unet_config import UNetConfig

TEXT_ENCODERS = (TextEncoderSpec("clip_l", ("cond_stage_model.transformer.",), width=768),)


def _family(name: str, in_channels: int) -> Family[UNetConfig]:
    def fits(config: UNetConfig) -> bool:
        return not config.linear_projection and config.vector_width is None and config.in_channels == in_channels

    return Family(
        name=name,
        # The number of heads is the same on every level.
        recognise=recognise_unet(fits, heads=8),
        build=UNet,
        variant=always(EPS, latents.SD15),
        text_encoders=TEXT_ENCODERS,
        layouts=(DIFFUSERS,),
    )


SD15 = _family("SD 1.x", 4)
SD15_INPAINT = _family("SD 1.x inpainting", 9)
"""The network also sees a mask and the masked picture: [noisy latent 4, mask 1, masked latent 4]."""
INSTRUCT_PIX2PIX = _family("InstructPix2Pix", 8)
"""The network also sees the picture to edit: [noisy latent 4, latent 4, not scaled]."""
