"""What `/v1/memory` shows of networks: plain data, sizes in bytes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from diffusion.memory.device import Device
from diffusion.memory.home import Home


def of_device(device: Device) -> Mapping[str, Any]:
    return {"name": device.name, "capacity": device.capacity, "used": device.used(), "free": device.free()}


def of_network(
    name: str,
    size: int,
    *,
    recent: bool,
    home: Home | None = None,
    running: bool = False,
    next_use: int | None = None,
) -> Mapping[str, Any]:
    """size: on the host. recent: the store keeps it whether or not anybody else does. home: None for a network of which
    nothing was ever on a device. next_use: how many runs ahead, where known."""
    at = None if home is None else home.last_time
    return {
        "name": name,
        "held_by": "running job" if running else "recently opened" if recent else "a result",
        "bytes": {"host": size + (home.staged if home else 0), "device": home.present if home else 0},
        "last_use": None if at is None else datetime.fromtimestamp(at, UTC).isoformat(),
        "next_use": next_use,
    }
