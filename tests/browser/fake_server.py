"""A small server that speaks the editor's part of the wire: enough to test the page without models or workers.

It "runs" a prompt by sending the messages a real run sends and by painting a picture for every output node.
"""

import argparse
import asyncio
import io
import json
import struct
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from PIL import Image, ImageChops, PngImagePlugin

DIST = Path(__file__).parents[2] / "web" / "dist"
Json = dict[str, Any]


def picture(text: str, size: tuple[int, int] = (256, 192), metadata: dict[str, Json] | None = None) -> bytes:
    """A PNG whose colours depend on `text`, so that two runs look different."""
    seed = sum(text.encode()) % 200
    image = Image.linear_gradient("L").resize(size)
    shifted = ImageChops.add_modulo(image, Image.new("L", size, seed))
    image = Image.merge("RGB", (image, shifted, ImageChops.invert(image)))
    info = PngImagePlugin.PngInfo()
    for key, value in (metadata or {}).items():
        info.add_text(key, json.dumps(value))
    out = io.BytesIO()
    image.save(out, "PNG", pnginfo=info)
    return out.getvalue()


class FakeServer:
    """State and routes. `pace` is the pause between two messages of a run, in seconds."""

    def __init__(self, definitions: Json, pace: float = 0.0):
        self.definitions = definitions
        self.pace = pace
        self.files: dict[tuple[str, str], bytes] = {("input", "example.png"): picture("example", (512, 384))}
        self.userdata: dict[str, bytes] = {}
        self.settings: Json = {"Heddle.Editor": {"toured": True}}
        self.prompts: list[Json] = []
        self.history: Json = {}
        self.pending: list[Json] = []
        self.running: Json | None = None
        self.interrupted = asyncio.Event()
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.refuse: Callable[[Json], Json | None] = lambda body: None
        self.fail_node: str | None = None
        self.requests: list[str] = []
        self.scripts: dict[str, str] = {}
        self.templates: dict[str, dict[str, Json]] = {}

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**26, middlewares=[self._log])
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/ws", self._socket),
                web.get("/api/object_info", self._object_info),
                web.get("/api/queue", self._queue),
                web.post("/api/queue", self._cancel),
                web.post("/api/interrupt", self._interrupt),
                web.get("/api/history", self._history),
                web.post("/api/history", self._forget),
                web.post("/api/prompt", self._prompt),
                web.get("/api/view", self._view),
                web.post("/api/upload/image", self._upload),
                web.post("/api/upload/mask", self._upload),
                web.get("/api/settings", self._settings),
                web.post("/api/settings/{id}", self._save_setting),
                web.get("/api/userdata", self._list_userdata),
                web.get("/api/userdata/{file}", self._read_userdata),
                web.post("/api/userdata/{file}", self._write_userdata),
                web.get("/api/workflow_templates", self._list_templates),
                web.get("/api/workflow_templates/{pack}/{name}.json", self._template),
                web.get("/api/extensions", self._extensions),
                web.get("/extensions/{path:.+}", self._script),
                web.static("/assets", DIST / "assets"),
            ]
        )
        app.on_startup.append(self._start)
        app.on_cleanup.append(self._stop)
        return app

    @web.middleware
    async def _log(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(request.path)
        return await handler(request)

    async def _start(self, _app: web.Application) -> None:
        self._work = asyncio.create_task(self._run_all())

    async def _stop(self, _app: web.Application) -> None:
        self._work.cancel()
        for socket in self.sockets.values():
            await socket.close()

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        return web.FileResponse(DIST / "index.html")

    async def _object_info(self, _request: web.Request) -> web.Response:
        return web.json_response(self.definitions)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client = request.query.get("clientId") or uuid.uuid4().hex
        self.sockets[client] = socket
        await socket.send_json({"type": "status", "data": {"status": self._status(), "sid": client}})
        async for message in socket:
            if message.type is WSMsgType.ERROR:
                break
        return socket

    def _status(self) -> Json:
        return {"exec_info": {"queue_remaining": len(self.pending) + (self.running is not None)}}

    async def _tell(self, client: str, kind: str, data: Json) -> None:
        socket = self.sockets.get(client)
        if socket and not socket.closed:
            await socket.send_json({"type": kind, "data": data})
        if self.pace:
            await asyncio.sleep(self.pace)

    async def _queue(self, _request: web.Request) -> web.Response:
        running = [self.running["item"]] if self.running else []
        return web.json_response({"queue_running": running, "queue_pending": [job["item"] for job in self.pending]})

    async def _cancel(self, request: web.Request) -> web.Response:
        body = await request.json()
        gone = set(body.get("delete", []))
        self.pending = [] if body.get("clear") else [job for job in self.pending if job["id"] not in gone]
        return web.Response()

    async def _interrupt(self, _request: web.Request) -> web.Response:
        self.interrupted.set()
        return web.Response()

    async def _history(self, _request: web.Request) -> web.Response:
        return web.json_response(self.history)

    async def _forget(self, request: web.Request) -> web.Response:
        body = await request.json()
        for key in list(self.history) if body.get("clear") else body.get("delete", []):
            self.history.pop(key, None)
        return web.Response()

    async def _prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        refusal = self.refuse(body)
        if refusal is not None:
            return web.json_response(refusal, status=400)
        self.prompts.append(body)
        job = {"id": str(uuid.uuid4()), "body": body}
        job["item"] = [len(self.prompts), job["id"], body["prompt"], body["extra_data"], []]
        self.pending.append(job)
        return web.json_response({"prompt_id": job["id"], "number": len(self.prompts), "node_errors": {}})

    async def _run_all(self) -> None:
        while True:
            if not self.pending:
                await asyncio.sleep(0.005)
                continue
            self.running = self.pending.pop(0)
            self.interrupted.clear()
            await self._run(self.running)
            self.running = None
            for client in list(self.sockets):
                await self._tell(client, "status", {"status": self._status()})

    async def _run(self, job: Json) -> None:
        client, prompt_id = job["body"]["client_id"], job["id"]
        prompt: dict[str, Json] = job["body"]["prompt"]
        outputs: Json = {}
        state: Json = {}
        messages: list[Any] = []

        async def tell(kind: str, **data: Any) -> None:
            data["prompt_id"] = prompt_id
            if kind.startswith("execution"):
                data["timestamp"] = 1_000 * len(messages)
                messages.append([kind, data])
            await self._tell(client, kind, data)

        await tell("execution_start")
        await tell("execution_cached", nodes=[])
        ok = True
        for node, spec in prompt.items():
            entry = {"value": 0, "max": 1, "state": "running", "node_id": node, "display_node_id": node}
            state[node] = entry
            await tell("progress_state", nodes=state)
            await tell("executing", node=node, display_node=node)
            if spec["class_type"] == "KSampler":
                for step in range(1, 5):
                    state[node] = entry | {"value": step, "max": 4}
                    await tell("progress_state", nodes=state)
                    await self._preview(client, prompt_id, node, step)
            if self.interrupted.is_set() or node == self.fail_node:
                ok = False
                break
            state[node] = entry | {"value": 1, "state": "finished"}
            await tell("progress_state", nodes=state)
            if self.definitions.get(spec["class_type"], {}).get("output_node"):
                name = f"{spec['inputs'].get('filename_prefix', 'temp')}_{len(self.files):05}_.png"
                metadata = {"prompt": prompt, "workflow": job["body"]["extra_data"]["extra_pnginfo"]["workflow"]}
                self.files[("output", name)] = picture(json.dumps(prompt), metadata=metadata)
                outputs[node] = {"images": [{"filename": name, "subfolder": "", "type": "output"}]}
                await tell("executed", node=node, display_node=node, output=outputs[node])
        if ok:
            await tell("execution_success")
        elif self.interrupted.is_set():
            await tell("execution_interrupted", node_id="", node_type="", executed=[])
        else:
            kind = prompt[self.fail_node or ""]["class_type"]
            await tell(
                "execution_error",
                node_id=self.fail_node,
                node_type=kind,
                exception_message="the blur needs a picture of at least 64 pixels\n",
                exception_type="ValueError",
                traceback=[],
            )
        status = {"status_str": "success" if ok else "error", "completed": ok, "messages": messages}
        self.history[prompt_id] = {"prompt": job["item"], "outputs": outputs, "status": status, "meta": {}}
        await tell("executing", node=None)

    async def _preview(self, client: str, prompt_id: str, node: str, step: int) -> None:
        socket = self.sockets.get(client)
        if not socket or socket.closed:
            return
        meta = json.dumps({"node_id": node, "prompt_id": prompt_id, "display_node_id": node, "image_type": "image/png"})
        body = picture(f"step {step * 40}", (128, 128))
        await socket.send_bytes(struct.pack(">II", 4, len(meta)) + meta.encode() + body)

    async def _view(self, request: web.Request) -> web.Response:
        key = (request.query.get("type", "output"), request.query["filename"])
        body = self.files.get(key)
        return web.Response(body=body, content_type="image/png") if body else web.Response(status=404)

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        part = form["image"]
        assert isinstance(part, web.FileField)
        self.files[("input", part.filename)] = part.file.read()
        return web.json_response({"name": part.filename, "subfolder": "", "type": "input"})

    async def _extensions(self, _request: web.Request) -> web.Response:
        return web.json_response([f"/extensions/{path}" for path in self.scripts])

    async def _script(self, request: web.Request) -> web.Response:
        return web.Response(text=self.scripts[request.match_info["path"]], content_type="text/javascript")

    async def _list_templates(self, _request: web.Request) -> web.Response:
        return web.json_response({pack: list(named) for pack, named in self.templates.items()})

    async def _template(self, request: web.Request) -> web.Response:
        return web.json_response(self.templates[request.match_info["pack"]][request.match_info["name"]])

    async def _settings(self, _request: web.Request) -> web.Response:
        return web.json_response(self.settings)

    async def _save_setting(self, request: web.Request) -> web.Response:
        self.settings[request.match_info["id"]] = await request.json()
        return web.Response()

    async def _list_userdata(self, request: web.Request) -> web.Response:
        folder = request.query["dir"] + "/"
        found = [path[len(folder) :] for path in self.userdata if path.startswith(folder)]
        return web.json_response(found) if found else web.Response(status=404)

    async def _read_userdata(self, request: web.Request) -> web.Response:
        body = self.userdata.get(request.match_info["file"])
        return web.Response(body=body) if body is not None else web.Response(status=404)

    async def _write_userdata(self, request: web.Request) -> web.Response:
        path = request.match_info["file"]
        if path in self.userdata and request.query.get("overwrite") == "false":
            return web.Response(status=409, text="File already exists")
        self.userdata[path] = await request.read()
        return web.json_response(path)


def main() -> None:
    """Serve the built editor with definitions from a file, for working on the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("definitions", type=Path, help="what GET /object_info answers, as a JSON file")
    parser.add_argument("--port", type=int, default=8190)
    parser.add_argument("--pace", type=float, default=0.05)
    given = parser.parse_args()
    server = FakeServer(json.loads(given.definitions.read_text()), given.pace)
    web.run_app(server.app(), host="127.0.0.1", port=given.port)


if __name__ == "__main__":
    main()
