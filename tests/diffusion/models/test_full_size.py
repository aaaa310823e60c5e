"""One prediction at the published size of each network, against diffusers with the same random weights."""

from typing import Any

import psutil
import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from benchmarks.sampling import CONFIGS as PUBLISHED
from benchmarks.transformer_steps import transformer_steps
from diffusion.families.registry import recognise
from tests.diffusion import inventory
from tests.diffusion.models.oracle import TOLERANCE, relative_error

CONFIGS = {f"unet_{name}": config for name, config in PUBLISHED.items()}
NEEDED = {"unet_sd15": 5 * 2**30, "unet_sdxl": 13 * 2**30}
"""Bytes. The weights, 3.4 and 10.3 GB, are there once: both networks share them."""


@pytest.mark.full_size
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_predictions_agree_at_full_size(name: str):
    free = psutil.virtual_memory().available
    if free < NEEDED[name]:
        pytest.skip(f"{free / 2**30:.0f} GiB of memory are free, {NEEDED[name] / 2**30:.0f} are needed")
    with torch.device("meta"):
        theirs: Any = UNet2DConditionModel(**CONFIGS[name])
    theirs.to_empty(device="cpu")
    torch.manual_seed(0)
    for parameter in theirs.parameters():
        spread = (3 / parameter[0].numel()) ** 0.5 if parameter.dim() > 1 else 0.5
        parameter.data.uniform_(-spread, spread)
        if parameter.dim() == 1:
            parameter.data += 0.5
    weights = theirs.eval().state_dict()
    found = recognise({key: tuple(tensor.shape) for key, tensor in weights.items()})
    assert found is not None
    assert found.names is not None
    with torch.device("meta"):
        ours = found.family.build(found.config)
    ours.load_state_dict({found.names[key]: tensor for key, tensor in weights.items()}, assign=True)
    assert {key: tuple(tensor.shape) for key, tensor in ours.state_dict().items()} == inventory.shapes(name)

    x, context = torch.randn(1, 4, 16, 16), torch.randn(1, 77, found.config.context_width)
    timesteps = torch.tensor([500])
    y, added = None, {}
    if found.config.vector_width is not None:
        pooled, sizes = torch.randn(1, 1280), torch.tensor([[1024.0, 1024, 0, 0, 1024, 1024]])
        added = {"text_embeds": pooled, "time_ids": sizes}
        y = torch.cat([pooled, theirs.add_time_proj(sizes.flatten()).reshape(1, -1)], dim=1)
    expected = theirs(x, timesteps, context, added_cond_kwargs=added).sample
    del theirs, weights  # ours is about to store some of them in another order
    assert relative_error(ours(x, timesteps, context, y), expected) < TOLERANCE


@pytest.mark.full_size
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "blocks", "dtype", "tolerance", "needed"),
    [
        ("sd3", None, torch.bfloat16, 0.1, 9 * 2**30),
        ("sd3", 4, torch.float32, TOLERANCE, 6 * 2**30),
        ("flux", 3, torch.bfloat16, 0.1, 8 * 2**30),
        ("flux", 1, torch.float32, TOLERANCE, 5 * 2**30),
    ],
    ids=["SD3 medium in bfloat16", "blocks of SD3", "blocks of Flux in bfloat16", "blocks of Flux"],
)
@torch.no_grad()
def test_transformers_agree_at_full_size(
    name: str, blocks: int | None, dtype: torch.dtype, tolerance: float, needed: int
):
    """In bfloat16 rounding adds up over the blocks; in float32 what is left is the order of summation."""
    free = psutil.virtual_memory().available
    if free < needed:
        pytest.skip(f"{free / 2**30:.0f} GiB of memory are free, {needed / 2**30:.0f} are needed")
    torch.manual_seed(0)
    ours, theirs = transformer_steps(name, 256, dtype, "cpu", blocks)
    expected = theirs().float()
    assert expected.isfinite().all()
    assert ((ours().float() - expected).pow(2).mean().sqrt() / expected.std()).item() < tolerance
