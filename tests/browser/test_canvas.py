"""Hands on the canvas: pan, zoom, select, move, wire, cut, copy."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def view(editor: Any) -> dict[str, Any]:
    return editor.evaluate("() => heddle.app.active.viewport")


def selected(editor: Any) -> set[str]:
    return set(editor.evaluate("() => [...heddle.app.active.selection.nodes]"))


def test_dragging_empty_space_pans_and_the_wheel_zooms_to_the_pointer(editor: Any, page: Page):
    before = view(editor)
    editor.drag((700, 820), (760, 790))
    moved = view(editor)
    assert moved["scale"] == before["scale"]
    assert moved["offset"][0] - before["offset"][0] == pytest.approx(60 / before["scale"])
    sampler = editor.of_type("KSampler")
    spot = editor.title(sampler)
    page.mouse.move(*spot)
    page.mouse.wheel(0, -120)
    editor.wait(lambda: view(editor)["scale"] > moved["scale"])
    assert editor.title(sampler) == pytest.approx(spot, abs=2)


def test_a_box_selects_what_it_touches(editor: Any):
    page = editor.page
    page.keyboard.down("Control")
    editor.drag((20, 60), (660, 860))
    page.keyboard.up("Control")
    kinds = {editor.nodes()[id]["type"] for id in selected(editor)}
    assert "CheckpointLoaderSimple" in kinds
    assert "SaveImage" not in kinds


def test_a_moved_node_lands_on_the_grid_and_escape_takes_a_drag_back(editor: Any):
    page = editor.page
    save = editor.of_type("SaveImage")
    editor.drag(editor.title(save), (900, 720))
    x, y = editor.nodes()[save]["pos"]
    assert x % 8 == 0
    assert y % 8 == 0
    page.mouse.move(*editor.title(save))
    page.mouse.down()
    page.mouse.move(500, 500, steps=4)
    editor.press("Escape")
    page.mouse.up()
    assert editor.nodes()[save]["pos"] == [x, y]


def test_a_link_that_does_not_fit_is_refused_in_words_with_the_node_that_mends_it(editor: Any, page: Page):
    editor.new_empty()
    load = editor.add("Load Image")
    editor.drag(editor.title(load), (200, 300))
    sampler = editor.add("KSampler")
    editor.drag(editor.title(sampler), (800, 300))
    editor.drag(editor.output(load), editor.input(sampler, "latent_image"))
    assert editor.links() == set()
    expect(page.get_by_text("not an IMAGE")).to_be_visible()
    page.get_by_role("button", name="Add VAE Encode").click()
    assert editor.links() == {("LoadImage", "VAEEncode.pixels"), ("VAEEncode", "KSampler.latent_image")}


def test_a_link_dropped_in_empty_space_offers_what_fits_and_connects_it(editor: Any, page: Page):
    editor.new_empty()
    load = editor.add("Load Image")
    editor.drag(editor.title(load), (200, 300))
    editor.drag(editor.output(load), (900, 400))
    palette = page.get_by_role("combobox", name="Add node")
    expect(palette).to_be_visible()
    options = page.get_by_role("option").all_inner_texts()
    assert not any("Load Checkpoint" in text for text in options)
    palette.fill("blur")
    editor.press("Enter")
    assert editor.links() == {("LoadImage", "ImageBlur.image")}


def test_a_link_is_taken_off_by_dragging_its_end_away(editor: Any):
    decode = editor.of_type("VAEDecode")
    assert ("KSampler", "VAEDecode.samples") in editor.links()
    editor.drag(editor.input(decode, "samples"), (1000, 820))
    assert ("KSampler", "VAEDecode.samples") not in editor.links()
    editor.press("Control+Z")
    assert ("KSampler", "VAEDecode.samples") in editor.links()


def test_a_node_dropped_on_a_link_is_spliced_in(editor: Any):
    editor.new_empty()
    load = editor.add("Load Image")
    editor.drag(editor.title(load), (200, 300))
    preview = editor.add("Preview Image")
    editor.drag(editor.title(preview), (1150, 300))
    editor.drag(editor.output(load), editor.input(preview, "images"))
    invert = editor.add("Invert Image")
    x, y = editor.input(preview, "images")
    editor.drag(editor.title(invert), (x - 250, y))
    assert editor.links() == {("LoadImage", "ImageInvert.image"), ("ImageInvert", "PreviewImage.images")}


def test_a_stroke_with_the_right_button_cuts_links(editor: Any):
    decode = editor.of_type("VAEDecode")
    x, y = editor.input(decode, "samples")
    editor.drag((x - 20, y - 60), (x - 20, y + 9), button="right")
    assert ("KSampler", "VAEDecode.samples") not in editor.links()


def test_a_copy_brings_its_links_from_outside(editor: Any):
    editor.click(editor.title(editor.of_type("VAEDecode")))
    editor.press("Control+D")
    decodes = [id for id, n in editor.nodes().items() if n["type"] == "VAEDecode"]
    assert len(decodes) == 2
    into = editor.evaluate(
        "(id) => [...heddle.app.active.graph.links.values()].filter((l) => l.to === id).length", decodes[-1]
    )
    assert into == 2


def test_bypass_and_mute_leave_the_prompt(editor: Any, server: Any):
    negative = next(id for id, n in editor.nodes().items() if n["title"] == "Negative prompt")
    editor.click(editor.title(negative))
    editor.press("Control+M")
    editor.press("Control+Enter")
    editor.wait(lambda: len(server.fake.prompts) == 1)
    prompt = server.fake.prompts[0]["prompt"]
    assert negative not in prompt
    assert "negative" not in prompt[editor.of_type("KSampler")]["inputs"]


def test_nodes_found_by_words_are_shown(editor: Any, page: Page):
    editor.press("Control+F")
    page.get_by_role("combobox", name="Find in workflow").fill("watermark")
    editor.press("Enter")
    assert [editor.nodes()[id]["title"] for id in selected(editor)] == ["Negative prompt"]
