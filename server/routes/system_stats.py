"""`/system_stats`: what machine this is."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from execution.workers.worker import NoAnswer, Worker
from server.problems import json_response

# Seconds. A worker whose node holds the interpreter answers late or never; what it said last is nearly as good.
_FIRST, _AGAIN = 2.0, 0.05
_SECRET_FLAGS = ("--token",)


class SystemStatsRoutes:
    """The worker knows versions and devices; while it does not answer, its last word stands."""

    def __init__(self, workers: Sequence[Worker], arguments: Sequence[str]):
        self._workers, self._arguments = workers, without_secrets(arguments)
        self._last: Mapping[str, Any] | None = None

    def table(self) -> list[web.RouteDef]:
        return [web.get("/system_stats", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        for worker in self._workers:
            try:
                self._last = await worker.system(_FIRST if self._last is None else _AGAIN)
                break
            except NoAnswer:
                continue
        known = self._last or _without_worker()
        return json_response({**known, "system": {**known["system"], "argv": self._arguments}})


def without_secrets(arguments: Sequence[str]) -> list[str]:
    shown: list[str] = []
    for argument in arguments:
        flag, equals, _ = argument.partition("=")
        if shown and shown[-1] in _SECRET_FLAGS:
            shown.append("***")
        else:
            shown.append(f"{flag}=***" if equals and flag in _SECRET_FLAGS else argument)
    return shown


def _without_worker() -> dict[str, Any]:
    """What this process can tell on its own. Clients read `devices[0]`, so there is one."""
    total = free = 0
    if hasattr(os, "sysconf"):
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = os.sysconf("SC_PHYS_PAGES") * page, os.sysconf("SC_AVPHYS_PAGES") * page
    device = {
        "name": "starting",
        "type": "cpu",
        "index": None,
        "vram_total": total,
        "vram_free": free,
        "torch_vram_total": total,
        "torch_vram_free": free,
    }
    system = {
        "os": os.name,
        "ram_total": total,
        "ram_free": free,
        "comfyui_version": "0.3.64",  # the version whose protocol we speak; tools compare it
        "required_frontend_version": "1.27.10",
        "python_version": sys.version,
        "pytorch_version": "",
        "embedded_python": False,
    }
    return {"system": system, "devices": [device]}
