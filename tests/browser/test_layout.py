"""Order on the canvas: lasso, guides, frames that fold, links by name, bookmarks, menus."""

from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("desk")]


def selected(editor: Any) -> set[str]:
    return {editor.nodes()[id]["type"] for id in editor.evaluate("() => [...heddle.app.active.selection.nodes]")}


def test_a_lasso_selects_what_it_goes_round(desk: Any):
    composite = desk.of_type("ImageCompositeMasked")
    x, y = desk.at(composite, -20, -50)
    mouse = desk.page.mouse
    desk.page.keyboard.down("Alt")
    mouse.move(x, y)
    mouse.down()
    for corner in [(260, -50), (260, 330), (-20, 330), (-20, -40)]:
        mouse.move(*desk.at(composite, *corner), steps=4)
    assert selected(desk) == {"ImageCompositeMasked"}, "while the hand still moves"
    mouse.up()
    desk.page.keyboard.up("Alt")
    assert selected(desk) == {"ImageCompositeMasked"}


def test_a_moved_node_catches_on_the_edges_of_its_neighbours(desk: Any):
    save = desk.of_type("SaveImage")
    top = desk.nodes()[desk.of_type("ImageBlur")]["pos"][1]
    mouse = desk.page.mouse
    x, y = desk.title(save)
    scale = desk.evaluate("() => heddle.app.active.viewport.scale")
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 40, y + (top - 64 + 3) * scale, steps=5)
    assert desk.evaluate("() => heddle.app.active.guides.length") > 0
    mouse.up()
    assert desk.nodes()[save]["pos"][1] == top
    assert desk.evaluate("() => heddle.app.active.guides.length") == 0


def test_a_frame_folds_mutes_and_moves_what_lies_in_it(desk: Any):
    page = desk.page
    desk.press("Control+a")
    desk.press("Control+g")
    frame = "() => heddle.app.active.graph.groups[0]"
    x, y = desk.evaluate(f"() => {{ const [x, y] = ({frame})().bounds; return heddle.screen([x, y]) }}")
    page.mouse.click(x + 100, y + 12, button="right")
    page.get_by_role("menuitem", name="Fold or unfold the frame").click()
    desk.settled()
    assert desk.evaluate(f"() => ({frame})().folded") is True
    # What is hidden is neither drawn nor hit.
    desk.wait_until("() => heddle.app.active.folded.nodes.size === 5")
    before = desk.nodes()
    desk.drag((x + 100, y + 12), (x + 164, y + 76))
    moved = desk.nodes()
    assert all(moved[id]["pos"] != node["pos"] for id, node in before.items())
    desk.press("Control+m")
    assert {node["mode"] for node in desk.nodes().values()} == {2}
    desk.press("Control+z")
    saved = desk.evaluate("() => heddle.file().groups[0].flags")
    assert saved == {"collapsed": True}
    desk.press("Alt+f")
    assert desk.evaluate(f"() => ({frame})().folded") is False


def test_a_link_becomes_a_name_and_leads_there(desk: Any):
    page = desk.page
    blur = desk.of_type("ImageBlur")
    composite = desk.of_type("ImageCompositeMasked")
    (ax, ay), (bx, by) = desk.output(composite), desk.input(blur, "image")
    page.mouse.click((ax + bx) / 2, (ay + by) / 2, button="right")
    page.get_by_role("menuitem", name="Name it instead of drawing it").click()
    link = "() => [...heddle.app.active.graph.links.values()].find((l) => l.portal !== undefined)"
    assert desk.evaluate(link)["portal"] == "IMAGE"
    assert list(desk.evaluate("() => heddle.file().extra.linkPresentation").values()) == [
        {"hidden": True, "label": "IMAGE"}
    ]
    page.mouse.click(bx - 30, by, button="right")
    page.get_by_role("menuitem", name="Rename…").click()
    page.get_by_role("textbox", name="Title").fill("base")
    desk.press("Enter")
    assert desk.evaluate(link)["portal"] == "base"
    desk.settled()
    page.mouse.click(*[sum(pair) for pair in zip(desk.input(blur, "image"), (-25, 0), strict=True)])
    assert selected(desk) == {"ImageCompositeMasked"}
    assert ("ImageCompositeMasked", "ImageBlur.image") in desk.links()


def test_bookmarks_bring_one_back(desk: Any):
    page = desk.page
    view = "() => heddle.app.active.viewport"
    before = desk.evaluate(view)
    desk.press("Shift+Digit3")
    desk.drag((700, 820), (300, 400))
    assert desk.evaluate(view)["offset"] != before["offset"]
    desk.press("3")
    after = desk.evaluate(view)
    assert after["offset"] == pytest.approx(before["offset"], abs=1)
    assert "3" in desk.evaluate("() => heddle.file().extra.heddle.bookmarks")
    desk.press("5")
    expect(page.get_by_text("Nothing is marked with 5 yet")).to_be_visible()


def test_a_value_goes_back_to_what_it_was_at_first(desk: Any):
    page = desk.page
    blur = desk.of_type("ImageBlur")
    assert desk.nodes()[blur]["values"]["blur_radius"] == 24
    desk.click(desk.widget(blur, "blur_radius"), button="right")
    page.get_by_role("menuitem", name="Reset blur_radius to 1").click()
    assert desk.nodes()[blur]["values"]["blur_radius"] == 1


def test_resting_on_a_value_says_its_range(desk: Any):
    page = desk.page
    blur = desk.of_type("ImageBlur")
    page.mouse.move(*desk.widget(blur, "blur_radius"))
    expect(page.get_by_role("tooltip")).to_contain_text("1 to 31, step 1")


def test_a_socket_gets_another_name(desk: Any):
    page = desk.page
    blur = desk.of_type("ImageBlur")
    desk.click(desk.output(blur), button="right")
    page.get_by_role("menuitem", name="Rename the output…").click()
    page.get_by_role("textbox", name="Title").fill("soft")
    desk.press("Enter")
    saved = desk.evaluate("() => heddle.file().nodes.find((n) => n.type === 'ImageBlur').outputs[0]")
    assert (saved["name"], saved["label"]) == ("IMAGE", "soft")


def test_links_can_be_put_out_of_sight(desk: Any):
    desk.press("l")
    assert desk.evaluate("() => heddle.app.settings.links") is False
    desk.press("l")
    assert desk.evaluate("() => heddle.app.settings.links") is True


def test_a_finger_that_rests_opens_the_menu(desk: Any):
    blur = desk.of_type("ImageBlur")
    x, y = desk.title(blur)
    desk.evaluate(
        """([x, y]) => { const canvas = document.getElementById("canvas"); canvas.setPointerCapture = () => undefined;
          canvas.dispatchEvent(new PointerEvent("pointerdown",
            { pointerId: 7, clientX: x, clientY: y, pointerType: "touch", bubbles: true })); }""",
        [x, y],
    )
    expect(desk.page.get_by_role("menu", name="Menu")).to_be_visible()
    desk.evaluate(
        """() => document.getElementById("canvas").dispatchEvent(new PointerEvent("pointerup",
            { pointerId: 7, pointerType: "touch", bubbles: true }))"""
    )
    desk.press("Escape")


def test_a_key_is_given_to_another_command(desk: Any):
    page = desk.page
    desk.press("Shift+?")
    page.get_by_role("textbox", name="Filter").fill("minimap")
    page.get_by_role("button", name="Minimap: M. Change").click()
    desk.press("Control+Shift+m")
    expect(page.get_by_role("button", name="Minimap: Ctrl+Shift+M. Change")).to_be_visible()
    desk.press("Escape")
    before = desk.evaluate("() => heddle.app.settings.minimap")
    desk.press("Control+Shift+m")
    assert desk.evaluate("() => heddle.app.settings.minimap") is not before
