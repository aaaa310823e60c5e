"""Which nodes there are, as the server knows it: asked of the worker, and kept on disk for the time before it answers.

A worker needs seconds to start. The editor and a submit must not wait for that when nothing has changed since the last
run of the program.
"""

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from execution.catalogue import from_plain, to_plain
from execution.spec import Declaration
from execution.workers.worker import NoAnswer, Worker

log = logging.getLogger(__name__)


class KnownNodes:
    """path: where the catalogue is kept; its directory is made. deadline: seconds for one question; pause: between
    questions until the first answer."""

    def __init__(self, workers: Sequence[Worker], path: Path, deadline: float = 10, pause: float = 1):
        self._workers = tuple(workers)
        self._path = path
        self._deadline = deadline
        self._pause = pause
        self._nodes: Mapping[str, Declaration] = {}
        self._answered_at = float("-inf")
        self._following: asyncio.Task[None] | None = None
        self._asking = asyncio.Lock()

    def current(self) -> Mapping[str, Declaration]:
        """Every node known; the same object as long as nothing changed."""
        return self._nodes

    def load(self) -> None:
        """Take what an earlier run has kept; without it, or if it is damaged, nothing is known yet."""
        try:
            self._nodes = from_plain(json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            log.warning("The kept catalogue of nodes cannot be used: %s", error)

    async def start(self) -> None:
        """Begin to ask the worker, as soon as it can answer."""
        self._following = asyncio.create_task(self._follow(), name="catalogue of nodes")

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following

    async def refresh(self, deadline: float | None = None, older_than: float = 0) -> Mapping[str, Declaration]:
        """Ask now, unless the last answer is younger than that. deadline, older_than: seconds.
        Raises NoAnswer; what was known before is then still `current`."""
        async with self._asking:
            if time.monotonic() - self._answered_at < older_than:
                return self._nodes
            fresh = await self._ask(self._deadline if deadline is None else deadline)
            self._answered_at = time.monotonic()
            if fresh != self._nodes:
                self._nodes = fresh
                await asyncio.to_thread(self._keep, fresh)
            return self._nodes

    async def _ask(self, deadline: float) -> Mapping[str, Declaration]:
        reason = NoAnswer("there is no worker")
        for worker in self._workers:
            try:
                return dict(await worker.catalogue(deadline))
            except NoAnswer as error:
                reason = error
        raise reason

    async def _follow(self) -> None:
        while True:
            try:
                await self.refresh()
                return
            except NoAnswer as silent:
                log.debug("The catalogue of nodes is not known yet: %s", silent)
            await asyncio.sleep(self._pause)

    def _keep(self, nodes: Mapping[str, Declaration]) -> None:
        part = self._path.with_name(f".{self._path.name}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(to_plain(nodes)), encoding="utf-8")
            os.replace(part, self._path)
        except OSError as error:
            log.warning("The catalogue of nodes cannot be kept: %s", error)
