"""Animations and drawings: files read back by PIL and an XML parser."""

import json
from io import BytesIO
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image, ImageSequence

from storage.outputs import Outputs
from tests.nodes.conftest import Call, FakeRun

FRAMES = torch.tensor([0.0, 0.4, 1.0])[:, None, None, None].expand(3, 8, 10, 3)


def test_a_moving_png_holds_its_frames_rate_and_graph(call: Call, run: FakeRun, outputs: Outputs):
    shown = call("SaveAnimatedPNG", images=FRAMES, filename_prefix="x", fps=8.0, compress_level=4)
    assert shown["animated"] == (True,)
    path = outputs.output / shown["images"][0]["filename"]
    with Image.open(path) as picture:
        frames = [
            (frame.convert("RGB").getpixel((0, 0)), frame.info["duration"]) for frame in ImageSequence.Iterator(picture)
        ]
    assert frames == [((0, 0, 0), 125), ((102, 102, 102), 125), ((255, 255, 255), 125)]
    data = path.read_bytes()
    chunk = b"comfprompt\0" + json.dumps(run.prompt).encode("latin-1")
    assert data.index(b"IDAT") < data.index(chunk)
    assert b"comfworkflow\0" in data


@pytest.mark.parametrize("method", ["default", "fastest", "slowest"])
def test_a_moving_webp_holds_its_frames_rate_and_graph(call: Call, run: FakeRun, outputs: Outputs, method: str):
    sent = {"filename_prefix": "x", "fps": 8.0, "lossless": True, "quality": 80, "method": method}
    shown = call("SaveAnimatedWEBP", images=FRAMES, **sent)
    with Image.open(outputs.output / shown["images"][0]["filename"]) as picture:
        exif = picture.getexif()
        frames = [frame.convert("RGB").getpixel((0, 0)) for frame in ImageSequence.Iterator(picture)]
    assert frames == [(0, 0, 0), (102, 102, 102), (255, 255, 255)]
    assert exif[0x0110] == "prompt:" + json.dumps(run.prompt)
    assert exif[0x010F].startswith("workflow:")
    assert exif[0x010E] == 'note:"x"'


def test_lossy_webp_is_smaller(call: Call, outputs: Outputs):
    noise = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    sizes: list[int] = []
    for lossless in (True, False):
        sent = {"filename_prefix": "x", "fps": 8.0, "lossless": lossless, "quality": 10, "method": "default"}
        shown = call("SaveAnimatedWEBP", images=noise, **sent)
        sizes.append((outputs.output / shown["images"][0]["filename"]).stat().st_size)
    assert sizes[1] < sizes[0] / 2


def test_a_drawing_keeps_its_content_and_gets_the_graph(call: Call, run: FakeRun, outputs: Outputs):
    drawing = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" a=">"><rect/></svg>'
    run.extra = {"extra_pnginfo": {"workflow": "a ]]> b"}}
    shown = call("SaveSVGNode", svg=SimpleNamespace(data=[BytesIO(drawing), BytesIO(drawing)]), filename_prefix="d/x")
    assert [e["filename"] for e in shown["images"]] == ["x_00001_.svg", "x_00002_.svg"]
    root = ElementTree.parse(outputs.output / "d" / "x_00001_.svg").getroot()
    assert [child.tag.split("}")[1] for child in root] == ["metadata", "rect"]
    assert json.loads(root[0].text or "") == {"prompt": run.prompt, "workflow": "a ]]> b"}


def test_what_is_no_drawing_is_refused(call: Call):
    with pytest.raises(ValueError, match="expected an SVG drawing"):
        call("SaveSVGNode", svg=SimpleNamespace(data=[BytesIO(b"hello")]))
