"""Stands for packs of loops, switches and slow work: expansion, lazy inputs, blockers, async."""

import asyncio

from comfy_execution.graph import ExecutionBlocker
from comfy_execution.graph_utils import GraphBuilder, is_link
from comfy_execution.utils import get_executing_context


class Switch:
    @classmethod
    def INPUT_TYPES(s):
        return {
            "required": {"which": ("BOOLEAN", {"default": True})},
            "optional": {"on_true": ("*", {"lazy": True}), "on_false": ("*", {"lazy": True})},
        }

    RETURN_TYPES = ("*",)
    FUNCTION = "go"
    CATEGORY = "flow"

    def check_lazy_status(self, which, on_true=None, on_false=None):
        wanted, value = ("on_true", on_true) if which else ("on_false", on_false)
        return [wanted] if value is None else []

    def go(self, which, on_true=None, on_false=None):
        return (on_true if which else on_false,)


class Add:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"a": ("INT", {"default": 0}), "b": ("INT", {"default": 0})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "flow"

    def go(self, a, b):
        return (a + b,)


class Repeat:
    """Becomes a chain of additions."""

    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"times": ("INT", {"default": 2}), "start": ("INT", {"default": 0, "rawLink": True})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "flow"

    def go(self, times, start):
        graph = GraphBuilder()
        value = start
        for i in range(times):
            value = graph.node("FlowAdd", f"step{i}", a=value, b=1).out(0)
        assert is_link(value)
        return {"result": (value,), "expand": graph.finalize()}


class Become:
    """Becomes a node whose choices are files."""

    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"lora": ("STRING", {"default": ""})}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "go"
    CATEGORY = "flow"

    def go(self, lora):
        graph = GraphBuilder()
        return {
            "result": (graph.node("UtilityChoosy", word="good", lora=lora, mode="fast").out(0),),
            "expand": graph.finalize(),
        }


class Wait:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"value": ("INT", {"default": 0})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "flow"

    async def go(self, value):
        await asyncio.sleep(0)
        assert get_executing_context().node_id
        return (value * 10,)


class Gate:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"value": ("INT", {"default": 0}), "open": ("BOOLEAN", {"default": False})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "flow"

    def go(self, value, open):
        return (value if open else ExecutionBlocker(None),)


class Stop:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {"value": ("INT", {"default": 0})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "flow"

    def go(self, value):
        from comfy.model_management import InterruptProcessingException

        raise InterruptProcessingException()


NODE_CLASS_MAPPINGS = {f"Flow{kind.__name__}": kind for kind in (Switch, Add, Repeat, Become, Wait, Gate, Stop)}
