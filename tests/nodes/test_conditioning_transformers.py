"""Nodes for diffusion transformers: prompts for each encoder, guidance, pictures to follow."""

from pathlib import Path
from typing import Any

import pytest
import torch

from storage.folders import Folders
from tests.diffusion.text.test_t5 import encoders
from tests.nodes.conftest import Call
from tests.nodes.tiny import model, prompt


@pytest.fixture
def folders(tmp_path: Path, given: dict[str, Any]) -> Folders:
    given["folders"] = Folders(tmp_path)
    return given["folders"]


def test_an_encoder_of_sd3_without_a_prompt_says_nothing_or_what_it_says_of_none(call: Call, folders: Folders):
    from diffusion.families.sd3 import SD3

    clip, _ = encoders(SD3)
    texts = {"clip": clip, "clip_l": "a cat", "clip_g": "a cat", "t5xxl": ""}
    [[silent, _]] = call("CLIPTextEncodeSD3", **texts, empty_padding="none")
    [[empty, _]] = call("CLIPTextEncodeSD3", **texts, empty_padding="empty_prompt")
    assert (silent.shape[1], empty.shape[1]) == (77, 154)
    assert torch.equal(silent, empty[:, :77])


def test_flux_is_told_its_guidance_with_the_prompt_or_after(call: Call, folders: Folders):
    from diffusion.families.flux import FLUX

    clip, _ = encoders(FLUX)
    made = call("CLIPTextEncodeFlux", clip=clip, clip_l="a cat", t5xxl="a red cat", guidance=4.0)
    assert made[0][1]["guidance"] == 4.0
    assert call("FluxGuidance", conditioning=made, guidance=2.0)[0][1]["guidance"] == 2.0
    assert call("FluxDisableGuidance", conditioning=made)[0][1]["guidance"] is None
    assert made[0][1]["guidance"] == 4.0


def test_t5_is_padded_as_asked(call: Call, folders: Folders):
    from diffusion.families.flux import FLUX

    clip, _ = encoders(FLUX)
    shorter = call("T5TokenizerOptions", clip=clip, min_padding=0, min_length=20)
    [[context, _]] = call("CLIPTextEncode", text="a cat", clip=shorter)
    assert context.shape[1] == 20


def test_pictures_to_follow_pile_up(call: Call):
    one, two = ({"samples": torch.full((1, 16, 4, 4), float(i))} for i in (1, 2))
    start = prompt()
    first = call("ReferenceLatent", conditioning=start, latent=one)
    second = call("ReferenceLatent", conditioning=first, latent=two)
    assert [float(latent.mean()) for latent in second[0][1]["reference_latents"]] == [1.0, 2.0]
    assert len(first[0][1]["reference_latents"]) == 1
    assert "reference_latents" not in start[0][1]
    placed = call("FluxKontextMultiReferenceLatentMethod", conditioning=second, reference_latents_method="uxo/uno")
    assert placed[0][1]["reference_latents_method"] == "uxo"


@pytest.mark.parametrize(
    ("size", "expected"), [((512, 512), (1024, 1024)), ((300, 700), (672, 1568)), ((1000, 700), (1248, 832))]
)
def test_kontext_gets_a_size_it_knows(call: Call, size: tuple[int, int], expected: tuple[int, int]):
    scaled = call("FluxKontextImageScale", image=torch.rand(1, size[1], size[0], 3))
    assert (scaled.shape[2], scaled.shape[1]) == expected


def test_lumina_is_told_what_it_is_to_do_before_the_prompt(call: Call, folders: Folders):
    from diffusion.families.flux import FLUX

    clip, _ = encoders(FLUX)
    told = call("CLIPTextEncodeLumina2", system_prompt="superior", user_prompt="a cat", clip=clip)
    [[context, _]] = told
    [[same, _]] = call(
        "CLIPTextEncode",
        text="You are an assistant designed to generate superior images with the superior degree of image-text "
        "alignment based on textual prompts or user prompts. <Prompt Start> a cat",
        clip=clip,
    )
    assert torch.equal(context, same)


def test_no_layers_to_skip_leave_the_model_as_it_is(call: Call):
    plain = model()
    assert call("SkipLayerGuidanceSD3", model=plain, layers="") is plain
    assert call("SkipLayerGuidanceDiT", model=plain, double_layers="", single_layers=" ") is plain
    assert call("SkipLayerGuidanceDiT", model=plain, double_layers="7, 8", single_layers="9").guidance is not None
    assert call("SkipLayerGuidanceDiTSimple", model=plain, double_layers="", single_layers="") is plain


def test_an_empty_latent_of_sixteen_channels(call: Call):
    made = call("EmptySD3LatentImage", width=64, height=32, batch_size=2)
    assert made["samples"].shape == (2, 16, 4, 8)
    assert not made["samples"].any()
