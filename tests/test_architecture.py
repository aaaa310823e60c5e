"""The house has one direction: which package may import which, kept as a table."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"launch", "compat", "server", "nodes", "execution", "storage", "diffusion"}

# package -> (ours it may import, third-party it may import)
MAY_IMPORT: dict[str, tuple[set[str], set[str]]] = {
    "diffusion": (
        set(),
        {
            *("torch", "numpy", "safetensors", "transformers", "tokenizers", "sentencepiece", "einops", "PIL"),
            *("torchsde", "scipy"),
        },
    ),
    "execution": (set(), set()),
    "storage": (set(), {"PIL"}),
    "nodes": ({"diffusion", "storage", "execution"}, {"torch", "numpy", "PIL", "einops", "safetensors"}),
    "server": ({"execution", "storage"}, {"aiohttp", "multidict", "yarl", "PIL", "msgspec"}),
    "compat": (
        OURS - {"launch", "compat"},
        {"torch", "numpy", "PIL", "aiohttp", "safetensors", "einops", "transformers"},
    ),
    "launch": (OURS - {"launch"}, {"psutil", "yaml", "tqdm", "torch", "aiohttp", "huggingface_hub"}),
    # How the starter model was made; a user of the library like any other.
    "training": ({"diffusion"}, {"torch", "numpy", "PIL", "safetensors", "tqdm", "transformers"}),
}
# Of `execution`, nodes see only what a node is and what it may touch while it runs.
NODES_MAY_SEE = {"execution.spec", "execution.context"}
RAY_ONLY_IN = ROOT / "execution" / "workers" / "ray.py"


# What packs import is in compat, as files of their own names.
NAMES = {path.stem for path in (ROOT / "compat" / "names").iterdir()}


def sources(package: str) -> list[Path]:
    return sorted(p for p in (ROOT / package).rglob("*.py") if "names" not in p.relative_to(ROOT / package).parts)


def imported(path: Path) -> Iterator[str]:
    """Every absolute module name a file imports, late imports included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_point_one_way(package: str):
    ours, third_party = MAY_IMPORT[package]
    names = NAMES if package == "compat" else set[str]()
    allowed = ours | third_party | names | {package} | set(sys.stdlib_module_names)
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(package)
        for name in imported(path)
        if name.split(".")[0] not in allowed and not (path == RAY_ONLY_IN and name.split(".")[0] == "ray")
    ]
    assert broken == []


def test_nodes_see_of_execution_only_the_spec_and_the_context():
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("nodes")
        for name in imported(path)
        if name.startswith("execution") and not any(f"{name}.".startswith(f"{seen}.") for seen in NODES_MAY_SEE)
    ]
    assert broken == []


def test_nobody_but_launch_imports_compat():
    others = OURS - {"launch", "compat"}
    assert [
        p for package in others for p in sources(package) if any(n.split(".")[0] == "compat" for n in imported(p))
    ] == []


def test_relative_imports_are_not_used_to_climb():
    """A climbing relative import would hide a crossing of the border from the table above."""
    broken = [
        str(path.relative_to(ROOT))
        for package in OURS
        for path in sources(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level > 1
    ]
    assert broken == []
