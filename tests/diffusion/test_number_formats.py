"""Files whose weights have 8 bits or fewer: held as they are, computed with as what they stand for."""

import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from safetensors.torch import save_file
from torch import Tensor, nn

from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.packing import true_weights
from diffusion.checkpoints.read import open_checkpoint
from diffusion.checkpoints.write import save_checkpoint
from diffusion.families.sd15 import SD15
from diffusion.ops.stored import compute_dtype, packed_layers
from diffusion.patches.lora.apply import apply_lora
from diffusion.patches.merge import blend, merge_models
from diffusion.patches.weights import patched
from diffusion.store import ModelStore, Precision
from diffusion.text.encode import encode, prompt_tokens
from tests.diffusion.tiny import Tiny, tiny

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
PREFIX = "model.diffusion_model."
LAYER = "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
MODULE = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q"
CONV = "input_blocks.1.0.in_layers.2.weight"


@pytest.fixture(scope="module")
def sd15() -> Tiny:
    return tiny(SD15)


def matrices(tensors: dict[str, Tensor]) -> list[str]:
    return [name for name, t in tensors.items() if name.endswith(".weight") and t.ndim >= 2 and "embedding" not in name]


def eight_bit(tensors: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """All of it, norms and biases too, as the files that people make by casting."""
    return {name: tensor.to(dtype) for name, tensor in tensors.items()}


def scaled(tensors: dict[str, Tensor], newer: bool) -> dict[str, Tensor]:
    """With a scale for each matrix, in the older or the newer naming."""
    file = dict(tensors)
    for name in matrices(tensors):
        scale = tensors[name].abs().max() / 448
        file[name] = (tensors[name] / scale).to(E4M3)
        layer = name.removesuffix(".weight")
        file[f"{layer}.weight_scale" if newer else f"{layer}.scale_weight"] = scale
        file[f"{layer}.input_scale" if newer else f"{layer}.scale_input"] = torch.tensor(1.0)
    return file if newer else {**file, "scaled_fp8": torch.empty(2, dtype=E4M3)}


def meant(file: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the tensors of such a file stand for."""
    values = {name: tensor.float() for name, tensor in file.items()}
    for name in file:
        for suffix in (".weight_scale", ".scale_weight"):
            if name.endswith(suffix):
                values[name.removesuffix(suffix) + ".weight"] *= file[name]
    return {name: values[name] for name in values if "scale" not in name}


def saved(path: Path, tensors: dict[str, Tensor]) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def saved_gguf(path: Path, tensors: dict[str, Tensor], kind: GGMLQuantizationType, arch: str = "sd1") -> Path:
    """As the converters write them: matrices in blocks, convolutions flattened with their shape beside them."""
    writer = GGUFWriter(path, arch)
    for name, tensor in tensors.items():
        array = tensor.numpy()
        if tensor.ndim >= 2 and name.endswith(".weight") and tensor.numel() % 32 == 0:
            if array.shape[-1] % 32:
                writer.add_array(f"comfy.gguf.orig_shape.{name}", list(array.shape))
                array = array.reshape(-1, 32)
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array.astype(np.float16) if tensor.ndim > 1 else array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def q8(sd15: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_gguf(tmp_path_factory.mktemp("q8") / "m.gguf", sd15.network, GGMLQuantizationType.Q8_0)


def answer(network: nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    x, context = torch.randn(1, 4, 8, 8, generator=generator), torch.randn(1, 5, 64, generator=generator)
    with torch.no_grad():
        return network(x, torch.tensor([300.0]), context)


def same(ours: Tensor, expected: Tensor, tolerance: float = 1e-4) -> bool:
    return bool((ours - expected).norm() < tolerance * expected.norm())


def reference(tmp_path: Path, tensors: dict[str, Tensor]) -> nn.Module:
    return ModelStore().diffusion_model(saved(tmp_path / "reference.safetensors", tensors)).network


FILES: dict[str, Any] = {
    "e4m3": lambda tensors: eight_bit(tensors, E4M3),
    "e5m2": lambda tensors: eight_bit(tensors, E5M2),
    "scaled": lambda tensors: scaled(tensors, newer=False),
    "scaled, newer": lambda tensors: scaled(tensors, newer=True),
}


@pytest.mark.parametrize("kind", FILES)
def test_an_eight_bit_file_stays_so_and_computes_as_what_it_stands_for(tmp_path: Path, sd15: Tiny, kind: str):
    file = FILES[kind](sd15.network)
    network = ModelStore().diffusion_model(saved(tmp_path / "m.safetensors", file)).network
    assert set(packed_layers(network)) == set(matrices(sd15.network))
    assert {p.dtype for p in network.parameters() if p.dtype.itemsize > 1} == {torch.float32}
    assert same(answer(network), answer(reference(tmp_path, meant(file))))


@pytest.mark.parametrize("kind", [GGMLQuantizationType.Q4_0, GGMLQuantizationType.Q5_1, GGMLQuantizationType.Q8_0])
def test_a_gguf_file_computes_as_its_blocks_unpacked(tmp_path: Path, sd15: Tiny, kind: GGMLQuantizationType):
    path = saved_gguf(tmp_path / "m.gguf", sd15.network, kind)
    network = ModelStore().diffusion_model(path).network
    assert LAYER in packed_layers(network)
    assert CONV in packed_layers(network)
    expected = {
        name: torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(t.numpy().reshape(-1, 32), kind), kind))
        for name, t in sd15.network.items()
        if name in packed_layers(network)
    }
    tensors = {name: expected[name].reshape(t.shape) if name in expected else t for name, t in sd15.network.items()}
    assert same(answer(network), answer(reference(tmp_path, tensors)), 1e-3)
    assert network.get_parameter(LAYER).numel() < 0.6 * 4 * sd15.network[LAYER].numel()


def test_weights_may_be_held_in_eight_bits_although_the_file_has_more(tmp_path: Path, sd15: Tiny):
    path = saved(tmp_path / "m.safetensors", sd15.checkpoint())
    loaded = ModelStore(Precision(E5M2, E4M3)).checkpoint(path)
    network = loaded.model.network
    assert {network.get_parameter(name).dtype for name in packed_layers(network)} == {E5M2}
    assert compute_dtype(network) == torch.float32
    expected = {n: t.to(E5M2).float() if n in packed_layers(network) else t for n, t in sd15.network.items()}
    assert same(answer(network), answer(reference(tmp_path, expected)))
    assert loaded.text_encoders
    assert packed_layers(loaded.text_encoders.networks["clip_l"])


@pytest.mark.parametrize("newer", [False, True])
def test_a_text_encoder_may_be_stored_with_scales(tmp_path: Path, sd15: Tiny, newer: bool):
    file = scaled(sd15.text_encoders["clip_l"], newer)
    encoded = [
        encode(encoders, prompt_tokens(encoders, "a (cat:1.3)")).context
        for encoders in (
            ModelStore().text_encoders([saved(tmp_path / "t.safetensors", file)]),
            ModelStore(Precision(None, None, None)).text_encoders([saved(tmp_path / "u.safetensors", meant(file))]),
        )
    ]
    assert same(encoded[0], encoded[1], 2e-3)  # biases are held in float16 in the first


def test_a_vae_in_eight_bits_is_unpacked_once(tmp_path: Path, sd15: Tiny):
    path = saved(tmp_path / "v.safetensors", eight_bit(sd15.autoencoder, E4M3))
    assert {p.dtype for p in ModelStore().vae(path).network.parameters()} == {torch.float32}


def with_lora(tmp_path: Path, network: Path, strength: float = 1.0) -> tuple[Any, Tensor]:
    """A model with a LoRA on one layer, and what that adds."""
    generator = torch.Generator().manual_seed(1)
    up, down = torch.randn(32, 4, generator=generator) / 4, torch.randn(4, 32, generator=generator) / 4
    lora = saved(tmp_path / "l.safetensors", {f"{MODULE}.lora_up.weight": up, f"{MODULE}.lora_down.weight": down})
    store = ModelStore()
    model = apply_lora(store.lora(lora), store.diffusion_model(network), None, strength).model
    assert model
    return model, strength * up @ down


def test_a_lora_on_gguf_blocks_is_added_after_unpacking(tmp_path: Path, q8: Path):
    model, delta = with_lora(tmp_path, q8)
    changed = patched(model.network, model.patches)
    layer = packed_layers(changed)[LAYER]
    assert layer.weight.dtype == torch.uint8
    assert torch.allclose(layer.weight_in(torch.float32), true_weights(model.network)[LAYER] + delta, atol=1e-6)
    assert patched(model.network, ()) is model.network
    assert not same(answer(changed), answer(model.network), 1e-6)


@pytest.mark.parametrize("kind", FILES)
def test_a_lora_on_eight_bits_is_rounded_to_neighbours(tmp_path: Path, sd15: Tiny, kind: str):
    model, delta = with_lora(tmp_path, saved(tmp_path / "m.safetensors", FILES[kind](sd15.network)))
    before = packed_layers(model.network)[LAYER].weight_in(torch.float32)
    layer = packed_layers(patched(model.network, model.patches))[LAYER]
    assert layer.weight.dtype.itemsize == 1
    after, wanted = layer.weight_in(torch.float32), before + delta
    spacing = torch.finfo(layer.weight.dtype).eps
    assert ((after - wanted).abs() <= wanted.abs() * spacing + 2**-9).all()
    # Rounded by chance and not always the same way: the sum is right although single numbers are not.
    assert abs(float((after - before).mean() - delta.mean())) < 6 * spacing * float(wanted.std()) / 32


def test_packed_weights_are_merged_and_saved_as_what_they_stand_for(tmp_path: Path, q8: Path):
    store = ModelStore()
    packed = store.diffusion_model(q8)
    plain = store.diffusion_model(saved(tmp_path / "p.safetensors", tiny(SD15, seed=1).network))
    merged, _ = merge_models(plain, packed, blend(0.25))
    theirs = true_weights(packed.network)[LAYER]
    expected = 0.25 * plain.network.get_parameter(LAYER) + 0.75 * theirs
    assert torch.allclose(patched(merged.network, merged.patches).get_parameter(LAYER), expected, atol=1e-6)
    save_checkpoint(tmp_path / "s.safetensors", packed)
    again = store.diffusion_model(tmp_path / "s.safetensors").network
    assert torch.allclose(again.get_parameter(LAYER), theirs, atol=1e-3)


def test_t5_in_gguf_has_the_names_of_transformers(tmp_path: Path):
    tensors = {
        "token_embd.weight": torch.randn(64, 32),
        "enc.output_norm.weight": torch.ones(32),
        **{f"enc.blk.1.attn_{name}.weight": torch.randn(32, 32) for name in ("q", "k", "v", "o")},
        "enc.blk.0.attn_rel_b.weight": torch.randn(32, 2),
        "enc.blk.1.ffn_gate.weight": torch.randn(64, 32),
        "enc.blk.1.attn_norm.weight": torch.ones(32),
    }
    path = saved_gguf(tmp_path / "t5.gguf", tensors, GGMLQuantizationType.Q8_0, arch="t5encoder")
    checkpoint = open_checkpoint(path)
    assert checkpoint.metadata == {"general.architecture": "t5encoder"}
    assert set(checkpoint.weights) == {
        "shared.weight",
        "encoder.final_layer_norm.weight",
        *(f"encoder.block.1.layer.0.SelfAttention.{name}.weight" for name in "qkvo"),
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        "encoder.block.1.layer.1.DenseReluDense.wi_0.weight",
        "encoder.block.1.layer.0.layer_norm.weight",
    }
    assert torch.allclose(checkpoint.weights["shared.weight"], tensors["token_embd.weight"], atol=0.02)


def test_rarer_formats_of_gguf_are_unpacked_when_read_or_refused(tmp_path: Path):
    def written(name: str, kind: GGMLQuantizationType, size: int) -> Path:
        writer = GGUFWriter(tmp_path / name, "flux")
        data = np.random.default_rng(0).integers(0, 64, (2, size), dtype=np.uint8)
        writer.add_tensor("a.weight", data, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return tmp_path / name

    weights = open_checkpoint(written("a.gguf", GGMLQuantizationType.IQ4_NL, 18)).weights
    assert weights["a.weight"].shape == (2, 32)
    assert weights.sources["a.weight"].packed is None
    with pytest.raises(CheckpointError, match=r"b\.gguf: 'a.weight' is in the format Q8_1, which cannot be read"):
        open_checkpoint(written("b.gguf", GGMLQuantizationType.Q8_1, 40))


def test_without_its_package_a_gguf_file_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = saved_gguf(tmp_path / "m.gguf", {"a.weight": torch.zeros(2, 32)}, GGMLQuantizationType.Q8_0)
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(CheckpointError, match=r"m\.gguf: .*pip install gguf"):
        open_checkpoint(path)


@pytest.mark.parametrize("keep", [3, 40, 0.5, 0.9])
def test_half_a_gguf_file_is_refused(tmp_path: Path, q8: Path, keep: float):
    path = tmp_path / "m.gguf"
    whole = q8.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(CheckpointError, match=r"m\.gguf: damaged or truncated GGUF file"):
        open_checkpoint(path)
