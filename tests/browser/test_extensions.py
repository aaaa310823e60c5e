"""Scripts that packs bring for the editor, and the page that documents what they may do."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]

SCRIPT = """
export function heddle(heddle) {
  heddle.addCommand({ id: "hello", name: "Say hello", key: "Alt+H", run: () => heddle.notify("Hello from a pack") });
  heddle.addNodeMenu({ name: "Double the steps", when: (node) => node.type === "KSampler",
    run: (node) => heddle.setValue(node.id, "steps", node.values.steps * 2) });
  heddle.addPanel({ id: "notes", title: "Pack notes",
    mount: (element) => { element.textContent = "A panel of a pack"; } });
  heddle.addWidget({ type: "ANGLE", format: (value) => `${value} degrees`, edit: async (value) => value + 90 });
  heddle.decorate((node) => (node.type === "KSampler" ? "slow" : null));
  heddle.beforeQueue((prompt) => {
    if (Object.values(prompt).some((node) => node.inputs.steps > 30)) throw new Error("More than 30 steps is a waste.");
  });
  heddle.afterQueue((id) => heddle.notify(`Queued as ${id.length} letters`));
}
"""


@pytest.fixture
def with_scripts(page: Page, server: Any, editor_class: Any) -> Any:
    server.fake.scripts = {
        "good/main.js": SCRIPT,
        "broken/main.js": "throw new Error('no good');",
        "foreign/a.js": 'import { app } from "../../scripts/app.js"; app.registerExtension({});',
    }
    server.fake.definitions["Turn"] = {
        "input": {"required": {"angle": ["ANGLE", {"default": 0}]}},
        "output": [],
        "output_name": [],
        "output_is_list": [],
        "display_name": "Turn",
        "category": "test",
    }
    page.goto(server.url)
    page.wait_for_function("() => window.heddle?.app.ready && heddle.app.active.graph.nodes.size > 0")
    return editor_class(page)


def test_a_script_adds_commands_menus_panels_and_watches_the_queue(with_scripts: Any, page: Page, server: Any):
    editor = with_scripts
    editor.press("Alt+h")
    expect(page.get_by_text("Hello from a pack")).to_be_visible()
    sampler = editor.of_type("KSampler")
    editor.click(editor.title(sampler), button="right")
    page.get_by_role("menuitem", name="Double the steps").click()
    assert editor.nodes()[sampler]["values"]["steps"] == 40
    editor.press("Control+Enter")
    expect(page.get_by_text("More than 30 steps is a waste.")).to_be_visible()
    assert server.fake.prompts == []
    editor.press("Control+z")
    editor.press("Control+Enter")
    expect(page.get_by_text("Queued as 36 letters")).to_be_visible()
    editor.press("Control+k")
    page.get_by_role("combobox", name="All commands").fill("pack notes")
    editor.press("Enter")
    expect(page.get_by_text("A panel of a pack")).to_be_visible()


def test_a_script_brings_a_widget_for_a_type_of_its_own(with_scripts: Any):
    editor = with_scripts
    editor.new_empty()
    turn = editor.add("Turn")
    editor.click(editor.widget(turn, "angle"))
    editor.wait(lambda: editor.nodes()[turn]["values"]["angle"] == 90)


def test_scripts_that_fail_or_were_written_for_another_editor_are_named_and_cost_nothing_else(
    with_scripts: Any, page: Page
):
    expect(page.get_by_text("broken: no good")).to_be_visible()
    expect(page.get_by_text("foreign: its script is written for another editor")).to_be_visible()


def test_every_member_of_the_interface_is_documented():
    source = (ROOT / "web" / "src" / "extend" / "api.ts").read_text()
    page = (ROOT / "docs" / "extending-the-editor.md").read_text()
    body = source[source.index("export interface Heddle") :]
    names = re.findall(r"readonly (\w+):", body[: body.index("\n}")])
    assert len(names) > 10
    assert [name for name in names if f"`{name}" not in page] == []


def test_the_script_of_our_example_pack_does_what_it_says(page: Page, server: Any, editor_class: Any):
    script = ROOT / "custom_nodes" / "example_native.disabled" / "web" / "measure.js"
    server.fake.scripts = {"example_native/measure.js": script.read_text(encoding="utf-8")}
    page.goto(server.url)
    page.wait_for_function("() => window.heddle?.app.ready && heddle.app.active.graph.nodes.size > 0")
    editor = editor_class(page)
    editor.press("Control+k")
    page.get_by_role("combobox", name="All commands").fill("count the nodes of the example")
    editor.press("Enter")
    expect(page.get_by_text("0 nodes of the example pack are on the canvas")).to_be_visible()
