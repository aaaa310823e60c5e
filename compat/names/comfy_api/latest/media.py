"""The values nodes of the newer style are annotated with, in three families."""

from comfy_api import input as inputs
from comfy_api import input_impl, util


class Input:
    """What nodes receive."""

    Image = inputs.ImageInput
    Audio = inputs.AudioInput
    Mask = inputs.MaskInput
    Latent = inputs.LatentInput
    Video = inputs.VideoInput


class InputImpl:
    """Ways to make it."""

    VideoFromFile = input_impl.VideoFromFile
    VideoFromComponents = input_impl.VideoFromComponents


class Types:
    """What goes with it."""

    VideoCodec = util.VideoCodec
    VideoContainer = util.VideoContainer
    VideoComponents = util.VideoComponents
    MESH = util.MESH
    VOXEL = util.VOXEL
