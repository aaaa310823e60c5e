"""Latent nodes without a model, against closed forms."""

from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from storage.inputs import Inputs
from storage.outputs import Outputs
from tests.nodes.conftest import Call


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def latent(*shape: int, seed: int = 0, **more: Any) -> dict[str, Any]:
    return {"samples": draw(*shape, seed=seed), **more}


def test_an_empty_latent_is_zeros_at_an_eighth_of_the_size(call: Call):
    samples = call("EmptyLatentImage", width=64, height=32, batch_size=2)["samples"]
    assert torch.equal(samples, torch.zeros(2, 4, 4, 8))


@pytest.mark.parametrize("method", ["nearest-exact", "bilinear", "area", "bicubic", "bislerp"])
def test_scaling_keeps_a_constant_latent(call: Call, method: str):
    samples = torch.tensor([1.0, -2, 0.5, 3])[None, :, None, None].expand(1, 4, 8, 8)
    sent = {"upscale_method": method, "width": 96, "height": 64, "crop": "disabled"}
    scaled = call("LatentUpscale", samples={"samples": samples}, **sent)["samples"]
    assert torch.allclose(scaled, samples[..., :1, :1].expand(1, 4, 8, 12), atol=1e-5)


@pytest.mark.parametrize(("width", "height", "expected"), [(0, 128, (16, 32)), (128, 0, (8, 16)), (0, 0, (8, 16))])
def test_a_size_of_zero_keeps_the_ratio(call: Call, width: int, height: int, expected: tuple[int, int]):
    sent = {"upscale_method": "bilinear", "width": width, "height": height, "crop": "disabled"}
    assert call("LatentUpscale", samples=latent(1, 4, 8, 16), **sent)["samples"].shape[2:] == expected


def test_video_latents_are_scaled_frame_by_frame(call: Call):
    video = latent(1, 4, 3, 8, 8)
    scaled = call("LatentUpscaleBy", samples=video, upscale_method="bislerp", scale_by=2.0)["samples"]
    assert scaled.shape == (1, 4, 3, 16, 16)
    frame = {"samples": video["samples"][:, :, 1]}
    alone = call("LatentUpscaleBy", samples=frame, upscale_method="bislerp", scale_by=2.0)["samples"]
    assert torch.equal(scaled[:, :, 1], alone)


def test_bislerp_keeps_lengths_where_bilinear_shortens(call: Call):
    samples = torch.zeros(1, 4, 1, 2)
    samples[0, 0, 0, 0] = 1
    samples[0, 1, 0, 1] = 1  # at right angles
    scaled = call("LatentUpscaleBy", samples={"samples": samples}, upscale_method="bislerp", scale_by=8.0)["samples"]
    assert torch.allclose(scaled.square().sum(1), torch.ones(1, 8, 16), atol=1e-5)
    angles = torch.atan2(scaled[0, 1, 0], scaled[0, 0, 0])
    inner = angles[4:12].diff()  # between the two cell centres the direction turns evenly
    assert torch.allclose(inner, inner.mean().expand(7), atol=1e-5)


def test_a_latent_is_pasted_in_cells_of_eight_pixels(call: Call):
    below, above = {"samples": torch.zeros(1, 4, 8, 8)}, {"samples": torch.ones(1, 4, 4, 4)}
    pasted = call("LatentComposite", samples_to=below, samples_from=above, x=16, y=40, feather=0)["samples"]
    assert pasted[0, 0, 4].tolist() == [0] * 8
    assert pasted[0, 0, 5].tolist() == [0, 0, 1, 1, 1, 1, 0, 0]


def test_pasted_edges_fade_only_inside_the_picture(call: Call):
    below, above = {"samples": torch.zeros(1, 4, 8, 8)}, {"samples": torch.ones(1, 4, 8, 6)}
    pasted = call("LatentComposite", samples_to=below, samples_from=above, x=8, y=0, feather=16)["samples"]
    assert pasted[0, 0, 0].tolist() == [0, 0.5, 1, 1, 1, 1, 0.5, 0]


def test_a_latent_is_pasted_under_a_mask(call: Call):
    sent = {"destination": {"samples": torch.zeros(2, 4, 8, 8)}, "source": {"samples": torch.ones(1, 4, 4, 4)}}
    pasted = call("LatentCompositeMasked", **sent, x=8, y=8, resize_source=False, mask=torch.full((1, 32, 32), 0.5))
    assert pasted["samples"][1, 2, 1:5, 1:5].unique().tolist() == [0.5]
    assert pasted["samples"].sum() == 2 * 4 * 16 * 0.5


def test_latents_of_other_channels_cannot_be_pasted(call: Call):
    sent = {"destination": latent(1, 4, 8, 8), "source": latent(1, 16, 8, 8), "x": 0, "y": 0}
    with pytest.raises(ValueError, match=r"kind \(4,\) \(channels\), got \(16,\)"):
        call("LatentCompositeMasked", **sent, resize_source=False)


def test_latent_arithmetic(call: Call):
    one, two = latent(2, 4, 8, 8), latent(1, 4, 8, 8, seed=1)
    a, b = one["samples"], two["samples"]
    assert torch.equal(call("LatentAdd", samples1=one, samples2=two)["samples"], a + b)
    assert torch.equal(call("LatentSubtract", samples1=one, samples2=two)["samples"], a - b)
    assert torch.equal(call("LatentMultiply", samples=one, multiplier=-2.0)["samples"], a * -2)
    blended = call("LatentBlend", samples1=one, samples2=two, blend_factor=0.25)["samples"]
    assert torch.allclose(blended, 0.25 * a + 0.75 * b, atol=1e-6)


def test_interpolation_mixes_lengths_and_directions_apart(call: Call):
    one, two = {"samples": torch.zeros(1, 4, 8, 8)}, {"samples": torch.zeros(1, 4, 8, 8)}
    one["samples"][:, 0] = 2
    two["samples"][:, 1] = 4
    mixed = call("LatentInterpolate", samples1=one, samples2=two, ratio=0.5)["samples"][0, :, 0, 0]
    assert torch.allclose(mixed, torch.tensor([1, 1, 0, 0]) * 3 / 2**0.5)
    same = call("LatentInterpolate", samples1=one, samples2=two, ratio=1.0)["samples"]
    assert torch.allclose(same, one["samples"])


@pytest.mark.parametrize(("dim", "axis"), [("x", 3), ("y", 2), ("t", 1)])
def test_latents_are_joined_and_cut_along_an_axis(call: Call, dim: str, axis: int):
    one, two = latent(1, 4, 8, 8), latent(1, 4, 8, 8, seed=1)
    joined = call("LatentConcat", samples1=one, samples2=two, dim=dim)
    assert torch.equal(joined["samples"], torch.cat((one["samples"], two["samples"]), axis))
    turned = call("LatentConcat", samples1=one, samples2=two, dim=f"-{dim}")
    assert torch.equal(turned["samples"], torch.cat((two["samples"], one["samples"]), axis))
    size = one["samples"].shape[axis]
    cut = call("LatentCut", samples=joined, dim=dim, index=-size, amount=99)
    assert torch.equal(cut["samples"], two["samples"])
    assert call("LatentCut", samples=joined, dim=dim, index=99, amount=99)["samples"].shape[axis] == 1


def test_the_whole_batch_can_share_the_noise_of_its_first(call: Call):
    samples = latent(3, 4, 8, 8, batch_index=[5, 6, 7])
    assert call("LatentBatchSeedBehavior", samples=samples, seed_behavior="fixed")["batch_index"] == [5, 5, 5]
    assert "batch_index" not in call("LatentBatchSeedBehavior", samples=samples, seed_behavior="random")


def test_batches_are_joined_with_their_places(call: Call):
    joined = call("LatentBatch", samples1=latent(2, 4, 8, 8), samples2=latent(1, 4, 16, 16, batch_index=[9]))
    assert joined["samples"].shape == (3, 4, 8, 8)
    assert joined["batch_index"] == [0, 1, 9]


def test_a_latent_out_of_a_batch_remembers_its_place(call: Call):
    samples = latent(4, 4, 8, 8, noise_mask=draw(4, 1, 64, 64))
    taken = call("LatentFromBatch", samples=samples, batch_index=1, length=2)
    assert torch.equal(taken["samples"], samples["samples"][1:3])
    assert torch.equal(taken["noise_mask"], samples["noise_mask"][1:3])
    assert taken["batch_index"] == [1, 2]
    again = call("LatentFromBatch", samples=taken, batch_index=1, length=9)
    assert again["batch_index"] == [2]


def test_repeating_gives_the_copies_places_of_their_own(call: Call):
    samples = latent(2, 4, 8, 8, batch_index=[3, 5], noise_mask=draw(2, 1, 8, 8))
    repeated = call("RepeatLatentBatch", samples=samples, amount=2)
    assert torch.equal(repeated["samples"], torch.cat([samples["samples"]] * 2))
    assert torch.equal(repeated["noise_mask"], torch.cat([samples["noise_mask"]] * 2))
    assert repeated["batch_index"] == [3, 5, 6, 8]


def test_batches_are_made_anew_with_places_and_masks(call: Call):
    one, two = latent(3, 4, 8, 8), latent(2, 4, 8, 8, seed=1, noise_mask=torch.zeros(1, 1, 16, 16), batch_index=[7, 8])
    batches = call("RebatchLatents", latents=[one, two], batch_size=[2])
    assert [b["batch_index"] for b in batches] == [[0, 1], [2, 7], [8]]
    assert torch.equal(batches[1]["samples"], torch.stack((one["samples"][2], two["samples"][0])))
    assert batches[1]["noise_mask"].shape == (2, 1, 64, 64)
    assert batches[1]["noise_mask"].mean((1, 2, 3)).tolist() == [1, 0]


def test_latents_turn_flip_and_crop_like_pictures(call: Call):
    samples = latent(1, 4, 16, 12)
    x = samples["samples"]
    turned = call("LatentRotate", samples=samples, rotation="90 degrees")["samples"]
    assert torch.equal(turned[0, 0, 0], x[0, 0, :, 0].flip(0))  # the left column becomes the top row
    assert torch.equal(call("LatentFlip", samples=samples, flip_method="x-axis: vertically")["samples"], x.flip(2))
    assert torch.equal(call("LatentFlip", samples=samples, flip_method="y-axis: horizontally")["samples"], x.flip(3))
    cropped = call("LatentCrop", samples=samples, width=64, height=64, x=24, y=999)["samples"]
    assert torch.equal(cropped, x[:, :, 8:16, 3:11])


def test_a_mask_says_where_to_denoise(call: Call):
    assert call("SetLatentNoiseMask", samples=latent(1, 4, 8, 8), mask=draw(2, 64, 64))["noise_mask"].shape == (
        2,
        1,
        64,
        64,
    )


def test_tonemapping_shortens_long_vectors_more_and_turns_none(call: Call):
    samples = latent(1, 4, 8, 8)
    samples["samples"][0, :, 0, 0] *= 20
    operation = call("LatentOperationTonemapReinhard", multiplier=1.0)
    x, y = samples["samples"], call("LatentApplyOperation", samples=samples, operation=operation)["samples"]
    size, small = x.square().sum(1).sqrt(), y.square().sum(1).sqrt()
    white = size.mean() + 5 * size.std()
    assert torch.allclose(small, size / (1 + size / white), rtol=1e-4)
    assert torch.allclose(y / small[:, None], x / size[:, None], atol=1e-5)


def test_sharpening_leaves_a_constant_latent(call: Call):
    samples = {"samples": torch.tensor([1.0, -2, 0.5, 3])[None, :, None, None].expand(1, 4, 12, 12)}
    operation = call("LatentOperationSharpen", sharpen_radius=2, sigma=1.0, alpha=0.1)
    sharp = call("LatentApplyOperation", samples=samples, operation=operation)["samples"]
    assert torch.allclose(sharp, samples["samples"], atol=1e-4)
    noisy = {"samples": samples["samples"] + 0.1 * draw(1, 4, 12, 12)}
    assert call("LatentApplyOperation", samples=noisy, operation=operation)["samples"].std() > noisy["samples"].std()


def test_a_saved_latent_is_loaded_again(call: Call, inputs: Inputs, outputs: Outputs):
    samples = latent(1, 4, 8, 8)
    shown = call("SaveLatent", samples=samples, filename_prefix="l/x")
    assert shown["latents"][0]["filename"] == "x_00001_.latent"
    path = outputs.output / "l" / "x_00001_.latent"
    assert set(load_file(path)) == {"latent_tensor", "latent_format_version_0"}
    path.rename(inputs.root("input") / "a.latent")
    assert torch.equal(call("LoadLatent", latent="a.latent")["samples"], samples["samples"])


def test_a_latent_file_of_the_old_kind_is_scaled(call: Call, inputs: Inputs):
    save_file({"latent_tensor": torch.full((1, 4, 8, 8), 0.18215)}, inputs.root("input") / "a.latent")
    assert call("LoadLatent", latent="a.latent")["samples"].unique().tolist() == pytest.approx([1])


@pytest.mark.parametrize("content", [b"", b"hello, this is no tensor file"])
def test_a_file_that_is_no_latent_is_refused(call: Call, inputs: Inputs, content: bytes):
    (inputs.root("input") / "a.latent").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.latent is not a latent file"):
        call("LoadLatent", latent="a.latent")
