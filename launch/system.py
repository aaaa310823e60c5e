"""What machine this is, as `/system_stats` tells it. Runs where torch is: in the worker."""

import os
import sys
from collections.abc import Mapping
from typing import Any

import psutil
import torch

from launch.settings import Settings

# Tools compare this with versions of the program whose protocol we speak; it says which one we are level with.
PROTOCOL_VERSION = "0.3.64"
FRONT_END_VERSION = "1.27.10"


def system(settings: Settings) -> Mapping[str, Any]:
    """Versions, memory in bytes and devices, the one that runs models first."""
    memory = psutil.virtual_memory()
    return {
        "system": {
            "os": os.name,
            "ram_total": memory.total,
            "ram_free": memory.available,
            "comfyui_version": PROTOCOL_VERSION,
            "required_frontend_version": FRONT_END_VERSION,
            "python_version": sys.version,
            "pytorch_version": torch.__version__,
            "embedded_python": False,
            "argv": list(settings.arguments),
        },
        "devices": [device(settings)],
    }


def device(settings: Settings) -> dict[str, Any]:
    if torch.cuda.is_available() and not settings.devices.cpu:
        free, total = torch.cuda.mem_get_info()
        reserved = torch.cuda.memory_reserved()
        unused = reserved - torch.cuda.memory_allocated()
        name = f"cuda:{torch.cuda.current_device()} {torch.cuda.get_device_name()}"
        return described(name, "cuda", torch.cuda.current_device(), total, free, reserved, unused)
    memory = psutil.virtual_memory()
    return described("cpu", "cpu", None, memory.total, memory.available, memory.total, memory.available)


def described(name: str, kind: str, index: int | None, total: int, free: int, ours: int, unused: int) -> dict[str, Any]:
    """One entry of `devices`; sizes in bytes. ours, unused: what the allocator holds, and of that what is idle."""
    return {
        "name": name,
        "type": kind,
        "index": index,
        "vram_total": total,
        "vram_free": free,
        "torch_vram_total": ours,
        "torch_vram_free": unused,
    }
