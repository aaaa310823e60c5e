"""The page in front of the real server: it starts, the start graph runs on any machine, and runs are incremental."""

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("desk")]


def test_the_first_graph_runs_and_again_only_what_changed(desk: Any):
    editor, page = desk, desk.page
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


def test_the_server_says_what_is_wrong_and_the_page_shows_where(desk: Any):
    editor, page = desk, desk.page
    editor.new_empty()
    node = editor.add("Save Image")
    editor.press("Control+Enter")
    editor.wait(lambda: page.locator(".toast.error").count() > 0)
    assert editor.evaluate("() => heddle.app.active.run.problems.map((p) => [p.node, p.input])") == [[node, "images"]]
