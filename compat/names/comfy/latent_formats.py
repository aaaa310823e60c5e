"""Latent spaces as packs know them: how many channels and dimensions, and the way to the network's scale and back."""

import torch

from diffusion import latents


class LatentFormat:
    scale_factor = 1.0
    shift_factor = 0.0
    latent_channels = 4
    latent_dimensions = 2
    latent_rgb_factors = None
    latent_rgb_factors_bias = None
    latent_rgb_factors_reshape = None
    taesd_decoder_name = None
    spacial_downscale_ratio = 8
    temporal_downscale_ratio = 1

    def process_in(self, latent):
        """VAE scale to the network's."""
        return (latent - self.shift_factor) * self.scale_factor

    def process_out(self, latent):
        return latent / self.scale_factor + self.shift_factor


def _table(library):
    return [list(row) for row in library.preview_factors] or None


class SD15(LatentFormat):
    latent_rgb_factors = _table(latents.SD15)
    taesd_decoder_name = "taesd_decoder"

    def __init__(self, scale_factor=0.18215):
        self.scale_factor = scale_factor


class SDXL(LatentFormat):
    scale_factor = 0.13025
    latent_rgb_factors = _table(latents.SDXL)
    taesd_decoder_name = "taesdxl_decoder"

    def __init__(self):
        pass


class _ByChannel(LatentFormat):
    """Means and deviations for each channel."""

    latents_mean: torch.Tensor
    latents_std: torch.Tensor

    def process_in(self, latent):
        mean, std = self.latents_mean.to(latent), self.latents_std.to(latent)
        return (latent - mean) * self.scale_factor / std

    def process_out(self, latent):
        mean, std = self.latents_mean.to(latent), self.latents_std.to(latent)
        return latent * std / self.scale_factor + mean


def _channels(values, dims):
    return torch.tensor(values).view(1, len(values), *[1] * dims)


class SDXL_Playground_2_5(_ByChannel):
    taesd_decoder_name = "taesdxl_decoder"
    latent_rgb_factors = _table(latents.SDXL)

    def __init__(self):
        self.scale_factor = 0.5
        self.latents_mean = _channels([-1.6574, 1.886, -1.383, 2.5155], 2)
        self.latents_std = _channels([8.4927, 5.9022, 6.5498, 5.2299], 2)


class SD_X4(LatentFormat):
    scale_factor = 0.08333


class SC_Prior(LatentFormat):
    latent_channels = 16
    scale_factor = 1.0
    spacial_downscale_ratio = 42


class SC_B(LatentFormat):
    scale_factor = 1.0 / 0.43
    spacial_downscale_ratio = 4


class SD3(LatentFormat):
    latent_channels = 16
    scale_factor = 1.5305
    shift_factor = 0.0609
    latent_rgb_factors = _table(latents.SD3)
    taesd_decoder_name = "taesd3_decoder"


class StableAudio1(LatentFormat):
    latent_channels = 64
    latent_dimensions = 1


class Flux(LatentFormat):
    latent_channels = 16
    scale_factor = 0.3611
    shift_factor = 0.1159
    latent_rgb_factors = _table(latents.FLUX)
    taesd_decoder_name = "taef1_decoder"


class Mochi(LatentFormat):
    latent_channels = 12
    latent_dimensions = 3
    temporal_downscale_ratio = 6


class LTXV(LatentFormat):
    latent_channels = 128
    latent_dimensions = 3
    spacial_downscale_ratio = 32
    temporal_downscale_ratio = 8


class HunyuanVideo(LatentFormat):
    latent_channels = 16
    latent_dimensions = 3
    scale_factor = 0.476986
    temporal_downscale_ratio = 4


class Cosmos1CV8x8x8(LatentFormat):
    latent_channels = 16
    latent_dimensions = 3
    temporal_downscale_ratio = 8


class Wan21(_ByChannel):
    """Statistics published with the model."""

    latent_channels = 16
    latent_dimensions = 3
    temporal_downscale_ratio = 4
    taesd_decoder_name = "lighttaew2_1"

    def __init__(self):
        self.scale_factor = 1.0
        self.latents_mean = _channels(
            [
                -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
                0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
            ],
            3,
        )  # fmt: skip
        self.latents_std = _channels(
            [
                2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
                3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.916,
            ],
            3,
        )  # fmt: skip


class Wan22(LatentFormat):
    latent_channels = 48
    latent_dimensions = 3
    spacial_downscale_ratio = 16
    temporal_downscale_ratio = 4


class HunyuanImage21(LatentFormat):
    latent_channels = 64
    scale_factor = 0.75289
    spacial_downscale_ratio = 32


class HunyuanImage21Refiner(LatentFormat):
    latent_channels = 64
    latent_dimensions = 3
    scale_factor = 1.03682


class Hunyuan3Dv2(LatentFormat):
    latent_channels = 64
    latent_dimensions = 1
    scale_factor = 0.9990943042622529


class Hunyuan3Dv2_1(LatentFormat):
    latent_channels = 64
    latent_dimensions = 1
    scale_factor = 1.0039506158752403


class Hunyuan3Dv2mini(LatentFormat):
    latent_channels = 64
    latent_dimensions = 1
    scale_factor = 1.0188137142395404


class ACEAudio(LatentFormat):
    latent_channels = 8
    latent_dimensions = 2


class ChromaRadiance(LatentFormat):
    latent_channels = 3
    spacial_downscale_ratio = 1


class _Ours(LatentFormat):
    """Around a latent space of the library that no class stands for."""

    def __init__(self, library):
        self._library = library
        self.latent_channels = library.channels
        self.latent_rgb_factors = _table(library)
        self.taesd_decoder_name = library.taesd or None
        self.spacial_downscale_ratio = library.downscale
        if isinstance(library.scale, float) and isinstance(library.shift, float):
            self.scale_factor, self.shift_factor = library.scale, library.shift

    def process_in(self, latent):
        return self._library.to_model(latent)

    def process_out(self, latent):
        return self._library.to_vae(latent)


def of_library(library: latents.LatentFormat) -> LatentFormat:
    """The object for a latent space of ours."""
    known = {latents.SD15: SD15, latents.SDXL: SDXL, latents.SD3: SD3, latents.FLUX: Flux}
    kind = known.get(library)
    if kind is None and library == latents.PLAYGROUND:
        kind = SDXL_Playground_2_5
    return _Ours(library) if kind is None else kind()
