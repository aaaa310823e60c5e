"""Picture nodes against closed forms, numpy and PIL."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from tests.nodes.conftest import Call, FakeRun


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def checks(height: int, width: int) -> torch.Tensor:
    """(1, H, W, 3), black and white by turns."""
    board = (torch.arange(height)[:, None] + torch.arange(width)) % 2
    return board.float()[None, ..., None].expand(1, height, width, 3)


def test_an_empty_picture_has_one_colour(call: Call):
    image = call("EmptyImage", width=3, height=2, batch_size=2, color=0xFF3300)
    assert image.shape == (2, 2, 3, 3)
    assert torch.allclose(image, torch.tensor([1, 0.2, 0]).expand(2, 2, 3, 3))


def test_inverting_twice_gives_the_picture_back(call: Call):
    image = draw(1, 4, 4, 3)
    assert torch.allclose(call("ImageInvert", image=call("ImageInvert", image=image)), image)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(10, 20, (20, 10)), (0, 8, (8, 12)), (12, 0, (8, 12)), (0, 0, (16, 24))],
)
def test_a_size_of_zero_keeps_the_ratio(call: Call, width: int, height: int, expected: tuple[int, int]):
    sent = {"upscale_method": "bilinear", "width": width, "height": height, "crop": "disabled"}
    assert call("ImageScale", image=draw(1, 16, 24, 3), **sent).shape[1:3] == expected


@pytest.mark.parametrize("method", ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"])
def test_scaling_keeps_a_plain_colour(call: Call, method: str):
    image = torch.full((2, 8, 8, 3), 51 / 255)
    scaled = call("ImageScale", image=image, upscale_method=method, width=13, height=5, crop="disabled")
    assert scaled.shape == (2, 5, 13, 3)
    assert torch.allclose(scaled, torch.full_like(scaled, 51 / 255), atol=1e-6)


def test_lanczos_is_what_pil_does(call: Call):
    levels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    image = torch.tensor(levels)[None].float() / 255
    scaled = call("ImageScale", image=image, upscale_method="lanczos", width=5, height=12, crop="disabled")
    expected = np.asarray(Image.fromarray(levels).resize((5, 12), Image.Resampling.LANCZOS))
    assert (torch.round(scaled[0] * 255).numpy() == expected).all()


def test_area_scaling_by_a_half_is_the_mean_of_four(call: Call):
    image = draw(1, 8, 6, 3)
    scaled = call("ImageScale", image=image, upscale_method="area", width=3, height=4, crop="disabled")
    assert torch.allclose(scaled, image.reshape(1, 4, 2, 3, 2, 3).mean((2, 4)), atol=1e-6)


def test_cropping_to_the_middle_keeps_circles_round(call: Call):
    image = torch.zeros(1, 4, 12, 3)
    image[:, :, 4:8] = 1
    scaled = call("ImageScale", image=image, upscale_method="nearest-exact", width=8, height=8, crop="center")
    assert scaled.min() == 1


def test_scaling_by_a_factor_rounds_to_pixels(call: Call):
    assert call("ImageScaleBy", image=draw(1, 5, 7, 3), upscale_method="area", scale_by=1.5).shape[1:3] == (8, 10)


@pytest.mark.parametrize(("size", "expected"), [((40, 20), (10, 5)), ((20, 40), (5, 10)), ((20, 20), (10, 10))])
def test_the_longer_side_gets_the_length_asked_for(call: Call, size: tuple[int, int], expected: tuple[int, int]):
    scaled = call("ImageScaleToMaxDimension", image=draw(1, *size, 3), upscale_method="area", largest_size=10)
    assert scaled.shape[1:3] == expected


def test_total_pixels_are_as_asked_for_and_the_ratio_stays(call: Call):
    scaled = call("ImageScaleToTotalPixels", image=draw(1, 20, 40, 3), upscale_method="nearest-exact", megapixels=0.01)
    height, width = scaled.shape[1:3]
    assert abs(height * width / (0.01 * 1024 * 1024) - 1) < 0.02
    assert abs(width / height - 2) < 0.03


def test_scaling_to_nothing_is_refused(call: Call):
    with pytest.raises(ValueError, match="at least 1 × 1"):
        call("ImageScaleBy", image=draw(1, 4, 4, 3), upscale_method="area", scale_by=0.01)


def test_a_batch_takes_the_size_of_its_first_picture(call: Call):
    batch = call("ImageBatch", image1=draw(1, 4, 6, 3), image2=torch.ones(2, 8, 8, 4))
    assert batch.shape == (3, 4, 6, 4)
    assert batch[0, ..., 3].min() == 1


def test_room_around_a_picture_is_grey_and_in_the_mask(call: Call):
    image = draw(1, 10, 12, 3)
    grown, mask = call("ImagePadForOutpaint", image=image, left=8, top=0, right=16, bottom=8, feathering=0)
    assert grown.shape == (1, 18, 36, 3)
    assert torch.equal(grown[:, :10, 8:20], image)
    assert (grown[:, 10:] == 0.5).all()
    assert mask.shape == (1, 18, 36)
    assert mask[:, :10, 8:20].max() == 0
    assert mask.sum() == 18 * 36 - 120


def test_feathering_falls_with_the_square_of_the_distance_from_edges_with_room(call: Call):
    _, mask = call("ImagePadForOutpaint", image=draw(1, 10, 10, 3), left=8, top=0, right=0, bottom=0, feathering=4)
    assert torch.allclose(mask[0, 5, 8:14], torch.tensor([1, 9 / 16, 4 / 16, 1 / 16, 0, 0]))
    assert mask[0, 0, 12] == 0


def test_a_picture_is_pasted_where_it_fits(call: Call):
    below, above = torch.zeros(2, 4, 5, 3), torch.ones(1, 3, 3, 3)
    pasted = call("ImageCompositeMasked", destination=below, source=above, x=3, y=2, resize_source=False)
    assert pasted[1, ..., 0].tolist() == [[0] * 5, [0] * 5, [0, 0, 0, 1, 1], [0, 0, 0, 1, 1]]


def test_pasting_shows_the_source_as_far_as_the_mask_selects(call: Call):
    sent = {"destination": torch.zeros(1, 4, 4, 3), "source": torch.ones(1, 2, 2, 3), "x": 1, "y": 1}
    pasted = call("ImageCompositeMasked", **sent, resize_source=False, mask=torch.full((1, 8, 8), 0.25))
    assert torch.allclose(pasted[0, 1:3, 1:3], torch.full((2, 2, 3), 0.25))
    assert pasted.sum() == pytest.approx(3)


def test_a_source_can_be_scaled_to_the_destination(call: Call):
    sent = {"destination": torch.zeros(1, 4, 4, 3), "source": torch.ones(1, 2, 2, 3), "x": 0, "y": 0}
    assert call("ImageCompositeMasked", **sent, resize_source=True).min() == 1


def test_pasting_outside_changes_nothing(call: Call):
    sent = {"destination": torch.zeros(1, 4, 4, 3), "source": torch.ones(1, 2, 2, 3), "x": 99, "y": 0}
    assert call("ImageCompositeMasked", **sent, resize_source=False).max() == 0


def test_a_picture_is_measured(call: Call, run: FakeRun):
    assert call("GetImageSize", image=draw(3, 4, 5, 3)) == [5, 4, 3]
    assert "5" in run.texts[0]


def test_noise_has_the_strength_asked_for_and_depends_on_the_seed(call: Call):
    image = torch.full((1, 64, 64, 3), 0.5)
    first, second = (call("ImageAddNoise", image=image, seed=seed, strength=0.1) for seed in (1, 2**64 - 1))
    assert (first - image).std().item() == pytest.approx(0.1, rel=0.05)
    assert not torch.equal(first, second)


def test_pictures_are_taken_out_of_a_batch(call: Call):
    image = draw(4, 2, 2, 3)
    assert torch.equal(call("ImageFromBatch", image=image, batch_index=1, length=2), image[1:3])
    assert torch.equal(call("ImageFromBatch", image=image, batch_index=9, length=2), image[3:])
    assert torch.equal(call("RepeatImageBatch", image=image, amount=2), torch.cat((image, image)))


def test_batches_are_made_anew_across_lists(call: Call):
    batches = call("RebatchImages", images=[draw(3, 2, 2, 3), draw(2, 2, 2, 3), draw(1, 4, 4, 3)], batch_size=[2])
    assert [tuple(b.shape[:2]) for b in batches] == [(2, 2), (2, 2), (1, 2), (1, 4)]
    assert torch.equal(batches[1][1], draw(2, 2, 2, 3)[0])


def test_colour_differences_of_grey_are_neutral_and_splitting_is_undone_by_joining(call: Call):
    _, U, V = call("ImageRGBToYUV", image=torch.full((1, 2, 2, 3), 0.3))
    assert torch.allclose(U, torch.full_like(U, 0.5))
    assert torch.allclose(V, torch.full_like(V, 0.5))
    image = draw(1, 8, 8, 3)
    Y, U, V = call("ImageRGBToYUV", image=image)
    assert torch.allclose(Y[..., 0], image @ torch.tensor([0.299, 0.587, 0.114]))
    assert torch.allclose(call("ImageYUVToRGB", Y=Y, U=U, V=V), image, atol=2e-3)


def test_a_rectangle_is_cut_out(call: Call):
    image = draw(1, 6, 8, 3)
    assert torch.equal(call("ImageCrop", image=image, width=3, height=2, x=2, y=1), image[:, 1:3, 2:5])
    assert call("ImageCrop", image=image, width=9, height=9, x=99, y=99).shape == (1, 1, 1, 3)


@pytest.mark.parametrize(
    ("rotation", "turns"), [("none", 0), ("90 degrees", 3), ("180 degrees", 2), ("270 degrees", 1)]
)
def test_pictures_turn_clockwise(call: Call, rotation: str, turns: int):
    image = draw(1, 3, 5, 3)  # numpy turns counter-clockwise
    assert (call("ImageRotate", image=image, rotation=rotation)[0].numpy() == np.rot90(image[0].numpy(), turns)).all()


def test_pictures_are_mirrored(call: Call):
    image = draw(1, 3, 5, 3)
    upside_down = call("ImageFlip", image=image, flip_method="x-axis: vertically")
    assert torch.equal(upside_down, image[:, torch.arange(2, -1, -1)])
    mirrored = call("ImageFlip", image=image, flip_method="y-axis: horizontally")
    assert torch.equal(mirrored, image[:, :, torch.arange(4, -1, -1)])


STITCH = {"match_image_size": True, "spacing_width": 0, "spacing_color": "red"}


@pytest.mark.parametrize(("direction", "first"), [("right", True), ("down", True), ("left", False), ("up", False)])
def test_pictures_are_stitched_in_a_direction(call: Call, direction: str, first: bool):
    both = call(
        "ImageStitch", image1=torch.zeros(1, 4, 6, 3), image2=torch.ones(1, 4, 6, 3), direction=direction, **STITCH
    )
    assert both.shape == ((1, 4, 12, 3) if direction in ("left", "right") else (1, 8, 6, 3))
    assert both[0, 0, 0, 0] == (0 if first else 1)
    assert both[0, -1, -1, 0] == (1 if first else 0)


def test_stitching_scales_the_second_picture_to_touch(call: Call):
    both = call("ImageStitch", image1=draw(1, 4, 6, 3), image2=draw(1, 8, 4, 3), direction="right", **STITCH)
    assert both.shape == (1, 4, 6 + 2, 3)


def test_stitching_without_scaling_centres_on_black_with_coloured_spacing(call: Call):
    sent = {"match_image_size": False, "spacing_width": 1, "spacing_color": "red", "direction": "right"}
    both = call("ImageStitch", image1=torch.ones(2, 4, 2, 3), image2=torch.ones(1, 2, 2, 3), **sent)
    assert both.shape == (2, 4, 6, 3)
    assert both[1, :, 5, 0].tolist() == [0, 1, 1, 0]
    assert both[0, 0, 2:4].tolist() == [[1, 0, 0], [1, 0, 0]]


def test_a_single_picture_is_not_stitched(call: Call):
    image = draw(1, 4, 4, 3)
    assert torch.equal(call("ImageStitch", image1=image, direction="right", **STITCH), image)


def test_a_picture_is_fitted_into_a_frame(call: Call):
    sent = {"target_width": 8, "target_height": 8, "padding_color": "white", "interpolation": "area"}
    framed = call("ResizeAndPadImage", image=torch.zeros(1, 2, 4, 3), **sent)
    assert framed[0, :, 0, 0].tolist() == [1, 1, 0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("normal", 0.6),
        ("multiply", 0.12),
        ("screen", 0.68),
        ("overlay", 0.24),
        ("soft_light", 0.2 + 0.2 * (((16 * 0.2 - 12) * 0.2 + 4) * 0.2 - 0.2)),
        ("difference", 0.0),
    ],
)
def test_blend_modes_follow_their_formulas(call: Call, mode: str, expected: float):
    below, above = torch.full((1, 2, 2, 3), 0.2), torch.full((1, 4, 4, 3), 0.6)
    full = call("ImageBlend", image1=below, image2=above, blend_factor=1.0, blend_mode=mode)
    assert torch.allclose(full, torch.full_like(full, expected), atol=1e-6)
    none = call("ImageBlend", image1=below, image2=above, blend_factor=0.0, blend_mode=mode)
    assert torch.equal(none, below)


def test_a_blurred_point_is_the_bell_itself(call: Call):
    image = torch.zeros(1, 7, 7, 3)
    image[0, 3, 3] = 1
    blurred = call("ImageBlur", image=image, blur_radius=2, sigma=0.5)[0, ..., 1]
    weights = [math.exp(-(d * d) / (2 * 0.25)) for d in (-1, -0.5, 0, 0.5, 1)]
    expected = torch.tensor(weights) / sum(weights)
    assert torch.allclose(blurred[1:6, 1:6], expected[:, None] * expected, atol=1e-6)
    assert blurred.sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 64])
def test_blurring_and_sharpening_keep_a_plain_colour_however_small_the_picture(call: Call, size: int):
    image = torch.full((1, size, 3, 3), 0.4)
    assert torch.allclose(call("ImageBlur", image=image, blur_radius=31, sigma=1.0), image, atol=1e-5)
    sharp = call("ImageSharpen", image=image, sharpen_radius=5, sigma=1.0, alpha=1.0)
    assert torch.allclose(sharp, image, atol=1e-4)


def test_sharpening_adds_what_blurring_takes_away(call: Call):
    image = draw(1, 9, 9, 3) * 0.1 + 0.45
    blurred = call("ImageBlur", image=image, blur_radius=1, sigma=1.0)
    sharp = call("ImageSharpen", image=image, sharpen_radius=1, sigma=1.0, alpha=0.1)
    assert torch.allclose(sharp, image + (image - blurred), atol=1e-5)
    assert torch.allclose(call("ImageSharpen", image=image, sharpen_radius=1, sigma=1.0, alpha=0.0), image, atol=1e-6)


@pytest.mark.parametrize("dither", ["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"])
def test_few_colours_are_left_and_the_mean_stays(call: Call, dither: str):
    image = torch.linspace(0, 1, 64)[None, None, :, None].expand(1, 64, 64, 3)
    few = call("ImageQuantize", image=image, colors=4, dither=dither)
    assert len(few[0].reshape(-1, 3).unique(dim=0)) <= 4
    assert few.mean().item() == pytest.approx(0.5, abs=0.04)


def test_dithering_breaks_up_bands(call: Call):
    image = torch.linspace(0, 1, 64)[None, None, :, None].expand(1, 64, 64, 3)
    plain, dithered = (call("ImageQuantize", image=image, colors=4, dither=d) for d in ("none", "bayer-8"))
    assert all(len(column.unique()) == 1 for column in plain[0, ..., 0].T)
    assert any(len(column.unique()) > 1 for column in dithered[0, ..., 0].T)


@pytest.mark.parametrize("size", [3, 4, 7])
def test_morphology_against_a_slow_definition(call: Call, size: int):
    image = draw(1, 8, 9, 3)
    field = image[0, ..., 0].numpy()
    before, after = size // 2, size - size // 2 - 1

    def windows(x: np.ndarray, reduce) -> np.ndarray:
        return np.array(
            [
                [reduce(x[max(0, r - before) : r + after + 1, max(0, c - before) : c + after + 1]) for c in range(9)]
                for r in range(8)
            ]
        )

    high, low = windows(field, np.max), windows(field, np.min)
    opened, closed = windows(low, np.max), windows(high, np.min)
    expected = {
        "dilate": high,
        "erode": low,
        "open": opened,
        "close": closed,
        "gradient": high - low,
        "top_hat": field - opened,
        "bottom_hat": closed - field,
    }
    for operation, wanted in expected.items():
        made = call("Morphology", image=image, operation=operation, kernel_size=size)[0, ..., 0]
        assert np.allclose(made.numpy(), wanted, atol=1e-6), operation


def test_a_square_has_four_thin_edges(call: Call):
    image = torch.zeros(1, 40, 40, 3)
    image[:, 10:30, 10:30] = 1
    edges = call("Canny", image=image, low_threshold=0.4, high_threshold=0.8)
    assert edges.shape == (1, 40, 40, 3)
    assert set(edges.unique().tolist()) == {0, 1}
    row = edges[0, 20, :, 0].nonzero().flatten().tolist()
    assert len(row) == 2 or len(row) == 4
    assert all(min(abs(at - 9.5), abs(at - 29.5)) < 2 for at in row)
    assert edges[0, 15:25, 15:25].max() == 0
    assert edges[0, :5].max() == 0


def test_weak_edges_count_only_where_they_touch_strong_ones(call: Call):
    image = torch.zeros(1, 60, 40, 3)
    image[:, :30, 20:] = torch.linspace(0.15, 1, 30)[None, :, None, None]  # an edge that grows stronger downwards
    image[:, 30:, 20:] = 1
    high_only = call("Canny", image=image, low_threshold=0.8, high_threshold=0.8).sum()
    followed = call("Canny", image=image, low_threshold=0.2, high_threshold=0.8).sum()
    assert followed > high_only
    weak = torch.zeros(1, 30, 40, 3)
    weak[:, :, 20:] = 0.1
    assert call("Canny", image=weak, low_threshold=0.2, high_threshold=0.8).sum() == 0


def test_thresholds_in_the_wrong_order_are_refused(call: Call):
    with pytest.raises(ValueError, match=r"got 0\.9 > 0\.1"):
        call("Canny", image=draw(1, 8, 8, 3), low_threshold=0.9, high_threshold=0.1)


def test_a_choice_that_is_none_names_the_choices(call: Call):
    with pytest.raises(ValueError, match=r"\"upscale_method\": expected one of nearest-exact, .*; got 'best'"):
        call("ImageScaleBy", image=draw(1, 4, 4, 3), upscale_method="best", scale_by=1.0)


def test_a_number_that_is_none_is_refused(call: Call):
    with pytest.raises(ValueError, match='"scale_by": expected a finite number, got nan'):
        call("ImageScaleBy", image=draw(1, 4, 4, 3), upscale_method="area", scale_by=math.nan)
