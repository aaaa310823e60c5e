"""Values on nodes: typed, scrubbed, chosen, uploaded."""

import io
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def value(editor: Any, node: str, key: str) -> Any:
    return editor.nodes()[node]["values"][key]


def test_numbers_take_arithmetic(editor: Any):
    size = editor.of_type("EmptyLatentImage")
    editor.click(editor.widget(size, "width"))
    editor.type("512*1.5")
    editor.press("Enter")
    assert value(editor, size, "width") == 768


def test_numbers_stay_in_their_range_and_words_are_refused(editor: Any, page: Page):
    sampler = editor.of_type("KSampler")
    editor.click(editor.widget(sampler, "denoise"))
    editor.type("7")
    editor.press("Enter")
    assert value(editor, sampler, "denoise") == 1
    editor.click(editor.widget(sampler, "steps"))
    editor.type("many")
    editor.press("Enter")
    assert value(editor, sampler, "steps") == 20
    expect(page.get_by_text("“many” is not a number.")).to_be_visible()


def test_dragging_a_number_changes_it_as_one_step(editor: Any):
    sampler = editor.of_type("KSampler")
    x, y = editor.widget(sampler, "steps")
    editor.drag((x, y), (x + 80, y), steps=10)
    changed = value(editor, sampler, "steps")
    assert changed > 20
    editor.press("Control+Z")
    assert value(editor, sampler, "steps") == 20


def test_seeds_keep_every_digit(editor: Any, server: Any):
    sampler = editor.of_type("KSampler")
    editor.click(editor.widget(sampler, "seed"))
    editor.type("18446744073709551615")
    editor.press("Enter")
    editor.press("Control+Enter")
    editor.wait(lambda: len(server.fake.prompts) == 1)
    assert server.fake.prompts[0]["prompt"][sampler]["inputs"]["seed"] == 18446744073709551615


def test_a_choice_is_filtered_and_chosen_by_keyboard(editor: Any, page: Page):
    sampler = editor.of_type("KSampler")
    editor.click(editor.widget(sampler, "sampler_name"))
    page.get_by_role("combobox", name="sampler_name").fill("heunpp")
    editor.press("Enter")
    assert value(editor, sampler, "sampler_name") == "heunpp2"


def test_tab_walks_from_field_to_field(editor: Any, page: Page):
    size = editor.of_type("EmptyLatentImage")
    editor.click(editor.widget(size, "width"))
    editor.type("640")
    editor.press("Tab")
    editor.type("384")
    editor.press("Enter")
    assert value(editor, size, "width") == 640
    assert value(editor, size, "height") == 384


def test_text_has_weights_under_the_arrow_keys(editor: Any, page: Page):
    prompt = next(id for id, n in editor.nodes().items() if n["title"] == "Negative prompt")
    editor.click(editor.widget(prompt, "text"))
    editor.press("Control+A")
    editor.type("dark")
    editor.press("Control+ArrowUp")
    editor.press("Control+ArrowUp")
    assert value(editor, prompt, "text") == "(dark:1.1)"
    editor.press("Control+ArrowDown")
    editor.press("Control+ArrowDown")
    assert value(editor, prompt, "text") == "dark"


def test_a_picture_dropped_on_a_loader_is_uploaded_into_it(editor: Any, page: Page, server: Any):
    load = editor.add("Load Image")
    editor.drop_picture(server.fake.files[("input", "example.png")], "mine.png", editor.title(load))
    editor.wait(lambda: value(editor, load, "image") == "mine.png")
    assert ("input", "mine.png") in server.fake.files


def test_a_switch_on_a_node_flips_with_a_click(editor: Any):
    node = editor.add("ImageCompositeMasked")
    before = value(editor, node, "resize_source")
    editor.click(editor.widget(node, "resize_source"))
    assert value(editor, node, "resize_source") is not before


def test_a_painted_mask_is_stored_as_the_alpha_of_a_copy(editor: Any, page: Page, server: Any):
    load = editor.add("Load Image")
    editor.click(editor.title(load), button="right")
    page.get_by_role("menuitem", name="Draw a mask…").click()
    canvas = page.get_by_label("Mask: paint with the pointer")
    editor.wait_until("() => document.querySelector('.mask-stage canvas')?.width === 512")
    box = canvas.bounding_box()
    assert box
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    editor.drag((middle[0] - 40, middle[1]), (middle[0] + 40, middle[1]))
    page.get_by_role("button", name="Use this mask").click()
    editor.wait(lambda: value(editor, load, "image") == "mask-example.png")
    alpha = Image.open(io.BytesIO(server.fake.files[("input", "mask-example.png")])).getchannel("A")
    assert alpha.size == (512, 384)
    assert alpha.getpixel((256, 192)) == 0
    assert alpha.getpixel((10, 10)) == 255


def test_the_seed_of_the_last_run_can_be_had_again(editor: Any, page: Page, server: Any):
    sampler = editor.of_type("KSampler")
    editor.queue()
    editor.wait(lambda: value(editor, sampler, "seed") != 0)
    editor.click(editor.title(sampler), button="right")
    page.get_by_role("menuitem", name="Use the seed of the last run (0)").click()
    assert value(editor, sampler, "seed") == 0
    assert value(editor, sampler, "control_after_generate") == "fixed"
