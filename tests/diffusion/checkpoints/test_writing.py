"""What is written is read again as it was, and a file is never seen half written."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from diffusion.checkpoints.read import open_checkpoint
from diffusion.checkpoints.write import save_checkpoint, save_text_encoder, save_vae, write_safetensors
from diffusion.families.prediction import BetaSchedule, EdmSchedule, PredictionSpec
from diffusion.families.sd2 import SD2
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL, SDXL_REFINER
from diffusion.patches.lora.apply import LoraPatch
from diffusion.store import Loaded, ModelStore, Precision
from tests.diffusion.tiny import tiny

AS_IS = Precision(None, None, None)


def loaded(path: Path, family: Any) -> Loaded:
    write_safetensors(path, tiny(family).checkpoint(), {"author": "us"})
    return ModelStore(AS_IS).checkpoint(path)


@pytest.mark.parametrize("family", [SD15, SD2, SDXL, SDXL_REFINER], ids=lambda family: family.name)
@pytest.mark.parametrize("dtype", [None, torch.float16])
def test_a_checkpoint_read_written_and_read_is_the_same_file(tmp_path: Path, family: Any, dtype: torch.dtype | None):
    first = loaded(tmp_path / "first.safetensors", family)
    save_checkpoint(tmp_path / "second.safetensors", *first, metadata={"author": "them"}, dtype=dtype)
    before, after = open_checkpoint(tmp_path / "first.safetensors"), open_checkpoint(tmp_path / "second.safetensors")
    assert after.metadata["author"] == "them"
    assert after.weights.shapes == before.weights.shapes
    for name, tensor in before.weights.items():
        assert torch.equal(after.weights[name], tensor.to(dtype or tensor.dtype)), name


def test_patches_are_written_into_the_weights(tmp_path: Path):
    model = loaded(tmp_path / "first.safetensors", SD15).model
    one = {"diff_b": torch.ones(32)}
    patch = LoraPatch("l", ("l",), "network", 2.0, {"input_blocks.0.0.bias": (one,)})
    save_checkpoint(tmp_path / "second.safetensors", model.with_patches(patch))
    found = open_checkpoint(tmp_path / "second.safetensors").weights["model.diffusion_model.input_blocks.0.0.bias"]
    torch.testing.assert_close(found, model.network.state_dict()["input_blocks.0.0.bias"] + 2)


@pytest.mark.parametrize(
    "prediction",
    [
        PredictionSpec("eps", BetaSchedule()),
        PredictionSpec("v", BetaSchedule()),
        PredictionSpec("v", BetaSchedule(zero_terminal_snr=True)),
        PredictionSpec("v", EdmSchedule(0.002, 120.0)),
    ],
)
def test_what_an_sdxl_model_predicts_is_written_with_it(tmp_path: Path, prediction: PredictionSpec):
    model = loaded(tmp_path / "first.safetensors", SDXL).model.with_prediction(prediction)
    save_checkpoint(tmp_path / "second.safetensors", model)
    again = ModelStore(AS_IS).checkpoint(tmp_path / "second.safetensors").model.prediction
    assert again.kind == prediction.kind
    assert replace(again, schedule=prediction.schedule) == prediction
    assert type(again.schedule) is type(prediction.schedule)
    assert getattr(again.schedule, "zero_terminal_snr", None) == getattr(prediction.schedule, "zero_terminal_snr", None)


def test_parts_are_written_alone_and_read_again(tmp_path: Path):
    store, first = ModelStore(AS_IS), loaded(tmp_path / "first.safetensors", SD15)
    assert first.text_encoders
    assert first.autoencoder
    save_text_encoder(tmp_path / "text.safetensors", first.text_encoders, "clip_l")
    save_vae(tmp_path / "vae.safetensors", first.autoencoder)
    pairs = [
        (
            store.text_encoders([tmp_path / "text.safetensors"]).networks["clip_l"],
            first.text_encoders.networks["clip_l"],
        ),
        (store.vae(tmp_path / "vae.safetensors").network, first.autoencoder.network),
    ]
    for again, before in pairs:
        assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in before.state_dict().items())


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "m.safetensors"
    write_safetensors(path, {"a": torch.ones(2)})
    old = path.read_bytes()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_safetensors(path, {"a": torch.zeros(2)})
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_shared_and_turned_tensors_are_written(tmp_path: Path):
    fused = torch.arange(12.0).reshape(6, 2)
    first, second, third = fused.chunk(3)
    tied = {"first": fused, "again": fused}
    write_safetensors(tmp_path / "m.safetensors", {"a": first, "b": second, "c": third.T, **tied})
    found = open_checkpoint(tmp_path / "m.safetensors").weights
    assert torch.equal(found["b"], second)
    assert torch.equal(found["c"], third.T)
    assert torch.equal(found["again"], fused)
