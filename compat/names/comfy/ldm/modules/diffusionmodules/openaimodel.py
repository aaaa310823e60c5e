"""The UNet and its parts: classes of ours, by which packs match modules."""

from comfy import ops as comfy_ops
from comfy.ldm.modules.attention import SpatialTransformer as SpatialTransformer
from comfy.ldm.modules.attention import SpatialVideoTransformer as SpatialVideoTransformer
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding as timestep_embedding
from compat.placeholder import placeholder
from diffusion.models import unet_blocks
from diffusion.models.unet import UNet

ops = comfy_ops.disable_weight_init

UNetModel = UNet
ResBlock = unet_blocks.ResidualBlock
Downsample = unet_blocks.Downsample
Upsample = unet_blocks.Upsample
TimestepEmbedSequential = unet_blocks.Block


class TimestepBlock(ResBlock):
    """The base of blocks that see the embedding of the timestep; only residual blocks are."""


class VideoResBlock(ResBlock):
    """Networks with layers along time are not offered; the class is there to be compared with."""


def apply_control(h, control, name):
    """h with the next residual of a kind, taken from the end of its list."""
    found = (control or {}).get(name)
    if found:
        residual = found.pop()
        if residual is not None:
            h = h + residual
    return h


forward_timestep_embed = placeholder("comfy.ldm.modules.diffusionmodules.openaimodel.forward_timestep_embed")
