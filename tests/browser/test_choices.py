"""Choosing and naming: models by folder, names in prompts, blocks, values of a subgraph."""

from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("desk")]


def test_a_lora_is_found_in_its_folder_and_shown_before_it_is_chosen(desk: Any):
    page = desk.page
    node = desk.add("LoraLoader")
    desk.click(desk.widget(node, "lora_name"))
    picker = page.get_by_role("dialog", name="lora_name")
    expect(picker.get_by_role("option")).to_have_count(3)
    picker.get_by_role("button", name="styles").click()
    expect(picker.get_by_role("option")).to_have_count(2)
    picker.get_by_role("combobox").fill("ink")
    expect(picker.get_by_text("10 B")).to_be_visible()
    page.wait_for_function("() => document.querySelector('.picker-preview img')?.naturalWidth > 0")
    desk.press("Enter")
    assert desk.nodes()[node]["values"]["lora_name"] == "styles/ink.safetensors"


def test_names_are_completed_while_one_writes_a_prompt(desk: Any):
    page = desk.page
    node = desk.add("CLIPTextEncode")
    desk.click(desk.widget(node, "text"))
    desk.type("a boat, embedding:sun")
    expect(page.get_by_role("option", name="sunset")).to_be_visible()
    desk.press("Enter")
    desk.type(", <lora:oi")
    expect(page.get_by_role("option", name="styles/oil.safetensors")).to_be_visible()
    desk.press("Tab")
    assert desk.nodes()[node]["values"]["text"] == "a boat, embedding:sunset, <lora:styles/oil:1>"
    desk.press("Control+z")
    assert desk.nodes()[node]["values"]["text"].endswith("<lora:oi")
    desk.press("Escape")


def test_a_seed_used_last_is_offered_beside_the_choices(desk: Any):
    page = desk.page
    desk.new_empty()
    node = desk.add("KSampler")
    desk.evaluate(f"() => heddle.app.active.run.seeds.set('{node}', ['seed', 77])")
    desk.click(desk.widget(node, "control_after_generate"))
    page.get_by_role("button", name="Use the seed of the last run (77)").click()
    assert desk.nodes()[node]["values"]["seed"] == 77
    assert desk.nodes()[node]["values"]["control_after_generate"] == "fixed"


def test_a_block_is_kept_and_put_into_another_workflow(desk: Any):
    page = desk.page
    desk.press("Control+a")
    desk.press("Control+k")
    page.get_by_role("combobox", name="All commands").fill("keep the selection as a block")
    desk.press("Enter")
    page.get_by_role("textbox", name="Name", exact=True).fill("soft square")
    desk.press("Enter")
    expect(page.get_by_text("Kept soft square.")).to_be_visible()
    desk.new_empty()
    page.locator("#canvas").focus()
    desk.press("Tab")
    page.get_by_role("combobox", name="Add node").fill("soft sq")
    expect(page.get_by_role("option").first).to_contain_text("block")
    desk.press("Enter")
    desk.wait(lambda: len(desk.nodes()) == 5)
    assert len(desk.links()) == 4


def test_a_subgraph_shows_values_of_its_inside_and_sets_them_there(desk: Any):
    page = desk.page
    blur = desk.of_type("ImageBlur")
    desk.click(desk.title(blur))
    desk.press("Control+Shift+g")
    instance = desk.evaluate(
        "() => { const { graph, document } = heddle.app.active;"
        " return [...graph.nodes.values()].find((n) => document.subgraphs.has(n.type)).id; }"
    )
    desk.click(desk.title(instance), button="right")
    page.get_by_role("menuitem", name="Values shown on the subgraph…").click()
    page.get_by_role("group", name="ImageBlur").get_by_label("sigma").check()
    desk.press("Escape")
    desk.settled()
    desk.click(desk.widget(instance, f"proxy:{blur}:sigma"))
    desk.type("2.5")
    desk.press("Enter")
    assert desk.evaluate("() => heddle.prompt()")[f"{instance}:{blur}"]["inputs"]["sigma"] == 2.5
    saved = desk.evaluate("() => heddle.file().nodes.find((n) => n.properties.proxyWidgets).properties.proxyWidgets")
    assert saved == [[blur, "sigma"]]
