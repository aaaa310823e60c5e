"""Results as files: what is read is what was written."""

from typing import Any

import pytest
import torch

from nodes.kept import CannotKeep, may_keep, read, write


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@pytest.mark.parametrize(
    "slots",
    [
        [[torch.rand(1, 4, 4, 3)]],
        [[torch.rand(1, 4, 4, 3)], [torch.rand(1, 4, 4)], ["text", 5, 2.5, True, None]],
        [[{"samples": torch.rand(1, 4, 2, 2).half(), "noise_mask": torch.ones(1, 1, 2, 2), "batch_index": [0, 1]}]],
        [[[[torch.rand(1, 77, 8), {"pooled_output": torch.rand(1, 8), "area": (8, 8, 0, 0), "strength": 0.5}]]]],
        [[["tensor", "0", "cpu"], torch.zeros(2, dtype=torch.bfloat16)]],
        [[torch.zeros(0, 3), torch.tensor(5), torch.arange(6).reshape(2, 3).T]],
        [[float("inf"), 2**70, "\ud800 ümläut"], []],
    ],
)
def test_what_is_read_is_what_was_written(slots: Any):
    assert same(read(write(slots)), slots)


def test_a_view_does_not_bring_the_whole_along_nor_share_it():
    whole = torch.rand(1000, 100)
    data = write([[whole[:1], whole[:1], whole[1:2]]])
    assert len(data) < 10_000
    (slot,) = read(data)
    slot[0].zero_()
    assert same(slot[1], whole[:1])


def test_results_made_for_inference_can_be_changed_after_they_were_read():
    with torch.inference_mode():
        data = write([[torch.ones(2)]])
    read(data)[0][0].add_(1)


@pytest.mark.parametrize("value", [object(), {1: 2}, {"model": [torch.nn.Linear(1, 1)]}, torch.nn.Linear(1, 1), {1, 2}])
def test_what_is_no_plain_value_is_not_kept(value: Any):
    with pytest.raises(CannotKeep):
        write([[value]])


def test_weights_and_what_is_cheap_are_not_kept():
    assert may_keep(["LATENT"])
    assert may_keep(["IMAGE", "MASK", "INT"])
    assert not may_keep(["INT"])
    assert not may_keep(["MODEL", "CLIP", "VAE"])
    assert not may_keep(["IMAGE", "MODEL"])
    assert not may_keep([("a", "b"), "IMAGE"])
    assert not may_keep([])


@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}", b"\x10\0\0\0\0\0\0\0[1]"])
def test_what_is_no_kept_result_is_said_to_be_none(data: bytes):
    with pytest.raises(ValueError, match="not a kept result"):
        read(data)


def test_nothing_that_is_read_can_run():
    """A kept result holds tensors and plain values; a tree that says otherwise is refused."""
    from safetensors.torch import save

    for tree in ('["object", "os.system"]', '["tensor", 0, 0]', '[["dict", []]]'):
        with pytest.raises(ValueError, match="not a kept result"):
            read(save({}, {"tree": tree}))
