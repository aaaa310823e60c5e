"""Runs: progress, errors with a jump, the queue, lost connections, work that is not lost."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_progress_and_live_previews_show_on_the_node(editor: Any, server: Any):
    sampler = editor.of_type("KSampler")
    server.fake.pace = 0.03
    editor.queue()
    editor.wait_until(f"() => heddle.app.active.run.nodes.get('{sampler}')?.max === 4")
    editor.wait_until(f"() => heddle.app.active.run.previews.has('{sampler}')")
    editor.wait_until(f"() => heddle.app.active.run.nodes.get('{sampler}')?.state === 'done'")


def test_a_node_that_fails_says_so_and_can_be_jumped_to(editor: Any, page: Page, server: Any):
    decode = editor.of_type("VAEDecode")
    server.fake.fail_node = decode
    editor.queue()
    expect(page.get_by_text("VAE Decode — the blur needs a picture")).to_be_visible()
    page.get_by_role("button", name="Show", exact=True).click()
    assert editor.evaluate("() => [...heddle.app.active.selection.nodes]") == [decode]


def test_a_refused_prompt_marks_the_widget_at_fault(editor: Any, page: Page, server: Any):
    sampler = editor.of_type("KSampler")
    error = {
        "type": "value_not_in_list",
        "message": "Value not in list",
        "details": "sampler_name: 'x' not in [...]",
        "extra_info": {"input_name": "sampler_name"},
    }
    server.fake.refuse = lambda _body: {
        "error": {
            "type": "prompt_outputs_failed_validation",
            "message": "Prompt outputs failed validation",
            "details": "",
            "extra_info": {},
        },
        "node_errors": {sampler: {"errors": [error], "dependent_outputs": [], "class_type": "KSampler"}},
    }
    editor.queue()
    expect(page.get_by_text(re.compile("KSampler — Value not in list"))).to_be_visible()
    problems = editor.evaluate("() => heddle.app.active.run.problems.map((p) => [p.node, p.input])")
    assert problems == [[sampler, "sampler_name"]]


def test_a_waiting_job_can_be_taken_out_and_a_running_one_stopped(editor: Any, page: Page, server: Any):
    server.fake.pace = 0.15
    editor.queue()
    editor.queue()
    page.get_by_role("button", name="Queue and results").click()
    expect(page.get_by_text("Waiting")).to_be_visible()
    page.locator(".job.pending").hover()
    page.get_by_role("button", name="Take out of the queue").click()
    expect(page.get_by_text("Waiting")).to_have_count(0)
    page.locator(".bar").get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped")).to_be_visible()


def test_a_lost_connection_is_said_and_what_was_missed_is_fetched(editor: Any, page: Page, server: Any):
    server.fake.pace = 0.05
    save = editor.of_type("SaveImage")
    editor.queue()
    editor.wait(lambda: len(server.fake.prompts) == 1)
    editor.wait(lambda: server.fake.running is not None)
    server.go_down()
    expect(page.get_by_text("Connection lost")).to_be_visible()
    server.fake.pace = 0
    server.fake.sockets.clear()
    server.fake.pending = [server.fake.running]
    server.come_back()
    expect(page.get_by_text("Connection lost")).to_have_count(0, timeout=10_000)
    editor.wait_until(f"() => heddle.app.active.run.media.get('{save}')?.length === 1")


def test_work_survives_a_reload(editor: Any, page: Page):
    editor.add("Invert Image")
    before = editor.nodes()
    page.evaluate("() => window.dispatchEvent(new Event('pagehide'))")
    editor.wait_until("async () => (await indexedDB.databases()).length > 0")
    page.wait_for_timeout(300)
    page.reload()
    page.wait_for_function("() => window.heddle?.app.ready && heddle.app.active.graph.nodes.size > 0")
    assert editor.nodes() == before


def test_a_workflow_is_saved_on_the_server_and_opened_again(editor: Any, page: Page, server: Any):
    editor.press("Control+S")
    page.get_by_role("textbox", name="Name", exact=True).fill("evening")
    editor.press("Enter")
    editor.wait(lambda: "workflows/evening.json" in server.fake.userdata)
    before = editor.nodes()
    editor.press("Control+O")
    page.get_by_role("option", name="evening").click()
    editor.wait(lambda: page.get_by_role("tab").count() == 2)
    assert editor.nodes() == before
    # Another tab has this document already, so the second one is its own.
    ids = editor.evaluate("() => heddle.app.tabs.map((t) => t.document.id)")
    assert len(set(ids)) == 2


def test_run_on_change_queues_each_change_once(editor: Any, page: Page, server: Any):
    editor.press("Control+k")
    page.get_by_role("combobox", name="All commands").fill("run on change")
    editor.press("Enter")
    size = editor.of_type("EmptyLatentImage")
    editor.click(editor.widget(size, "width"))
    editor.type("640")
    editor.press("Enter")
    editor.wait(lambda: len(server.fake.prompts) == 1)
    assert server.fake.prompts[0]["prompt"][size]["inputs"]["width"] == 640
    editor.wait(lambda: server.fake.history != {})
    page.wait_for_timeout(600)
    assert len(server.fake.prompts) == 1, "a seed that moves on by itself is not a change"


def test_before_a_run_one_sees_what_it_will_compute(editor: Any, server: Any):
    editor.queue()
    sampler = editor.of_type("KSampler")
    save = editor.of_type("SaveImage")
    # The seed has moved on: the sampler and what follows it are new, the rest is known.
    editor.wait_until("() => heddle.app.active.run.fresh !== null")
    fresh = set(editor.evaluate("() => [...heddle.app.active.run.fresh]"))
    assert fresh == {sampler, editor.of_type("VAEDecode"), save}
    prompt = next(id for id, n in editor.nodes().items() if n["title"] == "Positive prompt")
    editor.click(editor.widget(prompt, "text"))
    editor.type("x")
    editor.wait_until(f"() => heddle.app.active.run.fresh.has('{prompt}')")


def test_templates_of_packs_are_offered_when_opening(editor: Any, page: Page, server: Any):
    workflow = {
        "nodes": [{"id": 1, "type": "EmptyImage", "pos": [0, 0], "size": [200, 120]}],
        "links": [],
        "version": 0.4,
    }
    server.fake.templates = {"some-pack": {"begin here": workflow}}
    editor.press("Control+O")
    page.get_by_role("option", name="some-pack/begin here").click()
    editor.wait(lambda: [n["type"] for n in editor.nodes().values()] == ["EmptyImage"])


def test_a_result_is_compared_with_the_one_before(editor: Any, page: Page, server: Any):
    for count in (1, 2):
        editor.queue()
        editor.wait(lambda count=count: len(server.fake.history) == count)
    editor.wait_until("() => heddle.app.jobs.filter((job) => job.images.length > 0).length === 2")
    editor.press("q")
    page.get_by_role("button", name=re.compile("Look at")).first.click()
    page.get_by_role("button", name="Compare with the result before").click()
    expect(page.get_by_alt_text(re.compile("The result before"))).to_be_visible()
    page.get_by_role("slider").fill("80")
    clip = page.get_by_alt_text(re.compile("The result before")).evaluate("(image) => image.style.clipPath")
    assert "20%" in clip


def test_the_rest_of_a_run_is_estimated_from_the_last_one(editor: Any, page: Page, server: Any):
    server.fake.pace = 0.02
    editor.queue()
    editor.wait(lambda: len(server.fake.history) == 1)
    server.fake.pace = 0.06
    editor.queue()
    expect(page.locator(".eta")).to_have_text(re.compile(r"^\d+ s$"))
    server.fake.pace = 0
    editor.wait(lambda: len(server.fake.history) == 2)


def test_the_way_of_previews_goes_with_the_job(editor: Any, page: Page, server: Any):
    editor.press("Control+,")
    page.get_by_text("Fine", exact=True).click()
    editor.press("Escape")
    editor.press("Control+Enter")
    editor.wait(lambda: len(server.fake.prompts) == 1)
    assert server.fake.prompts[0]["extra_data"]["preview_method"] == "taesd"
    editor.wait(lambda: len(server.fake.history) == 1)
