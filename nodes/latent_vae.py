"""Between pictures and latents: the nodes of menu `latent` that use a VAE, whole or by tiles."""

from typing import Annotated

import torch
from torch import Tensor

from diffusion import autoencode
from diffusion.handles import Autoencoder
from diffusion.images.morphology import dilate
from diffusion.images.resize import resize
from nodes.declare import node
from nodes.markers import Number, Out
from nodes.wire import Conditioning, ConditioningList, Image, Latent, Mask, Vae

TileOverlap = Annotated[int, Number(0, 4096, step=32)]
Frames = Annotated[int, Number(8, 4096, step=4)]
FrameOverlap = Annotated[int, Number(4, 4096, step=4)]
HIDDEN = 0.5
"""Grey: what the VAE is shown in place of what is to be painted anew."""


@node("VAEDecode", category="latent", title="VAE Decode")
def vae_decode(*, samples: Latent, vae: Vae) -> Image:
    """Turn a latent into a picture."""
    return autoencode.decode(vae, samples["samples"])


@node("VAEEncode", category="latent", title="VAE Encode")
def vae_encode(*, pixels: Image, vae: Vae) -> Latent:
    """Turn a picture into a latent."""
    return {"samples": autoencode.encode(vae, pixels)}


@node("VAEDecodeTiled", category="_for_testing", title="VAE Decode (Tiled)")
def vae_decode_tiled(
    *,
    samples: Latent,
    vae: Vae,
    tile_size: Annotated[int, Number(64, 4096, step=32)] = 512,
    overlap: TileOverlap = 64,
    temporal_size: Frames = 64,
    temporal_overlap: FrameOverlap = 8,
) -> Image:
    """Turn a latent into a picture piece by piece, for less memory.

    temporal_size: frames at a time; only for video.
    temporal_overlap: only for video.
    """
    return autoencode.decode_tiled(vae, samples["samples"], tile_size, overlap)


@node("VAEEncodeTiled", category="_for_testing", title="VAE Encode (Tiled)")
def vae_encode_tiled(
    *,
    pixels: Image,
    vae: Vae,
    tile_size: Annotated[int, Number(64, 4096, step=64)] = 512,
    overlap: TileOverlap = 64,
    temporal_size: Frames = 64,
    temporal_overlap: FrameOverlap = 8,
) -> Latent:
    """Turn a picture into a latent piece by piece, for less memory.

    temporal_size: frames at a time; only for video.
    temporal_overlap: only for video.
    """
    return {"samples": autoencode.encode_tiled(vae, pixels, tile_size, overlap)}


def cropped(image: Tensor, multiple: int) -> Tensor:
    """(B, H, W, …) cut around the centre to whole latent cells."""
    height, width = (size // multiple * multiple for size in image.shape[1:3])
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width]


def inpainted(pixels: Tensor, mask: Tensor, vae: Autoencoder) -> tuple[Tensor, Tensor]:
    """The picture and its mask (B, H, W), both at the picture's size cut to whole latent cells."""
    if mask.shape[1:] != pixels.shape[1:3]:
        mask = resize(mask[:, None], pixels.shape[2], pixels.shape[1], "bilinear")[:, 0]
    return cropped(pixels[..., :3], vae.downscale), cropped(mask, vae.downscale)


def hide(pixels: Tensor, mask: Tensor) -> Tensor:
    """Grey where the mask, rounded, selects."""
    return torch.where(mask.round()[..., None] > 0, HIDDEN, pixels)


@node("VAEEncodeForInpaint", category="latent/inpaint", title="VAE Encode (for Inpainting)")
def vae_encode_for_inpaint(
    *, pixels: Image, vae: Vae, mask: Mask, grow_mask_by: Annotated[int, Number(0, 64, step=1)] = 6
) -> Latent:
    """Turn a picture into a latent whose selected part is painted anew from nothing.

    grow_mask_by: how many pixels more are painted, so that the seam blends in.
    """
    pixels, mask = inpainted(pixels, mask, vae)
    selected = mask.round()[:, None]
    grown = dilate(selected, grow_mask_by) if grow_mask_by else selected
    return {"samples": autoencode.encode(vae, hide(pixels, mask)), "noise_mask": grown}


def seeing(conditioning: ConditioningList, **values: object) -> ConditioningList:
    return [[embeddings, {**extras, **values}] for embeddings, extras in conditioning]


Positive = Annotated[Conditioning, Out("positive")]
Negative = Annotated[Conditioning, Out("negative")]


@node("InpaintModelConditioning", category="conditioning/inpaint")
def inpaint_model_conditioning(
    *,
    positive: Conditioning,
    negative: Conditioning,
    vae: Vae,
    pixels: Image,
    mask: Mask,
    noise_mask: bool = True,
) -> tuple[Positive, Negative, Annotated[Latent, Out("latent")]]:
    """Show an inpainting model the picture around the selected part.

    noise_mask: keep what is not selected exactly as it is.
    """
    pixels, mask = inpainted(pixels, mask, vae)
    seen = {"concat_latent_image": autoencode.encode(vae, hide(pixels, mask)), "concat_mask": mask[:, None]}
    latent: Latent = {"samples": autoencode.encode(vae, pixels)}
    if noise_mask:
        latent["noise_mask"] = mask[:, None].clone()
    return seeing(positive, **seen), seeing(negative, **seen), latent


@node("InstructPixToPixConditioning", category="conditioning/instructpix2pix", modern=True)
def instruct_pix_to_pix_conditioning(
    *, positive: Conditioning, negative: Conditioning, vae: Vae, pixels: Image
) -> tuple[Positive, Negative, Annotated[Latent, Out("latent")]]:
    """Show an editing model the picture to edit."""
    seen = autoencode.encode(vae, cropped(pixels[..., :3], vae.downscale))
    latent: Latent = {"samples": torch.zeros_like(seen)}
    pair = seeing(positive, concat_latent_image=seen), seeing(negative, concat_latent_image=seen)
    return *pair, latent


@node("SD_4XUpscale_Conditioning", category="conditioning/upscale_diffusion", modern=True)
def sd_4x_upscale_conditioning(
    *,
    images: Image,
    positive: Conditioning,
    negative: Conditioning,
    scale_ratio: Annotated[float, Number(0.0, 10.0, step=0.01)] = 4.0,
    noise_augmentation: Annotated[float, Number(0.0, 1.0, step=0.001)] = 0.0,
) -> tuple[Positive, Negative, Annotated[Latent, Out("latent")]]:
    """Show an upscaling model the small picture.

    scale_ratio: of the result to the picture; the model always enlarges fourfold, so the picture is scaled to fit.
    noise_augmentation: how freely details may be invented.
    """
    height, width = (max(1, round(size * scale_ratio)) // 4 for size in images.shape[1:3])
    small = resize(images[..., :3].movedim(-1, 1) * 2 - 1, width, height, "bilinear", crop=True)
    seen = {"concat_image": small, "noise_augmentation": noise_augmentation}
    latent: Latent = {"samples": torch.zeros(len(images), 4, height, width)}
    return seeing(positive, **seen), seeing(negative, **seen), latent
