"""Tiny autoencoders: a decoder alone, or both halves, from files."""

import torch

from compat.world import world


class TAESD(torch.nn.Module):
    """decode: latents in model scale to (B, 3, 8H, 8W) in -1…1."""

    def __init__(self, encoder_path=None, decoder_path=None, latent_channels=4):
        super().__init__()
        if decoder_path is not None:
            self.taesd_decoder = world().store.preview_decoder(decoder_path)
        self.vae_scale = torch.nn.Parameter(torch.tensor(1.0), requires_grad=False)
        self.vae_shift = torch.nn.Parameter(torch.tensor(0.0), requires_grad=False)

    def decode(self, x):
        return self.taesd_decoder((x - self.vae_shift) * self.vae_scale).sub(0.5).mul(2)
