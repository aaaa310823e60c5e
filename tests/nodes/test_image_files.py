"""Pictures in and out: files made and read back by PIL."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from execution.context import JobInterrupted
from nodes.image_files import load_image
from storage.inputs import Inputs
from storage.outputs import Outputs
from tests.nodes.conftest import Call, FakeRun

RAMP = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 10


def store(inputs: Inputs, picture: Image.Image, name: str = "a.png", **options: Any) -> str:
    picture.save(inputs.root("input") / name, **options)
    return name


def test_a_picture_becomes_numbers_from_0_to_1(call: Call, inputs: Inputs):
    image, mask = call("LoadImage", image=store(inputs, Image.fromarray(RAMP)))
    assert torch.equal(image, torch.tensor(RAMP)[None].float() / 255)
    assert torch.equal(mask, torch.zeros(1, 64, 64))


def test_transparency_becomes_the_mask(call: Call, inputs: Inputs):
    alpha = np.array([[[0], [255], [51]], [[255], [255], [255]]], dtype=np.uint8)
    image, mask = call("LoadImage", image=store(inputs, Image.fromarray(np.concatenate((RAMP, alpha), 2))))
    assert image.shape == (1, 2, 3, 3)
    assert torch.equal(mask, 1 - torch.tensor(alpha[None, ..., 0]).float() / 255)


def test_a_transparent_palette_entry_becomes_the_mask(call: Call, inputs: Inputs):
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.putpixel((1, 0), 1)
    image, mask = call("LoadImage", image=store(inputs, picture, "p.png", transparency=0))
    assert image[0, 0].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert mask[0, 0].tolist() == [1, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright_by_their_exif_orientation(call: Call, inputs: Inputs, orientation: int):
    upright = np.zeros((2, 3, 3), dtype=np.uint8)
    upright[0, 0] = 255
    turned = {  # how a camera stores an upright picture under each orientation (EXIF 2.32, tag 274)
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    image, _ = call("LoadImage", image=store(inputs, Image.fromarray(np.ascontiguousarray(turned)), exif=exif))
    assert torch.equal(image[0], torch.tensor(upright).float() / 255)


def test_an_animation_becomes_a_batch_without_frames_of_another_size(call: Call, inputs: Inputs):
    frames = [Image.new("RGB", (4, 2), color) for color in ("red", "lime", "blue")]
    name = store(inputs, frames[0], "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    image, mask = call("LoadImage", image=name)
    assert image.shape == (3, 2, 4, 3)
    assert image[:, 0, 0].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert len(mask) == 3


def test_of_a_multi_picture_file_only_the_first_is_read(call: Call, inputs: Inputs):
    frames = [Image.new("RGB", (16, 16), color) for color in ("white", "black")]
    image, _ = call("LoadImage", image=store(inputs, frames[0], "a.mpo", save_all=True, append_images=frames[1:]))
    assert len(image) == 1
    assert image.min() > 0.98


def test_sixteen_bit_grey_keeps_its_precision(call: Call, inputs: Inputs):
    levels = np.array([[0, 257, 30000, 65535]], dtype=np.uint16)
    image, _ = call("LoadImage", image=store(inputs, Image.fromarray(levels)))
    assert torch.allclose(image[0, 0, :, 1], torch.tensor(levels[0].astype(np.float32) / 65535), atol=1e-7)
    assert image.shape == (1, 1, 4, 3)


@pytest.mark.parametrize(("mode", "format"), [("L", "png"), ("1", "png"), ("LA", "png"), ("CMYK", "jpg"), ("P", "gif")])
def test_every_colour_mode_becomes_rgb(call: Call, inputs: Inputs, mode: str, format: str):
    picture = Image.new("RGB", (4, 4), "white").convert(mode)
    image, _ = call("LoadImage", image=store(inputs, picture, f"a.{format}"))
    assert image.shape == (1, 4, 4, 3)
    assert image.min() > 0.98


def test_a_file_that_is_no_picture_is_named(call: Call, inputs: Inputs):
    (inputs.root("input") / "a.png").write_text("hello")
    with pytest.raises(ValueError, match=r"a\.png is not a picture"):
        call("LoadImage", image="a.png")


def test_a_truncated_picture_is_refused(call: Call, inputs: Inputs):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = inputs.root("input") / store(inputs, Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"a\.png cannot be read as a picture"):
        call("LoadImage", image="a.png")


def test_a_missing_file_says_where_it_was_looked_for(call: Call):
    with pytest.raises(FileNotFoundError, match=r"no file 'gone\.png' in the input folder"):
        call("LoadImage", image="gone.png")


def test_the_name_of_another_folder_can_be_given(call: Call, outputs: Outputs):
    outputs.output.mkdir()
    Image.new("RGB", (2, 2), "white").save(outputs.output / "b.png")
    assert call("LoadImage", image="b.png [output]")[0].min() == 1
    assert call("LoadImageOutput", image="b.png")[0].min() == 1


@pytest.mark.parametrize(("channel", "expected"), [("red", 1), ("green", 51 / 255), ("blue", 0), ("alpha", 0.8)])
def test_one_channel_of_a_picture_becomes_a_mask(call: Call, inputs: Inputs, channel: str, expected: float):
    name = store(inputs, Image.new("RGBA", (3, 2), (255, 51, 0, 51)))
    mask = call("LoadImageMask", image=name, channel=channel)
    assert mask.shape == (1, 2, 3)
    assert torch.allclose(mask, torch.full_like(mask, expected))


def test_a_picture_is_its_content_not_its_date(inputs: Inputs):
    name = store(inputs, Image.new("RGB", (2, 2), "white"))
    sign = load_image.spec.fingerprint
    assert sign is not None
    first = sign(image=name, inputs=inputs)
    (inputs.root("input") / name).touch()
    assert sign(image=name, inputs=inputs) == first
    store(inputs, Image.new("RGB", (2, 2), "black"))
    assert sign(image=name, inputs=inputs) != first


def read_png(path: Path) -> tuple[np.ndarray[Any, Any], dict[str, str]]:
    with Image.open(path) as picture:
        return np.asarray(picture), picture.text  # pyright: ignore[reportAttributeAccessIssue]  # PNG pictures have it


def test_a_saved_picture_holds_its_pixels_and_the_graph_that_made_it(call: Call, run: FakeRun, outputs: Outputs):
    shown = call("SaveImage", images=torch.tensor(RAMP)[None].float() / 255, filename_prefix="a/b")
    assert shown == {"images": [{"filename": "b_00001_.png", "subfolder": "a", "type": "output"}]}
    pixels, texts = read_png(outputs.output / "a" / "b_00001_.png")
    assert (pixels == RAMP).all()
    assert list(texts) == ["prompt", "workflow", "note"]
    assert json.loads(texts["prompt"]) == run.prompt
    assert json.loads(texts["note"]) == "x"
    assert texts["prompt"].isascii()
    data = (outputs.output / "a" / "b_00001_.png").read_bytes()
    assert data.count(b"tEXt") == 3
    assert data.index(b"tEXt") < data.index(b"IDAT")


def test_values_are_clipped_and_cut_to_eight_bits(call: Call, outputs: Outputs):
    values = torch.tensor([-1, 0, 0.5, 0.999, 1, 7]).reshape(1, 1, 6, 1).expand(1, 1, 6, 3)
    call("SaveImage", images=values, filename_prefix="x")
    assert read_png(outputs.output / "x_00001_.png")[0][0, :, 0].tolist() == [0, 0, 127, 254, 255, 255]


def test_a_picture_with_alpha_is_saved_with_it(call: Call, outputs: Outputs):
    call("SaveImage", images=torch.full((1, 2, 2, 4), 0.2), filename_prefix="x")
    with Image.open(outputs.output / "x_00001_.png") as picture:
        assert picture.mode == "RGBA"
        assert picture.getpixel((0, 0)) == (51, 51, 51, 51)


def test_numbers_go_on_over_batches_and_runs(call: Call):
    names = [e["filename"] for _ in "ab" for e in call("SaveImage", images=torch.zeros(2, 4, 4, 3))["images"]]
    assert names == [f"ComfyUI_0000{n}_.png" for n in (1, 2, 3, 4)]


def test_sizes_and_batch_positions_can_stand_in_the_name(call: Call):
    shown = call("SaveImage", images=torch.zeros(2, 4, 6, 3), filename_prefix="%width%x%height%_%batch_num%")
    assert [e["filename"] for e in shown["images"]] == ["6x4_0_00001_.png", "6x4_1_00002_.png"]


def test_nothing_about_the_graph_is_written_when_that_is_switched_off(
    call: Call, given: dict[str, Any], tmp_path: Path
):
    given["outputs"] = Outputs(tmp_path / "output", tmp_path / "temp", disable_metadata=True)
    call("SaveImage", images=torch.zeros(1, 4, 4, 3), filename_prefix="x")
    assert read_png(tmp_path / "output" / "x_00001_.png")[1] == {}


def test_a_prefix_that_leaves_the_output_folder_is_refused(call: Call):
    with pytest.raises(ValueError, match="leaves its folder"):
        call("SaveImage", images=torch.zeros(1, 4, 4, 3), filename_prefix="../x")


def test_a_picture_of_not_a_number_is_refused(call: Call):
    with pytest.raises(ValueError, match="NaN"):
        call("SaveImage", images=torch.full((1, 4, 4, 3), float("nan")), filename_prefix="x")


def test_previews_go_to_the_temporary_folder(call: Call, outputs: Outputs):
    shown = call("PreviewImage", images=torch.zeros(1, 4, 4, 3))["images"][0]
    assert shown["type"] == "temp"
    assert shown["filename"].startswith("ComfyUI_temp_")
    assert (outputs.temp / shown["filename"]).is_file()


def test_a_mask_is_shown_as_a_grey_picture(call: Call, outputs: Outputs):
    shown = call("MaskPreview", mask=torch.full((1, 4, 4), 0.2))["images"][0]
    pixels, _ = read_png(outputs.temp / shown["filename"])
    assert pixels.shape == (4, 4, 3)
    assert (pixels == 51).all()


def test_saving_stops_between_pictures_when_the_job_is_interrupted(call: Call, run: FakeRun, outputs: Outputs):
    run.stopped = True
    with pytest.raises(JobInterrupted):
        call("SaveImage", images=torch.zeros(3, 4, 4, 3))
    assert not list(outputs.output.glob("*.png"))


def test_what_is_saved_can_be_loaded_again_unchanged(call: Call, inputs: Inputs):
    picture = torch.randint(0, 256, (1, 5, 7, 3), generator=torch.Generator().manual_seed(0)).float() / 255
    call("SaveImage", images=picture, filename_prefix="x")
    loaded, _ = call("LoadImage", image="x_00001_.png [output]")
    assert torch.equal((loaded * 255).round(), (picture * 255).floor())


def test_a_picture_can_be_read_from_memory():
    from diffusion.images.codec import read_picture

    buffer = BytesIO()
    Image.new("RGB", (2, 2), "white").save(buffer, "PNG")
    buffer.seek(0)
    assert read_picture(buffer, "it").pixels.min() == 1


def picture_that_claims(width: int, height: int) -> bytes:
    """A BMP whose header says how large it is, and which ends there."""
    data = bytearray(b"BM" + bytes(52))
    data[10:18] = (54).to_bytes(4, "little") + (40).to_bytes(4, "little")
    data[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    data[26:30] = (1).to_bytes(2, "little") + (24).to_bytes(2, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("width", "height", "words"),
    [
        (16_000, 8_000, "cannot be read"),  # 128 million pixels, which are not there
        (16_001, 8_000, "128,008,000|over the limit"),
        (32_768, 33, "cannot be read"),
        (32_769, 33, "over the limit"),
        (1000, 1, "cannot be read"),
        (1001, 1, "longer than"),
    ],
)
def test_what_a_picture_claims_is_looked_at_before_it_is_decoded(
    inputs: Inputs, call: Call, width: int, height: int, words: str, recwarn: pytest.WarningsRecorder
):
    (inputs.root("input") / "claims.bmp").write_bytes(picture_that_claims(width, height))
    with pytest.raises(ValueError, match=words):
        call("LoadImage", image="claims.bmp")


@pytest.mark.parametrize(("frames", "fine"), [(511, True), (512, True), (513, False)])
def test_an_animation_may_have_so_many_frames(inputs: Inputs, call: Call, frames: int, fine: bool):
    name = store(
        inputs, Image.new("L", (2, 2)), "a.tiff", save_all=True, append_images=[Image.new("L", (2, 2))] * (frames - 1)
    )
    if fine:
        assert len(call("LoadImage", image=name)[0]) == frames
        return
    with pytest.raises(ValueError, match="more than 512 frames"):
        call("LoadImage", image=name)
