"""Latent spaces: what a number in a latent means, and how to look at it quickly."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LatentFormat:
    """One latent space.

    Two scales are in use: *VAE scale* is what an autoencoder encodes to and what travels on wires; *model scale* is
    what the diffusion network sees, `(vae - shift) * scale`, of about unit variance.
    """

    name: str
    channels: int
    scale: float | tuple[float, ...]
    """One number, or one per channel."""
    shift: float | tuple[float, ...] = 0.0
    downscale: int = 8
    """Pixels per latent position, along height and along width."""
    preview_factors: tuple[tuple[float, float, float], ...] = ()
    """One (r, g, b) row per channel: `latent . factors` is a rough image in -1…1, from a latent in model scale."""
    taesd: str = ""
    """Name of the tiny decoder published for this space, without its extension."""

    def to_model(self, latent: Tensor) -> Tensor:
        """VAE scale to model scale; (B, C, H, W), any dtype."""
        return (latent - _per_channel(self.shift, latent)) * _per_channel(self.scale, latent)

    def to_vae(self, latent: Tensor) -> Tensor:
        """Model scale to VAE scale; (B, C, H, W), any dtype."""
        return latent / _per_channel(self.scale, latent) + _per_channel(self.shift, latent)

    def to_preview(self, latent: Tensor) -> Tensor:
        """A rough picture of a latent: (B, C, H, W) in model scale to (B, H, W, 3) float32 in 0…1."""
        if not self.preview_factors:
            raise ValueError(f"There are no preview factors for {self.name} latents; preview them with a tiny decoder.")
        factors = torch.tensor(self.preview_factors, dtype=torch.float32, device=latent.device)
        rgb = torch.einsum("bchw,cr->bhwr", latent.float(), factors)
        return ((rgb + 1) / 2).clamp(0, 1)


def _per_channel(value: float | tuple[float, ...], latent: Tensor) -> float | Tensor:
    if isinstance(value, float):
        return value
    return torch.tensor(value, dtype=latent.dtype, device=latent.device).view(-1, *[1] * (latent.dim() - 2))


# The preview tables are linear fits published by InvokeAI (Apache-2.0).
_SD15_PREVIEW = (
    (0.3444, 0.1385, 0.067),
    (0.1247, 0.4027, 0.1494),
    (-0.3192, 0.2513, 0.2103),
    (-0.1307, -0.1874, -0.7445),
)
_SDXL_PREVIEW = (
    (0.3816, 0.493, 0.532),
    (-0.3753, 0.1631, 0.1739),
    (0.177, 0.3588, -0.2048),
    (-0.435, -0.2644, -0.4289),
)
_SD3_PREVIEW = (
    (-0.05240681, 0.03251581, 0.0749016),
    (-0.0580572, 0.00759826, 0.05729818),
    (0.16144888, 0.01270368, -0.03768577),
    (0.14418615, 0.08460266, 0.15941818),
    (0.04894035, 0.0056485, -0.06686988),
    (0.05187166, 0.19222395, 0.06261094),
    (0.1539433, 0.04818359, 0.07103094),
    (-0.08601796, 0.09013458, 0.10893912),
    (-0.12398469, -0.06766567, 0.0033688),
    (-0.0439737, 0.07825329, 0.02258823),
    (0.03101129, 0.06382551, 0.07753657),
    (-0.01315361, 0.08554491, -0.08772475),
    (0.06464487, 0.05914605, 0.13262741),
    (-0.07863674, -0.02261737, -0.12761454),
    (-0.09923835, -0.08010759, -0.06264447),
    (-0.03392309, -0.0804029, -0.06078822),
)
_FLUX_PREVIEW = (
    (-0.0412, 0.0149, 0.0521),
    (0.0056, 0.0291, 0.0768),
    (0.0342, -0.0681, -0.0427),
    (-0.0258, 0.0092, 0.0463),
    (0.0863, 0.0784, 0.0547),
    (-0.0017, 0.0402, 0.0158),
    (0.0501, 0.1058, 0.1152),
    (-0.0209, -0.0218, -0.0329),
    (-0.0314, 0.0083, 0.0896),
    (0.0851, 0.0665, -0.0472),
    (-0.0534, 0.0238, -0.0024),
    (0.0452, -0.0026, 0.0048),
    (0.0892, 0.0831, 0.0881),
    (-0.1117, -0.0304, -0.0789),
    (0.0027, -0.0479, -0.0043),
    (-0.1146, -0.0827, -0.0598),
)

SD15 = LatentFormat("SD 1.x", 4, scale=0.18215, preview_factors=_SD15_PREVIEW, taesd="taesd_decoder")
"""Stable Diffusion 1.x and 2.x."""

SDXL = LatentFormat("SDXL", 4, scale=0.13025, preview_factors=_SDXL_PREVIEW, taesd="taesdxl_decoder")

SD3 = LatentFormat("SD3", 16, scale=1.5305, shift=0.0609, preview_factors=_SD3_PREVIEW, taesd="taesd3_decoder")

FLUX = LatentFormat("Flux", 16, scale=0.3611, shift=0.1159, preview_factors=_FLUX_PREVIEW, taesd="taef1_decoder")

# Playground v2.5 (arXiv:2402.17245) is an SDXL network on latents normalised per channel to a deviation of 0.5.
_PLAYGROUND_MEAN = (-1.6574, 1.886, -1.383, 2.5155)
_PLAYGROUND_STD = (8.4927, 5.9022, 6.5498, 5.2299)
PLAYGROUND = LatentFormat(
    "Playground 2.5",
    4,
    scale=tuple(0.5 / std for std in _PLAYGROUND_STD),
    shift=_PLAYGROUND_MEAN,
    taesd="taesdxl_decoder",
)

# Wan 2.1's autoencoder (arXiv:2503.20314), whose latents are normalised per channel; Qwen-Image uses it too.
_WAN21_MEAN = (
    *(-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508),
    *(0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921),
)
_WAN21_STD = (
    *(2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743),
    *(3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160),
)
WAN21 = LatentFormat("Wan 2.1", 16, scale=tuple(1 / std for std in _WAN21_STD), shift=_WAN21_MEAN)
