"""VIDEO and AUDIO as packs handle them: objects that may still lie in their files."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch

from compat import sound
from compat.sound import NeedsAv, encode_sound
from tests.compat.test_schema_nodes import Bench


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    Bench(tmp_path_factory.mktemp("installation"))  # makes the names importable
    namespace: dict[str, Any] = {}
    exec(
        "from comfy_api.latest import InputImpl, Types\n"
        "from comfy_api.input import AudioInput, ImageInput, VideoInput\n"
        "from comfy_api.input_impl import VideoFromComponents, VideoFromFile\n"
        "from comfy_api.util import VideoCodec, VideoComponents, VideoContainer",
        namespace,
    )
    return namespace


def moving(frames: int = 6) -> torch.Tensor:
    """A grey that grows from frame to frame."""
    return torch.linspace(0.1, 0.9, frames)[:, None, None, None].expand(-1, 33, 48, 3).contiguous()


def tone(seconds: float = 0.5, rate: int = 16000) -> dict[str, Any]:
    t = torch.arange(int(seconds * rate)) / rate
    return {"waveform": (0.5 * torch.sin(2 * torch.pi * 440 * t))[None, None].repeat(1, 2, 1), "sample_rate": rate}


def test_a_video_comes_back_from_its_file(api: dict[str, Any], tmp_path: Path):
    images = moving()
    made = api["InputImpl"].VideoFromComponents(api["Types"].VideoComponents(images, Fraction(12), tone()))
    assert (made.get_dimensions(), made.get_duration()) == ((48, 33), 0.5)
    made.save_to(str(tmp_path / "a.mp4"), api["VideoContainer"].MP4, api["VideoCodec"].H264, {"workflow": {"id": 1}})
    video = api["VideoFromFile"](str(tmp_path / "a.mp4"))
    assert isinstance(video, api["VideoInput"])
    assert video.get_dimensions() == (48, 32), "colour is stored by pairs of rows"
    assert (video.get_frame_count(), video.get_frame_rate()) == (6, 12)
    assert video.get_duration() == pytest.approx(0.5, abs=0.05)
    assert "mp4" in video.get_container_format()
    back = video.get_components()
    assert back.frame_rate == 12
    assert back.metadata["workflow"] == {"id": 1}
    # 8 bits, limited range and a lossy codec: a few levels of 255.
    assert (back.images - images[:, :32]).abs().max() < 0.03
    assert back.audio["sample_rate"] == 16000
    assert back.audio["waveform"].shape[:2] == (1, 2)
    assert back.audio["waveform"].shape[2] / 16000 == pytest.approx(0.5, abs=0.1)


def test_a_video_goes_through_a_buffer(api: dict[str, Any]):
    made = api["VideoFromComponents"](api["VideoComponents"](moving(3), Fraction(8)))
    source = made.get_stream_source()
    assert isinstance(source, BytesIO)
    back = api["VideoFromFile"](source).get_components()
    assert back.images.shape == (3, 32, 48, 3)
    assert back.audio is None
    assert api["VideoContainer"].get_extension("auto") == "mp4"


@pytest.mark.parametrize(("format", "begins"), [("wav", b"RIFF"), ("flac", b"fLaC"), ("mp3", b""), ("opus", b"OggS")])
def test_sound_is_written_in_the_format_asked_for(format: str, begins: bytes):
    import av

    audio = tone()
    data = encode_sound(audio["waveform"][0], 16000, format, "64k", {"prompt": {"1": 2}})
    assert data.startswith(begins)
    with av.open(BytesIO(data), "r") as container:
        (stream,) = container.streams.audio
        frames = [frame.to_ndarray() for frame in container.decode(stream)]
        seconds = sum(frame.shape[-1] if stream.format.is_planar else frame.shape[-1] / 2 for frame in frames)
        assert seconds / stream.rate == pytest.approx(0.5, abs=0.1)


def test_an_unknown_format_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"wav, flac, mp3, opus; got 'midi'"):
        encode_sound(tone()["waveform"][0], 16000, "midi")


def test_without_pyav_the_error_says_what_to_install(api: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(sound.importlib, "import_module", missing)
    with pytest.raises(NeedsAv, match=r"reading a video needs PyAV.*pip install av"):
        api["VideoFromFile"]("a.mp4").get_dimensions()
