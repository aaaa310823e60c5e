"""What a network sees beside the noisy latent: the vector condition, and pictures joined to its channels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffusion.families.family import InputsWanted
from diffusion.families.image_vector import image_vector, seen_pictures
from diffusion.families.size_vector import SizeCondition
from diffusion.handles import Model
from diffusion.images.batch import repeat_to
from diffusion.images.resize import resize
from diffusion.patches.hooks import Extra, Role
from diffusion.sampling.conditioning import Condition
from diffusion.sampling.regions import resized_mask

_GREY = (0.8223, -0.6876, 0.6364, 0.1380)
"""A picture of mid-grey as a latent of SD 1.x in model scale."""


@dataclass(frozen=True)
class Latents:
    """The latent a run is about, in model scale, with what is known about it."""

    image: Tensor
    """(B, C, H, W): what is being changed; zeros if the picture is new."""
    mask: Tensor | None
    """(B, 1, H, W), 1 where to repaint."""
    seed: int = 0
    """Of the noise on what is seen of pictures."""


def vector_of(model: Model, condition: Condition, role: Role, latents: Latents) -> Tensor | None:
    """The vector condition (B, V) of networks that have one, float32."""
    if model.images is not None:
        return image_vector(model.images, seen_pictures(condition.options), latents.seed)
    if model.family.vector is None:
        return None
    if condition.pooled is None:
        raise ValueError(
            f"{model.family.name} needs a pooled text vector with its conditioning, and this one has none: "
            "it was not encoded by the text encoders of this model line"
        )
    return model.family.vector(condition.pooled, _sizes(condition.options, latents.image), role)


def _sizes(options: Mapping[str, Any], image: Tensor) -> SizeCondition:
    """As the conditioning says, or else the picture's own size."""
    width, height = int(options.get("width", image.shape[3] * 8)), int(options.get("height", image.shape[2] * 8))
    return SizeCondition(
        height=height,
        width=width,
        crop_top=int(options.get("crop_h", 0)),
        crop_left=int(options.get("crop_w", 0)),
        target_height=int(options.get("target_height", height)),
        target_width=int(options.get("target_width", width)),
        aesthetic_score=options.get("aesthetic_score"),
    )


def extra_inputs(model: Model, condition: Condition, latents: Latents) -> Extra:
    """What the network takes beside latent, time, text and vector; each (B, …)."""
    if model.family.extra is None:
        return {}
    made = model.family.extra(_wanted(model, condition, latents))

    def ready(tensor: Tensor) -> Tensor:
        return repeat_to(tensor, len(latents.image)).to(latents.image.device)

    return {
        name: ready(value) if isinstance(value, Tensor) else tuple(map(ready, value)) for name, value in made.items()
    }


def _wanted(model: Model, condition: Condition, latents: Latents) -> InputsWanted:
    return InputsWanted(condition.options, model.config, model.latent, latents.image, latents.mask)


def joined_channels(model: Model, condition: Condition, latents: Latents) -> Tensor | None:
    """Channels that follow those of the noisy latent, (B, E, H, W), for networks that take more; None for others.

    Inpainting: a mask, rounded, and a masked picture in model scale (arXiv:2112.10752). InstructPix2Pix: the picture to
    edit (arXiv:2211.09800). Any other number: what the conditioning brings as "concat_image".
    """
    channels = model.latent.channels
    extra = int(getattr(model.config, "in_channels", channels)) - channels
    if extra == 0:
        return None
    if model.family.joined is not None:
        return _fitted(model.family.joined(_wanted(model, condition, latents), extra), latents.image)
    given: Tensor | None = condition.options.get("concat_latent_image")
    if extra == channels + 1:
        picture = latents.image if given is None else model.latent.to_model(given)
        mask: Tensor | None = condition.options.get("concat_mask", latents.mask)
        if mask is None:
            grey = picture.new_tensor(_GREY[:channels] if channels <= len(_GREY) else [0.0] * channels)
            like = latents.image
            return torch.cat([torch.ones_like(like[:, :1]), grey.view(1, -1, 1, 1).expand(like.shape)], dim=1)
        mask = resized_mask(mask, *latents.image.shape[2:]).round()
        return torch.cat([_fitted(mask, latents.image), _fitted(picture, latents.image)], dim=1)
    if extra == channels:
        if given is None:
            return torch.zeros_like(latents.image)
        # SD 1.x was trained on the autoencoder's own numbers here, its successors on scaled ones.
        picture = given if model.family.vector is None else model.latent.to_model(given)
        return _fitted(picture, latents.image)
    picture = condition.options.get("concat_image")
    if not isinstance(picture, Tensor) or picture.shape[1] != extra:
        raise ValueError(
            f"{model.family.name} also sees a picture of {extra} channels (a depth map, for instance), "
            "which this conditioning does not bring"
        )
    return _fitted(picture, latents.image)


def _fitted(picture: Tensor, like: Tensor) -> Tensor:
    """At the size, batch and device of a latent."""
    if picture.shape[2:] != like.shape[2:]:
        picture = resize(picture, like.shape[3], like.shape[2], "bilinear", crop=True)
    return repeat_to(picture, len(like)).to(like)
