"""`--front-end-root`: a page of someone else's, served in place of ours, finds every route it calls.

The stand-in here is a folder with the files of a page, and a client that makes the calls of one, with the headers a
browser adds.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.end_to_end.client import Client
from tests.end_to_end.conftest import Server, wait_until_ready

FILES = {
    "index.html": '<!doctype html><script type="module" src="./assets/index-abc.js"></script>',
    "assets/index-abc.js": "export const app = {};",
    "assets/style.css": "body {}",
    "assets/picture.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "scripts/app.js": "export const app = window.app;",
    "extensions/core/mask.js": "import '../../scripts/app.js';",
    "templates/index.json": "[]",
    "fonts/a.woff2": "font",
}


class Page(Client):
    """A client with the headers of a page of this server."""

    def call(self, method: str, path: str, body: Any = None, kind: str | None = None) -> tuple[int, Any]:
        """Status and body, decoded where it is JSON. kind: content type; what a page does not name is text."""
        headers = {"Origin": self.url, "Sec-Fetch-Site": "same-origin", "Comfy-User": ""}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = kind or ("application/json" if body is not data else "text/plain;charset=UTF-8")
        status, answer = self.request(method, path, data, headers)
        try:
            return status, json.loads(answer)
        except ValueError:
            return status, answer

    def ok(self, method: str, path: str, body: Any = None, kind: str | None = None) -> Any:
        status, answer = self.call(method, path, body, kind)
        assert status == 200, (method, path, status, answer)
        return answer


@pytest.fixture
def page(tmp_path: Path, start_server: Callable[..., Server]) -> Iterator[Any]:
    root = tmp_path / "front end"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    server = start_server("--front-end-root", str(root), base=tmp_path / "base")
    wait_until_ready(server.url)
    with Page(server.url) as connected:
        connected.until("status")
        yield connected


def test_a_page_of_someone_elses_works_against_this_server(page: Page):
    # Its files, at both of its addresses.
    assert page.call("GET", "/")[1].decode() == FILES["index.html"]
    assert page.call("GET", "/api/")[1].decode() == FILES["index.html"]
    for name, text in FILES.items():
        if name not in ("index.html", "templates/index.json"):
            assert page.call("GET", f"/{name}") == (200, text.encode()), name
    assert page.ok("GET", "/templates/index.json") == []
    assert page.call("GET", "/docs/Nothing/en.md")[0] == 404
    assert page.call("GET", "/assets/missing.js")[0] == 404

    # What it asks before it shows anything.
    assert page.ok("GET", "/api/users")["storage"] == "server"
    assert page.ok("GET", "/api/settings") == {}
    assert page.call("GET", "/api/userdata/user.css")[0] == 404
    assert page.call("GET", "/api/user.css")[0] == 404
    assert page.ok("GET", "/api/features")["supports_preview_metadata"] is True
    stats = page.ok("GET", "/api/system_stats")
    assert set(stats["system"]) >= {"os", "comfyui_version", "python_version", "pytorch_version", "argv", "ram_total"}
    assert set(stats["devices"][0]) >= {"name", "type", "index", "vram_total", "vram_free", "torch_vram_total"}
    assert "SaveImage" in page.ok("GET", "/api/object_info")
    assert page.ok("GET", "/api/extensions") == [
        "/extensions/core/mask.js",
        "/extensions/switchboard/switchboard.js",
    ]
    assert isinstance(page.ok("GET", "/api/i18n"), dict)
    assert isinstance(page.ok("GET", "/api/embeddings"), list)
    assert isinstance(page.ok("GET", "/api/workflow_templates"), dict)
    assert isinstance(page.ok("GET", "/api/global_subgraphs"), dict)
    assert isinstance(page.ok("GET", "/api/node_replacements"), dict)

    # Settings, as it writes them: JSON without saying so.
    assert page.call("POST", "/api/settings/Comfy.Locale", b'"en"')[0] == 200
    assert page.call("POST", "/api/settings", {"Comfy.Theme": "dark"})[0] == 200
    assert page.ok("GET", "/api/settings") == {"Comfy.Locale": "en", "Comfy.Theme": "dark"}
    assert page.ok("GET", "/api/settings/Comfy.Locale") == "en"

    # Workflows.
    saved = page.ok("POST", "/api/userdata/workflows%2Fa.json?overwrite=false&full_info=true", b'{"nodes": []}')
    assert saved["path"] == "workflows/a.json"
    assert page.call("POST", "/api/userdata/workflows%2Fa.json?overwrite=false", b"{}")[0] == 409
    moved = "/api/userdata/workflows%2Fa.json/move/workflows%2Fb.json?overwrite=false&full_info=true"
    assert page.ok("POST", moved)["path"] == "workflows/b.json"
    listed = page.ok("GET", "/api/userdata?dir=workflows&recurse=true&split=false&full_info=true")
    assert [entry["path"] for entry in listed] == ["b.json"]
    assert page.ok("GET", "/api/v2/userdata?path=workflows")[0]["name"] == "b.json"
    assert page.ok("GET", "/api/userdata/workflows%2Fb.json") == {"nodes": []}
    assert page.call("DELETE", "/api/userdata/workflows%2Fb.json")[0] == 204

    # Models.
    assert "checkpoints" in page.ok("GET", "/api/models")
    assert page.ok("GET", "/api/models/checkpoints") == []
    assert page.ok("GET", "/api/experiment/models")[0]["folders"]
    assert page.ok("GET", "/api/experiment/models/checkpoints") == []
    assert page.call("GET", "/api/view_metadata/checkpoints?filename=none.safetensors")[0] == 404
    assert "checkpoints" in page.ok("GET", "/internal/folder_paths")

    # The log panel.
    assert isinstance(page.ok("GET", "/internal/logs"), str)
    assert set(page.ok("GET", "/internal/logs/raw")) == {"entries", "size"}
    assert page.call("PATCH", "/internal/logs/subscribe", {"clientId": page.id, "enabled": True})[0] == 200

    # A picture goes in, a job runs, its result is looked at.
    uploaded = page.upload("in.png", _png())
    assert page.call("GET", f"/api/view?filename={uploaded['name']}&type=input&preview=webp;75")[0] == 200
    assert page.ok("GET", "/internal/files/input") == ["in.png"]
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "in.png"}, "_meta": {"title": "Load"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}, "_meta": {"title": "Preview"}},
    }
    extra = {"extra_pnginfo": {"workflow": {"nodes": []}}}
    page.socket.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
    page.until("feature_flags")
    body = {"client_id": page.id, "prompt": graph, "extra_data": extra, "partial_execution_targets": ["2"]}
    prompt_id = page.ok("POST", "/api/prompt", body)["prompt_id"]
    page.until("executing", node=None, prompt_id=prompt_id)
    entry = page.ok("GET", "/api/history?max_items=64")[prompt_id]
    assert entry["status"]["completed"]
    (image,) = entry["outputs"]["2"]["images"]
    assert page.view(image).startswith(b"\x89PNG")
    assert page.ok("GET", "/api/queue") == {"queue_running": [], "queue_pending": []}
    assert page.ok("GET", "/api/prompt")["exec_info"] == {"queue_remaining": 0}
    assert page.ok("GET", "/api/jobs")["jobs"][0]["id"] == prompt_id
    for path, sent in (
        ("/api/interrupt", {"prompt_id": prompt_id}),
        ("/api/queue", {"delete": [prompt_id]}),
        ("/api/free", {"unload_models": True}),
        ("/api/history", {"delete": [prompt_id]}),
    ):
        assert page.call("POST", path, sent)[0] == 200, path
    assert prompt_id not in page.ok("GET", "/api/history")


def test_its_socket_is_greeted_under_both_addresses_and_those_of_other_pages_are_not(page: Page):
    address = page.url.replace("http://", "ws://")
    for path in ("/ws", "/api/ws?clientId=one"):
        socket = websocket.create_connection(address + path, timeout=20, origin=page.url)
        first = json.loads(socket.recv())
        assert first["type"] == "status"
        assert first["data"]["sid"] == "one" or path == "/ws"
        socket.close()
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(address + "/ws", timeout=20, origin="http://elsewhere.example")


def _png() -> bytes:
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.new("RGB", (8, 8), "green").save(buffer, "PNG")
    return buffer.getvalue()
