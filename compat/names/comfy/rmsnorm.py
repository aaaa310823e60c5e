"""Normalisation by the root mean square."""

import torch

from comfy.ldm.common_dit import rms_norm as rms_norm

RMSNorm = torch.nn.RMSNorm
