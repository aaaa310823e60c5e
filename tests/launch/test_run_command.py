"""`main.py run`: a graph without a server, with exit codes and a result a program can read."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from launch.commands.run import run

GRAPH: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 8, "batch_size": 1, "color": 0xFF0000}},
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "made"}},
}
WORKFLOW: dict[str, Any] = {
    "version": 0.4,
    "nodes": [
        {"id": 1, "type": "EmptyImage", "widgets_values": [16, 8, 1, 255]},
        {
            "id": 2,
            "type": "SaveImage",
            "inputs": [{"name": "images", "type": "IMAGE", "link": 1}],
            "widgets_values": ["w"],
        },
    ],
    "links": [[1, 1, 0, 2, 0, "IMAGE"]],
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "graph.json").write_text(json.dumps(GRAPH))
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    return tmp_path


def test_a_graph_makes_its_file(home: Path, capsys: pytest.CaptureFixture[str]):
    assert run([str(home / "graph.json")], home) == 0
    saved = home / "output" / "made_00001_.png"
    assert Image.open(saved).getpixel((0, 0)) == (0, 255, 255)
    said = capsys.readouterr().out
    assert said.startswith("succeeded in ")
    assert str(saved) in said


def test_the_result_is_one_line_of_json_for_each_graph(home: Path, capsys: pytest.CaptureFixture[str]):
    arguments = [str(home / "graph.json"), "--json", "--set", "color=1..2", "--out", str(home / "elsewhere")]
    assert run(arguments, home) == 0
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["state"], r["set"]) for r in results] == [("succeeded", {"1.color": 1}), ("succeeded", {"1.color": 2})]
    assert [Path(r["files"][0]).relative_to(home / "elsewhere") for r in results] == [
        Path("made_00001_.png"),
        Path("made_00002_.png"),
    ]


def test_an_editors_workflow_runs_as_it_is(home: Path):
    assert run([str(home / "workflow.json")], home) == 0
    assert Image.open(home / "output" / "w_00001_.png").getpixel((0, 0)) == (0, 0, 255)


def test_the_body_of_a_request_is_a_graph_too(home: Path):
    (home / "graph.json").write_text(json.dumps({"prompt": GRAPH, "client_id": "x"}))
    assert run([str(home / "graph.json")], home) == 0


def test_a_graph_that_fails_says_where_and_exits_with_one(home: Path, capsys: pytest.CaptureFixture[str]):
    arguments = [str(home / "graph.json"), "--set", "filename_prefix=../../outside", "--json"]
    assert run(arguments, home) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["state"] == "failed"
    assert "node 3 (SaveImage)" in result["error"]


@pytest.mark.parametrize(
    ("text", "arguments", "says"),
    [
        (None, ["--set", "1.width=0"], "smaller than min"),
        (None, ["--set", "9.width=1"], "no node has the id"),
        ("{", [], "not JSON"),
        ("[]", [], "expected a graph"),
        ('{"1": {"class_type": "Nope", "inputs": {}}}', [], "Nope"),
        ('{"nodes": [3], "links": []}', [], "not a node"),
    ],
)
def test_what_cannot_run_is_said_and_exits_with_two(
    text: str | None, arguments: list[str], says: str, home: Path, capsys: pytest.CaptureFixture[str]
):
    if text is not None:
        (home / "graph.json").write_text(text)
    assert run([str(home / "graph.json"), *arguments], home) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err


def test_a_file_that_is_not_there_exits_with_two(home: Path, capsys: pytest.CaptureFixture[str]):
    assert run([str(home / "nothing.json")], home) == 2
    assert "cannot be read" in capsys.readouterr().err
