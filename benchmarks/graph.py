"""What the engine itself costs: graphs of nodes that do nothing worth measuring.

    python -m benchmarks.graph [--json] [--largest N]

Chains (every node feeds the next), trees (every node feeds from two, down to one root), and independent pairs (a source
and an output, thousands of times). For each: reading and validating the prompt, the first run, the same again from the
cache, a run after one leaf was edited, and the memory the cache holds afterwards. Every event is dropped; what the
server does with events is not measured here.

Times are CPU seconds of the process. The engine is one thread, so on an idle machine the clock on the wall shows the
same; on a busy one it shows how busy it is.
"""

import argparse
import gc
import json
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from execution.cache import Cache, KeepBytes
from execution.events import Event, NodeStarted, Succeeded
from execution.executor import Executor
from execution.job import Job
from execution.prompt import parse
from execution.registry import Registry, catalogue_of
from execution.spec import Declaration, InputSpec, NodeResult, NodeSpec, OutputSpec
from execution.validate import validate

Graph = dict[str, Any]


def join(a: str, b: str) -> NodeResult:
    return NodeResult((a,))


def show(text: str) -> NodeResult:
    return NodeResult((), {"text": [text]})


TEXT = OutputSpec("STRING", "STRING")
REGISTRY = Registry(
    [
        NodeSpec(
            Declaration("Join", "Join", "bench", (InputSpec("a", "STRING"), InputSpec("b", "STRING")), (TEXT,)), join
        ),
        NodeSpec(Declaration("Show", "Show", "bench", (InputSpec("text", "STRING"),), is_output=True), show),
    ]
)


def node(class_type: str, **inputs: Any) -> Graph:
    return {"class_type": class_type, "inputs": inputs}


def chain(size: int) -> Graph:
    graph = {"0": node("Join", a="x", b="y")}
    for i in range(1, size - 1):
        graph[str(i)] = node("Join", a=[str(i - 1), 0], b="y")
    graph["out"] = node("Show", text=[str(size - 2), 0])
    return graph


def tree(size: int) -> Graph:
    """A heap: node i feeds from 2i + 1 and 2i + 2, the root feeds the output."""
    count = size - 1
    graph: Graph = {}
    for i in range(count):
        a, b = 2 * i + 1, 2 * i + 2
        graph[str(i)] = node(
            "Join",
            a=[str(a), 0] if a < count else f"leaf {i}",
            b=[str(b), 0] if b < count else "y",
        )
    graph["out"] = node("Show", text=["0", 0])
    return graph


def pairs(size: int) -> Graph:
    graph: Graph = {}
    for i in range(size // 2):
        graph[f"in{i}"] = node("Join", a=f"text {i}", b="y")
        graph[f"out{i}"] = node("Show", text=[f"in{i}", 0])
    return graph


def edited(graph: Graph) -> Graph:
    """The same with one constant of the last leaf changed."""
    leaf = next(id for id in reversed(graph) if isinstance(graph[id]["inputs"].get("a"), str))
    changed = {**graph[leaf], "inputs": {**graph[leaf]["inputs"], "a": "edited"}}
    return {**graph, leaf: changed}


@dataclass
class Row:
    """CPU seconds, except ran_after_edit (nodes) and cache_mb, rss_mb (MiB)."""

    graph: str
    nodes: int
    validate: float
    first: float
    cached: float
    edit: float
    ran_after_edit: int
    cache_mb: float
    rss_mb: float


def measure(name: str, make: Callable[[int], Graph], size: int) -> Row:
    graph = make(size)
    cache = Cache(KeepBytes())
    executor = Executor(REGISTRY, cache)
    catalogue = catalogue_of(REGISTRY)

    def timed(prompt: Graph) -> tuple[float, float, int]:
        gc.collect()
        begun = time.process_time()
        valid = validate(parse(prompt), catalogue)
        validated = time.process_time()
        started: list[Event] = []
        ending = executor.run(
            Job("job", 0, valid.graph, valid.outputs),
            lambda event: started.append(event) if isinstance(event, NodeStarted) else None,
            lambda: False,
        )
        ended = time.process_time()
        if not isinstance(ending, Succeeded):
            raise SystemExit(f"{name} of {size} nodes: {ending}")
        return validated - begun, ended - validated, len(started)

    validation, first, _ = timed(graph)
    _, again, ran = timed(graph)
    if ran:
        raise SystemExit(f"{name} of {size} nodes: {ran} nodes ran although everything was cached")
    _, edit, ran_after_edit = timed(edited(graph))
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return Row(name, len(graph), validation, first, again, edit, ran_after_edit, cache.bytes / 2**20, rss)


SHAPES: dict[str, Callable[[int], Graph]] = {"chain": chain, "tree": tree, "pairs": pairs}
SIZES = (100, 1_000, 10_000, 20_000, 50_000)


def rows(largest: int) -> Iterator[Row]:
    for name, make in SHAPES.items():
        for size in SIZES:
            if size <= largest and (size != 20_000 or name == "pairs"):
                yield measure(name, make, size)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what the engine costs on graphs of trivial nodes.")
    parser.add_argument("--json", action="store_true", help="print one JSON object per row")
    parser.add_argument("--largest", type=int, default=50_000, help="leave out larger graphs")
    arguments = parser.parse_args()
    if not arguments.json:
        print(f"Python {platform.python_version()} on {platform.machine()}, {platform.system()}\n")
        print(
            "| graph | nodes | validate s | first s | cached s | leaf edited s (nodes run) | cache MiB | peak RSS MiB |"
        )
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows(arguments.largest):
        if arguments.json:
            print(json.dumps(asdict(row)), flush=True)
        else:
            edit = f"{row.edit:.3f} ({row.ran_after_edit:,})"
            print(
                f"| {row.graph} | {row.nodes:,} | {row.validate:.3f} | {row.first:.3f} | {row.cached:.3f} | {edit} "
                f"| {row.cache_mb:.1f} | {row.rss_mb:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
