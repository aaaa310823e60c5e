"""Parts of a run, what is left of it, and what came out: found, compared, used again."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("desk")]

# What ran before comes from the cache, so no two runs of this file may be alike.
RADII = iter(range(2, 31))
STATES = "() => Object.fromEntries([...heddle.app.active.run.nodes].map(([id, r]) => [id, r.state]))"


def ran(desk: Any) -> set[str]:
    """Types of the nodes that the last run touched."""
    return {desk.nodes()[id]["type"] for id in desk.evaluate(STATES)}


def run(desk: Any, count: int = 1) -> None:
    """Press Queue and wait for the picture, `count` times, each time with other values."""
    save, blur = desk.of_type("SaveImage"), desk.of_type("ImageBlur")
    for _ in range(count):
        before = desk.evaluate("() => heddle.app.active.run.promptId")
        desk.click(desk.widget(blur, "blur_radius"))
        desk.type(str(next(RADII)))
        desk.press("Enter")
        desk.press("Control+Enter")
        desk.page.wait_for_function(
            f"(before) => heddle.app.active.run.promptId !== before"
            f" && heddle.app.active.run.nodes.get('{save}')?.state === 'done'",
            arg=before,
            timeout=60_000,
        )


def test_running_up_to_a_node_shows_its_picture_there_and_goes_no_further(desk: Any):
    page = desk.page
    composite = desk.of_type("ImageCompositeMasked")
    desk.click(desk.title(composite), button="right")
    page.get_by_role("menuitem", name="Run up to here").click()
    page.wait_for_function(f"() => heddle.app.active.run.media.has('{composite}')", timeout=60_000)
    assert "SaveImage" not in ran(desk)
    assert "ImageBlur" not in ran(desk)


def test_running_a_frame_runs_what_lies_in_it_and_what_that_needs(desk: Any):
    page = desk.page
    desk.click(desk.title(desk.of_type("ImageBlur")))
    desk.press("Control+g")
    x, y = desk.evaluate("() => heddle.screen(heddle.app.active.graph.groups[0].bounds)")
    page.mouse.click(x + 60, y + 10, button="right")
    page.get_by_role("menuitem", name="Run what lies in this frame").click()
    blur = desk.of_type("ImageBlur")
    page.wait_for_function(f"() => heddle.app.active.run.media.has('{blur}')", timeout=60_000)
    assert "SaveImage" not in ran(desk)


def test_a_result_says_what_made_it_and_opens_its_graph(desk: Any):
    page = desk.page
    run(desk)
    desk.press("q")
    page.get_by_role("button", name=re.compile("Look at")).first.click()
    facts = page.get_by_role("complementary", name="What made this picture")
    expect(facts).to_contain_text("512 × 512")
    page.get_by_role("button", name="Open its workflow").click()
    desk.wait(lambda: page.get_by_role("tab").count() == 2)
    assert {node["type"] for node in desk.nodes().values()} >= {"SaveImage", "ImageBlur"}


def test_a_result_becomes_an_input(desk: Any):
    page = desk.page
    run(desk)
    desk.press("q")
    page.get_by_role("button", name=re.compile("Look at")).first.click()
    page.get_by_role("button", name="Use as input").click()
    desk.wait(lambda: any(node["type"] == "LoadImage" for node in desk.nodes().values()))


def test_two_results_of_the_gallery_are_compared(desk: Any):
    page = desk.page
    run(desk, 2)
    desk.press("g")
    gallery = page.get_by_role("dialog", name="Gallery")
    expect(gallery.get_by_role("button", name=re.compile("Look at")).nth(1)).to_be_visible()
    for i in (0, 1):
        gallery.get_by_role("checkbox").nth(i).check(force=True)
    gallery.get_by_role("button", name="Compare the two chosen").click()
    page.get_by_role("slider").fill("30")
    clip = page.get_by_alt_text(re.compile("The result before")).evaluate("(image) => image.style.clipPath")
    assert "70%" in clip
    desk.press("Escape")
    desk.settled()
    desk.press("g")
    page.get_by_role("textbox", name="Find results").fill("no such words anywhere")
    expect(page.get_by_text("No results here.")).to_be_visible()


def test_what_went_wrong_is_listed_with_the_way_there(desk: Any):
    page = desk.page
    desk.new_empty()
    node = desk.add("Save Image")
    desk.press("Control+Enter")
    desk.wait_until("() => heddle.app.active.run.problems.length > 0")
    desk.press("Escape")
    desk.press("q")
    page.get_by_role("complementary", name="Queue and results").get_by_role("button", name="Show", exact=True).click()
    assert desk.evaluate("() => [...heddle.app.active.selection.nodes]") == [node]


def test_a_second_run_says_how_long_it_takes(desk: Any):
    run(desk)
    left = desk.evaluate(
        """() => { const { run } = heddle.app.active;
          const known = run.plan.filter((id) => run.took.has(id));
          return known.length; }"""
    )
    assert left >= 1


def test_the_queue_is_held_put_in_order_and_let_go(desk: Any):
    page = desk.page
    desk.press("q")
    queue = page.get_by_role("complementary", name="Queue and results")
    queue.get_by_role("button", name="Hold").click()
    expect(page.get_by_text("The queue is held")).to_be_visible()
    desk.press("Control+k")
    page.get_by_role("combobox", name="All commands").fill("queue several times")
    desk.press("Enter")
    page.get_by_role("textbox", name="How many times").fill("1+2")
    desk.press("Enter")
    waiting = "() => heddle.app.jobs.filter((job) => job.state === 'pending').map((job) => job.id)"
    desk.wait(lambda: len(desk.evaluate(waiting)) == 3)
    first, second, third = desk.evaluate(waiting)
    page.locator(".job.pending").nth(2).get_by_role("button", name="To the front").click(force=True)
    desk.wait(lambda: desk.evaluate(waiting) == [third, first, second])
    page.locator(".job.pending").nth(2).get_by_role("button", name="Sooner").click(force=True)
    desk.wait(lambda: desk.evaluate(waiting) == [third, second, first])
    queue.get_by_role("button", name="Go on").click()
    desk.wait(lambda: desk.evaluate(waiting) == [])
    desk.wait(lambda: not desk.evaluate("() => heddle.app.jobs.some((job) => job.state === 'running')"))


def test_words_are_found_inside_subgraphs_and_folded_frames(desk: Any):
    page = desk.page
    desk.click(desk.title(desk.of_type("ImageBlur")))
    desk.press("Control+Shift+g")
    desk.press("Control+g")
    desk.evaluate("() => heddle.app.active.select({ groups: new Set([0]) })")
    desk.press("Alt+f")
    desk.press("Control+f")
    page.get_by_role("combobox", name="Find in workflow").fill("Subgraph")
    desk.press("Enter")
    desk.settled()
    assert desk.evaluate("() => heddle.app.active.graph.groups[0].folded") is False
    desk.press("Control+f")
    page.get_by_role("combobox", name="Find in workflow").fill("ImageBlur")
    desk.press("Enter")
    desk.settled()
    assert desk.evaluate("() => heddle.app.active.path.length") == 1
    assert [node["type"] for node in desk.nodes().values()] == ["ImageBlur"]


def test_memory_is_told_in_words(desk: Any):
    page = desk.page
    facts = {
        "workers": [
            {
                "worker": "w",
                "device": {"name": "a card", "capacity": 8 * 2**30, "used": 6 * 2**30, "free": 2 * 2**30},
                "models": [
                    {"name": "network", "running": True, "bytes": {"host": 10 * 2**30, "device": 5 * 2**30}},
                    {"name": "decoder", "running": False, "bytes": {"host": 2**28, "device": 2**28}},
                ],
            }
        ]
    }
    page.route("**/v1/memory", lambda route: route.fulfill(json=facts))
    desk.evaluate("() => heddle.run('memory')")
    dialog = page.get_by_role("dialog", name="Memory")
    expect(dialog).to_contain_text("6.0 GiB of 8.0 GiB")
    expect(dialog).to_contain_text("50 % on the card; the rest is streamed while it runs, which is slower")
    expect(dialog).to_contain_text("wholly on the card")
    page.unroute("**/v1/memory")
    expect(dialog).not_to_contain_text("wholly on the card")
