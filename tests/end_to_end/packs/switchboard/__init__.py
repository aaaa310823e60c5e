"""A stand-in pack in the older style: routes, a script, messages to clients, a handler of prompts, hidden inputs."""

from aiohttp import web

from server import PromptServer

WEB_DIRECTORY = "web"
calls = []


class Ring:
    """Tells every client, and the one that waits, that it was rung."""

    RETURN_TYPES = ("STRING", "INT")
    RETURN_NAMES = ("text", "count")
    FUNCTION = "ring"
    CATEGORY = "test"
    OUTPUT_NODE = True

    def __init__(self):
        self.count = 0

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"text": ("STRING", {"default": "hello", "multiline": True})},
            "hidden": {"me": "UNIQUE_ID", "prompt": "PROMPT", "png": "EXTRA_PNGINFO", "graph": "DYNPROMPT"},
        }

    @classmethod
    def IS_CHANGED(cls, **inputs):
        return float("nan")

    def ring(self, text, me, prompt, png, graph):
        self.count += 1
        calls.append(text)
        server = PromptServer.instance
        server.send_sync("switchboard.rang", {"node": me, "text": text}, server.client_id)
        server.send_progress_text(f"ring {self.count}", me)
        seen = [len(prompt), png["workflow"]["id"], graph.get_node(me)["class_type"], graph.get_display_node_id(me)]
        return {"ui": {"text": [text, *map(str, seen)]}, "result": (text, self.count)}


@PromptServer.instance.routes.get("/switchboard/calls")
async def list_calls(request):
    return web.json_response(calls)


@PromptServer.instance.routes.post("/switchboard/calls")
async def call(request):
    calls.append((await request.json())["text"])
    PromptServer.instance.send_sync("switchboard.called", {"count": len(calls)})
    return web.Response(status=204)


@PromptServer.instance.routes.get("/switchboard/leave")
async def leave(request):
    import os

    os._exit(9)


def shout(json_data):
    for node in json_data["prompt"].values():
        if node["class_type"] == "Ring" and node["inputs"].get("text") == "quiet":
            node["inputs"]["text"] = "LOUD"
    return json_data


PromptServer.instance.add_on_prompt_handler(shout)
NODE_CLASS_MAPPINGS = {"Ring": Ring}
NODE_DISPLAY_NAME_MAPPINGS = {"Ring": "Ring the Bell"}
