"""Functions that packs call: folders, sizes, tiles, names in state dicts, progress, prompts, schedules."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from compat.legacy_declarations import declare
from compat.world import World
from diffusion.sampling.process import process_of
from diffusion.sampling.schedules import SCHEDULES, schedule
from tests.compat.conftest import installed
from tests.nodes import tiny


def module(name: str) -> Any:
    return importlib.import_module(name)


# folder_paths


def test_folders_are_those_of_this_installation(world: World):
    paths = module("folder_paths")
    assert paths.models_dir == str(world.folders.models)
    assert str(Path(paths.__file__).parent) == paths.base_path == str(world.folders.base)
    assert paths.get_directory_by_type("temp") == str(world.folders.temp)
    assert paths.get_directory_by_type("elsewhere") is None
    assert set(paths.folder_names_and_paths) >= {"checkpoints", "loras", "custom_nodes", "audio_encoders"}
    assert paths.get_folder_paths("unet") == paths.get_folder_paths("diffusion_models")
    with pytest.raises(KeyError):
        paths.get_filename_list("nothing")


def test_packs_add_folders_and_our_loaders_look_there_too(world: World, tmp_path: Path):
    paths = module("folder_paths")
    (tmp_path / "more" / "deep").mkdir(parents=True)
    (tmp_path / "more" / "deep" / "a.safetensors").touch()
    (tmp_path / "more" / "b.txt").touch()
    paths.add_model_folder_path("loras", str(tmp_path / "more"))
    assert paths.get_filename_list("loras") == ["deep/a.safetensors"]
    assert paths.get_full_path("loras", "deep/a.safetensors") == str(tmp_path / "more" / "deep" / "a.safetensors")
    assert world.folders.find("loras", "deep/a.safetensors") is not None
    paths.add_model_folder_path("mine", str(tmp_path / "more"))
    assert paths.get_filename_list("mine") == ["b.txt", "deep/a.safetensors"]
    paths.folder_names_and_paths["own"] = ([str(tmp_path / "more")], {".txt"})
    assert paths.get_filename_list("own") == ["b.txt"]
    assert paths.get_full_path("mine", "../../etc/passwd") is None
    with pytest.raises(FileNotFoundError):
        paths.get_full_path_or_raise("mine", "c")


def test_a_list_of_files_is_listed_afresh_only_while_it_is_untouched(world: World):
    paths = module("folder_paths")

    class Kind:
        FUNCTION = "go"
        mine: Any = None

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:
            return {"required": {"a": (cls.mine,)}}

    Kind.mine = paths.get_filename_list("loras")
    assert declare("K", Kind, None, "x").inputs[0].choices_from == "loras"
    Kind.mine = ["None", *paths.get_filename_list("loras")]
    assert declare("K", Kind, None, "x").inputs[0].choices_from is None


def test_saved_names_count_on_and_stay_beneath_their_root(world: World, tmp_path: Path):
    paths = module("folder_paths")
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "sub" / "pic_00007_.png").touch()
    folder, name, counter, sub, prefix = paths.get_save_image_path("sub/pic", str(tmp_path / "out"), 64, 32)
    assert (folder, name, counter, sub, prefix) == (str(tmp_path / "out" / "sub"), "pic", 8, "sub", "sub/pic")
    assert paths.get_save_image_path("%width%x%height%", str(tmp_path / "out"), 64, 32)[1] == "64x32"
    with pytest.raises(ValueError):
        paths.get_save_image_path("../../x", str(tmp_path / "out"))


def test_annotated_names_lead_to_their_folders(world: World):
    paths = module("folder_paths")
    assert paths.annotated_filepath("a.png [output]") == ("a.png", str(world.folders.output))
    assert paths.annotated_filepath("a.png") == ("a.png", None)
    assert paths.get_annotated_filepath("a.png") == str(world.folders.input / "a.png")
    (world.folders.temp / "t.png").touch()
    assert paths.exists_annotated_filepath("t.png [temp]")
    assert paths.filter_files_content_types(["a.png", "b.mp4", "c.txt"], ["image", "video"]) == ["a.png", "b.mp4"]


# comfy.utils


def test_pictures_change_size(world: World):
    utils = module("comfy.utils")
    x = torch.rand(1, 3, 8, 16)
    for method in ("nearest-exact", "bilinear", "area", "bicubic", "lanczos", "bislerp"):
        assert utils.common_upscale(x, 4, 4, method, "center").shape == (1, 3, 4, 4)
    assert torch.equal(utils.repeat_to_batch_size(x, 3)[2], x[0])
    assert utils.repeat_to_batch_size(torch.zeros(2, 5), 3, dim=1).shape == (2, 3)


def test_tiles_join_to_the_whole(world: World):
    utils = module("comfy.utils")
    torch.manual_seed(0)
    x = torch.rand(2, 3, 40, 56)
    seen: list[int] = []

    class Bar:
        def update(self, value: int) -> None:
            seen.append(value)

    def double(tile: torch.Tensor) -> torch.Tensor:
        return tile.repeat_interleave(2, 2).repeat_interleave(2, 3)

    made = utils.tiled_scale(x, double, 16, 16, 4, upscale_amount=2, pbar=Bar())
    assert torch.allclose(made, double(x), atol=1e-5)
    assert len(seen) == 2 * utils.get_tiled_scale_steps(56, 40, 16, 16, 4)


def test_weights_are_read_written_and_renamed(world: World, tmp_path: Path):
    utils = module("comfy.utils")
    tensors = {"a.x": torch.ones(2, dtype=torch.float16), "a.y": torch.zeros(3), "b": torch.zeros(4)}
    utils.save_torch_file(tensors, str(tmp_path / "w.safetensors"), {"k": "v"})
    read, metadata = utils.load_torch_file(str(tmp_path / "w.safetensors"), return_metadata=True)
    assert set(read) == set(tensors)
    assert metadata == {"k": "v"}
    torch.save({"state_dict": tensors}, tmp_path / "w.pt")
    assert set(utils.load_torch_file(tmp_path / "w.pt", safe_load=True)) == set(tensors)
    assert utils.calculate_parameters(tensors, "a.") == 5
    assert utils.weight_dtype(tensors) == torch.float32
    assert utils.state_dict_prefix_replace(dict(tensors), {"a.": "c."}, filter_keys=True).keys() == {"c.x", "c.y"}
    assert utils.state_dict_prefix_replace(dict(tensors), {"a.": "c."}).keys() == {"c.x", "c.y", "b"}


def test_attributes_by_dotted_paths(world: World):
    utils = module("comfy.utils")
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    before = utils.get_attr(network, "0.weight")
    assert utils.set_attr(network, "0.weight", torch.zeros(2, 2)) is before
    assert float(utils.get_attr(network, "0.weight").sum()) == 0


def test_progress_goes_to_the_hook_that_is_set(world: World):
    utils = module("comfy.utils")
    seen: list[tuple[int, int]] = []
    utils.set_progress_bar_global_hook(lambda value, total, preview, node_id=None: seen.append((value, total)))
    bar = utils.ProgressBar(3)
    bar.update(2)
    bar.update(5)
    bar.update_absolute(1, 10)
    assert seen == [(2, 3), (3, 3), (1, 10)]


# model_management


def test_devices_and_precisions_on_a_cpu(tmp_path: Path):
    installed(tmp_path, cpu=True)
    management = module("comfy.model_management")
    cpu = torch.device("cpu")
    assert management.get_torch_device() == cpu == management.unet_offload_device() == management.vae_device()
    assert not management.should_use_fp16(cpu)
    assert management.unet_dtype() == torch.float32
    assert management.unet_manual_cast(torch.float32, cpu) is None
    assert management.unet_manual_cast(torch.float16, cpu) == torch.float32
    assert management.get_free_memory() > 0
    assert management.module_size(torch.nn.Linear(2, 2)) == 24
    assert management.get_autocast_device(cpu) == "cpu"
    assert issubclass(management.OOM_EXCEPTION, Exception)
    management.soft_empty_cache(True)
    module("comfy.cli_args").args.nobody_knows  # noqa: B018  # a flag that was not given
    management.interrupt_current_processing()
    assert management.processing_interrupted()
    with pytest.raises(management.InterruptProcessingException):
        management.throw_exception_if_processing_interrupted()
    management.throw_exception_if_processing_interrupted()


def test_models_that_packs_load_are_listed_until_they_are_freed(patcher: Any):
    management = module("comfy.model_management")
    management.load_models_gpu([patcher])
    assert management.loaded_models() == [patcher]
    assert management.free_memory(1e30, patcher.load_device)[0].model is patcher
    assert management.current_loaded_models == []


# Schedules and samplers


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_schedules_are_ours(name: str, patcher: Any):
    samplers = module("comfy.samplers")
    wanted = schedule(process_of(tiny.model().prediction).levels, name, 7)
    assert torch.allclose(samplers.calculate_sigmas(patcher.model.model_sampling, name, 7), wanted)
    assert samplers.KSampler.SCHEDULERS is samplers.SCHEDULER_NAMES
    assert samplers.KSampler.SAMPLERS is samplers.SAMPLER_NAMES


def test_the_module_of_samplers_can_be_loaded_again(world: World):
    """Packs do so to take back what others have replaced."""
    sampling = module("comfy.k_diffusion.sampling")
    sampling.default_noise_sampler = None
    assert importlib.reload(sys.modules["comfy.k_diffusion.sampling"]).default_noise_sampler is not None


def test_noise_of_a_seed_is_that_of_ours_and_brownian_paths_agree(world: World):
    sample, sampling = module("comfy.sample"), module("comfy.k_diffusion.sampling")
    latent = torch.zeros(2, 4, 8, 8)
    assert torch.equal(sample.prepare_noise(latent, 3)[0], torch.randn(2, 4, 8, 8, generator=torch.manual_seed(3))[0])
    path = sampling.BrownianTreeNoiseSampler(latent, 0.1, 10.0, seed=3, cpu=True)
    whole, parts = path(10.0, 1.0) * 3, path(10.0, 4.0) * 6**0.5 + path(4.0, 1.0) * 3**0.5
    assert torch.allclose(whole, parts, atol=1e-4)
    assert sampling.get_ancestral_step(torch.tensor(2.0), torch.tensor(1.0), eta=0.0) == (torch.tensor(1.0), 0.0)


# Text


def test_weights_in_prompts(world: World):
    clip = module("comfy.sd1_clip")
    assert clip.token_weights("a (b:1.5) (c) ((d))", 1.0) == [
        ("a ", 1.0), ("b", 1.5), (" ", 1.0), ("c", 1.1), (" ", 1.0), ("d", pytest.approx(1.21)),
    ]  # fmt: skip


# Graphs and conditionings


def test_graphs_are_built_with_ids_that_are_new(world: World):
    graphs = module("comfy_execution.graph_utils")
    graph = graphs.GraphBuilder("5.0.0.")
    one = graph.node("A", "one", x=1)
    two = graph.node("B", y=one.out(0), z=2)
    assert graph.node("A", "one") is one
    assert graph.lookup_node("one") is one
    two.set_input("z", None)
    two.set_override_display_id("5")
    assert graph.finalize() == {
        "5.0.0.one": {"class_type": "A", "inputs": {"x": 1}},
        "5.0.0.1": {"class_type": "B", "inputs": {"y": ["5.0.0.one", 0]}, "override_display_id": "5"},
    }
    graph.replace_node_output("one", 0, 7)
    assert two.get_input("y") == 7
    assert graphs.add_graph_prefix({"a": {"class_type": "A", "inputs": {"x": ["b", 0]}}}, (["a", 1], 3), "p.") == (
        {"p.a": {"class_type": "A", "inputs": {"x": ["p.b", 0]}}},
        (["p.a", 1], 3),
    )


def test_conditionings_are_changed_in_copies(world: World):
    helpers = module("node_helpers")
    before = [[torch.zeros(1, 1, 1), {"a": [1]}]]
    after = helpers.conditioning_set_values(before, {"a": [2], "b": 3}, append=True)
    assert after[0][1] == {"a": [1, 2], "b": 3}
    assert before[0][1] == {"a": [1]}


def test_conds_join_and_follow_areas(world: World):
    conds = module("comfy.conds")
    tokens = conds.CONDCrossAttn(torch.ones(1, 77, 4))
    longer = conds.CONDCrossAttn(torch.ones(1, 154, 4))
    assert tokens.can_concat(longer)
    assert tokens.concat([longer]).shape == (2, 154, 4)
    picture = conds.CONDNoiseShape(torch.arange(16.0).view(1, 1, 4, 4))
    assert picture.process_cond(2, area=[2, 2, 1, 1]).cond[1, 0].tolist() == [[5, 6], [9, 10]]


def test_layers_cast_what_they_hold_to_what_comes(world: World):
    ops = module("comfy.ops")
    layer = ops.manual_cast.Linear(2, 2).to(torch.bfloat16)
    layer.weight.data.fill_(1)
    layer.bias.data.zero_()
    assert layer(torch.ones(1, 2)).dtype == torch.float32
    assert ops.pick_operations(torch.float16, torch.float32) is ops.manual_cast
    assert ops.manual_cast.Conv2d(3, 4, 1).half()(torch.zeros(1, 3, 2, 2)).dtype == torch.float32


def test_attention_is_softmax_of_scores(world: World):
    attention = module("comfy.ldm.modules.attention")
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 5, 8), torch.randn(2, 7, 8), torch.randn(2, 7, 8)
    heads = [part.view(2, -1, 2, 4).transpose(1, 2) for part in (q, k, v)]
    scores = heads[0] @ heads[1].transpose(-1, -2) / 2.0
    wanted = (scores.softmax(-1) @ heads[2]).transpose(1, 2).flatten(2)
    assert torch.allclose(attention.optimized_attention(q, k, v, 2), wanted, atol=1e-6)
    split = attention.optimized_attention(*heads, 2, skip_reshape=True, skip_output_reshape=True)
    assert torch.allclose(split.transpose(1, 2).flatten(2), wanted, atol=1e-6)
    mask = torch.zeros(2, 5, 7)
    mask[..., 3:] = -torch.inf
    masked = attention.optimized_attention_masked(q, k, v, 2, mask)
    assert torch.allclose(masked, attention.optimized_attention(q, k[:, :3], v[:, :3], 2), atol=1e-6)


def test_rotations_keep_lengths_and_embeddings_are_waves(world: World):
    math, layers = module("comfy.ldm.flux.math"), module("comfy.ldm.flux.layers")
    ids = torch.arange(6.0).view(1, 6, 1)
    turns = layers.EmbedND(8, 10000, [8])(ids)
    x = torch.randn(1, 2, 6, 8)
    q, _ = math.apply_rope(x, x, turns)
    assert torch.allclose(q.norm(dim=-1), x.norm(dim=-1), atol=1e-5)
    assert torch.equal(q[:, :, 0], x[:, :, 0])
    util = module("comfy.ldm.modules.diffusionmodules.util")
    assert torch.allclose(
        layers.timestep_embedding(torch.tensor([0.5]), 16), util.timestep_embedding(torch.tensor([500.0]), 16)
    )
    assert module("comfy.ldm.common_dit").pad_to_patch_size(torch.zeros(1, 1, 3, 4)).shape == (1, 1, 4, 4)


def test_what_a_model_is_can_be_asked(patcher: Any):
    base, models = module("comfy.model_base"), module("comfy.supported_models")
    assert isinstance(patcher.model, base.BaseModel)
    assert not isinstance(patcher.model, base.SDXL)
    assert isinstance(patcher.model.model_config, models.SD15)
    assert patcher.model.model_type == base.ModelType.EPS
    assert patcher.model.model_config.unet_config["context_dim"] == tiny.UNET.context_width
    assert patcher.model.latent_format.scale_factor == 0.18215
    assert patcher.model.memory_required([2, 4, 64, 64]) > 0
    assert isinstance(patcher.model.diffusion_model, module("comfy.ldm.modules.diffusionmodules.openaimodel").UNetModel)
    state = {f"model.diffusion_model.{name}": t for name, t in patcher.native.network.state_dict().items()}
    assert module("comfy.model_detection").unet_prefix_from_state_dict(state) == "model.diffusion_model."


def test_previews_show_the_latest_latent(patcher: Any):
    preview = module("latent_preview")
    previewer = preview.get_previewer("cpu", patcher.model.latent_format)
    kind, picture, _ = previewer.decode_latent_to_preview_image("JPEG", torch.zeros(1, 4, 8, 8))
    assert (kind, picture.size) == ("JPEG", (8, 8))
    kept: dict[str, Any] = {}
    preview.prepare_callback(patcher, 2, kept)(0, torch.ones(1, 4, 8, 8), None, 2)
    assert float(kept["x0"].mean()) == 1


def test_our_nodes_are_classes_that_can_be_called(world: World):
    nodes: Any = importlib.import_module("nodes")
    assert nodes.MAX_RESOLUTION == 16384
    [mixed] = nodes.ConditioningCombine().combine([[1, {}]], [[2, {}]])
    assert len(mixed) == 2
    assert nodes.EmptyLatentImage().generate(64, 32)[0]["samples"].shape == (1, 4, 4, 8)
    assert set(nodes.KSampler.INPUT_TYPES()["required"]) >= {"model", "seed", "sampler_name"}
    extras = module("comfy_extras.nodes_mask")
    [grown] = extras.GrowMask().expand_mask(torch.zeros(1, 4, 4), 1, True)
    assert grown.shape == (1, 4, 4)
    assert "KSampler" in nodes.NODE_CLASS_MAPPINGS
    with pytest.raises(AttributeError):
        nodes.NobodyMadeThis  # noqa: B018
