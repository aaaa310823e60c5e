"""Weights files of every container open to the same names, shapes and values."""

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from diffusion.checkpoints.read import open_checkpoint

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "b.weight": torch.randn(3, 1).to(torch.bfloat16),
    "marker": torch.empty(0),
    "scale": torch.tensor(2.5),
    "ids": torch.arange(4),
}


def assert_same(found: Any, expected: dict[str, torch.Tensor]) -> None:
    assert found.shapes == {name: tuple(tensor.shape) for name, tensor in expected.items()}
    assert found.dtypes == {name: tensor.dtype for name, tensor in expected.items()}
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_safetensors_file_gives_names_shapes_values_and_metadata(tmp_path: Path):
    save_file(TENSORS, tmp_path / "m.safetensors", metadata={"author": "us"})
    opened = open_checkpoint(tmp_path / "m.safetensors")
    assert_same(opened.weights, TENSORS)
    assert opened.metadata == {"author": "us"}


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_eight_bit_floats_are_kept_as_they_are(tmp_path: Path, dtype: torch.dtype):
    save_file({"w": torch.ones(4).to(dtype)}, tmp_path / "m.safetensors")
    assert open_checkpoint(tmp_path / "m.safetensors").weights["w"].dtype == dtype


def test_tensors_are_mapped_not_copied_and_writing_to_one_leaves_the_file_alone(tmp_path: Path):
    save_file({"a": torch.zeros(1000), "b": torch.zeros(1000)}, tmp_path / "m.safetensors")
    opened = open_checkpoint(tmp_path / "m.safetensors").weights
    first, second = opened["a"], opened["b"]
    # As far apart in memory as in the file: both are views of one mapping.
    assert abs(second.data_ptr() - first.data_ptr()) == 4000
    first.fill_(7)
    assert open_checkpoint(tmp_path / "m.safetensors").weights["a"].sum() == 0


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: tensors,
        lambda tensors: {"state_dict": tensors, "epoch": 3, "global_step": 7},
        lambda tensors: {"model": tensors},
        lambda tensors: {"params_ema": tensors, "params": {"a": torch.ones(1)}},
        lambda tensors: {"checkpoint": {"state_dict": tensors}},
    ],
)
@pytest.mark.parametrize("extension", [".ckpt", ".pt", ".pth", ".bin"])
def test_pickles_are_unwrapped(tmp_path: Path, wrap: Any, extension: str, legacy: bool):
    path = tmp_path / f"m{extension}"
    torch.save(wrap({**TENSORS, "step": 3}), path, _use_new_zipfile_serialization=not legacy)
    assert_same(open_checkpoint(path).weights, TENSORS)


def test_training_leftovers_in_published_checkpoints_do_not_stop_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = types.ModuleType(name)
    leftover = type("ModelCheckpoint", (), {"__module__": name})
    module.ModelCheckpoint = leftover  # pyright: ignore[reportAttributeAccessIssue]  # a module made here
    for part in ("pytorch_lightning", "pytorch_lightning.callbacks", name):
        monkeypatch.setitem(sys.modules, part, module)
    callback: Any = leftover()
    callback.best = 3
    torch.save({"state_dict": TENSORS, "callbacks": {leftover: {"best": 1}}, "one": callback}, tmp_path / "m.ckpt")
    assert_same(open_checkpoint(tmp_path / "m.ckpt").weights, TENSORS)


def test_numpy_numbers_in_published_checkpoints_do_not_stop_the_reading(tmp_path: Path):
    import numpy as np

    torch.save({"state_dict": TENSORS, "best": np.float64(0.5)}, tmp_path / "m.ckpt")
    assert_same(open_checkpoint(tmp_path / "m.ckpt").weights, TENSORS)


def test_a_safetensors_file_under_an_old_extension_is_read(tmp_path: Path):
    save_file(TENSORS, tmp_path / "m.ckpt")
    assert_same(open_checkpoint(tmp_path / "m.ckpt").weights, TENSORS)


def test_shards_are_read_as_one(tmp_path: Path):
    save_file({"a": TENSORS["a"]}, tmp_path / "m-1.safetensors")
    save_file({"ids": TENSORS["ids"]}, tmp_path / "m-2.safetensors")
    index = {"weight_map": {"a": "m-1.safetensors", "ids": "m-2.safetensors"}}
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps(index))
    assert_same(open_checkpoint(tmp_path / "m.safetensors.index.json").weights, {n: TENSORS[n] for n in ("a", "ids")})


def test_a_missing_file_is_a_missing_file(tmp_path: Path):
    for name in ("m.safetensors", "m.ckpt"):
        with pytest.raises(FileNotFoundError):
            open_checkpoint(tmp_path / name)
