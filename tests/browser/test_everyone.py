"""Keyboard alone, the list that screen readers walk, and what axe-core finds."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("desk")]
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"


def serious(page: Page) -> list[str]:
    """What axe-core calls serious or critical, one line per place."""
    if not AXE.exists():
        pytest.fail("axe-core is not installed: `python web/make.py check` brings it")
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run(document)).violations")
    return [
        f"{violation['id']}: {node['html'][:160]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_serious_on_the_page(editor: Any, page: Page, theme: str):
    page.evaluate("(theme) => heddle.app.set({ theme })", theme)
    editor.queue()
    editor.press("q")
    expect(page.get_by_role("heading", name="Results")).to_be_visible()
    editor.wait_until("() => heddle.app.jobs.some((job) => job.images.length > 0)")
    assert serious(page) == []


@pytest.mark.parametrize("key", ["Tab", "Control+k", "Control+f", "Control+,", "Control+o", "Shift+?"])
def test_axe_finds_nothing_serious_in_a_dialog(editor: Any, page: Page, key: str):
    page.locator("#canvas").focus()
    editor.press(key)
    expect(page.get_by_role("dialog")).to_be_visible()
    assert serious(page) == []


def test_the_keyboard_alone_adds_edits_and_runs(editor: Any, page: Page, server: Any):
    page.locator("#canvas").focus()
    editor.press("Alt+n")
    node = editor.add("EmptyImage")
    editor.press("Enter")
    editor.type("128")
    editor.press("Tab")
    editor.type("64")
    editor.press("Escape")
    editor.press("Tab")
    page.get_by_role("combobox", name="Add node").fill("preview image")
    editor.press("Enter")
    preview = editor.of_type("PreviewImage")
    editor.press("ArrowRight")
    editor.press("c")
    editor.press("Enter")
    assert editor.links() == {("EmptyImage", "PreviewImage.images")}
    editor.press("Control+Enter")
    editor.wait(lambda: len(server.fake.prompts) == 1)
    assert server.fake.prompts[0]["prompt"][node]["inputs"]["width"] == 128
    assert server.fake.prompts[0]["prompt"][preview]["inputs"] == {"images": [node, 0]}


def test_the_list_for_screen_readers_names_sockets_links_values_and_what_happens(editor: Any, page: Page):
    sampler = page.locator("#reader button", has_text="KSampler; model from").first
    expect(sampler).to_contain_text("positive from Positive prompt")
    expect(sampler).to_contain_text("steps 20")
    expect(sampler).to_contain_text("feeds VAE Decode")
    editor.queue()
    expect(page.locator("#reader button", has_text="KSampler; done")).to_have_count(1)
    page.locator("#reader button", has_text="Save Image; done").focus()
    chosen = editor.evaluate("() => [...heddle.app.active.selection.nodes]")
    assert chosen == [editor.of_type("SaveImage")]


def test_two_fingers_pan_and_pinch(editor: Any):
    before = editor.evaluate("() => heddle.app.active.viewport")
    editor.evaluate(
        """() => { const canvas = document.getElementById("canvas"); canvas.setPointerCapture = () => undefined;
          const send = (type, id, x, y) => canvas.dispatchEvent(new PointerEvent(type,
            { pointerId: id, clientX: x, clientY: y, pointerType: "touch", bubbles: true }));
          send("pointerdown", 1, 600, 800); send("pointerdown", 2, 700, 800);
          send("pointermove", 1, 550, 800); send("pointermove", 2, 750, 800);
          send("pointerup", 1, 550, 800); send("pointerup", 2, 750, 800); }"""
    )
    after = editor.evaluate("() => heddle.app.active.viewport")
    assert after["scale"] == pytest.approx(2 * before["scale"])
    assert json.dumps(editor.evaluate("() => heddle.app.active.gesture")) == '{"kind": "idle"}'


def test_a_narrow_page_is_a_form_of_the_same_workflow(editor: Any, page: Page, server: Any):
    page.set_viewport_size({"width": 420, "height": 800})
    page.reload()
    form = page.get_by_role("region", name="Workflow as a form")
    expect(form).to_be_visible()
    form.get_by_label("steps").fill("12")
    form.get_by_label("text").first.fill("a red door")
    form.get_by_label("sampler_name").select_option("heun")
    page.get_by_role("button", name="Queue", exact=True).click()
    editor.wait(lambda: len(server.fake.prompts) == 1)
    sent = server.fake.prompts[0]["prompt"]
    assert sent[editor.of_type("KSampler")]["inputs"]["steps"] == 12
    assert sent[editor.of_type("KSampler")]["inputs"]["sampler_name"] == "heun"
    assert "a red door" in [node["inputs"].get("text") for node in sent.values()]
    expect(form.get_by_role("button", name="Look at ComfyUI")).to_be_visible()
    assert serious(page) == []
    page.get_by_role("button", name="Canvas").click()
    expect(form).to_have_count(0)


def test_the_page_speaks_german(desk: Any):
    page = desk.page
    desk.press("Control+,")
    page.get_by_text("Deutsch").click()
    expect(page.get_by_role("dialog", name="Einstellungen")).to_be_visible()
    assert desk.evaluate("() => document.documentElement.lang") == "de"
    assert serious(page) == []
    desk.press("Escape")
    desk.press("Control+k")
    page.get_by_role("combobox", name="Alle Befehle").fill("rückgängig")
    expect(page.get_by_role("option").first).to_contain_text("Rückgängig")
    desk.press("Escape")
    desk.evaluate("() => heddle.app.set({ language: 'en' })")
    expect(page.get_by_role("button", name="Queue", exact=True)).to_be_visible()


SURFACES = ["memory", "templates", "gallery", "versions", "compare", "settings", "shortcuts", "tour"]


@pytest.mark.parametrize("surface", SURFACES)
def test_axe_finds_nothing_serious_in_what_opens_seldom(desk: Any, surface: str):
    page = desk.page
    desk.evaluate("(name) => heddle.run(name)", surface)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert serious(page) == []


def test_axe_finds_nothing_serious_in_a_comparison_and_a_result(desk: Any):
    page = desk.page
    blur = desk.of_type("ImageBlur")
    desk.evaluate(f"() => heddle.app.active.setValue('{blur}', 'blur_radius', 2)")
    desk.press("Control+Enter")
    page.wait_for_function("() => heddle.app.jobs.some((job) => job.images.length > 0)", timeout=60_000)
    desk.evaluate("() => heddle.app.setDialog({ kind: 'lightbox', images: heddle.app.jobs[0].images, index: 0 })")
    expect(page.get_by_role("complementary", name="What made this picture")).to_be_visible()
    assert serious(page) == []
    desk.press("Escape")
    desk.evaluate(
        """() => { const { app } = heddle;
          app.compare({ editor: app.active, name: "x", before: { ...app.active.document,
            root: { ...app.active.document.root, nodes: new Map() } } }); heddle.run("queue-panel"); }"""
    )
    expect(page.get_by_role("complementary", name="Differences")).to_be_visible()
    assert serious(page) == []
    desk.evaluate("() => heddle.app.compare(null)")


def test_a_finger_edits_a_value(desk: Any):
    blur = desk.of_type("ImageBlur")
    desk.evaluate(
        """([x, y]) => { const canvas = document.getElementById("canvas"); canvas.setPointerCapture = () => undefined;
          for (const type of ["pointerdown", "pointerup"]) canvas.dispatchEvent(new PointerEvent(type,
            { pointerId: 5, clientX: x, clientY: y, pointerType: "touch", bubbles: true })); }""",
        list(desk.widget(blur, "blur_radius")),
    )
    desk.type("9")
    desk.press("Enter")
    assert desk.nodes()[blur]["values"]["blur_radius"] == 9
