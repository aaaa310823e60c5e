"""Guiding by what CLIP saw: a checkpoint brings its encoder, and what that saw reaches the network."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.checkpoints.layouts.clip_vision import clip_vision_table
from diffusion.checkpoints.rename import revert
from diffusion.families.sd2 import SD2, SD2_UNCLIP
from diffusion.models.clip_vision import encode_image
from diffusion.models.unet import UNet
from diffusion.store import ModelStore
from nodes.previews import Previews
from storage.folders import Folders
from tests.diffusion.tiny import randomised, tensors_of, unet_config
from tests.diffusion.tiny import tiny as whole
from tests.nodes import tiny
from tests.nodes.conftest import Call
from tests.nodes.test_controlnet import sampled
from tests.nodes.test_loaders import put

SEEN = 24
"""Numbers by which the small encoder describes a picture."""
LAYER = ("attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj.weight", "attn.out_proj.bias")
LAYER += tuple(f"{part}.{kind}" for part in ("ln_1", "ln_2", "mlp.c_fc", "mlp.c_proj") for kind in ("weight", "bias"))


@pytest.fixture(autouse=True)
def folders(given: dict[str, Any], tmp_path: Path) -> Folders:
    given["folders"], given["store"], given["previews"] = Folders(tmp_path), ModelStore(), Previews("none")
    return given["folders"]


def openclip(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """An image encoder as OpenCLIP names it."""
    layers = {int(m[1]) for name in tensors if (m := re.search(r"layers\.(\d+)\.", name))}
    names = ["class_embedding", "positional_embedding", "conv1.weight", "proj"]
    names += [f"ln_{place}.{kind}" for place in ("pre", "post") for kind in ("weight", "bias")]
    names += [f"transformer.resblocks.{i}.{rest}" for i in layers for rest in LAYER]
    table = clip_vision_table(dict.fromkeys(names, ()))
    assert table
    file = revert(tensors, table, {})
    assert set(file) == set(names)
    return file


def checkpoint() -> dict[str, Tensor]:
    config = replace(unet_config(SD2), vector_width=2 * SEEN)
    parts = replace(whole(SD2), network=tensors_of(randomised(UNet(config), 0)))
    vision = {name: t for name, t in tiny.clip_vision().state_dict().items() if t.is_floating_point()}
    return {
        **parts.checkpoint(),
        **{f"embedder.model.visual.{name}": tensor for name, tensor in openclip(vision).items()},
        "noise_augmentor.data_mean": torch.full((1, SEEN), 0.2),
        "noise_augmentor.data_std": torch.full((1, SEEN), 1.5),
    }


@pytest.fixture
def loaded(call: Call, folders: Folders) -> list[Any]:
    return call("unCLIPCheckpointLoader", ckpt_name=put(folders, "checkpoints", "u.safetensors", checkpoint()))


def test_the_checkpoint_brings_the_encoder_it_reads(loaded: list[Any]):
    model, clip, vae, vision = loaded
    assert model.family is SD2_UNCLIP
    assert clip is not None
    assert vae is not None
    picture = torch.rand(1, 40, 30, 3)
    ours, expected = (encode_image(network, picture) for network in (vision, tiny.clip_vision()))
    assert torch.allclose(ours.image_embeds, expected.image_embeds, atol=1e-5)


def test_pictures_guide_as_strongly_as_is_said(call: Call, loaded: list[Any]):
    model, clip, _, vision = loaded
    positive, negative = (call("CLIPTextEncode", clip=clip, text=text) for text in ("a", "b"))

    def picture(strength: float, noise: float = 0.0, times: int = 1) -> Tensor:
        prompt = positive
        for i in range(times):
            image = torch.rand(1, 28, 28, 3, generator=torch.Generator().manual_seed(i))
            seen = call("CLIPVisionEncode", clip_vision=vision, image=image, crop="none")
            sent = {"strength": strength, "noise_augmentation": noise}
            prompt = call("unCLIPConditioning", conditioning=prompt, clip_vision_output=seen, **sent)
        return sampled(call, model, prompt, negative)

    pictures = [sampled(call, model, positive, negative), picture(1.0), picture(0.5), picture(1.0, 0.3)]
    pictures.append(picture(1.0, times=2))
    assert not any(tiny.close(a, b) for i, a in enumerate(pictures) for b in pictures[i + 1 :])
    assert tiny.close(picture(1.0, 0.3), picture(1.0, 0.3))


def test_a_picture_that_another_encoder_saw_is_refused_before_sampling(call: Call, loaded: list[Any]):
    model, clip, _, vision = loaded
    prompt = call("CLIPTextEncode", clip=clip, text="a")
    seen = call("CLIPVisionEncode", clip_vision=vision, image=torch.rand(1, 28, 28, 3), crop="none")
    other = replace(seen, image_embeds=torch.zeros(1, SEEN + 8))
    sent = {"clip_vision_output": other, "strength": 1.0, "noise_augmentation": 0.0}
    with pytest.raises(ValueError, match=f"gave {SEEN} numbers; this one has {SEEN + 8}"):
        sampled(call, model, call("unCLIPConditioning", conditioning=prompt, **sent), prompt)


def test_what_the_network_expects_of_pictures_is_saved_with_it(call: Call, loaded: list[Any], given: dict[str, Any]):
    model, clip, vae, _ = loaded
    call("CheckpointSave", model=model, clip=clip, vae=vae, filename_prefix="checkpoints/again")
    again = call("CheckpointLoaderSimple", ckpt_name="again_00001_.safetensors")[0]
    assert torch.equal(again.images.mean, torch.full((SEEN,), 0.2))
    assert torch.equal(again.images.deviation, torch.full((SEEN,), 1.5))
