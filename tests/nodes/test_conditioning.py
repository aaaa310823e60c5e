"""Conditioning nodes: what they change, and that they change nothing else."""

from pathlib import Path
from typing import Any

import pytest
import torch

from diffusion.text.encode import encode, prompt_tokens
from storage.folders import Folders
from tests.nodes import tiny
from tests.nodes.conftest import Call, FakeRun


@pytest.fixture(scope="module")
def clip():
    return tiny.text_encoders()


@pytest.fixture(autouse=True)
def folders(given: dict[str, Any], tmp_path: Path) -> Folders:
    given["folders"] = Folders(tmp_path)
    return given["folders"]


def test_a_prompt_becomes_embeddings_and_their_summary(call: Call, clip: Any):
    [[embeddings, extras]] = call("CLIPTextEncode", text="a (cat:1.3)", clip=clip)
    expected = encode(clip, prompt_tokens(clip, "a (cat:1.3)"))
    assert torch.equal(embeddings, expected.context)
    assert expected.pooled is not None
    assert torch.equal(extras["pooled_output"], expected.pooled)


def test_an_embedding_is_found_in_its_folder(call: Call, clip: Any, folders: Folders):
    folder = folders.directories("embeddings")[0]
    folder.mkdir(parents=True)
    torch.save({"string_to_param": {"*": torch.ones(2, 32)}}, folder / "ink.pt")
    [[plain, _]] = call("CLIPTextEncode", text="a cat", clip=clip)
    [[learned, _]] = call("CLIPTextEncode", text="a embedding:ink", clip=clip)
    assert not torch.equal(plain, learned)


def test_what_is_odd_about_a_prompt_is_told(call: Call, clip: Any, run: FakeRun):
    call("CLIPTextEncode", text="a embedding:gone", clip=clip)
    assert any("gone" in note for note in run.notes)


def test_sdxl_gets_a_prompt_for_each_encoder_and_sizes(call: Call):
    clip = tiny.sdxl_text_encoders()
    sizes = {"width": 1, "height": 2, "crop_w": 3, "crop_h": 4, "target_width": 5, "target_height": 6}
    [[embeddings, extras]] = call("CLIPTextEncodeSDXL", clip=clip, text_g="a cat", text_l="ink", **sizes)
    expected = encode(clip, prompt_tokens(clip, {"clip_g": "a cat", "clip_l": "ink"}))
    assert torch.equal(embeddings, expected.context)
    assert sizes.items() <= extras.items()


def test_the_refiner_gets_a_score(call: Call, clip: Any):
    [[_, extras]] = call("CLIPTextEncodeSDXLRefiner", ascore=7.5, width=8, height=9, text="a", clip=clip)
    assert (extras["aesthetic_score"], extras["width"], extras["height"]) == (7.5, 8, 9)


def test_controlnets_can_have_a_prompt_of_their_own(call: Call, clip: Any):
    [[embeddings, extras]] = call("CLIPTextEncodeControlnet", clip=clip, conditioning=tiny.prompt(), text="a")
    assert torch.equal(embeddings, tiny.prompt()[0][0])
    assert torch.equal(extras["cross_attn_controlnet"], encode(clip, prompt_tokens(clip, "a")).context)
    assert extras["pooled_output_controlnet"].shape == (1, 32)


def test_clip_skip_reads_an_earlier_layer(call: Call, clip: Any):
    skipping = call("CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-2)
    [[skipped, _]] = call("CLIPTextEncode", text="a", clip=skipping)
    assert torch.equal(skipped, encode(clip.stopping_at(-2), prompt_tokens(clip, "a")).context)
    assert not torch.equal(skipped, call("CLIPTextEncode", text="a", clip=clip)[0][0])


def test_conditionings_are_combined(call: Call):
    first, second = tiny.prompt(0), tiny.prompt(1)
    combined = call("ConditioningCombine", conditioning_1=first, conditioning_2=second)
    assert [pair[0] is other[0][0] for pair, other in zip(combined, (first, second), strict=True)] == [True, True]


def test_averaging_pads_the_shorter_prompt_with_zeros(call: Call):
    long = [[torch.ones(1, 4, 8), {"pooled_output": torch.ones(1, 8), "kept": 1}]]
    short = [[torch.full((1, 2, 8), 3.0), {"pooled_output": torch.zeros(1, 8)}]]
    sent = {"conditioning_to": long, "conditioning_from": short, "conditioning_to_strength": 0.25}
    [[embeddings, extras]] = call("ConditioningAverage", **sent)
    assert embeddings[0, :, 0].tolist() == [2.5, 2.5, 0.25, 0.25]
    assert extras["pooled_output"].unique().tolist() == [0.25]
    assert extras["kept"] == 1


def test_averaging_cuts_the_longer_prompt(call: Call):
    sent = {"conditioning_to": tiny.prompt(0), "conditioning_to_strength": 0.0}
    other = [[torch.ones(1, 200, 32), {}]]
    [[embeddings, extras]] = call("ConditioningAverage", conditioning_from=other, **sent)
    assert torch.equal(embeddings, torch.ones(1, 77, 32))
    assert torch.equal(extras["pooled_output"], tiny.prompt(0)[0][1]["pooled_output"])


def test_prompts_are_put_one_after_the_other(call: Call):
    [[embeddings, _]] = call("ConditioningConcat", conditioning_to=tiny.prompt(0), conditioning_from=tiny.prompt(1))
    assert torch.equal(embeddings, torch.cat((tiny.prompt(0)[0][0], tiny.prompt(1)[0][0]), 1))


@pytest.mark.parametrize("id", ["ConditioningAverage", "ConditioningConcat"])
def test_an_empty_conditioning_cannot_be_added(call: Call, id: str):
    with pytest.raises(ValueError, match="at least one entry"):
        call(id, conditioning_to=tiny.prompt(), conditioning_from=[])


@pytest.mark.parametrize(
    ("id", "sent", "expected"),
    [
        (
            "ConditioningSetArea",
            {"width": 64, "height": 128, "x": 8, "y": 16, "strength": 0.5},
            {"area": (16, 8, 2, 1), "strength": 0.5, "set_area_to_bounds": False},
        ),
        (
            "ConditioningSetAreaPercentage",
            {"width": 0.5, "height": 0.25, "x": 0.1, "y": 0.2, "strength": 0.5},
            {"area": ("percentage", 0.25, 0.5, 0.2, 0.1), "strength": 0.5, "set_area_to_bounds": False},
        ),
        ("ConditioningSetAreaStrength", {"strength": 2.0}, {"strength": 2.0}),
        ("ConditioningSetTimestepRange", {"start": 0.2, "end": 0.7}, {"start_percent": 0.2, "end_percent": 0.7}),
    ],
)
def test_regions_and_ranges_are_written_beside_the_embeddings(call: Call, id: str, sent: Any, expected: Any):
    given = [[torch.ones(1, 2, 8), {"kept": 1}], [torch.zeros(1, 2, 8), {}]]
    changed = call(id, conditioning=given, **sent)
    assert changed[0][1] == {"kept": 1, **expected}
    assert changed[1][1] == expected
    assert changed[0][0] is given[0][0]
    assert given[0][1] == {"kept": 1}


@pytest.mark.parametrize(("where", "to_bounds"), [("default", False), ("mask bounds", True)])
def test_a_mask_says_where_to_guide(call: Call, where: str, to_bounds: bool):
    sent = {"conditioning": tiny.prompt(), "strength": 0.5, "set_cond_area": where}
    [[_, extras]] = call("ConditioningSetMask", mask=torch.ones(4, 5), **sent)
    assert extras["mask"].shape == (1, 4, 5)
    assert (extras["mask_strength"], extras["set_area_to_bounds"]) == (0.5, to_bounds)


def test_zeroing_out_is_no_prompt_at_all(call: Call):
    [[embeddings, extras]] = call("ConditioningZeroOut", conditioning=tiny.prompt())
    assert embeddings.abs().max() == 0
    assert extras["pooled_output"].abs().max() == 0
