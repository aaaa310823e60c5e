"""Every naming of a network becomes ours without a tensor missing or left over, and can be turned back."""

import re
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from diffusion.checkpoints.layouts.autoencoder import autoencoder_table
from diffusion.checkpoints.layouts.clip import clip_table, is_clip_text
from diffusion.checkpoints.rename import convert, revert
from diffusion.checkpoints.weights import Weights
from diffusion.families.sd2 import SD2
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL
from diffusion.text.clip import TextEncoderError, build_clip
from tests.diffusion import inventory

SPECS = {spec.name: spec for family in (SD15, SD2, SDXL) for spec in family.text_encoders}


def on_meta(name: str) -> Weights:
    """A file's tensors, without memory."""
    return Weights.of({key: torch.empty(shape, device="meta") for key, shape in inventory.shapes(name).items()})


def random_like(name: str) -> Weights:
    """Every size cut to at most 6, so that values can be compared."""
    return Weights.of({key: torch.rand([min(n, 6) for n in s]) for key, s in inventory.shapes(name).items()})


@pytest.mark.parametrize(
    ("file", "spec"),
    [
        ("te_clip_l", "clip_l"),
        ("te_clip_g", "clip_g"),
        ("te_clip_h_openclip", "clip_h"),
        ("te_clip_g_openclip", "clip_g"),
    ],
)
def test_published_text_encoders_fit_the_network_exactly(file: str, spec: str):
    weights = on_meta(file)
    assert is_clip_text(weights.shapes)
    ours = convert(weights, clip_table(weights.shapes))
    network = build_clip(ours, SPECS[spec])
    assert {name: tuple(t.shape) for name, t in network.state_dict().items()} == ours.shapes


def test_openclip_and_transformers_name_the_same_tensors():
    ours = convert(openclip := on_meta("te_clip_g_openclip"), clip_table(openclip.shapes))
    assert ours.shapes == inventory.shapes("te_clip_g")


def test_the_fused_projection_of_openclip_is_split_in_thirds_and_the_last_one_turned():
    weights = Weights.of(
        {
            "transformer.resblocks.0.ln_1.weight": torch.ones(2),
            "transformer.resblocks.0.attn.in_proj_weight": torch.arange(12.0).reshape(6, 2),
            "text_projection": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
            "logit_scale": torch.tensor(1.0),
        }
    )
    ours = convert(weights, clip_table(weights.shapes))
    attention = "text_model.encoder.layers.0.self_attn."
    assert [ours[f"{attention}{q}_proj.weight"][0].tolist() for q in "qkv"] == [[0, 1], [4, 5], [8, 9]]
    assert ours["text_projection.weight"].tolist() == [[1, 3], [2, 4]]
    assert "logit_scale" not in ours


@pytest.mark.parametrize("shorten", [lambda name: name.removeprefix("text_model."), lambda name: name])
def test_text_encoders_without_the_outer_level_are_read(shorten):
    published = inventory.shapes("te_clip_l")
    older = {shorten(name): shape for name, shape in published.items()}
    older["text_model.embeddings.position_ids"] = (1, 77)
    ours = convert(Weights.of({n: torch.empty(s, device="meta") for n, s in older.items()}), clip_table(older))
    assert ours.shapes == {name: shape for name, shape in published.items() if "position_ids" not in name}


def test_a_text_encoder_without_its_unused_last_layer_and_projection_is_built():
    weights = on_meta("te_clip_h_openclip")
    kept = [name for name in weights if not re.search(r"resblocks\.23\.|text_projection|logit_scale", name)]
    short = weights.only(kept)
    network = build_clip(convert(short, clip_table(short.shapes)), SPECS["clip_h"])
    assert sum(1 for name in network.state_dict() if name.endswith("layer_norm1.weight")) == 23


def test_an_incomplete_text_encoder_says_what_is_missing():
    weights = on_meta("te_clip_l")
    name = "text_model.encoder.layers.3.mlp.fc2.bias"
    with pytest.raises(TextEncoderError, match=re.escape(f"clip_l: 1 tensors are missing, for instance {name!r}")):
        build_clip(weights.only([n for n in weights if n != name]), SPECS["clip_l"])


def test_a_diffusers_autoencoder_has_the_published_names_and_shapes():
    theirs = inventory.shapes("vae_kl_f8_4ch_diffusers")
    weights = Weights.of({name: torch.empty(shape, device="meta") for name, shape in theirs.items()})
    assert convert(weights, autoencoder_table(theirs)).shapes == inventory.shapes("vae_kl_f8_4ch")


def test_the_attention_names_of_early_diffusers_are_known():
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    pattern = re.compile("|".join(map(re.escape, old)))
    theirs = {
        pattern.sub(lambda m: old[m[0]], name): s for name, s in inventory.shapes("vae_kl_f8_4ch_diffusers").items()
    }
    weights = Weights.of({name: torch.empty(shape, device="meta") for name, shape in theirs.items()})
    assert convert(weights, autoencoder_table(theirs)).shapes == inventory.shapes("vae_kl_f8_4ch")


def test_the_decoder_of_diffusers_counts_its_levels_the_other_way_round():
    autoencoder: Any = AutoencoderKL
    theirs = autoencoder(
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=32,
    ).state_dict()
    ours = convert(weights := Weights.of(theirs), autoencoder_table(weights.shapes))
    assert ours["decoder.up.1.upsample.conv.weight"] is theirs["decoder.up_blocks.0.upsamplers.0.conv.weight"]
    assert ours["encoder.down.0.downsample.conv.weight"] is theirs["encoder.down_blocks.0.downsamplers.0.conv.weight"]
    assert ours["decoder.mid.attn_1.q.weight"].shape == (64, 64, 1, 1)
    assert len(ours) == len(theirs)


@pytest.mark.parametrize("file", ["te_clip_g_openclip", "te_clip_l", "vae_kl_f8_4ch_diffusers", "vae_kl_f8_4ch"])
def test_what_was_converted_can_be_turned_back(file: str):
    weights = random_like(file)
    table = clip_table(weights.shapes) if file.startswith("te_") else autoencoder_table(weights.shapes)
    back = revert(convert(weights, table), table, weights.shapes)
    assert set(weights) - set(back) <= {"logit_scale"}
    assert all(torch.equal(weights[name], tensor) for name, tensor in back.items())
