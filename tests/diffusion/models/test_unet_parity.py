"""Our UNet and diffusers' give the same output for the same weights."""

from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from diffusion.families.registry import recognise
from diffusion.models.unet import UNet
from tests.diffusion.models.oracle import TOLERANCE, copy_weights, randomised, relative_error

CROSS, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
SD15: dict[str, Any] = {
    "block_out_channels": (32, 64, 128, 128),
    "down_block_types": (CROSS, CROSS, CROSS, PLAIN),
    "cross_attention_dim": 48,
    "attention_head_dim": 8,  # diffusers' name for the number of heads
}
SD2: dict[str, Any] = {
    "block_out_channels": (64, 128, 128, 128),
    "down_block_types": (CROSS, CROSS, CROSS, PLAIN),
    "cross_attention_dim": 48,
    "attention_head_dim": (1, 2, 2, 2),
    "use_linear_projection": True,
}
SDXL: dict[str, Any] = {
    "block_out_channels": (64, 128, 256),
    "down_block_types": (PLAIN, CROSS, CROSS),
    "cross_attention_dim": 96,
    "attention_head_dim": (1, 2, 4),
    "transformer_layers_per_block": (1, 2, 3),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 64 + 6 * 256,
}
REFINER: dict[str, Any] = {
    "block_out_channels": (64, 128, 128, 128),
    "down_block_types": (PLAIN, CROSS, CROSS, PLAIN),
    "cross_attention_dim": 64,
    "attention_head_dim": (1, 2, 2, 2),
    "transformer_layers_per_block": 2,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 64 + 5 * 256,
}
NETWORKS = {
    "SD 1.x": SD15,
    "SD 1.x inpainting": SD15 | {"in_channels": 9},
    "InstructPix2Pix": SD15 | {"in_channels": 8},
    "SD 2.x": SD2,
    "SDXL": SDXL,
    "SDXL refiner": REFINER,
}


def pair(name: str) -> tuple[UNet, UNet2DConditionModel]:
    """Our network and theirs with the same weights; ours is built from nothing but the shapes of theirs."""
    config = dict(NETWORKS[name])
    config["up_block_types"] = tuple(kind.replace("Down", "Up") for kind in reversed(config["down_block_types"]))
    theirs = UNet2DConditionModel(**config)
    randomised(theirs)
    found = recognise({key: tuple(tensor.shape) for key, tensor in theirs.state_dict().items()})
    assert found is not None
    assert found.family.name == name
    assert found.names is not None
    with torch.device("meta"):
        ours = found.family.build(found.config)
    assert isinstance(ours, UNet)
    copy_weights(theirs, ours, found.names)
    return ours, theirs


def predictions(ours: UNet, theirs: UNet2DConditionModel, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, ours.config.in_channels, height, width, generator=generator)
    context = torch.randn(2, 7, ours.config.context_width, generator=generator)
    timesteps = torch.tensor([3, 801])
    y, added = None, {}
    if ours.config.vector_width is not None:
        numbers = 5 if ours.config.vector_width == 64 + 5 * 256 else 6
        pooled, sizes = torch.randn(2, 64, generator=generator), torch.rand(2, numbers, generator=generator) * 1024
        added = {"text_embeds": pooled, "time_ids": sizes}
        embedded = theirs.add_time_proj(sizes.flatten()).reshape(2, -1)
        y = torch.cat([pooled, embedded], dim=1)
    expected = theirs(x, timesteps, context, added_cond_kwargs=added).sample
    return ours(x, timesteps, context, y), expected


@pytest.mark.parametrize("name", NETWORKS)
def test_predictions_agree(name: str):
    ours, theirs = predictions(*pair(name), 16, 24)
    assert relative_error(ours, theirs) < TOLERANCE


@pytest.mark.parametrize("size", [(17, 24), (9, 23)])
def test_predictions_agree_at_sizes_that_do_not_halve_evenly(size: tuple[int, int]):
    ours, theirs = predictions(*pair("SD 1.x"), *size)
    assert relative_error(ours, theirs) < TOLERANCE
