"""Words go in over HTTP and a picture comes out, by the graph that people share."""

import struct
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import save_file

from benchmarks.random_checkpoint import write
from diffusion.families.sd15 import SD15
from tests.diffusion.tiny import tiny
from tests.end_to_end.client import Client, said
from tests.end_to_end.conftest import Server


def text_to_image(checkpoint: str, **sampling: Any) -> dict[str, Any]:
    sampler = {"seed": 1, "steps": 3, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    return {
        "3": {"class_type": "KSampler", "inputs": sampler | sampling | links},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a (red:1.2) star", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "words"}},
    }


def picture_of(client: Client, prompt_id: str) -> Image.Image:
    record = client.history(prompt_id)
    assert record["status"]["status_str"] == "success", record["status"]["messages"]
    [image] = record["outputs"]["9"]["images"]
    return Image.open(BytesIO(client.view(image)))


@pytest.fixture(scope="module")
def checkpoint(server: Server) -> str:
    path = server.base / "models" / "checkpoints" / "tiny-sd15.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tiny(SD15).checkpoint(), path)
    return path.name


def test_words_become_a_picture_with_progress_and_previews(checkpoint: str, client: Client):
    prompt_id, messages = client.run(text_to_image(checkpoint))

    assert picture_of(client, prompt_id).size == (64, 64)
    progress = [m["data"] for m in messages if isinstance(m, dict) and m["type"] == "progress"]
    assert [(p["value"], p["max"]) for p in progress if p["node"] == "3"] == [(1, 3), (2, 3), (3, 3)]
    previews = [m for m in messages if isinstance(m, bytes)]
    assert previews
    event, kind = struct.unpack(">II", previews[-1][:8])
    assert (event, kind) == (1, 1)
    assert Image.open(BytesIO(previews[-1][8:])).format == "JPEG"


def test_a_seed_is_a_picture_and_another_seed_runs_only_what_depends_on_it(checkpoint: str, client: Client):
    first = picture_of(client, client.run(text_to_image(checkpoint, seed=5))[0])
    other_id, messages = client.run(text_to_image(checkpoint, seed=6))
    ran = [m["data"]["node"] for m in messages if isinstance(m, dict) and m["type"] == "executing"]
    assert ran == ["3", "8", "9", None]
    assert picture_of(client, other_id).tobytes() != first.tobytes()


def test_sampling_stops_at_the_next_step_when_interrupted(checkpoint: str, client: Client):
    prompt_id = client.submit(text_to_image(checkpoint, steps=5000, seed=7))
    client.until("progress")
    client.request("POST", "/interrupt", {"prompt_id": prompt_id})
    messages = client.until("executing", 20, node=None, prompt_id=prompt_id)
    assert "execution_interrupted" in said(messages)


@pytest.mark.full_size
@pytest.mark.timeout(600)
def test_a_checkpoint_of_the_published_size_runs(server: Server, client: Client):
    path = server.base / "models" / "checkpoints" / "random-sd15.safetensors"
    try:
        size = write(path)
        assert 2.0e9 < size < 2.3e9
        prompt_id, messages = client.run(text_to_image(path.name, steps=1), seconds=500)
        assert picture_of(client, prompt_id).size == (64, 64)
        assert [m for m in messages if isinstance(m, bytes)]
        client.request("POST", "/free", {"unload_models": True, "free_memory": True})
    finally:
        path.unlink(missing_ok=True)
