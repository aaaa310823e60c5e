"""Packs: each is found, imported alone, and reported when it gives nothing."""

import re
import sys
import time
from pathlib import Path

import pytest

from compat.found import Wanted
from compat.pack import Loaded, Pack
from compat.packs import load_packs
from compat.prestartup import run_scripts
from execution.spec import Declaration, NodeResult, NodeSpec

GOOD = """
from execution.spec import Declaration, NodeResult, NodeSpec
NODES = [NodeSpec(Declaration("Twice", "Twice", "test"), run=lambda: NodeResult())]
"""
CLASS = """
class {name}:
    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "test"
    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{"a": ("INT", {{"default": 1}})}}}}
    def go(self, a):
        return (a,)
NODE_CLASS_MAPPINGS = {{"{id}": {name}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "__init__.py").write_text(GOOD)
    (tmp_path / "single.py").write_text(CLASS.format(name="Once", id="Once"))
    return tmp_path


def load(folder: Path, wanted: Wanted | None = None, nodes: dict[str, NodeSpec] | None = None) -> Loaded:
    return load_packs([folder], wanted or Wanted(), {} if nodes is None else nodes)


def by_name(folder: Path, wanted: Wanted | None = None) -> dict[str, Pack]:
    return {pack.name: pack for pack in load(folder, wanted).packs}


def test_folders_and_single_files_are_packs_and_nodes_say_where_they_are_from(folder: Path):
    found = by_name(folder)
    assert [spec.declaration.pack for spec in found["good"].specs] == ["custom_nodes.good"]
    assert [spec.declaration.pack for spec in found["single"].specs] == ["custom_nodes.single"]
    assert [pack.trouble for pack in found.values()] == [None, None]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError.*line 1"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        ("", "no NODES"),
        ("NODES = [1]", "must hold what @node makes, got int"),
        ("class A: pass\nNODE_CLASS_MAPPINGS = {'A': A}", "A has no FUNCTION"),
    ],
)
def test_a_broken_pack_says_why_and_stops_nobody(text: str, says: str, folder: Path):
    (folder / "broken.py").write_text(text)
    found = by_name(folder)
    assert found["good"].trouble is None
    assert re.search(says, found["broken"].trouble or "")


def test_a_broken_node_is_left_out_and_the_others_of_its_pack_work(folder: Path):
    text = CLASS.format(name="Good", id="Good") + "\nclass Bad: pass\nNODE_CLASS_MAPPINGS['Bad'] = Bad\n"
    (folder / "half.py").write_text(text)
    half = by_name(folder)["half"]
    assert [spec.id for spec in half.specs] == ["Good"]
    assert list(half.broken_nodes) == ["Bad"]


def test_a_missing_requirement_comes_with_the_line_that_installs_it(folder: Path):
    for name, module in (("listed", "their_thing"), ("known", "skimage_of_nobody.x"), ("mapped", "pywt")):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"import {module}")
    (folder / "listed" / "requirements.txt").write_text("numpy\nTheir-Thing>=2  # for everything\n")
    found = by_name(folder)
    assert found["listed"].remedy == f"{sys.executable} -m pip install -r {folder / 'listed' / 'requirements.txt'}"
    assert found["known"].remedy == f"{sys.executable} -m pip install skimage_of_nobody"
    assert found["mapped"].remedy == f"{sys.executable} -m pip install PyWavelets"
    assert found["good"].remedy is None


def test_what_is_not_a_pack_is_not_tried(folder: Path):
    (folder / "__pycache__").mkdir()
    (folder / "off.py.disabled").touch()
    (folder / "notes.txt").touch()
    (folder / "empty").mkdir()
    assert set(by_name(folder)) == {"good", "single"}


def test_packs_may_be_off_but_for_some(folder: Path):
    assert by_name(folder, Wanted(enabled=False)) == {}
    assert set(by_name(folder, Wanted(enabled=False, names=("good",)))) == {"good"}


def test_our_names_stay_ours_and_between_packs_the_later_one_wins(folder: Path):
    ours = NodeSpec(Declaration("Once", "Once", "test"), run=lambda: NodeResult())
    (folder / "zz.py").write_text(CLASS.format(name="Other", id="Twice"))
    nodes = {"Once": ours}
    loaded = load(folder, nodes=nodes)
    assert nodes["Once"] is ours
    assert nodes["Twice"].declaration.pack == "custom_nodes.zz"
    assert [re.sub(r"custom_nodes\.", "", sentence) for sentence in loaded.conflicts] == [
        "pack single: its node Once is left out, the name is taken by nodes",
        "pack zz: its node Twice takes the place of that of good",
    ]


def test_a_pack_can_import_itself_relatively_and_by_its_name_in_custom_nodes(tmp_path: Path):
    pack = tmp_path / "two.parts"
    pack.mkdir()
    (pack / "inner.py").write_text(CLASS.format(name="Inner", id="Inner"))
    (pack / "__init__.py").write_text("from .inner import NODE_CLASS_MAPPINGS\n")
    (tmp_path / "selfish").mkdir()
    (tmp_path / "selfish" / "part.py").write_text("X = 3\n")
    (tmp_path / "selfish" / "__init__.py").write_text(
        "import custom_nodes.selfish.part as part\nassert part.X == 3\n" + CLASS.format(name="S", id="S")
    )
    found = by_name(tmp_path)
    assert [pack.trouble for pack in found.values()] == [None, None]
    assert str(pack).replace(".", "_x_") in sys.modules


def test_scripts_run_before_and_one_that_fails_stops_nobody(folder: Path):
    (folder / "good" / "prestartup_script.py").write_text(
        "import pathlib\npathlib.Path(__file__).with_name('was_here').touch()\n"
    )
    (folder / "bad").mkdir()
    (folder / "bad" / "__init__.py").write_text(GOOD)
    (folder / "bad" / "prestartup_script.py").write_text("raise SystemExit(1)")
    run_scripts([folder], Wanted())
    assert (folder / "good" / "was_here").exists()
    assert by_name(folder)["bad"].trouble is None


def test_two_hundred_nodes_are_declared_in_a_fifth_of_a_second(tmp_path: Path):
    """Beyond what importing the pack's own code takes; in processor time, so that a busy machine does not matter."""
    inputs = ", ".join(f'"i{i}": ("FLOAT", {{"default": 0.0, "min": 0.0, "max": 1.0}})' for i in range(8))
    kinds = "\n".join(
        f"class N{n}:\n FUNCTION='go'\n RETURN_TYPES=('INT',)\n CATEGORY='c'\n @classmethod\n def INPUT_TYPES(s):\n"
        f"  return {{'required': {{{inputs}}}}}\n def go(self, **k): return (1,)"
        for n in range(200)
    )
    (tmp_path / "large.py").write_text(
        f"{kinds}\nNODE_CLASS_MAPPINGS = {{f'N{{n}}': globals()[f'N{{n}}'] for n in range(200)}}"
    )
    code = compile((tmp_path / "large.py").read_text(), "large.py", "exec")
    began = time.process_time()
    exec(code, {"__name__": "large"})
    alone = time.process_time() - began
    began = time.process_time()
    [pack] = load(tmp_path).packs
    assert len(pack.specs) == 200
    assert time.process_time() - began - alone < 0.2


def test_what_a_pack_brings_besides_nodes_is_found(folder: Path):
    pack = folder / "good"
    for name in ("js", "web2", "locales", "example_workflows"):
        (pack / name).mkdir()
    (pack / "__init__.py").write_text(GOOD + "WEB_DIRECTORY = './js'\n")
    (pack / "pyproject.toml").write_text('[project]\nname = "good-pack"\n[tool.comfy]\nweb = "web2"\n')
    found = by_name(folder)["good"]
    assert found.web == {"good": pack / "js", "good-pack": pack / "web2"}
    assert (found.locales, found.examples) == (pack / "locales", pack / "example_workflows")
