"""A file is recognised by the names and shapes of its tensors, by one family at most."""

from typing import Any

import pytest
import torch

from diffusion.families.auraflow import AURAFLOW
from diffusion.families.chroma import CHROMA
from diffusion.families.family import Family
from diffusion.families.flux import FLUX
from diffusion.families.lumina2 import LUMINA2
from diffusion.families.pixart import PIXART_SIGMA
from diffusion.families.qwen_image import QWEN_IMAGE
from diffusion.families.registry import FAMILIES, recognise
from diffusion.families.sd2 import SD2, SD2_DEPTH, SD2_INPAINT
from diffusion.families.sd3 import SD3
from diffusion.families.sd15 import INSTRUCT_PIX2PIX, SD15, SD15_INPAINT
from diffusion.families.sdxl import SDXL, SDXL_INPAINT, SDXL_REFINER
from diffusion.families.z_image import Z_IMAGE
from tests.diffusion import inventory

NETWORKS = {
    "unet_sd15": SD15,
    "unet_sd15_inpaint": SD15_INPAINT,
    "unet_sd15_instructpix2pix": INSTRUCT_PIX2PIX,
    "unet_sd21": SD2,
    "unet_sd21_inpaint": SD2_INPAINT,
    "unet_sd21_depth": SD2_DEPTH,
    "unet_sdxl": SDXL,
    "unet_sdxl_refiner": SDXL_REFINER,
    **{f"dit_{name}": SD3 for name in ("sd3_medium", "sd35_medium", "sd35_large")},
    **{f"dit_flux_{name}": FLUX for name in ("dev", "schnell", "fill", "canny_depth")},
    "dit_pixart_sigma": PIXART_SIGMA,
    "dit_chroma": CHROMA,
    "dit_lumina2": LUMINA2,
    "dit_z_image": Z_IMAGE,
    "dit_auraflow": AURAFLOW,
    "dit_qwen_image": QWEN_IMAGE,
}
DIFFUSERS = {
    "unet_sd15_diffusers": SD15,
    "unet_sd21_diffusers": SD2,
    "unet_sdxl_diffusers": SDXL,
    "unet_sdxl_refiner_diffusers": SDXL_REFINER,
}


def families_of(name: str) -> list[str]:
    shapes = inventory.shapes(name)
    return [family.name for family in FAMILIES if family.recognise(shapes) is not None]


@pytest.mark.parametrize("name", inventory.names())
def test_a_file_is_recognised_by_its_family_alone(name: str):
    family = NETWORKS.get(name)
    assert families_of(name) == ([family.name] if family else [])


@pytest.mark.parametrize("name", inventory.names())
def test_a_file_in_another_layout_is_recognised_all_the_same(name: str):
    known = {**NETWORKS, **DIFFUSERS}.get(name)
    found = recognise(inventory.shapes(name))
    assert (found and found.family) is known


@pytest.mark.parametrize(("name", "family"), NETWORKS.items())
def test_the_network_has_exactly_the_tensors_of_the_file(name: str, family: Family[Any]):
    shapes = inventory.shapes(name)
    with torch.device("meta"):
        network = family.build(family.recognise(shapes))
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == shapes


@pytest.mark.parametrize(("name", "published"), [(name, name.removesuffix("_diffusers")) for name in DIFFUSERS])
def test_renaming_a_diffusers_file_gives_the_published_names(name: str, published: str):
    theirs = inventory.shapes(name)
    found = recognise(theirs)
    assert found is not None
    assert found.names is not None
    assert {ours: theirs[key] for key, ours in found.names.items()} == inventory.shapes(published)


def with_depths(name: str, depths: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """The file with only the first so many transformer layers in the blocks that start with these prefixes."""
    shapes = inventory.shapes(name)

    def kept(key: str) -> bool:
        for prefix, depth in depths.items():
            if key.startswith(prefix) and ".transformer_blocks." in key:
                return int(key.split(".transformer_blocks.")[1].split(".")[0]) < depth
        return True

    return {key: shape for key, shape in shapes.items() if kept(key)}


def test_a_distilled_sdxl_is_sdxl_with_other_depths():
    """SSD-1B: 4 layers where SDXL has 10, and in the middle a residual block alone."""
    shapes = with_depths(
        "unet_sdxl", {f"{half}_blocks.{i}.": 4 for half in ("input", "output") for i in (0, 1, 2, 7, 8)}
    )
    shapes = {key: shape for key, shape in shapes.items() if not key.startswith(("middle_block.1.", "middle_block.2."))}
    found = recognise(shapes)
    assert found is not None
    assert found.family is SDXL
    assert found.config.input_depths == ((0, 0), (2, 2), (4, 4))
    assert found.config.output_depths == ((0, 0, 0), (2, 2, 2), (4, 4, 4))
    with torch.device("meta"):
        network = found.family.build(found.config)
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == shapes


def test_an_sdxl_inpainting_network_is_told_by_its_nine_channels():
    shapes = inventory.shapes("unet_sdxl") | {"input_blocks.0.0.weight": (320, 9, 3, 3)}
    found = recognise(shapes)
    assert found is not None
    assert found.family is SDXL_INPAINT


def test_networks_for_video_and_with_class_labels_are_not_mistaken_for_sd2():
    sd2 = inventory.shapes("unet_sd21")
    assert recognise(sd2 | {"input_blocks.1.1.time_stack.0.norm1.weight": (320,)}) is None
    assert recognise(sd2 | {"label_emb.weight": (1000, 1024)}) is None


def test_an_empty_file_is_nothing():
    assert recognise({}) is None


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("dit_")])
def test_part_of_a_transformer_is_nothing(name: str):
    shapes = inventory.shapes(name)
    for kept in (0.02, 0.5):
        part = dict(list(shapes.items())[:: int(1 / kept)])
        found = recognise(part)
        assert found is None or found.family is NETWORKS[name]
