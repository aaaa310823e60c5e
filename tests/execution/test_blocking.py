"""A blocked value stops who would consume it, and nothing else."""

from execution.events import NodeBlocked, NodeFinished, Succeeded
from execution.spec import Blocked, NodeResult, NodeSpec, OutputSpec
from tests.execution.kit import Bench, api, declare


def stop(message: str | None) -> NodeSpec:
    return NodeSpec(declare("Stop"), lambda: Blocked(message))


GRAPH = {
    "b": api("Stop"),
    "x": api("Add", a=["b", 0], b=1),
    "y": api("Add", a=["x", 0], b=1),
    "s1": api("Show", x=["y", 0]),
    "s2": api("Show", x=["b", 0]),
    "ok": api("Show", x=5),
}


def test_everything_behind_a_blocker_is_skipped_and_the_job_succeeds():
    ran = Bench(stop(None)).run(GRAPH)
    assert isinstance(ran.ending, Succeeded)
    assert ran.shown == {"ok": {"text": [5]}}
    assert ran.of(NodeBlocked) == []


def test_a_message_is_told_once_and_the_job_goes_on():
    ran = Bench(stop("too small")).run(GRAPH)
    assert isinstance(ran.ending, Succeeded)
    [told] = ran.of(NodeBlocked)
    assert (told.message, told.node_type) == ("too small", "Show")
    assert ran.shown == {"ok": {"text": [5]}}


def test_a_message_is_told_again_when_the_prompt_is_run_again():
    bench = Bench(stop("too small"))
    bench.run(GRAPH)
    assert [event.message for event in bench.run(GRAPH).of(NodeBlocked)] == ["too small"]


def test_a_blocked_output_owes_nobody_a_report():
    ran = Bench(stop(None)).run(GRAPH)
    reported = [event.node.id for event in ran.of(NodeFinished) if event.reported]
    assert reported == ["ok"]


def test_in_a_list_only_the_blocked_element_is_skipped():
    values = [1, Blocked(), 3]
    source = NodeSpec(declare("Some", {}, (OutputSpec("l", "INT", is_list=True),)), lambda: NodeResult((list(values),)))
    ran = Bench(source).run(
        {
            "l": api("Some"),
            "a": api("Add", a=["l", 0], b=1),
            "s": api("Show", x=["a", 0]),
            "t": api("Total", x=["l", 0]),
        }
        | {"u": api("Show", x=["t", 0])}
    )
    assert ran.shown == {"s": {"text": [2, 4]}}  # Total takes the whole list, so one blocker stops it
