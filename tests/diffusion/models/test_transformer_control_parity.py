"""Control networks of transformers: ours and diffusers' give the same residuals for the same weights."""

from typing import Any

import pytest
import torch
from diffusers.models.controlnets.controlnet_flux import FluxControlNetModel
from diffusers.models.controlnets.controlnet_sd3 import SD3ControlNetModel
from torch import Tensor

from diffusion.checkpoints.transformer_control import FoundTransformerControl, find_transformer_control
from diffusion.checkpoints.weights import Weights
from diffusion.families.flux import FLUX
from diffusion.families.sd3 import SD3
from diffusion.models.controlnet_union import KINDS
from diffusion.models.patches import channels_first_tokens
from tests.diffusion.models.oracle import TOLERANCE, randomised, relative_error
from tests.diffusion.models.test_transformer_parity import FLUX as FLUX_SETTINGS
from tests.diffusion.models.test_transformer_parity import SD3 as SD3_CONFIG
from tests.diffusion.models.test_transformer_parity import drawn

FLUX_CONFIG: dict[str, Any] = {**FLUX_SETTINGS}  # settings of several types, as keywords


def built(weights: Weights) -> tuple[Any, FoundTransformerControl]:
    found = find_transformer_control(weights)
    assert found is not None
    with torch.device("meta"):
        ours = found.network.build()
    ours.load_state_dict(dict(found.network.weights), assign=True)
    return ours.eval().requires_grad_(False), found


@pytest.mark.parametrize("extra_channels", [0, 1], ids=["plain", "inpainting"])
def test_a_controlnet_for_sd3_agrees(extra_channels: int):
    theirs: Any = randomised(SD3ControlNetModel(**SD3_CONFIG, extra_conditioning_channels=extra_channels))
    ours, found = built(Weights.of(theirs.state_dict()))
    assert found.family is SD3
    assert found.hints is not None
    x, context, y, hint = drawn((2, 16, 8, 12), (2, 7, 48), (2, 40), (2, 16 + extra_channels, 8, 12))
    times = torch.tensor([3.0, 801.0])
    expected = theirs(
        x, hint, encoder_hidden_states=context, pooled_projections=torch.zeros_like(y), timestep=times
    ).controlnet_block_samples
    control = ours(x, times, context, y, hint)
    assert len(control.double) == len(expected)
    for mine, their in zip(control.double, expected, strict=True):
        assert relative_error(mine, their) < TOLERANCE


def flux_residuals(theirs: Any, x: Tensor, context: Tensor, y: Tensor, hint: Tensor, **more: Any) -> Any:
    rows, columns = x.shape[2] // 2, x.shape[3] // 2
    ids = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"), dim=-1).reshape(-1, 2)
    ids = torch.cat([torch.zeros(len(ids), 1), ids], dim=1)
    return theirs(
        channels_first_tokens(x),
        hint,
        encoder_hidden_states=context,
        pooled_projections=y,
        timestep=torch.tensor([0.5]),
        img_ids=ids,
        txt_ids=torch.zeros(context.shape[1], 3),
        **more,
    )


@pytest.mark.parametrize("modes", [None, 4], ids=["one kind", "union"])
def test_a_controlnet_for_flux_agrees(modes: int | None):
    kinds: Any = modes  # diffusers says int and means none as well
    theirs: Any = randomised(FluxControlNetModel(**FLUX_CONFIG, num_mode=kinds, guidance_embeds=True))
    ours, found = built(Weights.of(theirs.state_dict()))
    assert found.family is FLUX
    assert found.hints is not None
    x, context, y, hint = drawn((1, 16, 8, 12), (1, 7, 48), (1, 40), (1, 16, 8, 12))
    guidance = torch.tensor([3.5])
    mode = {} if modes is None else {"controlnet_mode": torch.tensor([[2]])}
    expected = flux_residuals(theirs, x, context, y, channels_first_tokens(hint), guidance=guidance, **mode)
    control = ours(x, torch.tensor([0.5]), context, y, hint, mode=2, guidance=guidance)
    pairs = [
        *zip(control.double, expected.controlnet_block_samples, strict=True),
        *zip(control.single, expected.controlnet_single_block_samples, strict=True),
    ]
    for mine, their in pairs:
        assert relative_error(mine, their) < TOLERANCE


def test_a_controlnet_of_xlabs_sees_a_picture_and_goes_round_over_the_blocks():
    config: dict[str, Any] = FLUX_CONFIG | {"num_single_layers": 0}
    theirs: Any = randomised(FluxControlNetModel(**config, conditioning_embedding_channels=16, in_channels=64))
    # diffusers folds patches itself, by a size that its configuration gives to the latent as well.
    theirs.register_to_config(patch_size=2)
    ours, found = built(Weights.of(theirs.state_dict()))
    assert found.hints is None
    x, context, y = drawn((1, 16, 8, 12), (1, 7, 48), (1, 40))
    picture = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    expected = flux_residuals(theirs, x, context, y, picture * 2 - 1).controlnet_block_samples
    control = ours(x, torch.tensor([0.5]), context, y, picture)
    assert len(control.double) == 19
    for i, mine in enumerate(control.double):
        assert relative_error(mine, expected[i % 2]) < TOLERANCE


def test_xlabs_own_names_are_known_too():
    config: dict[str, Any] = FLUX_CONFIG | {"num_single_layers": 0}
    theirs: Any = randomised(FluxControlNetModel(**config, conditioning_embedding_channels=16))
    ours, _ = built(Weights.of(theirs.state_dict()))
    named = {name.replace("controlnet_x_embedder.", "pos_embed_input."): t for name, t in ours.state_dict().items()}
    again, found = built(Weights.of(named))
    assert found.hints is None
    assert set(again.state_dict()) == set(ours.state_dict())


def test_a_union_controlnet_knows_kinds_by_the_names_of_menus():
    ours, _ = built(Weights.of(randomised(FluxControlNetModel(**FLUX_CONFIG, num_mode=3)).state_dict()))
    assert ours.modes == {"canny/lineart/anime_lineart/mlsd": 0, "tile": 1, "depth": 2}
    assert set(ours.modes) <= set(KINDS)
