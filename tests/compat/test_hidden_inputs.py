"""What nodes learn of their job without being wired to it."""

from pathlib import Path
from typing import Any

import pytest

from compat.found import Wanted
from compat.hidden import DynamicPrompt, NodeNotFound, hidden_values
from compat.packs import load_packs
from execution.context import Run
from execution.events import Event, NodeFinished
from execution.executor import Executor
from execution.job import Job
from execution.registry import Registry
from execution.spec import Declaration, Expanded, InputSpec, Link, NodeResult, NodeSpec, OutputSpec

ALL = {
    "me": "UNIQUE_ID",
    "prompt": "PROMPT",
    "png": "EXTRA_PNGINFO",
    "graph": "DYNPROMPT",
    "token": "AUTH_TOKEN_COMFY_ORG",
    "key": "API_KEY_COMFY_ORG",
    "own": "STRING",
}


class Watcher:
    """Nodes that note what they see: `Look`, which expands into a second `Look` named `<id>.0.0.in` once."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, Any]] = {}
        self.asked: dict[str, Any] = {}
        self.ids: set[str] = set()
        self.places: tuple[Any, ...] = ()

    def look(self, deep: bool, run: Run) -> Expanded | NodeResult:
        values = hidden_values(ALL, run, running=True)
        self.seen[run.node.id] = values
        if deep:
            inner = f"{run.node.id}.0.0.in"
            return Expanded({inner: {"class_type": "Look", "inputs": {"deep": False}}}, (Link(inner, 0),))
        graph: DynamicPrompt = values["graph"]
        self.ids = graph.all_node_ids()
        me = run.node.id
        self.places = graph.get_real_node_id(me), graph.get_parent_node_id(me), graph.get_display_node_id(me)
        assert graph.has_node(me)
        assert graph.get_node(me)["class_type"] == "Look"
        with pytest.raises(NodeNotFound, match="nobody"):
            graph.get_node("nobody")
        return NodeResult((1,), {"text": ["seen"]})

    def fingerprint(self, deep: bool, run: Run) -> str:
        self.asked = hidden_values(ALL, run, running=False)
        return "same"


@pytest.fixture
def watcher() -> Watcher:
    watcher = Watcher()
    declaration = Declaration(
        "Look",
        "Look",
        "test",
        inputs=(InputSpec("deep", "BOOLEAN"),),
        outputs=(OutputSpec("INT", "INT"),),
        is_output=True,
        has_fingerprint=True,
    )
    spec = NodeSpec(declaration, watcher.look, fingerprint=watcher.fingerprint, given={"run": Run})
    graph = {"7": {"class_type": "Look", "inputs": {"deep": True}}}
    extra = {"extra_pnginfo": {"workflow": {"id": 1}}, "auth_token_comfy_org": "t", "api_key_comfy_org": "k"}
    ending = Executor(Registry([spec])).run(Job("p", 0, graph, ("7",), extra), lambda _: None, lambda: False)
    assert type(ending).__name__ == "Succeeded", ending
    return watcher


def test_a_node_gets_its_id_the_graph_and_what_the_client_sent_along(watcher: Watcher):
    seen = watcher.seen["7"]
    assert seen["me"] == "7"
    assert seen["prompt"] == {"7": {"class_type": "Look", "inputs": {"deep": True}}}
    assert (seen["png"], seen["token"], seen["key"]) == ({"workflow": {"id": 1}}, "t", "k")
    assert seen["graph"].get_original_prompt() == seen["prompt"]
    assert "own" not in seen


def test_a_node_of_an_expansion_sees_the_grown_graph_and_where_it_stands(watcher: Watcher):
    assert watcher.ids == {"7", "7.0.0.in"}
    assert watcher.places == ("7", "7", "7")
    assert watcher.seen["7.0.0.in"]["me"] == "7.0.0.in"


def test_a_fingerprint_sees_its_id_and_nothing_that_could_differ_between_jobs(watcher: Watcher):
    asked = dict(watcher.asked)
    assert asked.pop("me") in ("7", "7.0.0.in")
    assert asked == {"prompt": {}, "png": None, "graph": None, "token": None, "key": None}


def test_a_hidden_input_of_a_kind_nobody_fills_in_is_what_the_client_sends(tmp_path: Path):
    """Scripts of packs keep values of their own there."""
    (tmp_path / "secretive.py").write_text(
        "class Kind:\n"
        "    RETURN_TYPES = ()\n"
        "    OUTPUT_NODE = True\n"
        "    FUNCTION = 'go'\n"
        "    @classmethod\n"
        "    def INPUT_TYPES(cls):\n"
        "        return {'required': {}, 'hidden': {'own': 'STRING', 'me': 'UNIQUE_ID'}}\n"
        "    def go(self, own='nothing sent', me=None):\n"
        "        return {'ui': {'text': [own, me]}}\n"
        "NODE_CLASS_MAPPINGS = {'Secretive': Kind}\n"
    )
    nodes: dict[str, NodeSpec] = {}
    load_packs([tmp_path], Wanted(), nodes)
    shown: list[Any] = []

    def hear(event: Event) -> None:
        if isinstance(event, NodeFinished):
            shown.append(event.ui)

    for sent in ({"own": "kept by a script", "me": "a guess", "stranger": 1}, {}):
        graph = {"5": {"class_type": "Secretive", "inputs": sent}}
        Executor(nodes).run(Job("p", 0, graph, ("5",)), hear, lambda: False)
    assert shown == [{"text": ["kept by a script", "5"]}, {"text": ["nothing sent", "5"]}]
