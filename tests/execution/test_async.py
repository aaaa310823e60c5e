"""Asynchronous nodes run side by side, and nothing they do outlives the job."""

import asyncio
import gc
import threading
from typing import Any

import pytest

from execution.events import Failed, Interrupted, NodeFinished, NodeStarted, Succeeded
from execution.node_run import executing
from execution.spec import NodeResult, NodeSpec, OutputSpec
from tests.execution.kit import ApiGraph, Bench, api, declare


def meeting(count: int) -> NodeSpec:
    """A node that returns only when `count` of them are running."""
    here = 0
    all_here: asyncio.Event | None = None

    async def meet(x: int) -> NodeResult:
        nonlocal here, all_here
        all_here = all_here or asyncio.Event()
        here += 1
        if here == count:
            all_here.set()
        await all_here.wait()
        return NodeResult((x,))

    return NodeSpec(declare("Meet", {"x": "INT"}, is_async=True), meet)


def test_ready_nodes_run_side_by_side():
    graph: ApiGraph = {str(i): api("Meet", x=i) for i in range(3)}
    graph |= {f"s{i}": api("Show", x=[str(i), 0]) for i in range(3)}
    ran = Bench(meeting(3)).run(graph)
    assert isinstance(ran.ending, Succeeded)
    kinds = [type(event) for event in ran.events if isinstance(event, NodeStarted | NodeFinished)]
    assert kinds[:3] == [NodeStarted] * 3
    assert ran.shown == {f"s{i}": {"text": [i]} for i in range(3)}


def test_the_calls_of_a_mapped_node_run_side_by_side_and_keep_their_order():
    source = NodeSpec(declare("L", {}, (OutputSpec("l", "INT", is_list=True),)), lambda: NodeResult(([1, 2, 3],)))
    ran = Bench(meeting(3), source).run({"l": api("L"), "m": api("Meet", x=["l", 0]), "s": api("Show", x=["m", 0])})
    assert ran.shown["s"] == {"text": [1, 2, 3]}


def test_twins_run_once():
    graph: ApiGraph = {"1": api("Meet", x=5), "2": api("Meet", x=5)}
    graph |= {"a": api("Show", x=["1", 0]), "b": api("Show", x=["2", 0])}
    ran = Bench(meeting(1)).run(graph)
    assert ran.ran == ["1", "a"]
    assert ran.shown == {"a": {"text": [5]}, "b": {"text": [5]}}


def test_a_synchronous_node_may_use_asyncio_itself_while_others_run():
    def own_loop(x: int) -> NodeResult:
        async def double() -> int:
            await asyncio.sleep(0)
            return x * 2

        return NodeResult((asyncio.run(double()),))

    spec = NodeSpec(declare("Own", {"x": "INT"}), own_loop)
    graph = {"1": api("Later", x=1), "2": api("Own", x=4), "a": api("Show", x=["1", 0]), "b": api("Show", x=["2", 0])}
    assert Bench(spec).run(graph).shown == {"a": {"text": [2]}, "b": {"text": [8]}}


def test_code_that_was_handed_nothing_can_ask_who_is_running():
    seen: dict[str, Any] = {}

    async def who(x: int) -> NodeResult:
        await asyncio.sleep(0)
        run = executing.get()
        assert run is not None
        seen[run.node.id] = run.prompt_id
        return NodeResult((x,))

    spec = NodeSpec(declare("Who", {"x": "INT"}, is_async=True), who)
    Bench(spec).run(
        {"1": api("Who", x=1), "2": api("Who", x=2), "s": api("Show", x=["1", 0]), "t": api("Show", x=["2", 0])}
    )
    assert seen == {"1": "job-1", "2": "job-1"}
    assert executing.get() is None


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_one_that_raises_fails_the_job_and_cancels_the_others(error: BaseException):
    ended: list[str] = []

    async def wait() -> NodeResult:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")
        raise AssertionError

    async def fail() -> NodeResult:
        await asyncio.sleep(0)
        raise error

    bench = Bench(
        NodeSpec(declare("Wait", {}, is_async=True), wait), NodeSpec(declare("Fail", {}, is_async=True), fail)
    )
    graph = {"w": api("Wait"), "f": api("Fail"), "a": api("Show", x=["w", 0]), "b": api("Show", x=["f", 0])}
    ending = bench.run(graph).ending
    assert isinstance(ending, Failed)
    assert ending.problem.node_id == "f"
    assert ended == ["cancelled"]


def test_a_waiting_node_is_interrupted():
    stop = threading.Event()

    async def wait() -> NodeResult:
        stop.set()
        await asyncio.Event().wait()
        raise AssertionError

    bench = Bench(NodeSpec(declare("Wait", {}, is_async=True), wait))
    ending = bench.run({"w": api("Wait"), "s": api("Show", x=["w", 0])}, should_stop=stop.is_set).ending
    assert isinstance(ending, Interrupted)
    assert ending.node is not None
    assert ending.node.id == "w"


def test_tasks_and_threads_a_node_left_behind_do_not_hold_up_the_job():
    release = threading.Event()

    async def careless() -> NodeResult:
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, release.wait)
        asyncio.create_task(asyncio.Event().wait())  # noqa: RUF006  # left behind on purpose
        return NodeResult((1,))

    ran = Bench(NodeSpec(declare("Careless", {}, is_async=True), careless)).run(
        {"c": api("Careless"), "s": api("Show", x=["c", 0])}
    )
    release.set()
    gc.collect()  # an unraisable warning of a lost task would fail this test
    assert ran.shown["s"] == {"text": [1]}


def test_hooks_may_be_asynchronous():
    async def stamp() -> str:
        await asyncio.sleep(0)
        return "v1"

    async def needs(on: int, a: Any = None) -> list[str]:
        await asyncio.sleep(0)
        return ["a"] if on else []

    spec = NodeSpec(
        declare("Hooked", {"on": "INT"}, optional={"a": ("INT", {"lazy": True})}, has_needs=True, has_fingerprint=True),
        lambda on, a: NodeResult((a,)),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # any value will do
        fingerprint=stamp,
        needs=needs,
    )
    bench = Bench(spec)
    graph = {"1": api("Number", value=8), "h": api("Hooked", on=1, a=["1", 0]), "s": api("Show", x=["h", 0])}
    assert bench.run(graph).shown["s"] == {"text": [8]}
    assert bench.run(graph).ran == []
