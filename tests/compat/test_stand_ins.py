"""Packs of every category load and run in graphs with our own nodes, as in a worker."""

from collections.abc import Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from compat.found import Wanted
from compat.inside.extended import extend, is_replaced
from compat.packs import load_packs
from execution.events import Ending, Interrupted, NodeFinished, Progress, Succeeded
from execution.executor import Executor
from execution.job import Job
from execution.registry import catalogue_of
from execution.spec import Declaration, NodeResult, NodeSpec, OutputSpec
from tests.compat.conftest import installed
from tests.nodes import tiny

PACKS = Path(__file__).parent / "stand_ins"
Graph = dict[str, Any]


class House:
    """An executor with our nodes and the stand-ins, small models out of nowhere, and what was made and told."""

    def __init__(self, base: Path):
        self.world = installed(base)
        for name, type_name, value in (
            ("Model", "MODEL", tiny.model()),
            ("Clip", "CLIP", tiny.text_encoders()),
            ("Vae", "VAE", tiny.autoencoder()),
        ):
            output = (OutputSpec(type_name, type_name),)
            declaration = Declaration(f"Test{name}", None, "test", outputs=output)
            self.world.nodes[declaration.id] = NodeSpec(declaration, lambda value=value: NodeResult((value,)))
        self.loaded = load_packs([PACKS], Wanted(), self.world.nodes)
        extend(self.world.nodes)
        self.executor = Executor(
            self.world.nodes, capabilities=self.world.capabilities, around=torch.inference_mode,
            listing=self.world.folders.listing,
        )  # fmt: skip
        self.events: list[Any] = []
        self.takes = 0

    def run(self, graph: Graph, *outputs: str, id: str = "job") -> Ending:
        self.events.clear()
        job = Job(id, 0, graph, tuple(outputs) or (list(graph)[-1],), {"extra_pnginfo": {"workflow": {}}})
        return self.executor.run(job, self.events.append, lambda: False)

    def made(self, graph: Graph, id: str) -> list[Any]:
        """What a node of a graph hands on, every output, as a list of elements."""
        seen: dict[str, Any] = {}
        declaration = Declaration("TestTake", None, "test", is_output=True, keyed_by_id=True)

        def take(**values: Any) -> NodeResult:
            seen.update(values)
            return NodeResult()

        self.world.nodes["TestTake"] = NodeSpec(declaration, take)
        node = graph[id]["class_type"]
        count = len(self.world.nodes[node].declaration.outputs)
        self.takes += 1  # what was made before is taken again, too
        links = {f"v{i}": [id, i] for i in range(count)}
        whole = {**graph, "take": {"class_type": "TestTake", "inputs": {"number": self.takes, **links}}}
        ending = self.run(whole, "take")
        assert isinstance(ending, Succeeded), ending
        return [seen[f"v{i}"] for i in range(count)]

    def shown(self, id: str) -> Mapping[str, Any]:
        return next(e.ui for e in self.events if isinstance(e, NodeFinished) and e.node.id == id and e.ui)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("house"))


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def prompts() -> Graph:
    return {
        "model": node("TestModel"),
        "clip": node("TestClip"),
        "vae": node("TestVae"),
        "positive": node("CLIPTextEncode", text="a (red:1.3) fox", clip=["clip", 0]),
        "negative": node("CLIPTextEncode", text="blurry", clip=["clip", 0]),
        "latent": node("EmptyLatentImage", width=64, height=64, batch_size=1),
    }


def sampled(house: House, model: list[Any], cfg: float = 3.0, sampler: str = "euler", **more: Any) -> torch.Tensor:
    graph = {
        **prompts(),
        **more.pop("nodes", {}),
        "sample": node(
            "KSampler", model=model, seed=5, steps=2, cfg=cfg, sampler_name=sampler,
            scheduler=more.pop("scheduler", "karras"), positive=more.pop("positive", ["positive", 0]),
            negative=["negative", 0], latent_image=["latent", 0], denoise=1.0,
        ),
    }  # fmt: skip
    return house.made(graph, "sample")[0]["samples"]


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).norm() < 1e-4 * b.norm())


def test_every_stand_in_loads(house: House):
    assert {pack.name for pack in house.loaded.packs} == {path.name for path in PACKS.iterdir()}
    assert [pack.trouble for pack in house.loaded.packs if pack.trouble] == []
    assert [dict(pack.broken_nodes) for pack in house.loaded.packs if pack.broken_nodes] == []
    assert list(house.loaded.conflicts) == []


def test_an_any_type_takes_lists_and_shows_them(house: House):
    graph = {"n": node("UtilityNumbers", count=3), "show": node("UtilityShowAny", anything=["n", 0])}
    assert isinstance(house.run(graph), Succeeded)
    assert house.shown("show") == {"text": ["0", "1", "2", "show"]}


def test_a_dict_that_claims_every_key_takes_every_input(house: House):
    graph = {"n": node("FlowAdd", a=1, b=2), "c": node("UtilityCollect", x=["n", 0], y="text", z=5)}
    assert house.made(graph, "c") == ["x=3,y=text,z=5"]


def test_state_lives_on_the_instance_from_run_to_run(house: House):
    graph = {"c": node("UtilityCounter", step=2), "show": node("UtilityShowAny", anything=["c", 0])}
    for wanted in ("2", "4"):
        house.run(graph)
        assert house.shown("show")["text"][0] == wanted


def test_choices_are_declared_afresh_and_validators_judge(house: House):
    (house.world.folders.models / "loras" / "new.safetensors").touch()
    declaration = catalogue_of(house.world.nodes)["UtilityChoosy"]
    lora, word = declaration.input("lora"), declaration.input("word")
    assert lora is not None
    assert word is not None
    assert (lora.choices, word.self_checked) == (("None", "new.safetensors"), True)
    check = house.world.nodes["UtilityChoosy"].check
    assert check is not None
    assert (check(word="good"), check(word="bad")) == (True, "that word is bad")


def test_a_pack_calls_our_nodes_and_tells_its_progress(house: House):
    graph = {
        "image": node("EmptyImage", width=64, height=32, batch_size=1, color=0xFFFFFF),
        "small": node("UtilityShrink", image=["image", 0], method="area"),
    }
    [image] = house.made(graph, "small")
    assert image.shape == (1, 16, 32, 3)
    assert float(image.max()) == 0
    assert [(e.value, e.total) for e in house.events if isinstance(e, Progress)] == [(1, 2), (2, 2)]


def test_a_node_that_inherits_from_ours_saves_where_it_says(house: House):
    graph = {
        "image": node("EmptyImage", width=16, height=8, batch_size=2, color=0),
        "save": node("UtilitySave", images=["image", 0], filename_prefix="x"),
    }
    assert isinstance(house.run(graph), Succeeded)
    shown = house.shown("save")["images"]
    assert [(entry["filename"], entry["type"]) for entry in shown] == [
        ("mine_00001_.png", "temp"),
        ("mine_00002_.png", "temp"),
    ]
    with Image.open(house.world.folders.temp / "mine_00001_.png") as saved:
        assert saved.size == (16, 8)
        assert set(saved.info) >= {"prompt", "workflow"}


def test_models_that_packs_patched_are_sampled_by_our_nodes(house: House):
    plain = sampled(house, ["model", 0], cfg=6.0)
    patched = {"m": node("PatcherRescale", model=["model", 0], scale=2.0)}
    assert close(sampled(house, ["m", 0], cfg=3.0, nodes=patched), plain)
    chain = {
        "w": node("PatcherWeightScale", model=["model", 0], strength=0.0),
        "h": node("FreeU", model=["w", 0], b1=1.0, b2=1.0, s1=1.0, s2=1.0),
        "a": node("PatcherAttentionScale", model=["h", 0], scale=1.0),
        "r": node("PatcherRescale", model=["a", 0], scale=2.0),
    }
    assert close(sampled(house, ["r", 0], cfg=3.0, nodes=chain), plain)
    chain["a"]["inputs"]["scale"] = 0.0
    assert not close(sampled(house, ["r", 0], cfg=3.0, nodes=chain), plain)
    chain["a"]["inputs"]["scale"] = 1.0
    chain["w"]["inputs"]["strength"] = 0.5
    assert not close(sampled(house, ["r", 0], cfg=3.0, nodes=chain), plain)


def test_our_node_before_and_after_a_packs_keeps_both(house: House):
    """model ─ pack ─ ours (rescale cfg) ─ sample   equals   model ─ ours ─ pack ─ sample, where the two commute"""
    one = {
        "a": node("PatcherAttentionScale", model=["model", 0], scale=0.5),
        "b": node("PerturbedAttentionGuidance", model=["a", 0], scale=2.0),
    }
    two = {
        "a": node("PerturbedAttentionGuidance", model=["model", 0], scale=2.0),
        "b": node("PatcherAttentionScale", model=["a", 0], scale=0.5),
    }
    only = {"b": node("PatcherAttentionScale", model=["model", 0], scale=0.5)}
    made = [sampled(house, ["b", 0], nodes=nodes) for nodes in (one, two, only)]
    assert close(made[0], made[1])
    assert not close(made[0], made[2])


def test_samplers_and_schedules_that_packs_add_are_in_our_menus_and_run(house: House):
    declaration = catalogue_of(house.world.nodes)["KSampler"]
    choices = {entry.name: entry.choices for entry in declaration.inputs}
    assert "stand_in" in (choices["sampler_name"] or ())
    assert "straight" in (choices["scheduler"] or ())
    assert close(sampled(house, ["model", 0], sampler="stand_in"), sampled(house, ["model", 0]))
    assert not close(sampled(house, ["model", 0], scheduler="straight"), sampled(house, ["model", 0]))
    graph = {
        **prompts(),
        "s": node("BasicScheduler", model=["model", 0], scheduler="straight", steps=4, denoise=0.5),
        "k": node("KSamplerSelect", sampler_name="stand_in"),
    }
    assert len(house.made(graph, "s")[0]) == 5
    assert house.made(graph, "k")[0].driver is not None


def test_what_packs_put_in_the_place_of_every_runs_functions_is_gone_through(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    from comfy import samplers

    original = samplers.sampling_function

    @wraps(original)
    def stronger(model: Any, x: Any, timestep: Any, uncond: Any, cond: Any, cond_scale: float, *rest: Any, **more: Any):
        return original(model, x, timestep, uncond, cond, cond_scale * 2, *rest, **more)

    plain, wanted = sampled(house, ["model", 0], cfg=3.0), sampled(house, ["model", 0], cfg=6.0)
    assert not is_replaced()
    monkeypatch.setattr(samplers, "sampling_function", stronger)
    assert is_replaced()
    house.executor.free()
    assert close(sampled(house, ["model", 0], cfg=3.0), wanted)
    pair = {"model": ["model", 0], "positive": ["positive", 0], "negative": ["negative", 0]}
    made = custom(house, node("CFGGuider", **pair, cfg=3.0), node("KSamplerSelect", sampler_name="euler"))
    monkeypatch.undo()
    house.executor.free()
    assert close(sampled(house, ["model", 0], cfg=3.0), plain)
    ours = custom(house, node("CFGGuider", **pair, cfg=6.0), node("KSamplerSelect", sampler_name="euler"))
    assert close(made, ours)


def custom(house: House, guider: dict[str, Any], sampler: dict[str, Any]) -> torch.Tensor:
    graph = {
        **prompts(),
        "guider": guider,
        "sampler": sampler,
        "noise": node("RandomNoise", noise_seed=5),
        "sigmas": node("BasicScheduler", model=["model", 0], scheduler="karras", steps=2, denoise=1.0),
        "sample": node(
            "SamplerCustomAdvanced", noise=["noise", 0], guider=["guider", 0], sampler=["sampler", 0],
            sigmas=["sigmas", 0], latent_image=["latent", 0],
        ),
    }  # fmt: skip
    return house.made(graph, "sample")[0]["samples"]


def test_guiders_and_samplers_of_packs_run_in_our_custom_sampler(house: House):
    pair = {"model": ["model", 0], "positive": ["positive", 0], "negative": ["negative", 0]}
    ours = custom(house, node("CFGGuider", **pair, cfg=4.0), node("KSamplerSelect", sampler_name="euler"))
    theirs = custom(house, node("PatcherGetGuider", **pair, cfg=2.0, scale=2.0), node("PatcherSampler", damp=1.0))
    assert close(theirs, ours)
    both = custom(house, node("CFGGuider", **pair, cfg=4.0), node("PatcherSampler", damp=0.5))
    assert not close(both, ours)


def test_a_pack_makes_a_whole_picture_by_the_cores_functions(house: House):
    graph = {
        **prompts(),
        "e": node(
            "PatcherEfficient", model=["model", 0], positive=["positive", 0], negative=["negative", 0],
            vae=["vae", 0], seed=5, sampler_name="euler", scheduler="karras",
        ),
        "again": node("VAEDecode", samples=["e", 1], vae=["vae", 0]),
    }  # fmt: skip
    image, latent, model = house.made(graph, "e")
    assert image.shape == (1, 64, 64, 3)
    assert close(latent["samples"], sampled(house, ["model", 0]))
    assert torch.equal(house.made(graph, "again")[0], image)
    assert model.network is house.made({"model": node("TestModel")}, "model")[0].network


def test_a_packs_way_of_encoding_and_its_regions_guide_our_sampler(house: House):
    nodes = {
        "mine": node("ConditioningEncode", text="a (red:1.3) fox", clip=["clip", 0]),
        "mask": node("SolidMask", value=0.5, width=64, height=64),
        "region": node("ConditioningRegion", conditioning=["mine", 0], mask=["mask", 0]),
    }
    [(embeddings, options)] = house.made({**prompts(), **nodes}, "region")[0]
    assert embeddings.shape == (1, 77, tiny.UNET.context_width)
    assert set(options) == {"pooled_output", "mask", "mask_strength", "mine"}
    assert sampled(house, ["model", 0], nodes=nodes, positive=["region", 0]).isfinite().all()


@pytest.mark.parametrize(("which", "wanted"), [(True, 1), (False, 2)])
def test_a_switch_runs_only_the_branch_it_takes(which: bool, wanted: int, house: House):
    graph = {
        "a": node("FlowAdd", a=1),
        "b": node("FlowAdd", a=1, b=1),
        "s": node("FlowSwitch", which=which, on_true=["a", 0], on_false=["b", 0]),
    }
    graph["a"]["inputs"]["b"] = 0
    assert house.made(graph, "s") == [wanted]


def test_a_node_becomes_a_graph_and_async_nodes_run(house: House):
    graph = {
        "start": node("FlowAdd", a=1, b=1),
        "r": node("FlowRepeat", times=3, start=["start", 0]),
        "w": node("FlowWait", value=["r", 0]),
    }
    assert house.made(graph, "w") == [50]


def test_nodes_of_expansions_may_choose_files_that_are_new(house: House):
    (house.world.folders.models / "loras" / "newer.safetensors").touch()
    assert house.made({"b": node("FlowBecome", lora="newer.safetensors")}, "b") == ["good newer.safetensors fast"]


def test_a_blocker_stops_what_comes_after_and_an_interrupt_the_job(house: House):
    graph: Graph = {
        "g": node("FlowGate", value=1, open=False),
        "a": node("FlowAdd", a=["g", 0], b=1),
        "show": node("UtilityShowAny", anything=["a", 0]),
    }
    assert isinstance(house.run(graph), Succeeded)
    assert not any(isinstance(e, NodeFinished) and e.ui for e in house.events)
    graph["s"] = node("FlowStop", value=1)
    assert isinstance(house.run(graph, "s"), Interrupted)


def test_nodes_with_schemas_work_on_models_as_classes_do(house: House):
    plain = sampled(house, ["model", 0], cfg=6.0)
    nodes = {
        "m": node("SchemaRescale", model=["model", 0], scale=2.0),
        "p": node("SchemaEncode", clip=["clip", 0], text="a (red:1.3) fox"),
    }
    assert close(sampled(house, ["m", 0], cfg=3.0, nodes=nodes, positive=["p", 0]), plain)
    graph = {**prompts(), "ours": node("VAEDecode", samples=["latent", 0], vae=["vae", 0])}
    theirs = {**graph, "theirs": node("SchemaDecode", samples=["latent", 0], vae=["vae", 0])}
    assert close(house.made(theirs, "theirs")[0], house.made(graph, "ours")[0])
