"""CLIP image encoders (arXiv:2103.00020): transformers' own class, configured from the shapes of a file.

`encode_image` looks through these and through those of `siglip`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.memory.keeper import keeper_of
from diffusion.memory.work import Need, Place, Way, Work
from diffusion.models import siglip

if TYPE_CHECKING:
    from transformers import CLIPVisionModelWithProjection, SiglipVisionModel

Channels = tuple[float, float, float]
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class ClipVisionConfig:
    width: int
    mlp_width: int
    layers: int
    patch: int
    size: int
    """Of the square picture it sees, in pixels."""
    projection: int
    heads: int = 16
    """The same in ViT-L, H and bigG; shapes do not tell."""

    @property
    def activation(self) -> str:
        """OpenAI's ViT-L was trained with an approximation of GELU, the larger ones of OpenCLIP with the exact one."""
        return "quick_gelu" if self.width <= 1024 else "gelu"


@dataclass(frozen=True, slots=True)
class ClipVisionOutput:
    last_hidden_state: Tensor
    """(B, 1 + patches, D), the class token first; SigLIP has none: (B, patches, D)."""
    penultimate_hidden_state: Tensor
    image_embeds: Tensor
    """(B, P)"""


def read_clip_vision_config(shapes: Mapping[str, tuple[int, ...]]) -> ClipVisionConfig | None:
    """From names as in transformers; None if these are not an image encoder's tensors."""
    patches = shapes.get("vision_model.embeddings.patch_embedding.weight")
    positions = shapes.get("vision_model.embeddings.position_embedding.weight")
    projection = shapes.get("visual_projection.weight")
    if patches is None or positions is None or projection is None:
        return None
    layers = {m[1] for name in shapes if (m := re.match(r"vision_model\.encoder\.layers\.(\d+)\.", name))}
    side = round((positions[0] - 1) ** 0.5)
    return ClipVisionConfig(
        width=patches[0],
        mlp_width=shapes["vision_model.encoder.layers.0.mlp.fc1.weight"][0],
        layers=len(layers),
        patch=patches[2],
        size=side * patches[2],
        projection=projection[0],
    )


def build_clip_vision(config: ClipVisionConfig) -> CLIPVisionModelWithProjection:
    """The network; under `torch.device("meta")` it takes no memory."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection  # slow to import: on first use

    network = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=config.width,
            intermediate_size=config.mlp_width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            patch_size=config.patch,
            image_size=config.size,
            projection_dim=config.projection,
            hidden_act=config.activation,
        )
    )
    # This buffer is in no file, so under torch.device("meta") nothing would ever fill it.
    positions = 1 + (config.size // config.patch) ** 2
    network.vision_model.embeddings.register_buffer(
        "position_ids", torch.arange(positions, device="cpu").expand(1, -1), persistent=False
    )
    return network.eval()


def preprocess(image: Tensor, size: int, *, crop: bool = True, mean: Channels = MEAN, std: Channels = STD) -> Tensor:
    """(B, H, W, 3) in 0…1 to (B, 3, size, size), normalised.

    crop: scale the shorter side and keep the centre; otherwise squeeze the whole picture into the square.
    """
    pixels = image[..., :3].movedim(-1, 1).float()
    height, width = pixels.shape[2:]
    scale = size / min(height, width)
    wanted = (round(height * scale), round(width * scale)) if crop else (size, size)
    pixels = F.interpolate(pixels, size=wanted, mode="bicubic", antialias=True)
    top, left = (wanted[0] - size) // 2, (wanted[1] - size) // 2
    pixels = pixels[:, :, top : top + size, left : left + size]
    # The encoder was trained on 8-bit pictures.
    pixels = (pixels * 255).round().clamp(0, 255) / 255
    shift, scale = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (mean, std))
    return (pixels - shift) / scale


def normalisation(network: CLIPVisionModelWithProjection | SiglipVisionModel) -> tuple[Channels, Channels]:
    """Mean and deviation of the pictures that an encoder was trained on."""
    return (siglip.MEAN, siglip.STD) if network.config.model_type == "siglip_vision_model" else (MEAN, STD)


def embedding_of(out: Any) -> Tensor:
    """One vector per picture, from what an encoder of either kind returned: CLIP's projection, SigLIP's head."""
    return out.image_embeds if hasattr(out, "image_embeds") else out.pooler_output


@torch.no_grad()
def encode_image(
    network: CLIPVisionModelWithProjection | SiglipVisionModel, image: Tensor, *, crop: bool = True
) -> ClipVisionOutput:
    """What the encoder sees in (B, H, W, 3) pictures in 0…1, as float32."""
    size = network.config.image_size
    assert isinstance(size, int)  # we build square ones only
    mean, std = normalisation(network)
    pixels = preprocess(image, size, crop=crop, mean=mean, std=std).to(next(network.parameters()).dtype)

    def job(place: Place) -> ClipVisionOutput:
        out: Any = place.of(network)(pixels.to(place.device), output_hidden_states=True)
        return ClipVisionOutput(
            last_hidden_state=out.last_hidden_state.float().cpu(),
            penultimate_hidden_state=out.hidden_states[-2].float().cpu(),
            image_embeds=embedding_of(out).float().cpu(),
        )

    key = f"CLIP vision {size} {len(image)}"
    return keeper_of(network).run(Work("Picture encoding", [Need(network)], [Way(job)], key))
