"""A stand-in pack in the newer style: asynchronous nodes, nodes that become graphs, things to look at."""

import asyncio

import torch
from comfy_api.latest import ComfyAPI, ComfyExtension, io, ui

WAITING: dict[str, list[asyncio.Future]] = {}


class WaitTogether(io.ComfyNode):
    """Waits for its twin: done only when both run at once."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            "WaitTogether",
            category="test",
            inputs=[io.String.Input("name"), io.Int.Input("number")],
            outputs=[io.Int.Output()],
            not_idempotent=True,
        )

    @classmethod
    def fingerprint_inputs(cls, name: str, number: int) -> float:
        return float("nan")

    @classmethod
    async def execute(cls, name: str, number: int) -> io.NodeOutput:
        group = WAITING.setdefault(name, [])
        mine = asyncio.get_running_loop().create_future()
        group.append(mine)
        await ComfyAPI().execution.set_progress(1, 2, preview_image=torch.zeros(1, 4, 4, 3))
        if len(group) == 2:
            for future in WAITING.pop(name):
                future.set_result(None)
        await asyncio.wait_for(mine, 20)
        return io.NodeOutput(number)


class Triangle(io.ComfyNode):
    """1 + 2 + … + n, by becoming a smaller triangle and an addition."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            "Triangle",
            category="test",
            inputs=[io.Int.Input("n", min=0, max=50)],
            outputs=[io.Int.Output(display_name="sum")],
            hidden=[io.Hidden.unique_id],
            enable_expand=True,
        )

    @classmethod
    def execute(cls, n: int) -> io.NodeOutput:
        if n == 0:
            return io.NodeOutput(0)
        inner, total = f"{cls.hidden.unique_id}.i", f"{cls.hidden.unique_id}.t"
        graph = {
            inner: {"class_type": "Triangle", "inputs": {"n": n - 1}},
            total: {"class_type": "SumUp", "inputs": {"terms.term0": [inner, 0], "terms.term1": n}},
        }
        return io.NodeOutput([total, 0], expand=graph)


class SumUp(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        term = io.Int.Input("term")
        return io.Schema(
            "SumUp",
            category="test",
            inputs=[io.Autogrow.Input("terms", template=io.Autogrow.TemplatePrefix(term, "term", min=2, max=5))],
            outputs=[io.Int.Output()],
        )

    @classmethod
    def execute(cls, terms: dict[str, int]) -> io.NodeOutput:
        return io.NodeOutput(sum(terms.values()))


class Exhibit(io.ComfyNode):
    """Shows a number as text and as so many grey pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            "Exhibit",
            category="test",
            inputs=[io.Int.Input("number"), io.Combo.Input("how", options=["text", "pictures", "files"])],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, number: int, how: str) -> io.NodeOutput:
        if how == "text":
            return io.NodeOutput(ui=ui.PreviewText(f"it is {number}"))
        images = torch.full((number, 8, 8, 3), 0.5)
        if how == "pictures":
            return io.NodeOutput(ui=ui.PreviewImage(images, cls=cls))
        return io.NodeOutput(ui=ui.ImageSaveHelper.get_save_images_ui(images, "exhibit", cls))


class Schematic(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [WaitTogether, Triangle, SumUp, Exhibit]


def comfy_entrypoint() -> Schematic:
    return Schematic()
