"""The pretend card: it counts as an allocator does, and its time is arithmetic."""

import gc
import threading

import pytest
import torch
from torch import nn

from diffusion.memory.device import is_out_of_memory
from diffusion.memory.pretend import PretendDevice

MB = 2**20


@pytest.fixture
def matrix() -> torch.Tensor:
    return torch.randn(512, 512)  # 1 MB


def test_what_a_computation_makes_is_counted_until_it_is_gone(matrix: torch.Tensor):
    device = PretendDevice(8 * MB)
    with torch.inference_mode(), device.computing() as watch:
        first = matrix @ matrix
        second = first + 1
        assert device.used() == 2 * MB
        view = second.t()[:100]
        del first, second
        assert device.used() == MB  # the view keeps its memory
        del view
        assert device.used() == 0
        assert watch.peak == 2 * MB


def test_one_byte_too_many_is_out_of_memory_and_is_never_held(matrix: torch.Tensor):
    device = PretendDevice(2 * MB + MB // 2)
    with device.computing() as watch:
        kept = [matrix + 1, matrix + 2]
        with pytest.raises(torch.OutOfMemoryError, match="1048576 bytes wanted, 524288 of 2621440 are free") as caught:
            kept.append(matrix + 3)
        assert is_out_of_memory(caught.value)
        assert watch.peak == device.used() == 2 * MB
    del kept
    gc.collect()
    assert device.used() == 0


def test_uploads_are_counted_from_their_beginning_and_copied_in_a_thread(matrix: torch.Tensor):
    device = PretendDevice(2 * MB)
    here = [matrix, matrix[:256]]
    upload = device.upload(here)
    assert device.used() == MB + MB // 2
    assert all(torch.equal(a, b) and a is not b for a, b in zip(upload.wait(), here, strict=True))
    with pytest.raises(torch.OutOfMemoryError):
        device.upload([matrix])
    assert any("pretend stream" in thread.name for thread in threading.enumerate())
    del upload
    assert (device.used(), device.ledger.moved) == (0, MB + MB // 2)
    device.close()


def test_uploads_and_computations_overlap_in_time(matrix: torch.Tensor):
    device = PretendDevice(64 * MB, link=1e6, flops=1e9)
    upload_seconds, multiply_seconds = matrix.nbytes / 1e6, 2 * 512**3 / 1e9
    with device.computing():
        first, second = device.upload([matrix]), device.upload([matrix])
        _ = matrix @ matrix
        assert device.clock.now == pytest.approx(multiply_seconds)
        first.wait()
        assert device.clock.now == pytest.approx(upload_seconds)
        _ = matrix @ matrix
        second.wait()
        assert device.clock.now == pytest.approx(2 * upload_seconds)  # they go over the link one after the other


def test_layers_take_their_operations_in_time():
    device = PretendDevice(64 * MB, flops=1e9)
    x = torch.randn(1, 8, 16, 16)
    with torch.inference_mode(), device.computing():
        nn.Conv2d(8, 4, 3, padding=1)(x)
    assert device.clock.now == pytest.approx(2 * 16 * 16 * 8 * 4 * 9 / 1e9)
