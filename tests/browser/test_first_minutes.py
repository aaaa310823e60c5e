"""What a new user does first: look, run, change the words, run again, open a picture's graph, undo."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
ASSETS = Path(__file__).parents[2] / "web" / "dist" / "assets"


def test_the_page_opens_with_a_graph_that_can_run(editor: Any):
    kinds = {node["type"] for node in editor.nodes().values()}
    assert {"CheckpointLoaderSimple", "KSampler", "SaveImage"} <= kinds


def test_without_a_checkpoint_the_first_graph_needs_no_model(page: Page, server: Any):
    server.fake.definitions["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0] = []
    page.goto(server.url)
    page.wait_for_function("() => window.heddle?.app.ready && heddle.app.active.graph.nodes.size > 0")
    kinds = page.evaluate("() => [...heddle.app.active.graph.nodes.values()].map((n) => n.type)")
    assert "SaveImage" in kinds
    assert not {"CheckpointLoaderSimple", "KSampler"} & set(kinds)


def test_a_server_that_still_loads_its_nodes_is_waited_for(page: Page, server: Any):
    known, server.fake.definitions = server.fake.definitions, {}
    page.goto(server.url)
    expect(page.get_by_text("Loading nodes…")).to_be_visible()
    server.fake.definitions = known
    page.wait_for_function("() => heddle.app.active.graph.nodes.size > 0")
    expect(page.get_by_text("Loading nodes…")).to_have_count(0)


def test_queueing_shows_the_picture_on_the_node_and_in_the_results(editor: Any, page: Page):
    editor.queue()
    save = editor.of_type("SaveImage")
    editor.wait_until(f"() => heddle.app.active.run.media.get('{save}')?.length === 1")
    page.get_by_role("button", name="Queue and results").click()
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    page.get_by_role("button", name=re.compile("Look at")).click()
    expect(page.get_by_role("dialog").locator("img")).to_be_visible()


def test_the_seed_that_made_the_picture_is_in_the_workflow_that_was_sent(editor: Any, server: Any):
    sampler = editor.of_type("KSampler")
    editor.queue()
    editor.wait(lambda: len(server.fake.prompts) == 1)
    sent = server.fake.prompts[0]
    stored = next(n for n in sent["extra_data"]["extra_pnginfo"]["workflow"]["nodes"] if str(n["id"]) == sampler)
    assert sent["prompt"][sampler]["inputs"]["seed"] == stored["widgets_values"][0] == 0
    assert "control_after_generate" not in sent["prompt"][sampler]["inputs"]
    editor.wait(lambda: editor.nodes()[sampler]["values"]["seed"] != 0, "the next seed is drawn")


def test_changed_words_are_what_is_sent_next(editor: Any, server: Any):
    prompt = next(id for id, n in editor.nodes().items() if n["title"] == "Positive prompt")
    editor.click(editor.widget(prompt, "text"))
    editor.press("Control+A")
    editor.type("a fox\nin snow")
    editor.press("Control+Enter")
    editor.wait(lambda: len(server.fake.prompts) == 1)
    assert server.fake.prompts[0]["prompt"][prompt]["inputs"]["text"] == "a fox\nin snow"


def test_everything_can_be_undone_and_done_again(editor: Any):
    before = editor.nodes()
    editor.drag(editor.title(editor.of_type("KSampler")), (900, 700))
    editor.add("Invert Image")
    editor.click(editor.title(editor.of_type("SaveImage")))
    editor.press("Delete")
    after = editor.nodes()
    assert before != after
    for _ in range(3):
        editor.press("Control+Z")
    assert editor.nodes() == before
    for _ in range(3):
        editor.press("Control+Shift+Z")
    assert editor.nodes() == after


def test_a_dropped_picture_opens_the_graph_that_made_it(editor: Any, page: Page, server: Any):
    editor.queue()
    editor.wait(lambda: any(kind == "output" for kind, _ in server.fake.files))
    body = next(data for (kind, _), data in server.fake.files.items() if kind == "output")
    editor.drop_picture(body, "run.png", (600, 500))
    page.get_by_role("button", name="Open its workflow").click()
    editor.wait(lambda: page.get_by_role("tab").count() == 2)
    assert {n["type"] for n in editor.nodes().values()} >= {"KSampler", "SaveImage"}
    assert editor.evaluate("() => heddle.app.active.graph.links.size") == 9


def test_image_to_image_is_built_by_dragging_links(editor: Any, server: Any):
    editor.new_empty()
    load = editor.add("Load Image")
    editor.drag(editor.title(load), (200, 300))
    invert = editor.add("ImageInvert")
    editor.drag(editor.title(invert), (600, 300))
    preview = editor.add("Preview Image")
    editor.drag(editor.title(preview), (1000, 300))
    editor.drag(editor.output(load), editor.input(invert, "image"))
    editor.drag(editor.output(invert), editor.at(preview, 60, 60))
    assert editor.links() == {("LoadImage", "ImageInvert.image"), ("ImageInvert", "PreviewImage.images")}
    editor.press("Control+Enter")
    editor.wait(lambda: len(server.fake.prompts) == 1)
    assert server.fake.prompts[0]["prompt"][invert]["inputs"] == {"image": [load, 0]}


def test_no_request_leaves_the_machine_and_there_are_few(page: Page, server: Any):
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(server.url)
    page.wait_for_function("() => window.heddle?.app.ready && heddle.app.active.graph.nodes.size > 0")
    fetched = [url for url in requested if not url.startswith(("data:", "blob:"))]
    assert all(url.startswith(server.url) for url in fetched)
    assert len(fetched) <= 10
    names = [url.rsplit("/", 1)[1] for url in fetched if "/assets/" in url]
    assert sum(len(gzip.compress((ASSETS / name).read_bytes())) for name in names) <= 220_000
