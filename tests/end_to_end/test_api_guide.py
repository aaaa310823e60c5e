"""The examples of docs/api.md, run as they stand, in order."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.end_to_end.conftest import Server, wait_until_ready

GUIDE = Path(__file__).parents[2] / "docs" / "api.md"


def examples(url: str) -> list[tuple[str, str]]:
    """Language and text of each, speaking to a server at `url`."""
    text = GUIDE.read_text(encoding="utf-8").replace("http://127.0.0.1:8188", url)
    return re.findall(r"^```(sh|python)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_guides_examples_work(start_server: Callable[..., Server], tmp_path: Path):
    server = start_server()
    wait_until_ready(server.url)
    found = examples(server.url)
    assert {language for language, _ in found} == {"sh", "python"}
    work = tmp_path / "work"
    work.mkdir()
    python = ""
    for language, text in found:
        if language == "python":
            python += text  # each goes on where the last one ended
            command = [sys.executable, "-c", python]
        else:
            assert shutil.which("curl"), "the examples are for curl"
            command = ["bash", "-ec", text]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    assert (work / "hello.png").read_bytes().startswith(b"\x89PNG")
    assert server.stop() == 0
