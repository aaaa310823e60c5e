"""Whole jobs, as a worker runs them, on a pretend card."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from diffusion.families.sd15 import SD15
from diffusion.memory.pretend import PretendDevice
from execution.engine import GraphEngine
from execution.events import Event, Succeeded
from execution.job import Job
from launch import engine as worker
from launch.arguments import parse_serve
from launch.folders import folders_of
from tests.diffusion.tiny import tiny

Build = Callable[..., tuple[GraphEngine, PretendDevice]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    checkpoints = folder / "models" / "checkpoints"
    checkpoints.mkdir(parents=True)
    for seed, name in enumerate(("first", "second")):
        save_file(tiny(SD15, seed).checkpoint(), checkpoints / f"{name}.safetensors")
    return folder


@pytest.fixture
def build(base: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """A worker's engine on a card of so many bytes."""
    devices: list[PretendDevice] = []

    def make(capacity: int) -> tuple[GraphEngine, PretendDevice]:
        devices.append(PretendDevice(capacity))
        monkeypatch.setattr(worker, "card", lambda settings: devices[-1])
        settings = parse_serve(["--base-directory", str(base), "--reserve-vram", "0"], base)
        return worker.build_engine(settings, folders_of(settings.paths)), devices[-1]

    yield make
    for device in devices:
        device.close()


def picture(name: str, seed: int, size: int = 64) -> dict[str, Any]:
    sampling = {"seed": seed, "steps": 2, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    return {
        "3": {"class_type": "KSampler", "inputs": sampling | links},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": f"{name}.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": size, "height": size, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a star", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "x"}},
    }


def run(engine: GraphEngine, graph: dict[str, Any]) -> Succeeded:
    events: list[Event] = []
    ending = engine.run(Job("job", 0, graph, ("9",)), events.append, lambda: False)
    assert isinstance(ending, Succeeded), ending
    return ending


def test_another_seed_and_a_switch_between_models_that_fit_move_nothing(build: Build):
    engine, device = build(2**30)
    run(engine, picture("first", seed=1))
    moved = device.ledger.moved
    assert moved > 2**20
    run(engine, picture("first", seed=2))
    assert device.ledger.moved == moved
    run(engine, picture("second", seed=1))
    moved = device.ledger.moved
    run(engine, picture("first", seed=3))
    run(engine, picture("second", seed=4))
    assert device.ledger.moved == moved


def test_what_was_done_for_want_of_memory_stands_in_the_result(build: Build):
    engine, device = build(40 * 2**20)
    ending = run(engine, picture("first", seed=1, size=384))
    [decoded] = [note for note in ending.notes if note.startswith("VAE decode in ")]
    assert decoded.endswith(" free")
    assert device.used() <= device.capacity


def test_memory_says_which_models_are_where_and_freeing_gives_it_back(build: Build):
    engine, device = build(2**30)
    run(engine, picture("first", seed=1))
    said = engine.memory()
    assert said["device"]["capacity"] == 2**30
    names = {model["name"] for model in said["models"]}
    assert names >= {"SD 1.x network of first.safetensors", "VAE of first.safetensors"}
    on_the_card = sum(model["bytes"]["device"] for model in said["models"])
    assert on_the_card > 2**20
    engine.free(unload_models=True, free_memory=False)
    assert [model["bytes"]["device"] for model in engine.memory()["models"]] == [0] * len(engine.memory()["models"])
    engine.free(unload_models=True, free_memory=True)
    assert device.used() == 0  # results count on this card, which is the CPU
