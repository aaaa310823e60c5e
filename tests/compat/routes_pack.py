"""A pack with routes, scripts, messages and a handler of prompts, as packs write them."""

import asyncio
import os

from aiohttp import web
from PIL import Image

import nodes
import server
from server import BinaryEventTypes, PromptServer

HERE = os.path.dirname(__file__)
WEB_DIRECTORY = "./web"
NODE_CLASS_MAPPINGS = {}
nodes.EXTENSION_WEB_DIRS["more of probe"] = os.path.join(HERE, "files")
routes = PromptServer.instance.routes


@routes.get("/probe/hello/{name}")
async def hello(request):
    return web.json_response({"hello": request.match_info["name"], "q": request.query.get("q")})


@PromptServer.instance.routes.post("/probe/echo")
async def echo(request):
    body = await request.read()
    return web.Response(body=body, status=201, headers={"X-Probe": "yes", "X-Host": request.host})


@routes.get("/probe/stream")
async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for piece in range(3):
        await response.write(b"%d" % piece * 1000)
        await asyncio.sleep(0)
    return response


@routes.get("/probe/broken")
async def broken(request):
    raise ValueError("a pack's own mistake")


@routes.get("/system_stats")
async def ours(request):
    return web.json_response({"never": "seen"})


@routes.put("/probe/settings")
async def settings(request):
    manager = PromptServer.instance.user_manager
    return web.json_response([manager.get_request_user_filepath(request, "a/b.txt"), await request.json()])


@web.middleware
async def mark(request, handler):
    response = await handler(request)
    if not response.prepared:
        response.headers["X-Marked"] = "by the pack"
    return response


app = PromptServer.instance.app
app.middlewares.append(mark)
app.add_routes([web.static("/probe_files", os.path.join(HERE, "files"))])
app.router.add_get("/probe/added", echo)
started = []


async def on_startup(app):
    started.append(asyncio.get_running_loop() is PromptServer.instance.loop)


app.on_startup.append(on_startup)


def on_prompt(json_data):
    json_data["prompt"].pop("extra", None)
    return json_data


def bad_handler(json_data):
    raise ValueError("as asked")


def forgetful(json_data):
    return None


for handler in (bad_handler, on_prompt, forgetful):
    server.PromptServer.instance.add_on_prompt_handler(handler)


def talk(sid=None):
    picture = ("JPEG", Image.new("RGB", (8, 4), "red"), 4)
    instance = PromptServer.instance
    instance.send_sync("probe.event", {"a": 1}, sid)
    instance.send_progress_text("héllo", "1", sid)
    instance.send_sync(BinaryEventTypes.UNENCODED_PREVIEW_IMAGE, picture, sid)
    instance.send_sync(BinaryEventTypes.PREVIEW_IMAGE_WITH_METADATA, (picture, {"node_id": "1"}), sid)
    asyncio.run_coroutine_threadsafe(instance.send("probe.later", [2], sid), instance.loop).result(5)
