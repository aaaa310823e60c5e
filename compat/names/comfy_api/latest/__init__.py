"""What a pack of the newer style imports."""

from comfy_api.latest import io, ui
from comfy_api.latest.api import Caching, ComfyAPI, ComfyAPIBase, ComfyAPISync
from comfy_api.latest.extension import ComfyExtension
from comfy_api.latest.media import Input, InputImpl, Types

IO = comfy_io = io
UI = ui

__all__ = [
    "IO",
    "UI",
    "Caching",
    "ComfyAPI",
    "ComfyAPIBase",
    "ComfyAPISync",
    "ComfyExtension",
    "Input",
    "InputImpl",
    "Types",
    "comfy_io",
    "io",
    "ui",
]
