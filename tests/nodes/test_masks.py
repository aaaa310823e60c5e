"""Mask nodes against closed forms."""

import pytest
import torch

from tests.nodes.conftest import Call


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_masks_and_grey_pictures_are_the_same_numbers(call: Call):
    mask = draw(2, 4, 5)
    image = call("MaskToImage", mask=mask)
    assert image.shape == (2, 4, 5, 3)
    assert torch.equal(call("ImageToMask", image=image, channel="green"), mask)


@pytest.mark.parametrize("shape", [(4, 5), (1, 1, 4, 5)])
def test_masks_of_other_peoples_shapes_are_understood(call: Call, shape: tuple[int, ...]):
    mask = draw(*shape)
    assert torch.equal(call("InvertMask", mask=mask), 1 - mask.reshape(1, 4, 5))


def test_a_channel_the_picture_does_not_have_is_refused(call: Call):
    with pytest.raises(ValueError, match="3 channels and no alpha"):
        call("ImageToMask", image=draw(1, 2, 2, 3), channel="alpha")


def test_a_colour_is_selected_at_eight_bits(call: Call):
    image = torch.tensor([[255, 128, 0], [255, 127, 0]]).reshape(1, 1, 2, 3) / 255
    assert call("ImageColorToMask", image=image, color=0xFF8000).tolist() == [[[1, 0]]]


def test_a_solid_mask_has_one_value(call: Call):
    assert torch.equal(call("SolidMask", value=0.25, width=3, height=2), torch.full((1, 2, 3), 0.25))


def test_a_mask_is_cut_and_not_beyond_its_edge(call: Call):
    mask = draw(1, 6, 8)
    assert torch.equal(call("CropMask", mask=mask, x=2, y=1, width=3, height=2), mask[:, 1:3, 2:5])
    with pytest.raises(ValueError, match=r"outside the mask of 8 × 6"):
        call("CropMask", mask=mask, x=8, y=0, width=3, height=2)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("multiply", [0, 0, 0, 0.7]),
        ("add", [0, 1, 0.7, 1]),
        ("subtract", [0, 0, 0.7, 0]),
        ("and", [0, 0, 0, 1]),
        ("or", [0, 1, 1, 1]),
        ("xor", [0, 1, 1, 0]),
    ],
)
def test_masks_are_combined(call: Call, operation: str, expected: list[float]):
    below, above = torch.tensor([[[0, 0, 0.7, 0.7]]]), torch.tensor([[[0, 1.0, 0, 1]]])
    combined = call("MaskComposite", destination=below, source=above, x=0, y=0, operation=operation)
    assert torch.allclose(combined, torch.tensor([[expected]]).float())


def test_a_mask_is_combined_only_where_the_second_lies(call: Call):
    below = torch.zeros(2, 3, 4)
    combined = call("MaskComposite", destination=below, source=torch.ones(1, 9, 9), x=2, y=1, operation="add")
    assert combined[1].tolist() == [[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]


def test_edges_fade_linearly(call: Call):
    mask = call("FeatherMask", mask=torch.ones(1, 4, 8), left=4, top=0, right=2, bottom=0)
    assert torch.allclose(mask[0, 2], torch.tensor([0.25, 0.5, 0.75, 1, 1, 1, 1, 0.5]))
    assert call("FeatherMask", mask=torch.ones(1, 2, 2), left=99, top=0, right=0, bottom=0)[0, 0].tolist() == [0.5, 1]


@pytest.mark.parametrize("tapered", [True, False])
def test_a_point_grows_into_a_diamond_or_a_square_and_shrinks_back(call: Call, tapered: bool):
    point = torch.zeros(1, 9, 9)
    point[0, 4, 4] = 1
    rows, columns = torch.arange(9)[:, None] - 4, torch.arange(9) - 4
    distance = rows.abs() + columns.abs() if tapered else torch.maximum(rows.abs(), columns.abs())
    grown = call("GrowMask", mask=point, expand=3, tapered_corners=tapered)
    assert torch.equal(grown[0], (distance <= 3).float())
    assert torch.equal(call("GrowMask", mask=grown, expand=-3, tapered_corners=tapered), point)


def test_growing_by_more_than_the_mask_fills_it(call: Call):
    point = torch.zeros(1, 9, 9)
    point[0, 0, 0] = 1
    assert call("GrowMask", mask=point, expand=16384, tapered_corners=True).min() == 1
    assert call("GrowMask", mask=point, expand=16384, tapered_corners=False).min() == 1
    assert torch.equal(call("GrowMask", mask=point, expand=0, tapered_corners=True), point)


def test_a_threshold_selects_what_is_over_it(call: Call):
    mask = call("ThresholdMask", mask=torch.tensor([[[0.2, 0.5, 0.6]]]), value=0.5)
    assert mask.tolist() == [[[0, 0, 1]]]


def test_joining_and_splitting_alpha_undo_each_other(call: Call):
    image, mask = draw(1, 4, 5, 3), draw(1, 4, 5)
    joined = call("JoinImageWithAlpha", image=image, alpha=mask)
    assert torch.equal(joined[..., 3], 1 - mask)
    back, alpha = call("SplitImageWithAlpha", image=joined)
    assert torch.equal(back, image)
    assert torch.allclose(alpha, mask, atol=1e-6)


def test_a_picture_without_alpha_is_opaque(call: Call):
    assert call("SplitImageWithAlpha", image=draw(1, 4, 5, 3))[1].max() == 0


S, A, D, B = 0.8, 0.5, 0.4, 0.25  # colours and coverages of source and destination


@pytest.mark.parametrize(
    ("mode", "color", "coverage"),
    [
        ("CLEAR", 0, 0),
        ("SRC", S * A, A),
        ("DST", D * B, B),
        ("SRC_OVER", S * A + D * B * (1 - A), A + B * (1 - A)),
        ("DST_OVER", D * B + S * A * (1 - B), B + A * (1 - B)),
        ("SRC_IN", S * A * B, A * B),
        ("DST_IN", D * B * A, A * B),
        ("SRC_OUT", S * A * (1 - B), A * (1 - B)),
        ("DST_OUT", D * B * (1 - A), B * (1 - A)),
        ("SRC_ATOP", S * A * B + D * B * (1 - A), B),
        ("DST_ATOP", D * B * A + S * A * (1 - B), A),
        ("XOR", S * A * (1 - B) + D * B * (1 - A), A * (1 - B) + B * (1 - A)),
        ("ADD", S * A + D * B, A + B),
        ("MULTIPLY", S * A * D * B, A * B),
        ("SCREEN", S * A + D * B - S * A * D * B, A + B - A * B),
        ("LIGHTEN", S * A * (1 - B) + D * B * (1 - A) + max(S * A, D * B), A + B - A * B),
        ("DARKEN", S * A * (1 - B) + D * B * (1 - A) + min(S * A, D * B), A + B - A * B),
        ("OVERLAY", 2 * S * A * D * B, A + B - A * B),
    ],
)
def test_compositing_follows_the_published_formulas(call: Call, mode: str, color: float, coverage: float):
    image, mask = call(
        "PorterDuffImageComposite",
        source=torch.full((1, 2, 2, 3), S),
        source_alpha=torch.full((1, 2, 2), 1 - A),
        destination=torch.full((1, 2, 2, 3), D),
        destination_alpha=torch.full((1, 2, 2), 1 - B),
        mode=mode,
    )
    expected = min(1.0, color / coverage) if coverage else 0.0
    assert torch.allclose(image, torch.full_like(image, expected), atol=1e-6)
    assert torch.allclose(mask, torch.full_like(mask, 1 - coverage), atol=1e-6)
