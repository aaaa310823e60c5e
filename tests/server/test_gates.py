"""What may not appear in the code of the server at all, whatever a test of behaviour would find."""

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.house import House
from tests.server.test_every_route import filled, routes

ROOT = Path(__file__).parents[2]
SERVER_SIDE = ("server", "storage", "execution", "launch")
# Reading these can run what was written by someone else.
FORBIDDEN_IMPORTS = ("pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib")
FORBIDDEN_CALLS = ("eval", "exec", "compile", "__import__")


def modules(*packages: str) -> Iterator[tuple[Path, ast.Module]]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def test_the_server_unpickles_and_evaluates_nothing():
    for path, tree in modules(*SERVER_SIDE):
        for node in ast.walk(tree):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not {name.split(".")[0] for name in names} & set(FORBIDDEN_IMPORTS), where
            elif isinstance(node, ast.Call):
                if isinstance(node.func, ast.Name):
                    assert node.func.id not in FORBIDDEN_CALLS, where
                assert not any(keyword.arg == "shell" for keyword in node.keywords), f"{where}: a shell"


def test_files_leave_through_the_file_service_alone():
    for path, tree in modules("server"):
        if path.name != "files.py":
            used = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
            assert "FileResponse" not in used, path


def test_handlers_join_no_paths_of_their_own():
    """Names from outside become paths in `storage.names.beneath` alone."""
    for path, tree in modules("server"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "join" and isinstance(node.value, ast.Attribute):
                assert node.value.attr != "path", f"{path}:{node.lineno} joins a path"


@pytest.mark.parametrize("header", ["X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Resource-Policy"])
async def test_every_answer_carries_the_headers_that_keep_pages_apart(house: House, header: str):
    expected = {"X-Content-Type-Options": "nosniff"}.get(header, "same-origin")
    for method, path in routes(house):
        async with house.client.request(method, filled(path, ["x"], random.Random(0))) as response:
            await response.read()
            assert response.headers.get(header) == expected, f"{method} {path}"
