"""Packs: each is found, imported alone, and reported when it gives nothing."""

import re
from pathlib import Path

import pytest

from launch.packs import Pack, load_packs
from launch.settings import Packs

GOOD = """
from execution.spec import Declaration, NodeResult, NodeSpec
NODES = [NodeSpec(Declaration("Twice", "Twice", "test"), run=lambda: NodeResult())]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "__init__.py").write_text(GOOD)
    (tmp_path / "single.py").write_text(GOOD)
    return tmp_path


def by_name(folder: Path, packs: Packs | None = None) -> dict[str, Pack]:
    return {pack.name: pack for pack in load_packs([folder], packs or Packs())}


def test_folders_and_single_files_are_packs_and_nodes_say_where_they_are_from(folder: Path):
    found = by_name(folder)
    assert [spec.declaration.pack for spec in found["good"].specs] == ["custom_nodes.good"]
    assert found["single"].trouble is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError.*line 1"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        ("", "no NODES"),
        ("NODES = [1]", "must hold what @node makes, got int"),
    ],
)
def test_a_broken_pack_says_why_and_stops_nobody(text: str, says: str, folder: Path):
    (folder / "broken.py").write_text(text)
    found = by_name(folder)
    assert found["good"].trouble is None
    assert re.search(says, found["broken"].trouble or "")


def test_what_is_not_a_pack_is_not_tried(folder: Path):
    (folder / "__pycache__").mkdir()
    (folder / "off.py.disabled").touch()
    (folder / "notes.txt").touch()
    (folder / "empty").mkdir()
    assert set(by_name(folder)) == {"good", "single"}


def test_packs_may_be_off_but_for_some(folder: Path):
    assert by_name(folder, Packs(enabled=False)) == {}
    assert set(by_name(folder, Packs(enabled=False, whitelist=("good",)))) == {"good"}
