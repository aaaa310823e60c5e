"""Diffusion transformers: ours and diffusers' predict the same from the same weights."""

from typing import Any

import pytest
import torch
from diffusers.models.transformers.auraflow_transformer_2d import AuraFlowTransformer2DModel
from diffusers.models.transformers.pixart_transformer_2d import PixArtTransformer2DModel
from diffusers.models.transformers.transformer_chroma import ChromaTransformer2DModel
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.models.transformers.transformer_lumina2 import Lumina2Transformer2DModel
from diffusers.models.transformers.transformer_qwenimage import QwenImageTransformer2DModel
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from diffusers.models.transformers.transformer_z_image import ZImageTransformer2DModel
from torch import Tensor

from diffusion.families.references import places
from diffusion.models.patches import channels_first_tokens, from_channels_first
from diffusion.patches.hooks import Control
from tests.diffusion.models.oracle import TOLERANCE, relative_error
from tests.diffusion.models.transformers import pair

SD3: dict[str, Any] = {
    "num_layers": 3,
    "num_attention_heads": 2,
    "attention_head_dim": 64,
    "joint_attention_dim": 48,
    "caption_projection_dim": 128,
    "pooled_projection_dim": 40,
    "pos_embed_max_size": 12,
    "sample_size": 16,
}
SD3_LINES: dict[str, dict[str, Any]] = {
    "SD3 medium": {},
    "SD3.5 medium": {"qk_norm": "rms_norm", "dual_attention_layers": (0, 1)},
    "SD3.5 large": {"qk_norm": "rms_norm"},
}
FLUX: dict[str, Any] = {
    "num_layers": 2,
    "num_single_layers": 3,
    "num_attention_heads": 2,
    "attention_head_dim": 32,
    "joint_attention_dim": 48,
    "pooled_projection_dim": 40,
    "axes_dims_rope": (4, 14, 14),
}


def drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize("line", SD3_LINES)
def test_sd3_agrees(line: str):
    ours, theirs = pair(SD3Transformer2DModel, **SD3, **SD3_LINES[line])
    x, context, y = drawn((2, 16, 12, 20), (2, 7, 48), (2, 40))
    times = torch.tensor([3.0, 801.0])
    expected = theirs(x, context, y, times).sample
    assert relative_error(ours(x, times, context, y), expected) < TOLERANCE


def test_sd3_adds_what_a_control_network_says():
    ours, theirs = pair(SD3Transformer2DModel, **SD3 | {"num_layers": 5})
    x, context, y, first, second = drawn((1, 16, 8, 8), (1, 7, 48), (1, 40), (1, 16, 128), (1, 16, 128))
    times = torch.tensor([500.0])
    expected = theirs(x, context, y, times, block_controlnet_hidden_states=[first, second]).sample
    found = ours(x, times, context, y, Control(double=(first, second)))
    assert relative_error(found, expected) < TOLERANCE


def test_a_latent_of_an_odd_size_goes_on_beyond_its_edges():
    ours, _ = pair(SD3Transformer2DModel, **SD3)
    x, context, y = drawn((1, 16, 7, 9), (1, 7, 48), (1, 40))
    wrapped = torch.cat([x, x[:, :, :1]], dim=2)
    wrapped = torch.cat([wrapped, wrapped[:, :, :, :1]], dim=3)
    times = torch.tensor([500.0])
    assert torch.equal(ours(x, times, context, y), ours(wrapped, times, context, y)[:, :, :7, :9])


def flux_call(theirs: Any, x: Tensor, context: Tensor, y: Tensor, times: Tensor, **more: Any) -> Tensor:
    rows, columns = x.shape[2] // 2, x.shape[3] // 2
    ids = torch.zeros(rows, columns, 3)
    ids[..., 1] += torch.arange(rows)[:, None]
    ids[..., 2] += torch.arange(columns)[None]
    ids = ids.reshape(-1, 3)
    tokens, reference = channels_first_tokens(x), more.pop("reference", None)
    if reference is not None:
        other = torch.cat([ids.new_ones(len(ids), 1), ids[:, 1:]], dim=1)
        tokens, ids = torch.cat([tokens, channels_first_tokens(reference)], dim=1), torch.cat([ids, other])
    out = theirs(tokens, context, y, times, ids, torch.zeros(context.shape[1], 3), **more).sample
    return from_channels_first(out[:, : rows * columns], x.shape[2], x.shape[3])


@pytest.mark.parametrize("guided", [False, True], ids=["schnell", "dev"])
def test_flux_agrees(guided: bool):
    ours, theirs = pair(FluxTransformer2DModel, **FLUX, guidance_embeds=guided)
    x, context, y = drawn((2, 16, 8, 12), (2, 7, 48), (2, 40))
    times, guidance = torch.tensor([0.003, 0.8]), torch.tensor([3.5, 1.0])
    expected = flux_call(theirs, x, context, y, times, guidance=guidance if guided else None)
    found = ours(x, times, context, y, **({"guidance": guidance} if guided else {}))
    assert relative_error(found, expected) < TOLERANCE


def test_flux_sees_another_picture_beside_its_own():
    ours, theirs = pair(FluxTransformer2DModel, **FLUX)
    x, context, y, reference = drawn((1, 16, 8, 12), (1, 7, 48), (1, 40), (1, 16, 8, 12))
    times = torch.tensor([0.5])
    expected = flux_call(theirs, x, context, y, times, reference=reference)
    [place] = places([(8, 12)], (8, 12), "offset")
    found = ours(x, times, context, y, references=(reference,), reference_places=(torch.tensor([place]),))
    assert relative_error(found, expected) < TOLERANCE


def test_flux_adds_what_a_control_network_says():
    ours, theirs = pair(FluxTransformer2DModel, **FLUX | {"num_layers": 3})
    x, context, y, a, b, c, d = drawn((1, 16, 8, 8), (1, 7, 48), (1, 40), *[(1, 16, 64)] * 4)
    times = torch.tensor([0.5])
    samples = {"controlnet_block_samples": [a, b], "controlnet_single_block_samples": [c, d]}
    expected = flux_call(theirs, x, context, y, times, **samples)
    found = ours(x, times, context, y, Control(double=(a, b), single=(c, d)))
    assert relative_error(found, expected) < TOLERANCE


def test_references_lie_behind_the_picture_where_their_sheet_grows_least():
    sizes = [(64, 64), (64, 32), (32, 32)]
    assert places(sizes, (64, 64), "offset") == [(1, 0, 0), (1, 0, 32), (1, 32, 0)]
    assert places(sizes, (64, 64), "index") == [(1, 0, 0), (2, 0, 0), (3, 0, 0)]
    assert places(sizes[:2], (64, 48), "uxo") == [(0, 32, 24), (0, 64, 56)]


def test_pixart_agrees():
    config: dict[str, Any] = {
        "num_layers": 2,
        "num_attention_heads": 2,
        "attention_head_dim": 72,
        "in_channels": 4,
        "out_channels": 8,
        "cross_attention_dim": 144,
        "caption_channels": 48,
        "sample_size": 64,
        "interpolation_scale": 1,
        "use_additional_conditions": False,
    }
    ours, theirs = pair(PixArtTransformer2DModel, **config)
    x, context = drawn((2, 4, 8, 12), (2, 7, 48))
    times = torch.tensor([3.0, 801.0])
    expected = theirs(x, context, times, added_cond_kwargs={}).sample
    assert relative_error(ours(x, times, context), expected) < TOLERANCE


def test_chroma_agrees():
    config = {name: value for name, value in FLUX.items() if name != "pooled_projection_dim"}
    approximator = {"approximator_num_channels": 16, "approximator_hidden_dim": 40, "approximator_layers": 2}
    ours, theirs = pair(ChromaTransformer2DModel, **config, **approximator)
    theirs.time_text_embed.to(torch.float32)
    x, context = drawn((1, 16, 8, 12), (1, 7, 48))
    times = torch.tensor([0.8])
    rows, columns = 4, 6
    ids = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"), dim=-1).reshape(-1, 2)
    ids = torch.cat([torch.zeros(len(ids), 1), ids], dim=1)
    out = theirs(channels_first_tokens(x), context, times, ids, torch.zeros(7, 3)).sample
    assert relative_error(ours(x, times, context), from_channels_first(out, 8, 12)) < TOLERANCE


def test_lumina2_agrees():
    config: dict[str, Any] = {
        "hidden_size": 144,
        "num_layers": 2,
        "num_refiner_layers": 1,
        "num_attention_heads": 6,
        "num_kv_heads": 2,
        "multiple_of": 16,
        "axes_dim_rope": (8, 8, 8),
        "cap_feat_dim": 48,
    }
    ours, theirs = pair(Lumina2Transformer2DModel, **config)
    x, context = drawn((2, 16, 8, 12), (2, 7, 48))
    times = torch.tensor([0.003, 0.8])
    expected = -theirs(x, 1 - times, context, torch.ones(2, 7, dtype=torch.int)).sample
    assert relative_error(ours(x, times, context), expected) < TOLERANCE


def test_z_image_agrees():
    """A text of 7 tokens and a picture of 24: both are filled up to 32."""
    config: dict[str, Any] = {
        "dim": 96,
        "n_layers": 2,
        "n_refiner_layers": 1,
        "n_heads": 2,
        "n_kv_heads": 2,
        "cap_feat_dim": 48,
        "axes_dims": [12, 18, 18],
        "axes_lens": [128, 32, 32],
    }
    ours, theirs = pair(ZImageTransformer2DModel, **config)
    x, context = drawn((2, 16, 8, 12), (2, 7, 48))
    times = torch.tensor([0.003, 0.8])
    expected = -torch.stack([t[:, 0] for t in theirs(list(x[:, :, None]), 1 - times, list(context)).sample])
    assert relative_error(ours(x, times, context), expected) < TOLERANCE


def test_auraflow_agrees():
    config: dict[str, Any] = {
        "num_mmdit_layers": 2,
        "num_single_dit_layers": 2,
        "num_attention_heads": 1,
        "attention_head_dim": 256,
        "joint_attention_dim": 48,
        "caption_projection_dim": 256,
        "pos_embed_max_size": 144,
        "sample_size": 16,
    }
    ours, theirs = pair(AuraFlowTransformer2DModel, **config)
    x, context = drawn((2, 4, 6, 20), (2, 7, 48))
    times = torch.tensor([0.003, 0.8])
    expected = theirs(x, context, times).sample
    assert relative_error(ours(x, times, context), expected) < TOLERANCE


def test_qwen_image_agrees():
    config: dict[str, Any] = {
        "num_layers": 2,
        "num_attention_heads": 2,
        "attention_head_dim": 32,
        "joint_attention_dim": 48,
        "axes_dims_rope": (4, 14, 14),
        "in_channels": 64,
        "out_channels": 16,
    }
    ours, theirs = pair(QwenImageTransformer2DModel, **config)
    x, context = drawn((2, 16, 10, 12), (2, 7, 48))
    times = torch.tensor([0.003, 0.8])
    out = theirs(channels_first_tokens(x), context, None, times, img_shapes=[[(1, 5, 6)]] * 2).sample
    assert relative_error(ours(x, times, context), from_channels_first(out, 10, 12)) < TOLERANCE
