"""The network of a ControlNet: the class is ours."""

from diffusion.models import controlnet as _controlnet

ControlNet = _controlnet.ControlNet
