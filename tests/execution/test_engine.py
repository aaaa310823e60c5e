"""What a worker asks the engine besides running jobs."""

from typing import Any

from execution.engine import GraphEngine
from execution.spec import InputSpec, NodeResult, NodeSpec
from execution.workers.worker import CheckQuestion, Verdict
from tests.execution.kit import Bench, api, declare


def engine_with(check: Any, listing: Any = None, **inputs: Any) -> GraphEngine:
    spec = NodeSpec(
        declare("Checked", inputs or {"x": "INT", "y": "INT"}, has_check=True),
        lambda **_: NodeResult((1,)),
        check=check,
    )
    return GraphEngine(Bench(spec, listing=listing).executor, system=lambda: {"ram": 1})


def ask(check: Any, **values: Any) -> Verdict:
    [verdict] = engine_with(check).check([CheckQuestion("1", "Checked", values, ["y"], {"y": "INT"})])
    return verdict


def test_a_validator_sees_the_inputs_it_names_links_as_none():
    seen: list[Any] = []

    def check(x: Any, y: Any) -> bool:
        seen.append((x, y))
        return True

    assert ask(check, x=5) == Verdict("1", None, ["y", "x"])
    assert seen == [(5, None)]


def test_only_what_it_names_counts_as_looked_at():
    assert ask(lambda x: True, x=5) == Verdict("1", None, ["x"])  # pyright: ignore[reportUnknownLambdaType]  # any value will do


def test_false_is_a_complaint_without_words_and_text_is_one_with():
    assert ask(lambda x: False, x=5).complaint == ""  # pyright: ignore[reportUnknownLambdaType]  # any value will do
    assert ask(lambda x: f"no {x}", x=5).complaint == "no 5"  # pyright: ignore[reportUnknownLambdaType]  # any value will do


def test_a_validator_may_take_the_types_of_the_links():
    def check(input_types: dict[str, str]) -> str:
        return str(input_types)

    assert ask(check, x=5).complaint == "{'y': 'INT'}"


def test_a_validator_may_be_asynchronous():
    async def check(x: int) -> str:
        return f"later {x}"

    assert ask(check, x=5).complaint == "later 5"


def test_one_that_raises_costs_its_own_verdict_only():
    def check(x: int) -> bool:
        if x == 1:
            raise KeyError("77")
        return True

    first, second = engine_with(check).check(
        [CheckQuestion("1", "Checked", {"x": 1}, [], {}), CheckQuestion("2", "Checked", {"x": 2}, [], {})]
    )
    assert first.raised is not None
    assert first.raised[:2] == ("KeyError", "'77'")
    assert second.complaint is None
    assert second.raised is None


def test_the_catalogue_has_fresh_choices():
    files = ["a"]
    engine = engine_with(
        lambda: True, lambda _: files, x=InputSpec("x", "COMBO", choices=("old",), choices_from="loras")
    )
    assert engine.catalogue()["Checked"].inputs[0].choices == ("a",)
    files.append("b")
    assert engine.catalogue()["Checked"].inputs[0].choices == ("a", "b")
    assert engine.system() == {"ram": 1}


def test_freeing_memory_forgets_results_and_unloads_models():
    unloaded: list[int] = []
    bench = Bench()
    engine = GraphEngine(bench.executor, system=dict, unload=lambda: unloaded.append(1))
    bench.run({"1": api("Show", x=1)})
    engine.free(unload_models=True, free_memory=False)
    assert (len(bench.executor.cache), unloaded) == (1, [1])
    engine.free(unload_models=False, free_memory=True)
    assert (len(bench.executor.cache), unloaded) == (0, [1, 1])
