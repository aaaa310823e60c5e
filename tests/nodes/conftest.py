"""A node's surroundings in tests: folders that are thrown away, and a run that remembers what it was told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from execution.context import JobInterrupted
from execution.events import NodeRef
from execution.node_run import GraphView
from execution.spec import NodeResult, NodeSpec
from nodes.catalogue import all_nodes
from storage.inputs import Inputs
from storage.outputs import Outputs


class FakeRun:
    """Stands for `execution.context.Run`."""

    prompt_id = "p"
    node = NodeRef("1", "1", None, "1")
    list_index = 0

    def __init__(self) -> None:
        self.prompt: dict[str, Any] = {"1": {"class_type": "Test", "inputs": {"text": "größer"}}}
        self.extra: dict[str, Any] = {"extra_pnginfo": {"workflow": {"nodes": []}, "note": "x"}}
        self.steps: list[tuple[float, float]] = []
        self.previews: list[tuple[bytes, str]] = []
        self.texts: list[str] = []
        self.notes: list[str] = []
        self.stopped = False
        self.graph = GraphView()

    def check(self) -> None:
        if self.stopped:
            raise JobInterrupted

    def progress(self, value: float, total: float) -> None:
        self.check()
        self.steps.append((value, total))

    def preview(self, image: bytes, format: Literal["jpeg", "png"]) -> None:
        self.previews.append((image, format))

    def text(self, text: str) -> None:
        self.texts.append(text)

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


@pytest.fixture
def run() -> FakeRun:
    return FakeRun()


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "output", tmp_path / "temp")


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    (tmp_path / "input").mkdir()
    return Inputs(tmp_path / "input", tmp_path / "output", tmp_path / "temp")


@pytest.fixture(scope="session")
def specs() -> dict[str, NodeSpec]:
    return {spec.id: spec for spec in all_nodes()}


@pytest.fixture
def given(run: FakeRun, outputs: Outputs, inputs: Inputs) -> dict[str, Any]:
    return {"run": run, "outputs": outputs, "inputs": inputs}


Call = Callable[..., Any]


@pytest.fixture
def call(specs: dict[str, NodeSpec], given: dict[str, Any]) -> Call:
    """Runs a node by id as the executor would; returns its value, its values, or what it shows."""

    def call(id: str, **sent: Any) -> Any:
        spec = specs[id]
        result = spec.run(**sent, **{name: given[name] for name in spec.given})
        assert isinstance(result, NodeResult)
        if not spec.declaration.outputs:
            return result.ui
        values = list(result.values)
        return values if len(values) > 1 else values[0]

    return call
