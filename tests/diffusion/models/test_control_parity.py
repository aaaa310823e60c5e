"""Control networks: ours and diffusers' give the same residuals for the same weights."""

from typing import Any

import pytest
import torch
from diffusers.models.adapter import T2IAdapter as TheirT2IAdapter
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
from safetensors.torch import save_file

from diffusion.families.diffusers_layout import from_diffusers
from diffusion.models.controlnet import ControlNet, read_controlnet_config
from diffusion.models.controlnet_union import UnionControlNet
from diffusion.models.t2i_adapter import T2IAdapter, adapter_from_diffusers, read_t2i_adapter_config
from diffusion.store import ModelStore
from tests.diffusion import inventory
from tests.diffusion.models.oracle import TOLERANCE, copy_weights, randomised, relative_error

CROSS, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
CONTROLNETS: dict[str, dict[str, Any]] = {
    "SD 1.x": {
        "block_out_channels": (32, 64, 128, 128),
        "down_block_types": (CROSS, CROSS, CROSS, PLAIN),
        "cross_attention_dim": 48,
        "attention_head_dim": 8,
    },
    "SDXL": {
        "block_out_channels": (64, 128, 256),
        "down_block_types": (PLAIN, CROSS, CROSS),
        "cross_attention_dim": 96,
        "attention_head_dim": (1, 2, 4),
        "transformer_layers_per_block": (1, 2, 3),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 64 + 6 * 256,
    },
}


def controlnet_pair(name: str) -> tuple[ControlNet, Any]:
    theirs = ControlNetModel(**CONTROLNETS[name], conditioning_embedding_out_channels=(16, 32, 96, 256))
    randomised(theirs)
    shapes = {key: tuple(tensor.shape) for key, tensor in theirs.state_dict().items()}
    names = from_diffusers(shapes)
    assert names is not None
    config = read_controlnet_config({ours: shapes[key] for key, ours in names.items()})
    assert config is not None
    with torch.device("meta"):
        ours = ControlNet(config)
    copy_weights(theirs, ours, names)
    return ours, theirs


@pytest.mark.parametrize("name", CONTROLNETS)
def test_the_residuals_of_a_controlnet_agree(name: str):
    ours, theirs = controlnet_pair(name)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 4, 8, 12, generator=generator)
    context = torch.randn(2, 7, ours.config.context_width, generator=generator)
    hint = torch.rand(2, 3, 64, 96, generator=generator)
    timesteps = torch.tensor([3, 801])
    y, added = None, {}
    if ours.config.vector_width is not None:
        pooled, sizes = torch.randn(2, 64, generator=generator), torch.rand(2, 6, generator=generator) * 1024
        added = {"text_embeds": pooled, "time_ids": sizes}
        y = torch.cat([pooled, theirs.add_time_proj(sizes.flatten()).reshape(2, -1)], dim=1)
    expected = theirs(x, timesteps, context, hint, added_cond_kwargs=added)
    control = ours(x, timesteps, context, y, hint)
    assert control.middle is not None
    assert relative_error(control.middle, expected.mid_block_res_sample) < TOLERANCE
    assert len(control.skips) == len(expected.down_block_res_samples)
    for mine, their in zip(control.skips, expected.down_block_res_samples, strict=True):
        assert mine is not None
        assert relative_error(mine, their) < TOLERANCE


@pytest.fixture(scope="module")
def union() -> Any:
    settings = {**CONTROLNETS["SDXL"], "conditioning_embedding_out_channels": (16, 32, 96, 256)}
    network: Any = ControlNetUnionModel(**settings, num_control_type=8, num_trans_channel=64, num_proj_channel=64)
    for layer in network.transformer_layes:
        layer.attn.batch_first = True  # as it is, theirs lets the pictures of a batch attend to each other
    return randomised(network)


@pytest.fixture(scope="module")
def loaded_union(union: Any, tmp_path_factory: pytest.TempPathFactory) -> UnionControlNet:
    path = tmp_path_factory.mktemp("union") / "union.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in union.state_dict().items()}, path)
    network = ModelStore().controlnet(path).network
    assert isinstance(network, UnionControlNet)
    return network


@pytest.mark.parametrize("kind", [0, 3, 7])
def test_the_residuals_of_a_union_controlnet_agree(union: Any, loaded_union: UnionControlNet, kind: int):
    generator = torch.Generator().manual_seed(1)
    x, context = torch.randn(2, 4, 8, 12, generator=generator), torch.randn(2, 7, 96, generator=generator)
    hint, timesteps = torch.rand(2, 3, 64, 96, generator=generator), torch.tensor([3, 801])
    pooled, sizes = torch.randn(2, 64, generator=generator), torch.rand(2, 6, generator=generator) * 1024
    y = torch.cat([pooled, union.add_time_proj(sizes.flatten()).reshape(2, -1)], dim=1)
    present = torch.zeros(2, 8)
    present[:, kind] = 1
    added = {"text_embeds": pooled, "time_ids": sizes}
    with torch.no_grad():
        expected = union(x, timesteps, context, [hint], present, [kind], added_cond_kwargs=added)
        control = loaded_union(x, timesteps, context, y, hint, kind)
    assert control.middle is not None
    assert relative_error(control.middle, expected.mid_block_res_sample) < TOLERANCE
    for mine, their in zip(control.skips, expected.down_block_res_samples, strict=True):
        assert mine is not None
        assert relative_error(mine, their) < TOLERANCE


def test_a_union_controlnet_that_is_not_told_a_kind_takes_the_hint_as_it_is(loaded_union: UnionControlNet):
    x, hint = torch.randn(1, 4, 8, 8), torch.rand(1, 3, 64, 64)
    inputs = (x, torch.tensor([5]), torch.randn(1, 7, 96), torch.randn(1, 64 + 6 * 256), hint)
    open_kind, depth = loaded_union(*inputs).skips[0], loaded_union(*inputs, 1).skips[0]
    head: Any = loaded_union.input_blocks[0]
    first = head[0](x) + loaded_union.input_hint_block(hint)
    assert open_kind is not None
    assert depth is not None
    assert torch.allclose(open_kind, loaded_union.zero_convs[0](first), atol=1e-4)
    assert not torch.allclose(open_kind, depth, atol=1e-2)


def test_a_hint_of_another_size_is_refused_with_both_sizes():
    ours, _ = controlnet_pair("SD 1.x")
    with pytest.raises(ValueError, match="must be 96x64 pixels for this latent, not 64x64"):
        ours(torch.randn(1, 4, 8, 12), torch.tensor([5]), torch.randn(1, 7, 48), None, torch.rand(1, 3, 64, 64))


@pytest.mark.parametrize("name", ["controlnet_sd15", "controlnet_sdxl"])
def test_a_controlnet_has_exactly_the_tensors_of_the_file(name: str):
    shapes = inventory.shapes(name)
    config = read_controlnet_config(shapes)
    assert config is not None
    with torch.device("meta"):
        network = ControlNet(config)
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == shapes


@pytest.mark.parametrize("name", ["controlnet_sd15", "controlnet_sdxl"])
def test_renaming_a_diffusers_controlnet_gives_the_published_names(name: str):
    theirs = inventory.shapes(f"{name}_diffusers")
    names = from_diffusers(theirs)
    assert names is not None
    assert {ours: theirs[key] for key, ours in names.items()} == inventory.shapes(name)


@pytest.mark.parametrize("name", [name for name in inventory.names() if not name.startswith("controlnet_")])
def test_nothing_else_is_taken_for_a_control_network(name: str):
    assert read_controlnet_config(inventory.shapes(name)) is None
    assert read_t2i_adapter_config(inventory.shapes(name)) is None


@pytest.mark.parametrize(
    ("kind", "channels"), [("full_adapter", 3), ("full_adapter", 1), ("full_adapter_xl", 3), ("light_adapter", 3)]
)
def test_the_features_of_a_t2i_adapter_agree(kind: str, channels: int):
    shrink = 16 if kind == "full_adapter_xl" else 8
    theirs: Any = TheirT2IAdapter(channels, [32, 64, 128, 128], 2, shrink, kind)
    randomised(theirs)
    shapes = {key: tuple(tensor.shape) for key, tensor in theirs.state_dict().items()}
    names = adapter_from_diffusers(shapes)
    assert names is not None
    config = read_t2i_adapter_config({ours: shapes[key] for key, ours in names.items()})
    assert config is not None
    with torch.device("meta"):
        ours = T2IAdapter(config)
    copy_weights(theirs, ours, names)
    hint = torch.rand(2, channels, 128, 192)
    for mine, their in zip(ours.features(hint), theirs(hint), strict=True):
        assert relative_error(mine, their) < TOLERANCE


def test_features_go_to_the_last_block_of_each_level():
    config = read_t2i_adapter_config(adapter_shapes(3 * 64))
    assert config is not None
    control = T2IAdapter(config)(torch.rand(1, 3, 64, 64))
    assert [i for i, feature in enumerate(control.inputs) if feature is not None] == [2, 5, 8, 11]
    assert control.middle is None


def test_for_sdxl_the_last_feature_goes_to_the_middle():
    config = read_t2i_adapter_config(adapter_shapes(3 * 256))
    assert config is not None
    control = T2IAdapter(config)(torch.rand(1, 3, 128, 128))
    assert [i for i, feature in enumerate(control.inputs) if feature is not None] == [3, 5, 8]
    assert control.middle is not None


def adapter_shapes(in_channels: int) -> dict[str, tuple[int, ...]]:
    """An adapter in its authors' layout: eight blocks, two per level."""
    shapes: dict[str, tuple[int, ...]] = {"conv_in.weight": (8, in_channels, 3, 3)}
    for i in range(8):
        shapes |= {f"body.{i}.block1.weight": (8, 8, 3, 3), f"body.{i}.block2.weight": (8, 8, 1, 1)}
    return shapes
