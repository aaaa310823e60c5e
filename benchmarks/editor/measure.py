"""How fast the editor is: start, load, pan, zoom, drag, undo and memory on graphs of 500, 2,000 and 10,000 nodes.

    python benchmarks/editor/measure.py [sizes...]

Runs the built page in headless Chromium on this machine with nothing else going on; prints one table. Frame times are
the time between two animation frames while a scripted hand moves, so 16.7 ms is as good as it gets.
"""

import asyncio
import importlib.util
import json
import sys
import threading
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
LIMITS: dict[int, dict[str, float]] = {
    500: {"load": 150, "pan": 17, "zoom": 17, "drag": 17, "pan all": 17, "undo move": 5, "undo delete": 20, "heap": 20},
    2000: {
        "load": 400,
        "pan": 20,
        "zoom": 20,
        "drag": 20,
        "pan all": 20,
        "undo move": 5,
        "undo delete": 50,
        "heap": 40,
    },
    10000: {
        "load": 2000,
        "pan": 34,
        "zoom": 34,
        "drag": 34,
        "pan all": 50,
        "undo move": 10,
        "undo delete": 250,
        "heap": 120,
    },
}
USABLE = 1000.0  # ms from the first byte of the page to a graph one can work with
TYPES = 600  # as many node types as a server with a few packs has; about 0.5 MB of definitions
STARTS = 5
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--enable-precise-memory-info"]

MEASURE = """
async (text) => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const settled = async () => { await frame(); await frame(); };
  const { app } = heddle;
  const result = {};
  const canvas = document.getElementById("canvas");
  const p95 = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length * 0.95)];
  const send = (type, x, y, more = {}) => canvas.dispatchEvent(
    new PointerEvent(type, { clientX: x, clientY: y, pointerId: 1, bubbles: true, pointerType: "mouse", ...more }));
  canvas.setPointerCapture = () => undefined;

  let start = performance.now();
  heddle.open(text);
  await frame();
  result.load = performance.now() - start;
  await settled();

  const gesture = async (name, from, step, more) => {
    send("pointerdown", ...from, more);
    const times = [];
    let last = await frame();
    for (let i = 1; i <= 150; i++) {
      send("pointermove", ...step(i), more);
      const now = await frame();
      times.push(now - last);
      last = now;
    }
    send("pointerup", ...step(150), more);
    result[name] = p95(times);
  };
  const round = (i) => [700 + 300 * Math.sin(i / 12), 450 + 200 * Math.cos(i / 15)];

  await gesture("pan all", [700, 450], round, { button: 1 });
  const editor = app.active;
  const middle = [...editor.graph.nodes.values()][Math.floor(editor.graph.nodes.size / 2)];
  editor.viewport = { scale: 0.8, offset: [-middle.pos[0] + 700, -middle.pos[1] + 400] };
  editor.changed();
  await settled();
  await gesture("pan", [700, 450], round, { button: 1 });

  let times = [], last = await frame();
  for (let i = 0; i < 150; i++) {
    const up = Math.floor(i / 25) % 2 ? -1 : 1;
    canvas.dispatchEvent(new WheelEvent(
      "wheel", { deltaY: 60 * up, clientX: 700, clientY: 450, bubbles: true, cancelable: true }));
    const now = await frame();
    times.push(now - last);
    last = now;
  }
  result.zoom = p95(times);

  editor.viewport = { scale: 0.8, offset: [-middle.pos[0] + 700, -middle.pos[1] + 400] };
  editor.changed();
  await settled();
  const box = canvas.getBoundingClientRect();
  const grip = [box.left + 760 * 0.8, box.top + (400 - 15) * 0.8];
  await gesture("drag", grip, (i) => [grip[0] + 200 * Math.sin(i / 12), grip[1] + 100 * Math.cos(i / 12)]);
  result.moved = editor.undoLabel;
  start = performance.now();
  editor.undo();
  result["undo move"] = performance.now() - start;

  const ids = [...editor.graph.nodes.keys()];
  editor.select({ nodes: new Set(ids.filter((_, i) => i % 2)) });
  heddle.run("delete");
  await settled();
  result.deleted = ids.length - editor.graph.nodes.size;
  start = performance.now();
  editor.undo();
  result["undo delete"] = performance.now() - start;
  await settled();
  return result;
}
"""


def workflow(count: int) -> dict[str, Any]:
    """Rows of samplers with six widgets, each fed by the one before it in its row."""
    nodes: list[dict[str, Any]] = []
    links: list[list[Any]] = []
    columns = max(10, int((count * 1.4) ** 0.5))
    for i in range(count):
        row, column = divmod(i, columns)
        inputs: list[dict[str, Any]] = [
            {"name": "model", "type": "MODEL", "link": None},
            {"name": "positive", "type": "CONDITIONING", "link": None},
            {"name": "negative", "type": "CONDITIONING", "link": None},
            {"name": "latent_image", "type": "LATENT", "link": None},
        ]
        outputs: list[dict[str, Any]] = [{"name": "LATENT", "type": "LATENT", "links": []}]
        if column:
            links.append([i, i, 0, i + 1, 3, "LATENT"])
            inputs[3]["link"] = i
            nodes[-1]["outputs"][0]["links"].append(i)
        nodes.append(
            {
                "id": i + 1,
                "type": "KSampler",
                "pos": [column * 400, row * 360],
                "size": [280, 260],
                "flags": {},
                "order": i,
                "mode": 0,
                "inputs": inputs,
                "outputs": outputs,
                "properties": {},
                "widgets_values": [i, "randomize", 20, 8, "euler", "normal", 1],
            }
        )
    return {"nodes": nodes, "links": links, "groups": [], "version": 0.4}


def definitions() -> dict[str, Any]:
    """The definitions the tests use, under further names until there are many."""
    known = json.loads((ROOT / "tests" / "data" / "object_info.json").read_text())
    names = list(known)
    more = {f"{names[i % len(names)]} {i}": known[names[i % len(names)]] for i in range(max(0, TYPES - len(names)))}
    return {**known, **more}


def starts(browser: Browser, url: str) -> list[float]:
    """Milliseconds from the first byte of the page until it is usable, with an empty cache, the fastest first."""
    times: list[float] = []
    for _ in range(STARTS):
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        page = context.new_page()
        page.goto(url)
        page.wait_for_function("() => performance.getEntriesByName('usable').length > 0")
        times.append(
            page.evaluate(
                """() => performance.getEntriesByName("usable")[0].startTime
                  - performance.getEntriesByType("navigation")[0].responseStart"""
            )
        )
        context.close()
    return sorted(times)


def serve(ready: threading.Event, place: list[str]) -> None:
    path = ROOT / "tests" / "browser" / "fake_server.py"
    spec = importlib.util.spec_from_file_location("fake_server", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    async def run() -> None:
        runner = web.AppRunner(module.FakeServer(definitions()).app())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        place.append(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        ready.set()
        await asyncio.Event().wait()

    asyncio.run(run())


def heap(page: Page) -> float:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return session.send("Runtime.getHeapUsage")["usedSize"] / 1e6


def measure(page: Page, url: str, count: int) -> dict[str, Any]:
    page.goto(url)
    page.wait_for_function("() => window.heddle?.app.ready && heddle.app.active.graph.nodes.size > 0")
    before = heap(page)
    result: dict[str, Any] = page.evaluate(MEASURE, json.dumps(workflow(count)))
    assert result["moved"] == "Move", "the scripted hand missed the node"
    assert result["deleted"] == count // 2
    result["heap"] = heap(page)
    result["heap before"] = before
    return result


def main() -> None:
    sizes = [int(arg) for arg in sys.argv[1:]] or list(LIMITS)
    ready, place = threading.Event(), list[str]()
    threading.Thread(target=serve, args=(ready, place), daemon=True).start()
    ready.wait(10)
    spec = importlib.util.spec_from_file_location("install", ROOT / "tests" / "browser" / "install.py")
    assert spec
    assert spec.loader
    browsers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(browsers)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browsers.find_browser(), args=FLAGS)
        print(f"{'nodes':>6} {'what':<12} {'measured':>9} {'limit':>7}")
        times = starts(chromium, place[0])
        middle = times[len(times) // 2]
        print(f"{'':>6} {'usable':<12} {middle:>6.0f} ms {USABLE:>4.0f} ms{'' if middle <= USABLE else '  over'}")
        for count in sizes:
            page = chromium.new_page(viewport={"width": 1400, "height": 900})
            result = measure(page, place[0], count)
            for name, limit in LIMITS.get(count, {}).items():
                unit = "MB" if name == "heap" else "ms"
                mark = "" if result[name] <= limit else "  over"
                print(f"{count:>6} {name:<12} {result[name]:>6.1f} {unit} {limit:>4.0f} {unit}{mark}")
            print(f"{count:>6} {'(empty page)':<12} {result['heap before']:>6.1f} MB")
            page.close()
        chromium.close()


if __name__ == "__main__":
    main()
