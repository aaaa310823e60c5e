"""The network of Stable Diffusion 3: the classes are ours where the network is."""

from comfy.rmsnorm import RMSNorm as RMSNorm
from compat.inside.classes import ours

JointBlock = ours("diffusion.models.mmdit", "JointBlock", "comfy.ldm.modules.diffusionmodules.mmdit.JointBlock")
MMDiT = ours("diffusion.models.mmdit", "MMDiT", "comfy.ldm.modules.diffusionmodules.mmdit.MMDiT")
OpenAISignatureMMDITWrapper = MMDiT
