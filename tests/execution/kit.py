"""A few nodes and ways to write graphs, small enough to know by heart, for tests of the engine."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from execution.cache import Cache
from execution.context import Run
from execution.events import Cached, Ending, Event, NodeFinished, NodeStarted
from execution.executor import Executor
from execution.job import Job
from execution.prompt import parse
from execution.registry import Registry, catalogue_of
from execution.spec import (
    Blocked,
    Declaration,
    Expanded,
    InputSpec,
    Link,
    NodeResult,
    NodeSpec,
    Outcome,
    OutputSpec,
)
from execution.validate import validate

ApiGraph = dict[str, Any]
LAZY = {"lazy": True}


def declare(
    id: str,
    inputs: Mapping[str, Any] | None = None,
    outputs: tuple[Any, ...] = ("INT",),
    optional: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Declaration:
    """A declaration; an input is a type, or an InputSpec without its name said twice, or (type, options)."""
    specs = [_input(name, value, True) for name, value in (inputs or {}).items()]
    specs += [_input(name, value, False) for name, value in (optional or {}).items()]
    made = tuple(o if isinstance(o, OutputSpec) else OutputSpec(o if isinstance(o, str) else "", o) for o in outputs)
    fields.setdefault("title", id)
    fields.setdefault("category", "test")
    return Declaration(id=id, inputs=tuple(specs), outputs=made, **fields)


def _input(name: str, value: Any, required: bool) -> InputSpec:
    if isinstance(value, InputSpec):
        return value
    if isinstance(value, tuple):
        return InputSpec(name, value[0], required, value[1])
    if isinstance(value, list):
        return InputSpec(name, "COMBO", required, {}, choices=tuple(value))
    return InputSpec(name, value, required)


def api(class_type: str, title: str | None = None, **inputs: Any) -> dict[str, Any]:
    """One node in API form."""
    node: dict[str, Any] = {"class_type": class_type, "inputs": inputs}
    if title is not None:
        node["_meta"] = {"title": title}
    return node


# Nodes that run


def number(value: int) -> NodeResult:
    return NodeResult((value,))


def add(a: Any, b: Any) -> NodeResult:
    return NodeResult((a + b,))


def show(x: Any) -> NodeResult:
    return NodeResult((), {"text": [x]})


async def later(x: Any) -> NodeResult:
    await asyncio.sleep(0)
    return NodeResult((x + 1,))


def listed(a: Any, b: Any) -> NodeResult:
    """A list of two elements."""
    return NodeResult(([a, b],))


def total(x: list[Any]) -> NodeResult:
    """The sum of a whole list, in one call."""
    return NodeResult((sum(x),))


def switch(on: Any, a: Any = None, b: Any = None) -> NodeResult:
    return NodeResult((a if on else b,))


def switch_needs(on: Any, a: Any = None, b: Any = None) -> list[str]:
    return ["a"] if on else ["b"]


def odd_only(x: Any) -> Outcome:
    return NodeResult((x,)) if x % 2 else Blocked()


def grow(x: Any, times: int, run: Run) -> Expanded:
    """Becomes a chain of Add nodes."""
    graph: ApiGraph = {}
    source: Any = x
    for i in range(times):
        id = f"{run.node.id}.{run.list_index}.0.{i}"
        graph[id] = api("Add", a=source, b=1)
        source = [id, 0]
    return Expanded(graph, (Link(*source) if times else x,))


BASIC = [
    NodeSpec(declare("Later", {"x": "INT"}, is_async=True), later),
    NodeSpec(declare("List", {"a": "INT", "b": "INT"}, (OutputSpec("list", "INT", is_list=True),)), listed),
    NodeSpec(declare("Total", {"x": "INT"}, takes_lists=True), total),
    NodeSpec(
        declare("Switch", {"on": "INT"}, optional={"a": ("INT", LAZY), "b": ("INT", LAZY)}, has_needs=True),
        switch,
        needs=switch_needs,
    ),
    NodeSpec(declare("OddOnly", {"x": "INT"}), odd_only),
    NodeSpec(declare("Grow", {"x": "INT", "times": "INT"}), grow, given={"run": Run}),
    NodeSpec(declare("Number", {"value": ("INT", {"min": 0, "max": 1000})}), number),
    NodeSpec(declare("Add", {"a": "INT", "b": "INT"}), add),
    NodeSpec(declare("Show", {"x": "*"}, (), is_output=True), show),
]


@dataclass
class Ran:
    """What a job did. events: all of them. ending: the last. shown: node id → UI. ran: ids called, in order."""

    events: list[Event]
    ending: Ending
    shown: dict[str, Any]
    ran: list[str]
    cached: list[str]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class Bench:
    """An executor and a way to run graphs on it, validated first as a server would."""

    def __init__(self, *specs: NodeSpec, cache: Cache | None = None, **options: Any):
        self.registry = Registry([*BASIC, *specs])
        self.executor = Executor(self.registry, cache, clock=lambda: 0.0, **options)
        self._jobs = 0

    def run(
        self,
        graph: ApiGraph,
        targets: list[str] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        extra: dict[str, Any] | None = None,
    ) -> Ran:
        validated = validate(parse(graph), catalogue_of(self.registry), targets)
        self._jobs += 1
        job = Job(f"job-{self._jobs}", 0, validated.graph, validated.outputs, extra or {})
        return self.run_job(job, should_stop)

    def run_job(self, job: Job, should_stop: Callable[[], bool] = lambda: False) -> Ran:
        events: list[Event] = []
        ending = self.executor.run(job, events.append, should_stop)
        assert events[-1] is ending
        return Ran(
            events,
            ending,
            {e.node.id: e.ui for e in events if isinstance(e, NodeFinished) and e.ui},
            [e.node.id for e in events if isinstance(e, NodeStarted)],
            [id for e in events if isinstance(e, Cached) for id in e.nodes],
        )
