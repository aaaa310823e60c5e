"""Results that outlive the process: what is on the shelf is not made again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from execution.cache import Cache, CacheMode, KeepBytes, KeepNothing
from execution.events import Cached
from execution.spec import NodeResult, NodeSpec
from tests.execution.kit import ApiGraph, Bench, api, declare


@dataclass
class Shelf:
    """A dictionary. damaged: signatures that are there and cannot be read."""

    held: dict[str, Any] = field(default_factory=dict[str, Any])
    read: list[str] = field(default_factory=list[str])
    damaged: bool = False

    def __contains__(self, signature: object) -> bool:
        return signature in self.held

    def get(self, signature: str) -> Any:
        self.read.append(signature)
        return None if self.damaged else self.held.get(signature)

    def put(self, signature: str, types: Sequence[object], slots: Any) -> None:
        self.held[signature] = slots


def nan(**_: object) -> float:
    return float("nan")


def chain(last: int = 3) -> ApiGraph:
    r"""
    1 ─ 2 ─ 3 ─ 4 (shows)
    """
    return {
        "1": api("Number", value=1),
        "2": api("Add", a=["1", 0], b=2),
        "3": api("Add", a=["2", 0], b=last),
        "4": api("Show", x=["3", 0]),
    }


def restarted(shelf: Shelf, mode: CacheMode | None = None) -> Bench:
    """An executor that remembers nothing itself."""
    return Bench(cache=Cache(mode or KeepBytes(), shelf=shelf))


@pytest.mark.parametrize("mode", [KeepBytes(), KeepNothing()])
def test_after_a_restart_only_what_shows_something_runs(mode: CacheMode):
    shelf = Shelf()
    restarted(shelf, mode).run(chain())
    again = restarted(shelf, mode).run(chain())
    assert again.ran == ["4"]
    assert again.shown == {"4": {"text": [6]}}
    assert again.of(Cached)[0].nodes == ["1", "2", "3"]


def test_only_what_is_needed_is_read():
    shelf = Shelf()
    restarted(shelf).run(chain())
    shelf.read.clear()
    bench = restarted(shelf)
    bench.run(chain())
    assert len([one for one in shelf.read if one in shelf.held]) == 1
    shelf.read.clear()
    bench.run(chain())
    assert shelf.read == [], "the memory comes first"


def test_a_change_runs_what_depends_on_it():
    shelf = Shelf()
    restarted(shelf).run(chain())
    assert restarted(shelf).run(chain(last=9)).ran == ["3", "4"]


def test_a_damaged_result_is_made_again():
    shelf = Shelf()
    restarted(shelf).run(chain())
    shelf.damaged = True
    again = restarted(shelf).run(chain())
    assert again.ran == ["1", "2", "3", "4"]
    assert again.shown == {"4": {"text": [6]}}


def test_what_shows_something_and_what_is_never_equal_is_not_put_there():
    shelf = Shelf()
    never = NodeSpec(declare("Never", {"a": "INT"}, has_fingerprint=True), lambda a: NodeResult((a,)), fingerprint=nan)
    graph = {"1": api("Number", value=1), "2": api("Never", a=["1", 0]), "3": api("Show", x=["2", 0])}
    Bench(never, cache=Cache(shelf=shelf)).run(graph)
    assert list(shelf.held.values()) == [[[1]]], "the number alone"


def test_what_an_expansion_made_is_found_as_a_whole():
    shelf = Shelf()
    graph = {"1": api("Grow", x=1, times=3), "2": api("Show", x=["1", 0])}
    restarted(shelf).run(graph)
    again = restarted(shelf).run(graph)
    assert again.ran == ["2"]
    assert again.shown == {"2": {"text": [4]}}
