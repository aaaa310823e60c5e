"""The page in front of the real server, with nodes that need no model."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def heddle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    base = tmp_path_factory.mktemp("heddle")
    command = [sys.executable, "main.py", "--cpu", "--port", "0", "--base-directory", str(base)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            found = re.search(r"http://\S+", line)
            if found:
                break
        else:
            pytest.fail("the server never said where it is")
        yield found.group().rstrip("/") + "/"
        process.terminate()
        process.stdout.read()


@pytest.fixture
def at_home(page: Page, heddle: str, editor_class: Any) -> Any:
    page.goto(heddle)
    page.wait_for_function("() => window.heddle?.app.ready && heddle.app.active.graph.nodes.size > 0", timeout=60_000)
    return editor_class(page)


def test_the_first_graph_runs_and_again_only_what_changed(at_home: Any, page: Page):
    editor = at_home
    save = editor.of_type("SaveImage")
    editor.queue()
    page.wait_for_function(f"() => heddle.app.active.run.media.has('{save}')", timeout=60_000)
    first = editor.evaluate(
        f"() => heddle.app.active.run.promptId + heddle.app.active.run.media.get('{save}')[0].filename"
    )
    blur = editor.of_type("ImageBlur")
    editor.click(editor.widget(blur, "blur_radius"))
    editor.type("3")
    editor.press("Enter")
    editor.press("Control+Enter")
    page.wait_for_function(
        f"(first) => heddle.app.active.run.promptId + heddle.app.active.run.media.get('{save}')[0].filename !== first"
        f" && heddle.app.active.run.nodes.get('{save}')?.state === 'done'",
        arg=first,
        timeout=60_000,
    )
    states = editor.evaluate(
        "() => Object.fromEntries([...heddle.app.active.run.nodes].map(([id, r]) => [id, r.state]))"
    )
    composite = editor.of_type("ImageCompositeMasked")
    assert states[composite] == "cached"
    assert states[blur] == "done"


def test_the_server_says_what_is_wrong_and_the_page_shows_where(at_home: Any, page: Page):
    editor = at_home
    editor.new_empty()
    node = editor.add("Save Image")
    editor.press("Control+Enter")
    editor.wait(lambda: page.locator(".toast.error").count() > 0)
    assert editor.evaluate("() => heddle.app.active.run.problems.map((p) => [p.node, p.input])") == [[node, "images"]]
