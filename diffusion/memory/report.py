"""What `/v1/memory` shows of a device: plain data, sizes in bytes."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from diffusion.memory.device import Device
from diffusion.memory.home import Home


def reported(
    device: Device,
    networks: Sequence[tuple[str, int, Home | None]],
    busy: Collection[Home],
    next_uses: Mapping[Home, int],
) -> Mapping[str, Any]:
    """networks: name, size and home, None for one that has not run yet. next_uses: how many runs ahead, if known."""
    return {
        "device": {"name": device.name, "capacity": device.capacity, "used": device.used(), "free": device.free()},
        "models": [
            on_host(name, size)
            if home is None
            else {
                "name": name,
                "running": home in busy,
                "bytes": {"host": size + home.staged, "device": home.present},
                "last_use": None if home.last_time is None else datetime.fromtimestamp(home.last_time, UTC).isoformat(),
                "next_use": next_uses.get(home),
            }
            for name, size, home in networks
        ],
    }


def on_host(name: str, size: int) -> Mapping[str, Any]:
    """A network of which nothing is on a device."""
    return {"name": name, "running": False, "bytes": {"host": size, "device": 0}, "last_use": None, "next_use": None}
