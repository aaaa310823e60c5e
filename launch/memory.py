"""Who keeps networks: on a card its residency, on the processor a keeper that leaves them where they are."""

import logging
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import psutil
import torch
from torch import nn

from diffusion.memory.cuda import CudaDevice
from diffusion.memory.device import Device
from diffusion.memory.in_place import InPlace
from diffusion.memory.measured import Measured
from diffusion.memory.outlook import needs_in
from diffusion.memory.residency import Policy, Residency
from diffusion.memory.work import Need
from diffusion.store import Keepers
from execution.node_run import executing
from launch.settings import Settings

log = logging.getLogger(__name__)

RESERVE = int((1.4 if sys.platform == "win32" else 1.2) * 2**30)
"""What the desktop, other programs and the driver's own rounding take of a card."""
SHARE_FOR_MODELS = 0.5
"""Of this machine's memory, for weights that nobody holds at the moment."""


def card(settings: Settings) -> Device | None:
    """The card to compute on; None for the processor."""
    if settings.devices.cpu or not torch.cuda.is_available():
        return None
    return CudaDevice(torch.cuda.current_device(), settings.memory.limit)


def keepers(settings: Settings, device: Device | None) -> Keepers:
    """device: as `card` finds it."""
    in_place = InPlace(lambda: psutil.virtual_memory().available, tell)
    if device is None:
        return Keepers(in_place)
    memory = settings.memory
    policy = Policy(RESERVE if memory.reserve is None else memory.reserve, memory.share, memory.keep)
    measured = Measured(settings.paths.state / "measured.json")
    residency = Residency(device, policy, tell, upcoming_needs, measured)
    return Keepers(residency, in_place if settings.devices.cpu_autoencoder else None)


def tell(sentence: str) -> None:
    """Into the notes of the running job, once, beside its node while people look, and into the log."""
    log.info("%s", sentence)
    run = executing.get()
    if run is not None and sentence not in run.voice.notes:
        run.note(sentence)
        run.text(sentence)


def upcoming_needs() -> Sequence[Need]:
    """What the rest of the running job needs, and the next one."""
    run = executing.get()
    return () if run is None else needs_in(run.upcoming())


def reported(found: Keepers, recent: Collection[nn.Module]) -> Mapping[str, Any]:
    """What `/v1/memory` shows: the card, if there is one, and every model. recent: what the store keeps."""
    reports = [keeper.report(recent) for keeper in found.all]
    return {
        "device": next((report["device"] for report in reports if report["device"] is not None), None),
        "models": [model for report in reports for model in report["models"]],
    }


def unloading(found: Keepers, forget: Callable[[], None]) -> Callable[[], None]:
    """Gives all memory of models back. forget: has the store let go of networks that nobody holds."""

    def unload() -> None:
        forget()
        for keeper in found.all:
            keeper.unload()

    return unload
