"""`--set`: naming a value of a graph, and the graphs that a range makes."""

from typing import Any

import pytest

from launch.commands.overrides import BadOverride, graphs, parse_override

GRAPH: dict[str, Any] = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 0, "cfg": 8.0, "model": ["4", 0]}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a", "clip": ["4", 1]}, "_meta": {"title": "Positive"}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "b", "clip": ["4", 1]}},
    "12:8": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}},
}


def made(*texts: str) -> list[dict[str, Any]]:
    return [chosen for chosen, _ in graphs(GRAPH, [parse_override(text, GRAPH) for text in texts])]


def test_a_range_makes_one_graph_for_each_number():
    assert made("3.seed=1..4") == [{"3.seed": n} for n in (1, 2, 3, 4)]
    assert made("3.seed=2..0") == [{"3.seed": n} for n in (2, 1, 0)]


def test_several_ranges_combine_the_last_fastest():
    assert made("3.seed=1..2", "3.cfg=4..5") == [
        {"3.seed": 1, "3.cfg": 4},
        {"3.seed": 1, "3.cfg": 5},
        {"3.seed": 2, "3.cfg": 4},
        {"3.seed": 2, "3.cfg": 5},
    ]


def test_values_are_json_or_else_text():
    assert made("3.cfg=7.5") == [{"3.cfg": 7.5}]
    assert made("6.text=a red star = good") == [{"6.text": "a red star = good"}]
    assert made("6.text=1..x") == [{"6.text": "1..x"}]


def test_a_node_may_be_named_by_its_title_or_left_out_when_there_is_no_doubt():
    assert made("Positive.text=c") == [{"6.text": "c"}]
    assert made("seed=5") == [{"3.seed": 5}]
    assert made("12:8.filename_prefix=y") == [{"12:8.filename_prefix": "y"}]


def test_the_graph_itself_is_left_alone():
    [(_, changed)] = graphs(GRAPH, [parse_override("3.seed=9", GRAPH)])
    assert changed["3"]["inputs"]["seed"] == 9
    assert GRAPH["3"]["inputs"]["seed"] == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("text=c", "6, 7 all have"),
        ("nothing=1", "no node has"),
        ("3.sed=1", "it has seed, cfg, model"),
        ("99.seed=1", "no node has the id or title '99'"),
        ("seed", "expected NODE.INPUT=VALUE"),
        (".seed=1", "expected NODE.INPUT=VALUE"),
        ("a.b.c=", "no node has"),
        ("3.seed=1..99999999", "at most"),
    ],
)
def test_what_does_not_fit_says_what_would(text: str, says: str):
    with pytest.raises(BadOverride, match=says):
        made(text)


def test_too_many_graphs_are_refused_with_their_number():
    with pytest.raises(BadOverride, match="1000000 graphs"):
        made("3.seed=1..1000", "3.cfg=1..1000")
