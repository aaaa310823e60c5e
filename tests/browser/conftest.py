"""A page in a real browser in front of a small server. Tests speak in what a user does and sees."""

import asyncio
import importlib.util
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"browser_{name}", HERE / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fake = _load("fake_server")
browsers = _load("install")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = browsers.find_browser()
    if not path:
        pytest.fail("These tests need Chromium or Chrome: run `make browser`, or leave them out with -m 'not browser'.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


class Running:
    """The small server in a thread of its own, with its address."""

    def __init__(self, definitions: dict[str, Any]):
        self.loop = asyncio.new_event_loop()
        self.fake: Any = None
        self.url = ""
        self._definitions = definitions
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._start())
        self._ready.set()
        self.loop.run_forever()

    async def _start(self, port: int = 0) -> None:
        if self.fake is None:
            self.fake = fake.FakeServer(self._definitions)
        self._runner = web.AppRunner(self.fake.app(), shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}/"

    async def _settle(self) -> None:
        """Connections that were told to close do so in the next turns of the loop."""
        for _ in range(50):
            await asyncio.sleep(0)

    def call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def go_down(self) -> None:
        self.call(self._runner.cleanup())

    def come_back(self) -> None:
        self.call(self._start(self.port))

    def stop(self) -> None:
        self.go_down()
        self.call(self._settle())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@pytest.fixture
def definitions() -> dict[str, Any]:
    return json.loads((HERE.parent / "data" / "object_info.json").read_text())


@pytest.fixture
def server(definitions: dict[str, Any]) -> Iterator[Running]:
    running = Running(definitions)
    yield running
    running.stop()


NODES = """
() => Object.fromEntries([...heddle.app.active.graph.nodes.values()].map(
  ({ id, type, pos, size, values, mode, title }) => [id, { type, pos, size, values, mode, title }]))
"""

LINKS = """
() => {
  const { nodes, links } = heddle.app.active.graph;
  const input = (link) => `${nodes.get(link.to).type}.${nodes.get(link.to).inputs[link.toSlot].name}`;
  return [...links.values()].map((link) => [nodes.get(link.from).type, input(link)]);
}
"""

PLACE = """
([id, x, y]) => {
  const { graph, viewport: { scale, offset } } = heddle.app.active;
  const { pos } = graph.nodes.get(id);
  const box = document.getElementById("canvas").getBoundingClientRect();
  return [box.left + (pos[0] + x + offset[0]) * scale, box.top + (pos[1] + y + offset[1]) * scale];
}
"""

PART = """
([id, part, name]) => {
  const layout = heddle.app.active.layout(heddle.app.active.graph.nodes.get(id));
  if (part === "widget") {
    const [x, y, w, h] = layout.widgets.find((placed) => placed.entry.key === name).rect;
    return [x + w * 0.6, y + h / 2];
  }
  const wanted = part === "input"
    ? layout.inputs.find((placed) => placed.socket.name === name)
    : layout.outputs.find((placed) => placed.slot === name);
  return [wanted.x, wanted.y];
}
"""

DROP = """
([bytes, name, x, y]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, clientX: x, clientY: y });
  document.getElementById("canvas").dispatchEvent(event);
}
"""


class Editor:
    """What a user can do on the page, and what the document then holds."""

    def __init__(self, page: Page):
        self.page = page

    def evaluate(self, script: str, argument: Any = None) -> Any:
        return self.page.evaluate(script, argument)

    def nodes(self) -> dict[str, dict[str, Any]]:
        return self.evaluate(NODES)

    def of_type(self, kind: str) -> str:
        found = [id for id, node in self.nodes().items() if node["type"] == kind]
        assert found, f"no {kind} on the canvas"
        return found[-1]

    def links(self) -> set[tuple[str, str]]:
        """Pairs like ("LoadImage", "PreviewImage.images")."""
        pairs = self.evaluate(LINKS)
        return {(a, b) for a, b in pairs}

    def at(self, node: str, x: float, y: float) -> tuple[float, float]:
        """Page pixels of a point of a node, given in its own units."""
        place = self.evaluate(PLACE, [node, x, y])
        return place[0], place[1]

    def _placed(self, node: str, part: str, name: str | int) -> tuple[float, float]:
        x, y = self.evaluate(PART, [node, part, name])
        return self.at(node, x, y)

    def input(self, node: str, name: str) -> tuple[float, float]:
        return self._placed(node, "input", name)

    def output(self, node: str, slot: int = 0) -> tuple[float, float]:
        return self._placed(node, "output", slot)

    def widget(self, node: str, key: str) -> tuple[float, float]:
        return self._placed(node, "widget", key)

    def title(self, node: str) -> tuple[float, float]:
        return self.at(node, 60, -15)

    def drag(self, start: tuple[float, float], end: tuple[float, float], button: Any = "left", steps: int = 6) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down(button=button)
        mouse.move(*end, steps=steps)
        mouse.up(button=button)

    def click(self, at: tuple[float, float], **options: Any) -> None:
        self.page.mouse.click(*at, **options)

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def add(self, name: str) -> str:
        """Add a node by name through the palette; its id."""
        before = set(self.nodes())
        self.page.locator("#canvas").focus()
        self.press("Tab")
        self.page.get_by_role("combobox", name="Add node").fill(name)
        self.press("Enter")
        (made,) = set(self.nodes()) - before
        return made

    def new_empty(self) -> None:
        self.page.get_by_role("button", name="New workflow").click()
        self.wait(lambda: self.nodes() == {})

    def queue(self) -> None:
        self.page.get_by_role("button", name="Queue", exact=True).click()

    def drop_picture(self, body: bytes, name: str, at: tuple[float, float]) -> None:
        """What happens when a PNG file is dragged in from outside and let go here."""
        self.evaluate(DROP, [list(body), name, *at])

    def wait(self, condition: Callable[[], bool], what: str = "") -> None:
        """Look again with every frame until it is so; ten seconds at most."""
        for _ in range(600):
            if condition():
                return
            self.page.evaluate("() => new Promise((done) => requestAnimationFrame(done))")
        raise AssertionError(f"did not happen: {what or condition}")

    def settled(self) -> None:
        """Until nothing stands over the canvas any more."""
        self.page.wait_for_function("() => !document.querySelector('.veil')", timeout=10_000)

    def wait_until(self, script: str) -> None:
        self.page.wait_for_function(script, timeout=10_000)


@pytest.fixture
def editor_class() -> type[Editor]:
    return Editor


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def editor(server: Running, page: Page) -> Editor:
    page.goto(server.url)
    page.wait_for_function("() => window.heddle?.app.ready && heddle.app.active.graph.nodes.size > 0")
    return Editor(page)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with models, input and output of the real server; the models are files without weights."""
    base = tmp_path_factory.mktemp("heddle")
    for path in ("loras/plain", "loras/styles/ink", "loras/styles/oil", "embeddings/sunset"):
        file = base / "models" / f"{path}.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((2).to_bytes(8, "little") + b"{}")
    Image.new("RGB", (32, 32), "teal").save(base / "models" / "loras" / "styles" / "ink.preview.png")
    return base


@pytest.fixture(scope="session")
def heddle(home: Path) -> Iterator[str]:
    """The address of the real server."""
    command = [sys.executable, "main.py", "--cpu", "--port", "0", "--base-directory", str(home)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            found = re.search(r"http://\S+", line)
            if found:
                break
        else:
            pytest.fail("the server never said where it is")
        yield found.group().rstrip("/") + "/"
        process.terminate()
        process.stdout.read()


@pytest.fixture(scope="session")
def desk_page(browser: Browser, heddle: str) -> Iterator[tuple[Page, list[str]]]:
    """One page on the real server, kept open: tests that only need a fresh document share it."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(heddle)
    page.wait_for_function("() => window.heddle?.app.ready && heddle.app.active.graph.nodes.size > 0", timeout=60_000)
    yield page, errors
    context.close()


CLEAR = """
() => {
  const { app } = heddle;
  app.setDialog(null);
  for (const toast of app.toasts) app.dismiss(toast.id);
  for (const tab of [...app.tabs]) app.close(tab);
  app.sidebar = "none";
  app.form = false;
  app.live = false;
  heddle.defaults();
  heddle.run("new-default");
  document.getElementById("canvas").focus();
}
"""


@pytest.fixture
def desk(desk_page: tuple[Page, list[str]]) -> Iterator[Editor]:
    """The shared page with a new document that needs no models, and settings as they come."""
    page, errors = desk_page
    page.mouse.move(700, 150)
    page.evaluate(CLEAR)
    editor = Editor(page)
    editor.wait(lambda: len(editor.nodes()) == 5, "the start graph")
    yield editor
    assert errors == []
