"""A pack in the newer style, as packs write it: what the tests of this style load."""

import asyncio
from enum import Enum
from typing import Any

import torch
from comfy_api.latest import ComfyAPI, ComfyExtension, io, ui


class Mood(Enum):
    CALM = "calm"
    WILD = "wild"


class Everything(io.ComfyNode):
    """One input of every kind."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Everything",
            display_name="Every Thing",
            category="probe/v3",
            description="desc",
            inputs=[
                io.Int.Input(
                    "n",
                    default=1,
                    min=0,
                    max=9,
                    step=1,
                    control_after_generate=True,
                    display_mode=io.NumberDisplay.slider,
                ),
                io.Float.Input("f", default=0.5, min=0.0, max=1.0, step=0.1, round=0.01),
                io.Combo.Input("cc", options=["x", "y"], default="y"),
                io.Combo.Input("mood", options=Mood, default=Mood.WILD),
                io.MultiCombo.Input("mc", options=["k", "l"], default=["k"], placeholder="pp", chip=True),
                io.String.Input("s", multiline=True, dynamic_prompts=True, a_newer_keyword="kept"),
                io.Boolean.Input("b", default=True, label_on="yes", label_off="no"),
                io.Combo.Input(
                    "file", options=["a.png"], upload=io.UploadType.image, image_folder=io.FolderType.output
                ),
                io.Combo.Input("far", remote=io.RemoteOptions("/choices", False, timeout=5)),
                io.Combo.Input(
                    "rich", remote_combo=io.RemoteComboOptions("/rich", io.RemoteItemSchema("id", "name"), timeout=9)
                ),
                io.Image.Input("image", optional=True, tooltip="tip"),
                io.MultiType.Input("mt", [io.Mask, io.Image], optional=True),
                io.MultiType.Input(io.Float.Input("either", default=1.0, optional=True), [io.Custom("PROBE")]),
                io.AnyType.Input("anyx", optional=True, lazy=True),
                io.Custom("PROBE").Input("probe", optional=True),
            ],
            outputs=[
                io.Image.Output(),
                io.Int.Output("count", display_name="Count", tooltip="ct"),
                io.Combo.Output(options=["x", "y"]),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            is_experimental=True,
            search_aliases=["all"],
            a_newer_keyword=1,
        )

    @classmethod
    def execute(cls, **values: Any) -> io.NodeOutput:
        return io.NodeOutput(None, 1, "x")


class Shout(io.ComfyNode):
    """Text in, text out; keeps its rules, shows what it made, sees its hidden values."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            "Shout",
            inputs=[io.String.Input("text"), io.Int.Input("times", default=1, min=1, max=3)],
            outputs=[io.String.Output()],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, times: int) -> bool | str:
        return True if times != 2 else f"twice is not enough for node {cls.hidden.unique_id}"

    @classmethod
    def fingerprint_inputs(cls, text: str, times: int) -> str:
        return text

    @classmethod
    def execute(cls, text: str, times: int) -> io.NodeOutput:
        said = text.upper() * times
        about = f"{cls.hidden.unique_id} of {len(cls.hidden.prompt)}, {cls.hidden.dynprompt}"
        return io.NodeOutput(said, ui=ui.PreviewText(f"{said} by {about}"))


class Stateful(io.ComfyNode):
    """Tries to keep something."""

    seen: Any = None

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema("Stateful", inputs=[], outputs=[], is_output_node=True)

    @classmethod
    def execute(cls) -> None:
        cls.seen = 1


class Slow(io.ComfyNode):
    """Asynchronous, with progress and a picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema("Slow", inputs=[io.Int.Input("steps")], outputs=[io.Int.Output()])

    @classmethod
    async def execute(cls, steps: int) -> io.NodeOutput:
        api = ComfyAPI()
        for step in range(steps):
            await asyncio.sleep(0)
            await api.execution.set_progress(step + 1, steps, preview_image=torch.zeros(1, 8, 8, 3))
        return io.NodeOutput(steps)


class Repeat(io.ComfyNode):
    """Becomes a chain of Shout."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            "Repeat",
            inputs=[io.String.Input("text"), io.Int.Input("depth")],
            outputs=[io.String.Output()],
            hidden=[io.Hidden.unique_id],
            enable_expand=True,
        )

    @classmethod
    def execute(cls, text: str, depth: int) -> io.NodeOutput:
        graph: dict[str, Any] = {}
        source: Any = text
        for index in range(depth):
            id = f"{cls.hidden.unique_id}.0.0.{index}"
            graph[id] = {"class_type": "Shout", "inputs": {"text": source, "times": 1}}
            source = [id, 0]
        return io.NodeOutput(source, expand=graph)


class Gate(io.ComfyNode):
    """Lets nothing through when it is shut; what it is told in many ways of returning."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            "Gate",
            inputs=[
                io.Combo.Input("how", options=["shut", "tuple", "dict", "nothing", "number"]),
                io.String.Input("text", lazy=True),
            ],
            outputs=[io.String.Output()],
        )

    @classmethod
    def check_lazy_status(cls, how: str, text: str | None = None) -> list[str]:
        return ["text"] if how in ("tuple", "dict") and text is None else []

    @classmethod
    def execute(cls, how: str, text: str | None = None) -> Any:
        match how:
            case "shut":
                return io.NodeOutput(block_execution="the gate is shut")
            case "tuple":
                return (text,)
            case "dict":
                return {"result": (text,), "ui": {"text": [text]}}
            case "number":
                return 5
            case _:
                return None


class Gather(io.ComfyNode):
    """Inputs that grow, a choice that brings inputs, and types that match."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        kind = io.MatchType.Template("T", [io.String, io.Int])
        return io.Schema(
            "Gather",
            inputs=[
                io.Autogrow.Input("parts", template=io.Autogrow.TemplatePrefix(io.String.Input("part"), "part", min=1)),
                io.DynamicCombo.Input(
                    "mode",
                    options=[
                        io.DynamicCombo.Option("plain", []),
                        io.DynamicCombo.Option("joined", [io.String.Input("by"), io.Boolean.Input("up")]),
                    ],
                ),
                io.MatchType.Input("same", template=kind, optional=True),
            ],
            outputs=[io.String.Output(), io.MatchType.Output(template=kind)],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, parts: dict[str, Any], mode: dict[str, Any], same: Any = None) -> list[str]:
        return [*parts, mode["mode"]]

    @classmethod
    def execute(cls, parts: dict[str, str], mode: dict[str, Any], same: Any = None) -> io.NodeOutput:
        joined = mode.get("by", "").join(parts.values())
        return io.NodeOutput(joined, same, ui={"text": [f"{mode['mode']}: {joined}", sorted(parts)]})


class Lists(io.ComfyNode):
    """Called once with all values; hands its results on one by one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            "Lists",
            inputs=[io.String.Input("text"), io.Int.Input("times")],
            outputs=[io.String.Output(is_output_list=True)],
            is_input_list=True,
        )

    @classmethod
    def execute(cls, text: list[str], times: list[int]) -> io.NodeOutput:
        return io.NodeOutput(text * times[0])


class Paint(io.ComfyNode):
    """Shows pictures, sound and shapes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        kinds = ["image", "mask", "sound", "saved", "png", "webp", "flac"]
        return io.Schema("Paint", inputs=[io.Combo.Input("kind", options=kinds)], outputs=[], is_output_node=True)

    @classmethod
    def execute(cls, kind: str) -> io.NodeOutput:
        images = torch.rand(2, 4, 6, 3)
        sound = {"waveform": torch.zeros(1, 2, 800), "sample_rate": 8000}
        match kind:
            case "image":
                return io.NodeOutput(ui=ui.PreviewImage(images, cls=cls))
            case "mask":
                return io.NodeOutput(ui=ui.PreviewMask(images[..., 0], cls=cls))
            case "sound":
                return io.NodeOutput(ui=ui.PreviewAudio(sound, cls=cls))
            case "saved":
                return io.NodeOutput(ui=ui.ImageSaveHelper.get_save_images_ui(images, "a/b", cls))
            case "png":
                return io.NodeOutput(ui=ui.ImageSaveHelper.get_save_animated_png_ui(images, "p", cls, fps=4))
            case "webp":
                return io.NodeOutput(ui=ui.ImageSaveHelper.get_save_animated_webp_ui(images, "w", cls, fps=4))
            case _:
                return io.NodeOutput(ui=ui.AudioSaveHelper.get_save_audio_ui(sound, "s", cls, format=kind))


class Twins(io.ComfyNode):
    """Two inputs of one name: its schema contradicts itself."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema("Twins", inputs=[io.Int.Input("a"), io.Int.Input("a")], outputs=[])


class Pack(ComfyExtension):
    loaded = False

    async def on_load(self) -> None:
        self.loaded = True

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        assert self.loaded, "on_load comes first"
        return [Everything, Shout, Stateful, Slow, Repeat, Gate, Gather, Lists, Paint, Twins]


async def comfy_entrypoint() -> Pack:
    return Pack()
