"""Autoencoders as modules, built from the configuration of published checkpoints."""

import torch
from torch import nn

from comfy.ldm.modules.distributions.distributions import (
    DiagonalGaussianDistribution as DiagonalGaussianDistribution,
)
from diffusion.models.autoencoder import AutoencoderConfig
from diffusion.models.autoencoder import AutoencoderKL as Network


class AutoencodingEngine(nn.Module):
    pass


class AutoencodingEngineLegacy(AutoencodingEngine):
    pass


class AutoencoderKL(Network, AutoencodingEngineLegacy):
    """ddconfig: ch, ch_mult, num_res_blocks, z_channels, in_channels, …, as in published configurations."""

    def __init__(self, embed_dim=4, ddconfig=None, **kwargs):
        settings = dict(ddconfig or {})
        super().__init__(config_of(settings, embed_dim))


def config_of(settings, embed_dim):
    base = settings.get("ch", 128)
    return AutoencoderConfig(
        latent_channels=embed_dim,
        widths=tuple(base * factor for factor in settings.get("ch_mult", (1, 2, 4, 4))),
        blocks=settings.get("num_res_blocks", 2),
        quantised=True,
        image_channels=settings.get("in_channels", 3),
    )


class EmptyRegularizer(torch.nn.Module):
    def forward(self, z):
        return z, None
