"""SigLIP's image encoders, against transformers' own processor and network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from diffusion.models.clip_vision import encode_image
from diffusion.models.siglip import SiglipConfig, build_siglip, read_siglip_config
from diffusion.store import ModelStore
from tests.diffusion.models.oracle import randomised

SMALL = SiglipConfig(width=32, mlp_width=48, layers=3, patch=14, side=27)


def test_the_encoder_of_redux_is_recognised_by_its_shapes():
    with torch.device("meta"):
        network = build_siglip(SiglipConfig(1152, 4304, 27, 14, 27))
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    config = read_siglip_config(shapes)
    assert config == SiglipConfig(1152, 4304, 27, 14, 27)
    assert SiglipConfig(1152, 4304, 27, 14, 27).size == 384
    assert sum(tensor.numel() for tensor in network.state_dict().values()) == 428_225_600
    assert read_siglip_config({"embeddings.patch_embedding.weight": (1152, 3, 14, 14)}) is None


@pytest.mark.parametrize(("side", "patch", "size"), [(14, 16, 224), (16, 14, 224), (24, 16, 384), (32, 16, 512)])
def test_all_other_published_ones_see_whole_patches(side: int, patch: int, size: int):
    assert SiglipConfig(768, 3072, 12, patch, side).size == size


def test_it_sees_what_transformers_sees(tmp_path: Path):
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    original = randomised(build_siglip(SMALL))
    save_file({f"vision_model.{name}": t for name, t in original.state_dict().items()}, tmp_path / "s.safetensors")
    network = ModelStore().clip_vision(tmp_path / "s.safetensors")
    smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 8), size=(420, 560), mode="bicubic").clamp(0, 1)
    bytes = (smooth[0].movedim(0, -1) * 255).round().to(torch.uint8)
    processor = SiglipImageProcessorPil(size={"height": 384, "width": 384})
    with torch.no_grad():
        pixels = processor(Image.fromarray(np.asarray(bytes)), return_tensors="pt")["pixel_values"]
        expected = original(pixels, output_hidden_states=True)
    seen = encode_image(network, bytes[None].float() / 255, crop=False)  # pyright: ignore[reportArgumentType]
    assert seen.last_hidden_state.shape == (1, 729, 32)
    for ours, theirs in [
        (seen.last_hidden_state, expected.last_hidden_state),
        (seen.penultimate_hidden_state, expected.hidden_states[-2]),
        (seen.image_embeds, expected.pooler_output),
    ]:
        assert (ours - theirs).norm() < 0.02 * theirs.norm()  # Pillow rounds to bytes between its two passes
