"""Whatever bytes a file has, it opens or is refused; nothing else happens."""

import io
import math
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.read import open_checkpoint

WHOLE = save({"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.float16)}, {"x": "y"})
HEADER = 8 + struct.unpack("<Q", WHOLE[:8])[0]

# The folder is one for all examples; each writes its file anew.
fuzz = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def pickled(legacy: bool) -> bytes:
    buffer = io.BytesIO()
    tensors = {"state_dict": {"a": torch.arange(6.0), "b": torch.ones(4, dtype=torch.float16)}, "epoch": 3}
    torch.save(tensors, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


PICKLES = {legacy: pickled(legacy) for legacy in (False, True)}


def opened_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        weights = open_checkpoint(path).weights
    except CheckpointError:
        return
    for name, shape in weights.shapes.items():
        assert tuple(weights[name].shape) == shape
        assert weights[name].numel() == math.prod(shape)


@fuzz
@given(place=st.integers(0, HEADER - 1), byte=st.integers(0, 255), cut=st.integers(0, 40))
def test_changed_headers(tmp_path: Path, place: int, byte: int, cut: int):
    content = bytearray(WHOLE)
    content[place] = byte
    opened_or_refused(tmp_path / "m.safetensors", bytes(content[: len(content) - cut]))


@fuzz
@given(header=st.binary(max_size=80), data=st.binary(max_size=16))
def test_any_header(tmp_path: Path, header: bytes, data: bytes):
    opened_or_refused(tmp_path / "m.safetensors", struct.pack("<Q", len(header)) + header + data)


# torch warns of odd but harmless protocols before it refuses them.
@pytest.mark.filterwarnings("ignore::UserWarning:torch")
@pytest.mark.parametrize("legacy", [False, True])
@fuzz
@given(changes=st.lists(st.tuples(st.integers(0, 2**31), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_pickles(tmp_path: Path, legacy: bool, changes: list[tuple[int, int]]):
    content = bytearray(PICKLES[legacy])
    for place, byte in changes:
        content[place % len(content)] = byte
    opened_or_refused(tmp_path / "m.pt", bytes(content))
