"""Nodes of the newer style: they declare themselves by a schema and run as class methods that keep nothing."""

import shutil
import wave
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from compat.found import Wanted
from compat.install import install
from compat.pack import Pack
from compat.packs import load_packs
from compat.world import World
from diffusion.store import ModelStore
from execution.engine import GraphEngine
from execution.events import Event, Failed, NodeBlocked, NodeFinished, Preview, Progress, Succeeded
from execution.executor import Executor
from execution.job import Job
from execution.object_info import describe
from execution.problems import PromptRejected
from execution.prompt import parse
from execution.registry import catalogue_of
from execution.spec import NodeSpec
from execution.validate import checks_needed, validate
from storage.folders import Folders
from storage.inputs import Inputs
from storage.outputs import Outputs


class Bench:
    """A worker's engine with the pack in `schema_pack.py`."""

    def __init__(self, base: Path):
        self.folders = Folders(base)
        self.folders.make()
        shutil.copy(Path(__file__).with_name("schema_pack.py"), base / "custom_nodes" / "probe.py")
        self.nodes: dict[str, NodeSpec] = {}
        inputs = Inputs(self.folders.input, self.folders.output, self.folders.temp)
        outputs = Outputs(self.folders.output, self.folders.temp)
        install(World(self.folders, inputs, outputs, ModelStore(), nodes=self.nodes))
        self.loaded = load_packs([base / "custom_nodes"], Wanted(), self.nodes)
        self.engine = GraphEngine(Executor(self.nodes, around=torch.inference_mode), dict)
        self.heard: list[Event] = []

    @property
    def pack(self) -> Pack:
        return self.loaded.packs[0]

    def run(self, graph: dict[str, Any], **extra: Any) -> Any:
        """Validate as the server does, run, and return the ending."""
        catalogue = catalogue_of(self.nodes)
        parsed = parse(graph)
        verdicts = self.engine.check(checks_needed(parsed, catalogue))
        valid = validate(parsed, catalogue, verdicts=verdicts)
        self.heard.clear()
        return self.engine.run(Job("p", 0, valid.graph, valid.outputs, extra), self.heard.append, lambda: False)

    def shown(self, graph: dict[str, Any], id: str = "1", **extra: Any) -> Any:
        """What a node shows of a run that succeeds."""
        ending = self.run(graph, **extra)
        assert isinstance(ending, Succeeded), ending
        return next(e.ui for e in self.heard if isinstance(e, NodeFinished) and e.node.id == id)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("installation"))


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def dotted(class_type: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def test_object_info_shows_a_schema_as_clients_know_it(bench: Bench):
    entry = describe(bench.nodes["Everything"].declaration)
    required, optional = entry["input"]["required"], entry["input"]["optional"]
    assert required["n"] == [
        "INT",
        {"default": 1, "min": 0, "max": 9, "step": 1, "control_after_generate": True, "display": "slider"},
    ]
    assert required["cc"] == ["COMBO", {"default": "y", "multiselect": False, "options": ["x", "y"]}]
    assert required["mood"] == ["COMBO", {"default": "wild", "multiselect": False, "options": ["calm", "wild"]}]
    assert required["mc"] == [
        "COMBO",
        {
            "default": ["k"],
            "multiselect": True,
            "options": ["k", "l"],
            "multi_select": True,
            "placeholder": "pp",
            "chip": True,
        },
    ]
    assert required["s"] == ["STRING", {"multiline": True, "dynamicPrompts": True, "a_newer_keyword": "kept"}]
    assert required["file"][1]["image_upload"] is True
    assert required["file"][1]["image_folder"] == "output"
    assert required["far"][1]["remote"] == {
        "route": "/choices",
        "refresh_button": False,
        "control_after_refresh": "first",
        "timeout": 5,
    }
    assert required["rich"][1]["remote_combo"] == {
        "route": "/rich",
        "item_schema": {"value_field": "id", "label_field": "name"},
        "timeout": 9,
    }
    assert optional["image"] == ["IMAGE", {"tooltip": "tip"}]
    assert optional["mt"] == ["MASK,IMAGE", {}]
    assert optional["either"] == ["FLOAT,PROBE", {"default": 1.0, "widgetType": "FLOAT"}]
    assert optional["anyx"] == ["*", {"lazy": True}]
    assert entry["input"]["hidden"] == {
        "unique_id": ["UNIQUE_ID"],
        "prompt": ["PROMPT"],
        "extra_pnginfo": ["EXTRA_PNGINFO"],
    }
    assert entry["output"] == ["IMAGE", "INT", ["x", "y"]]
    assert entry["output_name"] == ["IMAGE", "Count", ["x", "y"]]
    assert entry["output_tooltips"] == [None, "ct", None]
    told = {key: entry[key] for key in ("name", "display_name", "description", "category", "python_module")}
    assert told == {
        "name": "Everything",
        "display_name": "Every Thing",
        "description": "desc",
        "category": "probe/v3",
        "python_module": "custom_nodes.probe",
    }
    flags = ("output_node", "deprecated", "experimental", "api_node")
    assert [entry[key] for key in flags] == [True, False, True, False]
    assert entry["search_aliases"] == ["all"]


def test_inputs_that_depend_on_others_are_told_with_their_template(bench: Bench):
    entry = describe(bench.nodes["Gather"].declaration)
    kind, options = entry["input"]["required"]["parts"]
    assert kind == "COMFY_AUTOGROW_V3"
    assert options["template"]["prefix"] == "part"
    assert options["template"]["input"] == {"required": {"part": ["STRING", {"multiline": False}]}}
    kind, options = entry["input"]["required"]["mode"]
    assert (kind, [option["key"] for option in options["options"]]) == ("COMFY_DYNAMICCOMBO_V3", ["plain", "joined"])
    assert entry["input"]["optional"]["same"][1]["template"] == {"template_id": "T", "allowed_types": "STRING,INT"}
    assert entry["output_matchtypes"] == [None, "T"]


def test_a_schema_that_contradicts_itself_costs_its_own_node(bench: Bench):
    assert bench.pack.trouble is None
    assert list(bench.pack.broken_nodes) == ["Twins"]
    assert "used twice: a" in bench.pack.broken_nodes["Twins"]


def test_a_node_sees_its_hidden_values_and_shows_what_it_made(bench: Bench):
    assert bench.shown({"1": node("Shout", text="hey", times=3)}) == {"text": ["HEYHEYHEY by 1 of 1, None"]}


def test_a_validator_knows_its_node_and_speaks_for_the_inputs_it_names(bench: Bench):
    with pytest.raises(PromptRejected) as refused:
        bench.run({"1": node("Shout", text="hey", times=2)})
    (problem,) = refused.value.node_errors["1"].errors
    assert (problem.type, problem.details) == (
        "custom_validation_failed",
        "times - twice is not enough for node 1",
    )


def test_the_fingerprint_decides_whether_it_runs_again(bench: Bench):
    graph = {"1": node("Shout", text="again", times=1)}
    bench.run(graph)
    bench.run(graph)
    assert [e.reused for e in bench.heard if isinstance(e, NodeFinished)] == [True]


def test_a_node_cannot_keep_anything_on_its_class(bench: Bench):
    ending = bench.run({"1": node("Stateful")})
    assert isinstance(ending, Failed)
    assert "Stateful.seen cannot be set while the node runs" in ending.problem.message


def test_an_asynchronous_node_tells_its_progress_and_shows_a_picture(bench: Bench):
    inputs = {"parts.part0": "a", "mode": "plain", "same": ["1", 0]}
    graph = {"1": node("Slow", steps=3), "2": dotted("Gather", inputs)}
    assert isinstance(bench.run(graph), Succeeded)
    assert [(e.value, e.total) for e in bench.heard if isinstance(e, Progress)] == [(1, 3), (2, 3), (3, 3)]
    previews = [e for e in bench.heard if isinstance(e, Preview)]
    assert [(e.format, e.image[:2]) for e in previews] == [("jpeg", b"\xff\xd8")] * 3


def test_a_node_that_says_so_may_become_a_graph(bench: Bench):
    graph = {"1": node("Repeat", text="a", depth=2), "2": node("Shout", text=["1", 0], times=1)}
    assert bench.shown(graph, "2") == {"text": ["A by 2 of 2, None"]}
    assert [e.node.id for e in bench.heard if isinstance(e, NodeFinished)] == ["1.0.0.0", "1.0.0.1", "1", "2"]


@pytest.mark.parametrize(("how", "text"), [("tuple", "LATE by 9 of 3, None"), ("dict", "LATE by 9 of 3, None")])
def test_a_lazy_input_is_made_when_it_is_asked_for(bench: Bench, how: str, text: str):
    graph = {"0": node("Lists", text="late", times=1), "1": node("Gate", how=how, text=["0", 0])}
    assert bench.shown({**graph, "9": node("Shout", text=["1", 0], times=1)}, "9") == {"text": [text]}


def test_a_blocked_output_says_why_once_and_the_job_goes_on(bench: Bench):
    graph = {"1": node("Gate", how="shut", text="x"), "2": node("Shout", text=["1", 0], times=1)}
    assert isinstance(bench.run(graph), Succeeded)
    assert [e.message for e in bench.heard if isinstance(e, NodeBlocked)] == ["the gate is shut"]


def test_parts_arrive_as_dicts_under_the_input_they_belong_to(bench: Bench):
    inputs = {"parts.part0": "a", "parts.part1": ["2", 0], "mode": "joined", "mode.by": "-", "mode.up": True}
    graph = {"1": dotted("Gather", {**inputs, "stranger": 5}), "2": node("Lists", text="b", times=1)}
    assert bench.shown(graph) == {"text": ["joined: a-b", ["part0", "part1"]]}
    bench.shown(graph)
    assert all(e.reused for e in bench.heard if isinstance(e, NodeFinished)), "its fingerprint saw the parts as well"


def test_lists_go_in_whole_and_come_out_one_by_one(bench: Bench):
    graph = {"1": node("Lists", text="b", times=2), "2": node("Shout", text=["1", 0], times=1)}
    assert bench.shown(graph, "2") == {"text": ["B by 2 of 2, None"] * 2}


@pytest.mark.parametrize(
    ("kind", "key", "place", "count", "ending"),
    [
        ("image", "images", "temp", 2, ".png"),
        ("mask", "images", "temp", 2, ".png"),
        ("saved", "images", "output", 2, ".png"),
        ("png", "images", "output", 1, ".png"),
        ("webp", "images", "output", 1, ".webp"),
    ],
)
def test_what_is_shown_is_a_file_with_the_graph_inside(
    bench: Bench, kind: str, key: str, place: str, count: int, ending: str
):
    shown = bench.shown({"1": node("Paint", kind=kind)}, extra_pnginfo={"workflow": {"id": 7}})
    assert shown.get("animated") == ([True] if kind in ("png", "webp") else None)
    assert [entry["type"] for entry in shown[key]] == [place] * count
    root = {"temp": bench.folders.temp, "output": bench.folders.output}[place]
    for entry in shown[key]:
        path = root / entry["subfolder"] / entry["filename"]
        assert path.suffix == ending
        with Image.open(path) as picture:
            assert picture.size == (6, 4)
            if kind != "png" and ending == ".png":  # moving pictures carry it in chunks of their own
                assert '"id": 7' in picture.info["workflow"]
                assert "Paint" in picture.info["prompt"]


def test_sound_is_shown_as_a_file_browsers_play(bench: Bench):
    (entry,) = bench.shown({"1": node("Paint", kind="sound")})["audio"]
    path = bench.folders.temp / entry["filename"]
    if path.suffix == ".wav":
        with wave.open(str(path)) as file:
            assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 800)
    else:
        assert path.read_bytes()[:4] == b"fLaC"


def test_the_class_also_answers_as_nodes_of_the_older_style_do(bench: Bench):
    kind: Any = bench.pack.module.Shout  # pyright: ignore
    assert kind.INPUT_TYPES()["required"]["times"] == (
        "INT",
        {"default": 1, "min": 1, "max": 3},
    )
    assert (kind.RETURN_TYPES, kind().OUTPUT_NODE, kind.CATEGORY) == (["STRING"], True, "sd")
    assert getattr(bench.pack.module.Gate(), kind.FUNCTION)(how="tuple", text="t")[0] == "t"  # pyright: ignore


@pytest.mark.parametrize("version", ["latest", "v0_0_1", "v0_0_2"])
def test_versions_are_one_interface_under_several_names(bench: Bench, version: str):
    namespace: dict[str, Any] = {}
    exec(
        f"from comfy_api.{version} import io, ui, comfy_io, IO, UI, ComfyExtension, ComfyAPI, ComfyAPISync, Input, "
        "InputImpl, Types, Caching",
        namespace,
    )
    assert namespace["io"].ComfyNode.__mro__[-2].__name__ == "ComfyNode"
    assert namespace["Types"].VideoComponents(torch.zeros(1, 2, 2, 3), 8).frame_rate == 8
    for name in ("Image", "Mask", "Latent", "Conditioning", "Model", "Clip", "Vae", "Sigmas", "Sampler", "Noise"):
        assert getattr(namespace["io"], name).Input("x").get_io_type() == getattr(namespace["io"], name).io_type


def test_names_of_files_of_the_other_program_lead_to_the_same_things(bench: Bench):
    namespace: dict[str, Any] = {}
    exec(
        "from comfy_api.latest import io, ui, _io, _ui\n"
        "from comfy_api.latest._input import VideoInput\n"
        "from comfy_api.latest._input_impl import VideoFromFile\n"
        "from comfy_api.latest._util import VideoCodec\n"
        "from comfy_api.input.basic_types import AudioInput\n"
        "from comfy_api.input.video_types import VideoInput as Same\n"
        "from comfy_api.input_impl.video_types import VideoFromComponents\n"
        "def annotated(a: io.Latent.LatentDict, b: io.Image.Type, c: io.Conditioning.CondList): pass\n"
        "class Mine(io.ComfyTypeIO): Type = int\n"
        "Mine = io.comfytype(io_type='MINE')(Mine)\n"
        "made = Mine.Output('x').get_io_type(), hasattr(io.MultiCombo, 'Output'), io.Custom('OWN').Input('y').io_type",
        namespace,
    )
    assert namespace["io"].ComfyNode is namespace["_io"].ComfyNode
    assert namespace["ui"].PreviewText is namespace["_ui"].PreviewText
    assert namespace["Same"] is namespace["VideoInput"]
    assert namespace["made"] == ("MINE", False, "OWN")


def test_a_class_with_a_schema_may_be_listed_as_older_classes_are(bench: Bench, tmp_path: Path):
    (tmp_path / "listed.py").write_text(
        "from comfy_api.latest import io\n"
        "class Hello(io.ComfyNode):\n"
        "    @classmethod\n"
        "    def define_schema(cls):\n"
        "        return io.Schema('Hello', display_name='Its own', inputs=[], outputs=[io.Int.Output()])\n"
        "    @classmethod\n"
        "    def execute(cls):\n"
        "        return (1,)\n"
        "NODE_CLASS_MAPPINGS = {'Greeting': Hello}\n"
        "NODE_DISPLAY_NAME_MAPPINGS = {'Greeting': 'A Greeting'}\n"
        "def comfy_entrypoint():\n"
        "    raise AssertionError('the mapping comes first')\n"
    )
    nodes: dict[str, NodeSpec] = {}
    load_packs([tmp_path], Wanted(), nodes)
    assert {id: spec.declaration.title for id, spec in nodes.items()} == {"Greeting": "A Greeting"}


def test_outside_of_a_job_progress_goes_nowhere(bench: Bench):
    namespace: dict[str, Any] = {}
    exec("from comfy_api.latest import ComfyAPISync\ntold = ComfyAPISync().execution.set_progress(1, 2)", namespace)
    assert namespace["told"] is None
