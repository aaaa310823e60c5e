"""Our UNet and diffusers' give the same output for the same weights."""

from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from diffusion.families.registry import recognise
from diffusion.models.unet import UNet
from diffusion.patches.hooks import Control
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
# Distilled from SDXL: SSD-1B and Vega have a residual block alone in the middle, KOALA has nothing there and one
# residual block less per level.
SSD = SDXL | {"transformer_layers_per_block": (1, 2, 1), "mid_block_type": "UNetMidBlock2D"}
KOALA = SDXL | {"layers_per_block": 1, "mid_block_type": None}
NETWORKS = {
    "SD 1.x": SD15,
    "SD 1.x inpainting": SD15 | {"in_channels": 9},
    "InstructPix2Pix": SD15 | {"in_channels": 8},
    "SD 2.x": SD2,
    "SDXL": SDXL,
    "SDXL refiner": REFINER,
}


def pair(name: str, config: dict[str, Any] | None = None) -> tuple[UNet, UNet2DConditionModel]:
    """Our network and theirs with the same weights; ours is built from nothing but the shapes of theirs."""
    config = dict(config or NETWORKS[name])
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


@pytest.mark.parametrize("config", [SSD, KOALA], ids=["SSD-1B", "KOALA"])
def test_predictions_of_networks_distilled_from_sdxl_agree(config: dict[str, Any]):
    ours, theirs = predictions(*pair("SDXL", config), 16, 24)
    assert relative_error(ours, theirs) < TOLERANCE


@pytest.mark.parametrize("size", [(17, 24), (9, 23)])
def test_predictions_agree_at_sizes_that_do_not_halve_evenly(size: tuple[int, int]):
    ours, theirs = predictions(*pair("SD 1.x"), *size)
    assert relative_error(ours, theirs) < TOLERANCE


def test_residuals_of_a_controlnet_go_to_the_skips_and_the_middle():
    ours, theirs = pair("SD 1.x")
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 4, 8, 8, generator=generator)
    context, timesteps = torch.randn(2, 7, 48, generator=generator), torch.tensor([3, 801])
    sides = [8, 8, 8, 4, 4, 4, 2, 2, 2, 1, 1, 1]
    widths = [32, 32, 32, 32, 64, 64, 64, 128, 128, 128, 128, 128]
    skips = tuple(torch.randn(2, w, s, s, generator=generator) for w, s in zip(widths, sides, strict=True))
    middle = torch.randn(2, 128, 1, 1, generator=generator)
    expected = theirs(
        x, timesteps, context, down_block_additional_residuals=skips, mid_block_additional_residual=middle
    ).sample
    predicted = ours(x, timesteps, context, control=Control(skips=skips, middle=middle))
    assert relative_error(predicted, expected) < TOLERANCE
    assert relative_error(ours(x, timesteps, context), expected) > 0.01


@pytest.mark.parametrize(
    ("name", "places", "sides"), [("SD 1.x", (2, 5, 8, 11), (16, 8, 4, 2)), ("SDXL", (3, 5, 8, None), (8, 8, 4, 4))]
)
def test_features_of_an_adapter_go_to_the_levels(name: str, places: tuple[int | None, ...], sides: tuple[int, ...]):
    ours, theirs = pair(name)
    generator = torch.Generator().manual_seed(2)
    widths = (*ours.config.level_widths, ours.config.level_widths[-1])[:4]
    features = [torch.randn(1, w, s, s, generator=generator) for w, s in zip(widths, sides, strict=True)]
    x, context = torch.randn(1, 4, 16, 16, generator=generator), torch.randn(1, 7, ours.config.context_width)
    y, added = None, {}
    if ours.config.vector_width is not None:
        pooled, sizes = torch.randn(1, 64), torch.rand(1, 6) * 1024
        added = {"text_embeds": pooled, "time_ids": sizes}
        y = torch.cat([pooled, theirs.add_time_proj(sizes.flatten()).reshape(1, -1)], dim=1)
    inputs: list[torch.Tensor | None] = [None] * 12
    for place, feature in zip(places, features, strict=True):
        if place is not None:
            inputs[place] = feature
    control = Control(inputs=tuple(inputs), middle=features[3] if places[3] is None else None)
    predicted = ours(x, torch.tensor([7]), context, y, control)
    copies = [feature.clone() for feature in features]  # theirs pops and changes what it is given
    expected = theirs(
        x, torch.tensor([7]), context, added_cond_kwargs=added, down_intrablock_additional_residuals=copies
    ).sample
    assert relative_error(predicted, expected) < TOLERANCE
