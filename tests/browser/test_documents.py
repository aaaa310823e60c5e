"""Documents over time and between tabs: nothing is lost, and what differs is shown."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("desk")]
READY = "() => window.heddle?.app.ready && heddle.app.active.graph.nodes.size > 0"


def save_as(desk: Any, name: str) -> None:
    desk.press("Control+Shift+s")
    desk.page.get_by_role("textbox", name="Name", exact=True).fill(name)
    desk.press("Enter")
    expect(desk.page.get_by_text(f"Saved {name}.")).to_be_visible()
    desk.settled()


def set_radius(desk: Any, value: str) -> None:
    desk.click(desk.widget(desk.of_type("ImageBlur"), "blur_radius"))
    desk.type(value)
    desk.press("Enter")


def command(desk: Any, name: str) -> None:
    desk.press("Control+k")
    desk.page.get_by_role("combobox", name="All commands").fill(name)
    desk.press("Enter")


def test_an_earlier_version_is_compared_and_restored(desk: Any):
    page = desk.page
    save_as(desk, "versions")
    set_radius(desk, "5")
    desk.press("Control+s")
    desk.wait_until("() => !heddle.app.active.dirty")
    command(desk, "earlier versions")
    versions = page.get_by_role("dialog", name="Earlier versions")
    versions.get_by_role("button", name="Compare").first.click()
    panel = page.get_by_role("complementary", name="Differences")
    expect(panel).to_contain_text("blur_radius 24 → 5")
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_have_count(0)
    command(desk, "earlier versions")
    versions.get_by_role("button", name="Restore").first.click()
    desk.wait(lambda: desk.nodes()[desk.of_type("ImageBlur")]["values"]["blur_radius"] == 24)
    desk.press("Control+z")
    assert desk.nodes()[desk.of_type("ImageBlur")]["values"]["blur_radius"] == 5


def test_the_second_of_two_tabs_is_told_and_loses_nothing(desk: Any, heddle: str):
    page = desk.page
    save_as(desk, "shared")
    other: Page = page.context.new_page()
    other.goto(heddle)
    other.wait_for_function(READY)
    other.keyboard.press("Control+o")
    other.get_by_role("option", name="shared", exact=True).click()
    other.wait_for_function("() => heddle.app.active.name === 'shared'")
    other.evaluate("() => heddle.app.active.setValue(heddle.app.active.graph.nodes.keys().next().value, 'width', 64)")
    other.keyboard.press("Control+s")
    other.wait_for_function("() => !heddle.app.active.dirty")
    other.close()
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("shared was saved elsewhere meanwhile.")).to_be_visible()
    set_radius(desk, "7")
    desk.press("Control+s")
    conflict = page.get_by_role("dialog", name="shared was saved elsewhere meanwhile")
    conflict.get_by_role("button", name="What differs").click()
    expect(page.get_by_role("complementary", name="Differences")).to_contain_text("width 64 → 512")
    desk.press("Control+s")
    conflict.get_by_role("button", name="Save mine over it").click()
    desk.wait_until("() => !heddle.app.active.dirty")
    command(desk, "earlier versions")
    expect(page.get_by_role("dialog", name="Earlier versions").get_by_text("Saved before as shared")).to_be_visible()


def test_unsaved_work_of_another_browser_is_found(desk: Any, browser: Any, heddle: str):
    other = browser.new_context()
    page = other.new_page()
    page.goto(heddle)
    page.wait_for_function(READY)
    page.evaluate("() => heddle.app.active.setValue(heddle.app.active.graph.nodes.keys().next().value, 'width', 96)")
    with page.expect_response(lambda answer: "/drafts/" in answer.url and answer.ok):
        pass
    other.close()
    command(desk, "earlier versions")
    dialog = desk.page.get_by_role("dialog", name="Earlier versions")
    expect(dialog.get_by_text("Unsaved work of other tabs and browsers")).to_be_visible()
    dialog.locator("ul").last.get_by_role("button", name="Open").first.click()
    desk.wait(lambda: any(node["values"].get("width") == 96 for node in desk.nodes().values()))


def test_two_workflows_are_compared_on_the_canvas(desk: Any):
    page = desk.page
    blur = desk.of_type("ImageBlur")
    before = desk.evaluate("() => JSON.stringify(heddle.file())")
    desk.evaluate("(file) => heddle.open(file)", before)
    desk.wait(lambda: page.get_by_role("tab").count() == 2)
    set_radius(desk, "3")
    desk.click(desk.title(desk.of_type("SaveImage")))
    desk.press("Delete")
    added = desk.add("Invert Image")
    command(desk, "compare with another")
    page.get_by_role("option").first.click()
    panel = page.get_by_role("complementary", name="Differences")
    expect(panel.get_by_role("listitem")).to_have_count(3)
    kinds = desk.evaluate("() => Object.fromEntries(heddle.app.comparison.list.map((one) => [one.node, one.kind]))")
    assert kinds[blur] == "changed"
    assert kinds[added] == "added"
    assert "removed" in kinds.values()
    desk.press("Control+z")
    expect(panel.get_by_role("listitem")).to_have_count(2)


def test_a_template_opens_and_runs(desk: Any):
    page = desk.page
    for name in ("Shapes without a model", "Poster from two pictures"):
        desk.press("Control+Shift+o")
        page.get_by_role("button", name=name).click()
        desk.settled()
        save = desk.of_type("SaveImage")
        desk.press("Control+Enter")
        page.wait_for_function(f"() => heddle.app.active.run.media.has('{save}')", timeout=60_000)
        assert desk.evaluate("() => heddle.app.active.run.problems.length") == 0


def test_a_template_says_what_it_would_need(desk: Any):
    desk.press("Control+Shift+o")
    card = desk.page.get_by_role("button", name="Text to image")
    expect(card).to_contain_text("Needs v1-5-pruned-emaonly.safetensors")
    expect(desk.page.get_by_role("button", name="Shapes without a model")).to_contain_text(
        "Everything it needs is here."
    )


def test_the_first_visit_is_shown_round_in_four_steps(desk: Any):
    page = desk.page
    desk.evaluate("() => heddle.app.set({ toured: false })")
    tour = page.get_by_role("dialog", name="Tour")
    for _ in range(3):
        tour.get_by_role("button", name="Next").click()
    expect(tour).to_contain_text("4 of 4")
    tour.get_by_role("button", name="Begin").click()
    expect(tour).to_have_count(0)
    assert desk.evaluate("() => heddle.app.settings.toured") is True
