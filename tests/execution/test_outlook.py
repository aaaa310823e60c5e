"""What a running node can know of the inputs of those that come after it."""

from typing import Any

from execution.job import Job
from execution.node_run import executing
from execution.spec import NodeResult, NodeSpec
from tests.execution.kit import Bench, api, declare


def looking(seen: list[list[Any]]) -> list[NodeSpec]:
    def make(name: str) -> NodeResult:
        return NodeResult((f"model {name}",))

    def use(model: str, after: Any = None) -> NodeResult:
        run = executing.get()
        assert run is not None
        seen.append(list(run.upcoming()))
        return NodeResult((f"{model} used",))

    return [
        NodeSpec(declare("Make", {"name": "STRING"}, ("MODEL",)), make),
        NodeSpec(declare("Use", {"model": "MODEL"}, ("INT",), {"after": "*"}, is_output=True), use),
    ]


def test_the_inputs_of_later_nodes_that_are_at_hand_are_seen_soonest_first():
    r"""
    a ─ 1 ─ 3
    b ─ 2 ─╯    3 uses a again
    """
    seen: list[list[Any]] = []
    Bench(*looking(seen)).run(
        {
            "a": api("Make", name="a"),
            "b": api("Make", name="b"),
            "1": api("Use", model=["a", 0]),
            "2": api("Use", model=["b", 0], after=["1", 0]),
            "3": api("Use", model=["a", 0], after=["2", 0]),
        }
    )
    assert seen == [["model a"], ["model a"], []]


def test_of_the_next_job_only_what_will_not_come_from_the_cache_is_seen():
    r"""
    this job:  a ─ 1        next: a ─ 1 (the same), b ─ 2, and a ─ 3
    """
    seen: list[list[Any]] = []
    bench = Bench(*looking(seen))
    made = {"a": api("Make", name="a"), "b": api("Make", name="b")}
    bench.run({"b": made["b"], "2": api("Show", x=["b", 0])})
    this = {"a": made["a"], "1": api("Use", model=["a", 0]), "4": api("Use", model=["a", 0], after=["1", 0])}
    following = {**made, "1": this["1"], "2": api("Use", model=["b", 0]), "3": api("Use", model=["a", 0], after="new")}
    bench.executor.next_job = Job("next", 1, following, ("1", "2", "3"))
    bench.run(this)
    assert seen == [["model a", "model b", "model a"], ["model b", "model a"]]


def test_a_next_job_that_makes_no_sense_hides_nothing_of_this_one():
    seen: list[list[Any]] = []
    bench = Bench(*looking(seen))
    bench.executor.next_job = Job("next", 1, {"1": {"class_type": "Unheard of"}, "2": 3}, ("1", "9"))
    bench.run({"a": api("Make", name="a"), "1": api("Use", model=["a", 0]), "2": api("Use", model=["a", 0], after=1)})
    assert seen == [["model a"], []]
