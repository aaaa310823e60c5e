"""What a running node can know of the inputs of those that come after it."""

from typing import Any

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
