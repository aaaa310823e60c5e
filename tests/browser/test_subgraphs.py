"""Subgraphs by hand: what they show of their inside, and under which names."""

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("desk")]

INSTANCE = "() => [...heddle.app.active.document.root.nodes.values()].find((n) => n.type.length === 36).id"
EDGE = "() => { const [s] = heddle.app.active.document.subgraphs.values(); return [s.inputs, s.outputs]; }"


def made_of_the_blur(desk: Any) -> str:
    desk.click(desk.title(desk.of_type("ImageBlur")))
    desk.press("Control+Shift+g")
    return desk.evaluate(INSTANCE)


def end(desk: Any, side: str, slot: int) -> tuple[float, float]:
    x, y = desk.evaluate(f"() => heddle.screen(heddle.app.active.ends.{side}({slot}))")
    return x, y


def test_a_value_inside_is_shown_on_the_outside_and_set_there(desk: Any):
    page = desk.page
    instance = made_of_the_blur(desk)
    desk.press("Enter")
    desk.wait_until("() => heddle.app.active.path.length === 1")
    blur = desk.of_type("ImageBlur")
    desk.wait_until("() => !heddle.app.active.unseen")
    desk.click(desk.widget(blur, "blur_radius"), button="right")
    page.get_by_role("menuitem", name="Show as an input of the subgraph").click()
    inputs, _ = desk.evaluate(EDGE)
    assert [slot["name"] for slot in inputs] == ["image", "blur_radius"]
    page.mouse.dblclick(*end(desk, "input", 1))
    page.get_by_role("textbox", name="Title").fill("softness")
    desk.press("Enter")
    desk.press("Escape")
    desk.press("Escape")
    desk.wait_until("() => heddle.app.active.path.length === 0")
    desk.click(desk.widget(instance, "blur_radius"))
    desk.type("5")
    desk.press("Enter")
    assert desk.nodes()[instance]["values"] == {"blur_radius": 5}
    prompt = desk.evaluate("() => heddle.prompt()")
    assert prompt[f"{instance}:{blur}"]["inputs"]["blur_radius"] == 5
    label = desk.evaluate("() => heddle.file().definitions.subgraphs[0].inputs[1].label")
    assert label == "softness"


def test_links_are_dragged_to_the_edge_and_slots_taken_away(desk: Any):
    page = desk.page
    made_of_the_blur(desk)
    desk.press("Enter")
    desk.wait_until("() => heddle.app.active.path.length === 1 && !heddle.app.active.unseen")
    blur = desk.of_type("ImageBlur")
    desk.drag(desk.output(blur), end(desk, "output", 1))
    _, outputs = desk.evaluate(EDGE)
    assert len(outputs) == 2
    desk.drag(end(desk, "input", 1), desk.input(blur, "sigma"))
    inputs, _ = desk.evaluate(EDGE)
    assert [slot["name"] for slot in inputs] == ["image", "sigma"]
    page.mouse.click(*end(desk, "output", 1), button="right")
    page.get_by_role("menuitem", name="Remove this slot").click()
    _, outputs = desk.evaluate(EDGE)
    assert len(outputs) == 1
    desk.press("Control+z")
    desk.press("Control+z")
    desk.press("Control+z")
    inputs, outputs = desk.evaluate(EDGE)
    assert (len(inputs), len(outputs)) == (1, 1)
