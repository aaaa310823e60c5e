"""LoRAs for transformers in every naming: all modules found, split projections in their rows of stacked ones."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from torch import Tensor

from diffusion.families.family import Family
from diffusion.families.flux import FLUX
from diffusion.families.registry import recognise
from diffusion.families.sd3 import SD3
from diffusion.handles import Model, TextEncoders
from diffusion.ops.gguf_blocks import BlockType, Gguf
from diffusion.ops.stored import Stored, keep
from diffusion.patches.lora.apply import LoraDoesNotFit, apply_lora
from diffusion.patches.lora.file import LoraFile
from diffusion.patches.lora.keys import grouped
from diffusion.patches.weights import patched
from diffusion.text.t5 import build_t5
from tests.diffusion import inventory
from tests.diffusion.models.oracle import TOLERANCE, randomised, relative_error
from tests.diffusion.models.test_transformer_parity import FLUX as FLUX_CONFIG
from tests.diffusion.models.test_transformer_parity import SD3 as SD3_CONFIG
from tests.diffusion.models.test_transformer_parity import drawn, flux_call
from tests.diffusion.models.transformers import ours_like
from tests.diffusion.tiny_transformers import t5

RANK = 2


def full_size(name: str) -> Model:
    """Published sizes, on the meta device."""
    found = recognise(inventory.shapes(name))
    assert found
    with torch.device("meta"):
        network = found.family.build(found.config)
    variant = found.family.variant({})
    return Model(network, found.family, found.config, variant.prediction, variant.latent)


def file_of(modules: dict[str, dict[str, Tensor]]) -> LoraFile:
    return LoraFile(Path("x.safetensors"), modules, (), (tuple(modules),))


@pytest.mark.parametrize("layout", ["lora_flux_kohya", "lora_flux_peft"])
def test_every_module_of_every_published_layout_is_found(layout: str):
    document = json.loads((inventory.FOLDER / f"{layout}.json").read_text())["tensors"]
    keys, unknown = grouped(document)
    modules = {
        module: {
            role: torch.tensor(1.0).expand([RANK if isinstance(n, str) else n for n in document[key]])
            for role, key in roles.items()
        }
        for module, roles in keys.items()
        if not module.startswith("lora_te")
    }
    assert unknown == []
    applied = apply_lora(file_of(modules), full_size("dit_flux_dev"), None)
    assert applied.unused == ()
    assert applied.model


def split_lora(theirs: Any, modules: list[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """up and down for some of diffusers' modules."""
    generator = torch.Generator().manual_seed(3)
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for name in modules:
        out, into = theirs.get_submodule(name).weight.shape
        found[name] = tuple(torch.randn(s, generator=generator) * 0.3 for s in ((out, RANK), (RANK, into)))  # pyright: ignore
    return found


LINES: dict[str, tuple[Family[Any], Any, dict[str, Any], list[str]]] = {
    "SD3": (
        SD3,
        SD3Transformer2DModel,
        SD3_CONFIG | {"qk_norm": "rms_norm", "dual_attention_layers": (0,)},
        [
            *(f"transformer_blocks.0.attn.to_{q}" for q in "qv"),
            "transformer_blocks.1.attn.add_k_proj",
            "transformer_blocks.0.attn2.to_k",
            "transformer_blocks.1.attn.to_out.0",
            "transformer_blocks.1.ff.net.0.proj",
            "transformer_blocks.1.norm1.linear",
            "norm_out.linear",
        ],
    ),
    "Flux": (
        FLUX,
        FluxTransformer2DModel,
        FLUX_CONFIG,
        [
            *(f"transformer_blocks.0.attn.to_{q}" for q in "qkv"),
            "transformer_blocks.1.attn.add_v_proj",
            "single_transformer_blocks.1.attn.to_k",
            "single_transformer_blocks.1.proj_mlp",
            "single_transformer_blocks.2.proj_out",
            "norm_out.linear",
            "x_embedder",
        ],
    ),
}


@pytest.mark.parametrize("prefix", ["transformer.", "lora_transformer_", "diffusion_model."])
@pytest.mark.parametrize("line", LINES)
@torch.no_grad()
def test_a_lora_for_split_projections_does_to_stacked_ones_what_it_does_to_those(line: str, prefix: str):
    family, kind, config, modules = LINES[line]
    theirs: Any = randomised(kind(**config))
    ours, found = ours_like(theirs)
    variant = family.variant({})
    model = Model(ours, family, found.config, variant.prediction, variant.latent)
    factors = split_lora(theirs, modules)
    spelled = {prefix + (n.replace(".", "_") if prefix.endswith("_") else n): pair for n, pair in factors.items()}
    applied = apply_lora(file_of({n: {"up": up, "down": down} for n, (up, down) in spelled.items()}), model, None, 0.7)
    assert applied.unused == ()
    assert applied.model
    changed: Any = patched(ours, applied.model.patches)
    for name, (up, down) in factors.items():
        theirs.get_submodule(name).weight += 0.7 * up @ down
    x, context, y = drawn((1, 16, 8, 12), (1, 7, 48), (1, 40))
    times = torch.tensor([0.5])
    expected = flux_call(theirs, x, context, y, times) if line == "Flux" else theirs(x, context, y, times).sample
    assert relative_error(changed(x, times, context, y), expected) < TOLERANCE


@torch.no_grad()
def test_rows_are_found_in_a_packed_weight_too():
    """A packed weight has another shape than the one it stands for."""
    ours, found = ours_like(randomised(FluxTransformer2DModel(**FLUX_CONFIG)))
    layer: Any = ours.double_blocks[0].img_attn.qkv
    blocks = torch.from_numpy(gguf.quants.quantize(layer.weight.numpy(), gguf.GGMLQuantizationType.Q8_0))
    keep(layer, Stored(blocks, Gguf(BlockType.Q8_0)))
    before = layer.weight_in(torch.float32)
    variant = FLUX.variant({})
    model = Model(ours, FLUX, found.config, variant.prediction, variant.latent)
    up, down = torch.ones(64, RANK), torch.ones(RANK, 64)
    applied = apply_lora(file_of({"transformer.transformer_blocks.0.attn.to_k": {"up": up, "down": down}}), model, None)
    assert applied.model
    changed: Any = patched(ours, applied.model.patches)
    after = changed.double_blocks[0].img_attn.qkv.weight_in(torch.float32)
    assert torch.allclose(after[64:128], before[64:128] + RANK, atol=1e-5)
    assert torch.equal(after[:64], before[:64])
    assert torch.equal(after[128:], before[128:])


@pytest.mark.parametrize("prefix", ["lora_te3_", "lora_te2_"])
def test_t5_of_flux_is_called_the_second_or_the_third_encoder(prefix: str):
    spec = FLUX.text_encoders[1]
    networks = {"t5xxl": build_t5(t5(0), spec)}
    up, down = torch.ones(64, RANK), torch.ones(RANK, 128)
    modules = {f"{prefix}encoder_block_0_layer_0_SelfAttention_q": {"up": up, "down": down}}
    applied = apply_lora(file_of(modules), None, TextEncoders(networks, FLUX))
    assert applied.unused == ()
    assert applied.text_encoders
    assert set(applied.text_encoders.patches) == {"t5xxl"}


def test_a_lora_for_flux_is_refused_by_sd3_by_name():
    modules = {"transformer.single_transformer_blocks.0.proj_mlp": {"up": torch.ones(8, 2), "down": torch.ones(2, 8)}}
    model = full_size("dit_sd3_medium")
    with pytest.raises(LoraDoesNotFit, match="this LoRA is for Flux; the model is SD3"):
        apply_lora(replace(file_of(modules)), model, None)
