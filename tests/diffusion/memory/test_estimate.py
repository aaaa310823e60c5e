"""Estimates against what is counted."""

import pytest
import torch

from diffusion.memory import estimate
from diffusion.memory.pretend import PretendDevice
from diffusion.models.autoencoder import AutoencoderConfig, AutoencoderKL


def test_half_the_precision_and_half_the_side_are_half_and_a_quarter_of_the_memory():
    for counted in (estimate.decoding, estimate.encoding, lambda *shape: estimate.sampling(1.0, 2, *shape)):
        assert counted(64, 64, 2) * 2 == pytest.approx(counted(64, 64, 4))
        assert counted(32, 32, 4) * 4 == pytest.approx(counted(64, 64, 4))
    assert estimate.sampling(1.0, 2, 64, 64, 2, whole_scores=True) > 10 * estimate.sampling(1.0, 2, 64, 64, 2)


def test_a_decoder_takes_at_most_what_is_estimated_and_not_much_less():
    """Widths are those of SD and SDXL where the pictures are large, which is where the memory goes."""
    network = AutoencoderKL(AutoencoderConfig(4, (128, 256, 256), 2, quantised=True)).eval().requires_grad_(False)
    latent = torch.randn(1, 4, 8, 8)
    device = PretendDevice(2**40)
    with torch.inference_mode():
        network.decode(latent)  # its weights are rearranged for the CPU, once
        with device.computing() as watch:
            network.decode(latent)
    estimated = estimate.decoding(4, 4, 4)  # positions of 8 x 8 pixels; those of this network are 4 x 4
    assert 0.6 * estimated < watch.peak < estimated
