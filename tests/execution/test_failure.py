"""Whatever a node does, its job ends with a clear word and the engine goes on."""

import gc
import weakref
from typing import Any

import pytest

from execution.context import JobInterrupted, Run
from execution.events import Event, Failed, Interrupted, NodeFinished, Progress, Succeeded
from execution.executor import Executor
from execution.failure import traceback_of
from execution.job import Job
from execution.kind import MissingCapability
from execution.registry import Registry
from execution.spec import NodeResult, NodeSpec
from tests.execution.kit import ApiGraph, Bench, Ran, api, declare


def raising(error: BaseException | type[BaseException]) -> Ran:
    def boom(x: Any, note: str) -> NodeResult:
        raise error

    graph: ApiGraph = {
        "1": api("Number", value=1),
        "2": api("Show", x=["1", 0]),
        "3": api("Boom", x=["1", 0], note="a note"),
        "4": api("Show", x=["3", 0]),
    }
    bench = Bench(NodeSpec(declare("Boom", {"x": "INT", "note": "STRING"}), boom))
    ran = bench.run(graph)
    assert isinstance(bench.run({"2": api("Show", x=1)}).ending, Succeeded)  # the engine goes on
    return ran


def test_a_failure_names_node_error_inputs_and_what_was_done():
    ending = raising(ValueError("boom")).ending
    assert isinstance(ending, Failed)
    problem = ending.problem
    assert (problem.node_id, problem.node_type) == ("3", "Boom")
    assert (problem.exception_type, problem.message) == ("ValueError", "boom")
    assert problem.inputs == {"x": [1], "note": ["a note"]}
    assert problem.executed == ("1", "2")
    assert any("in boom" in line for line in problem.traceback)
    assert not any("job_run.py" in line for line in problem.traceback)


class Nasty(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")

    __repr__ = __str__


class Silent(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (SystemExit(3), "SystemExit", "3"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (GeneratorExit(), "GeneratorExit", ""),
        (MemoryError("out of memory"), "MemoryError", "out of memory"),
        (BaseException("base"), "BaseException", "base"),
        (ExceptionGroup("two", [ValueError("a"), TypeError("b")]), "ExceptionGroup", "ValueError: a; TypeError: b"),
        (Nasty(), "tests.execution.test_failure.Nasty", "text could not be made"),
        (Silent(), "tests.execution.test_failure.Silent", "text could not be made"),
        (ValueError("x" * 1_000_000), "ValueError", "xxx"),
    ],
)
def test_anything_that_can_be_raised_becomes_an_ending(error: BaseException, kind: str, words: str):
    ending = raising(error).ending
    assert isinstance(ending, Failed)
    assert ending.problem.exception_type == kind
    assert words in ending.problem.message
    assert len(ending.problem.message) < 20_000
    assert sum(len(line.encode()) for line in ending.problem.traceback) <= 64 * 1024


def test_endless_recursion_in_a_node_becomes_an_ending():
    def forever(x: Any) -> NodeResult:
        return forever(x)

    ending = Bench(NodeSpec(declare("F", {"x": "INT"}), forever)).run(
        {"1": api("F", x=1), "2": api("Show", x=["1", 0])}
    )
    assert isinstance(ending.ending, Failed)
    assert ending.ending.problem.exception_type == "RecursionError"


def test_a_long_chain_of_causes_is_cut():
    error: BaseException = ValueError("first " + "é" * 500)
    for i in range(300):
        try:
            raise RuntimeError(f"{i} " + "é" * 500) from error
        except RuntimeError as raised:
            error = raised
    lines = traceback_of(error)
    assert sum(len(line.encode()) for line in lines) <= 64 * 1024
    assert "first" in lines[0]
    assert any("299" in line for line in lines[-3:])


def test_what_finished_before_a_failure_is_kept():
    fail = True

    def sometimes(x: int) -> NodeResult:
        if fail:
            raise ValueError
        return NodeResult((x,))

    bench = Bench(NodeSpec(declare("Sometimes", {"x": "INT"}), sometimes))
    graph = {"1": api("Number", value=1), "2": api("Sometimes", x=["1", 0]), "3": api("Show", x=["2", 0])}
    assert isinstance(bench.run(graph).ending, Failed)
    fail = False
    assert bench.run(graph).ran == ["2", "3"]


def test_a_failed_node_holds_on_to_nothing():
    class Tensor:
        pass

    held: list[weakref.ref[Tensor]] = []

    def boom() -> NodeResult:
        tensor = Tensor()
        held.append(weakref.ref(tensor))
        raise ValueError(tensor.__class__.__name__)

    Bench(NodeSpec(declare("Boom"), boom)).run({"1": api("Boom"), "2": api("Show", x=["1", 0])})
    gc.collect()
    assert held[0]() is None


def test_a_job_that_was_never_validated_fails_in_words():
    def ending_of(graph: Any, *outputs: str) -> str:
        ending = Bench().run_job(Job("j", 0, graph, outputs)).ending
        assert isinstance(ending, Failed)
        return ending.problem.message

    assert "there is no node 'Nope'" in ending_of({"1": api("Nope")}, "1")
    assert "linked to nodes that do not exist: gone" in ending_of({"1": api("Show", x=["gone", 0])}, "1")
    assert "must be an object" in ending_of({"1": {"class_type": "Show"}}, "1")
    assert "does not have: 7" in ending_of({"1": api("Show", x=1)}, "7")
    assert "circle" in ending_of({"1": api("Add", a=["1", 0], b=1)}, "1")


def test_a_failure_of_the_surroundings_is_an_ending_too():
    def broken() -> Any:
        raise OSError("no device")

    bench = Bench(around=broken)
    ending = bench.run({"1": api("Show", x=1)}).ending
    assert isinstance(ending, Failed)
    assert ending.problem.message == "no device"


def test_hooks_after_a_job_run_each_whatever_the_others_do(caplog: pytest.LogCaptureFixture):
    done: list[str] = []

    def bad() -> None:
        raise ValueError

    bench = Bench(after_job=[lambda: done.append("a"), bad, lambda: done.append("b")])
    assert isinstance(bench.run({"1": api("Show", x=1)}).ending, Succeeded)
    assert done == ["a", "b"]
    assert "a hook after job job-1 failed" in caplog.text


def test_a_node_that_wants_what_nobody_can_give_is_noticed_when_the_engine_is_built():
    class Camera:
        pass

    spec = NodeSpec(declare("Photo"), lambda camera: NodeResult((camera,)), given={"camera": Camera})  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # any value will do
    with pytest.raises(MissingCapability, match="Photo wants camera: Camera"):
        Executor(Registry([spec]))
    camera = Camera()
    ran = Bench(spec, capabilities={Camera: camera}).run({"1": api("Photo"), "2": api("Show", x=["1", 0])})
    assert isinstance(ran.ending, Succeeded)


# Interrupts


def test_an_interrupt_between_nodes_ends_the_job_before_the_next():
    asked = 0

    def stop_after_two() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    graph = {"1": api("Number", value=1), "2": api("Add", a=["1", 0], b=1), "3": api("Show", x=["2", 0])}
    ran = Bench().run(graph, should_stop=stop_after_two)
    assert isinstance(ran.ending, Interrupted)
    assert ran.ran == ["1", "2"]
    assert ran.ending.executed == ("1", "2")
    assert ran.ending.node is not None
    assert (ran.ending.node.id, ran.ending.node_type) == ("3", "Show")


def test_an_interrupt_ends_a_node_at_its_next_step_even_if_it_catches_exceptions():
    stop = False

    def steps(run: Run) -> NodeResult:
        nonlocal stop
        for step in range(100):
            try:
                run.progress(step, 100)
            except Exception:
                continue
            stop = step == 3
        return NodeResult((1,))

    bench = Bench(NodeSpec(declare("Steps"), steps, given={"run": Run}))
    ran = bench.run({"1": api("Steps"), "2": api("Show", x=["1", 0])}, should_stop=lambda: stop)
    assert isinstance(ran.ending, Interrupted)
    assert [event.value for event in ran.of(Progress)] == [0, 1, 2, 3, 4]
    stop = False
    assert isinstance(bench.run({"2": api("Show", x=1)}).ending, Succeeded)


def test_a_node_may_end_its_job_itself():
    def quit() -> NodeResult:
        raise JobInterrupted

    ran = Bench(NodeSpec(declare("Quit"), quit)).run({"1": api("Quit"), "2": api("Show", x=["1", 0])})
    assert isinstance(ran.ending, Interrupted)


def test_an_interrupt_stops_between_the_calls_of_a_mapped_node():
    calls = 0

    def count(x: int) -> NodeResult:
        nonlocal calls
        calls += 1
        return NodeResult((x,))

    graph = {
        "l": api("List", a=1, b=2),
        "c": api("Count", x=["l", 0]),
        "s": api("Show", x=["c", 0]),
    }
    bench = Bench(NodeSpec(declare("Count", {"x": "INT"}), count))
    ran = bench.run(graph, should_stop=lambda: calls == 1)
    assert isinstance(ran.ending, Interrupted)
    assert calls == 1


def test_nothing_follows_the_ending_whoever_speaks():
    kept: list[Run] = []

    def keep(run: Run) -> NodeResult:
        kept.append(run)
        run.note("kept")
        return NodeResult((1,))

    events: list[Event] = []
    bench = Bench(NodeSpec(declare("Keep"), keep, given={"run": Run}))
    job = Job("j", 0, {"1": api("Keep"), "2": api("Show", x=["1", 0])}, ("2",))
    ending = bench.executor.run(job, events.append, lambda: False)
    kept[0].progress(1, 2)
    kept[0].text("too late")
    kept[0].preview(b"", "png")
    assert events[-1] is ending
    assert isinstance(ending, Succeeded)
    assert ending.notes == ("kept",)


def test_progress_that_is_no_number_is_not_told():
    def odd(run: Run) -> NodeResult:
        run.progress(float("nan"), 1)
        run.progress(1, 0)
        run.progress(1, 2)
        return NodeResult((1,))

    ran = Bench(NodeSpec(declare("Odd"), odd, given={"run": Run})).run({"1": api("Odd"), "2": api("Show", x=["1", 0])})
    assert [(event.value, event.total) for event in ran.of(Progress)] == [(1, 2)]
    assert [event.node.id for event in ran.of(NodeFinished)] == ["1", "2"]
