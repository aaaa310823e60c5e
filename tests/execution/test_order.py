"""What runs first."""

from execution.schedule import Schedule
from execution.spec import NodeSpec
from tests.execution.kit import ApiGraph, Bench, add, api, declare


def test_independent_branches_are_finished_one_after_the_other_in_prompt_order():
    graph = {
        "p1": api("Show", x=["a", 0]),
        "p2": api("Show", x=["b", 0]),
        "p3": api("Show", x=["c", 0]),
        "c": api("Number", value=3),
        "b": api("Number", value=2),
        "a": api("Number", value=1),
    }
    assert Bench().run(graph).ran == ["a", "p1", "b", "p2", "c", "p3"]


def test_a_preview_comes_before_more_work_on_another_output():
    r"""
    a ─ b ─ c ─ d ─ save
        └ preview
    """
    graph = {
        "a": api("Number", value=1),
        "b": api("Add", a=["a", 0], b=1),
        "c": api("Add", a=["b", 0], b=2),
        "d": api("Add", a=["c", 0], b=3),
        "save": api("Show", x=["d", 0]),
        "preview": api("Show", x=["b", 0]),
    }
    assert Bench().run(graph).ran == ["a", "b", "preview", "c", "d", "save"]


def test_the_same_prompt_always_runs_in_the_same_order():
    graph: ApiGraph = {}
    for i in range(50):
        graph[f"n{i}"] = api("Number", value=i) if i < 5 else api("Add", a=[f"n{i * 7 % i}", 0], b=[f"n{i // 2}", 0])
    graph |= {f"s{i}": api("Show", x=[f"n{i}", 0]) for i in (49, 3, 17)}
    assert Bench().run(graph).ran == Bench().run(graph).ran


def test_twins_run_once_and_both_report():
    graph = {
        "1": api("Number", value=3),
        "2": api("Number", value=3),
        "a": api("Show", x=["1", 0]),
        "b": api("Show", x=["2", 0]),
    }
    ran = Bench().run(graph)
    assert ran.ran == ["1", "a"]
    assert ran.shown == {"a": {"text": [3]}, "b": {"text": [3]}}


def test_a_node_needed_by_many_runs_once():
    calls: list[int] = []

    def counted(a: int, b: int) -> object:
        calls.append(a)
        return add(a, b)

    graph: ApiGraph = {"1": api("Counted", a=1, b=1)}
    graph |= {f"s{i}": api("Show", x=["1", 0]) for i in range(5)}
    spec = NodeSpec(declare("Counted", {"a": "INT", "b": "INT"}), counted)  # pyright: ignore[reportArgumentType]  # returns what add returns
    Bench(spec).run(graph)
    assert calls == [1]


def test_a_schedule_names_nodes_that_wait_for_each_other():
    links = {"a": ["b"], "b": ["c"], "c": ["a"], "out": ["a"]}
    schedule = Schedule(links.__getitem__, lambda _: False, lambda id: id == "out")
    schedule.add(["out"])
    assert schedule.pop() is None
    assert sorted(schedule.circle()) == ["a", "b", "c"]
