"""A worker's engine with a handful of nodes and without torch: starts in a moment, writes files as every node does."""

import hashlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from execution.cache import Cache, KeepNothing
from execution.context import Run
from execution.engine import GraphEngine
from execution.executor import Executor
from execution.registry import Registry
from execution.spec import Declaration, InputSpec, NodeResult, NodeSpec, OutputSpec
from storage.folders import Folders
from storage.outputs import Outputs


def content(text: str) -> bytes:
    """What a file saved for this text holds: 40 KB that nobody writes by accident."""
    return hashlib.sha256(text.encode()).digest() * 1250


def text(value: str) -> NodeResult:
    return NodeResult((value,))


def save(text: str, outputs: Outputs) -> NodeResult:
    saved = outputs.series("saved").save_bytes(content(text), ".bin")
    return NodeResult((), {"images": [{**saved.entry(), "text": text}]})


def wait(text: str, seconds: float, run: Run) -> NodeResult:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        run.check()
        time.sleep(0.005)
    return NodeResult((text,))


def fail(text: str) -> NodeResult:
    raise ValueError(f"as asked: {text}")


def die(text: str) -> NodeResult:
    os.kill(os.getpid(), signal.SIGKILL)
    return NodeResult((text,))


def declared(id: str, inputs: Mapping[str, str], output: bool = False) -> Declaration:
    specs = tuple(InputSpec(name, type) for name, type in inputs.items())
    outputs = () if output else (OutputSpec("STRING", "STRING"),)
    return Declaration(id, id, "test", inputs=specs, outputs=outputs, is_output=output)


NODES = [
    NodeSpec(declared("Text", {"value": "STRING"}), text),
    NodeSpec(declared("Save", {"text": "STRING"}, output=True), save, given={"outputs": Outputs}),
    NodeSpec(declared("Wait", {"text": "STRING", "seconds": "FLOAT"}), wait, given={"run": Run}),
    NodeSpec(declared("Fail", {"text": "STRING"}), fail),
    NodeSpec(declared("Die", {"text": "STRING"}), die),
]


def graph(text: str, *between: str, seconds: float = 0.02) -> dict[str, Any]:
    """Text → … → Save. between: classes of the nodes in the middle."""
    nodes: dict[str, Any] = {"0": {"class_type": "Text", "inputs": {"value": text}}}
    for number, kind in enumerate(between, 1):
        inputs: dict[str, Any] = {"text": [str(number - 1), 0]}
        if kind == "Wait":
            inputs["seconds"] = seconds
        nodes[str(number)] = {"class_type": kind, "inputs": inputs}
    nodes["save"] = {"class_type": "Save", "inputs": {"text": [str(len(between)), 0]}}
    return nodes


def engine(folders: Folders) -> Callable[[], GraphEngine]:
    def build() -> GraphEngine:
        outputs = Outputs(folders.output, folders.temp)
        executor = Executor(Registry(NODES), Cache(KeepNothing()), {Outputs: outputs})
        return GraphEngine(executor, lambda: {"system": {"os": "posix"}, "devices": [{"name": "cpu", "type": "cpu"}]})

    return build
