"""What packs bring besides nodes: asked of the worker, and kept on disk for the time before it answers.

So the page finds the packs' scripts while the packs are still being imported.
"""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from execution.packs import PackFacts
from execution.workers.codec import codec
from execution.workers.worker import NoAnswer, Worker

log = logging.getLogger(__name__)

_CODEC = codec(PackFacts)


class KnownPacks:
    """path: where facts are kept; its directory is made. deadline: seconds for one question. pause: between questions
    until the first answer. patience: seconds that packs may look at one prompt; start: and if their worker is only
    just starting, as much for that."""

    def __init__(
        self,
        worker: Worker,
        path: Path,
        deadline: float = 10,
        pause: float = 1,
        patience: float = 5,
        start: float = 90,
    ):
        self._worker = worker
        self._path = path
        self._deadline = deadline
        self._pause = pause
        self._patience = patience
        self._start = start
        self._facts = PackFacts()
        self._known = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    def current(self) -> PackFacts:
        return self._facts

    def web(self) -> dict[str, Path]:
        return {name: Path(folder) for name, folder in self._facts.web.items()}

    def load(self) -> None:
        """Take what an earlier run has kept. Nobody answers at its door any more."""
        try:
            self._facts = replace(_CODEC.decode(json.loads(self._path.read_bytes()), ()), door=None)
            self._known.set()
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            log.warning("What was kept about packs cannot be used: %s", error)

    async def start(self) -> None:
        """Begin to ask the worker, as soon as it can answer."""
        self._following = asyncio.create_task(self._follow(), name="facts about packs")

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following

    async def known(self, deadline: float) -> PackFacts:
        """As `current`, but the very first start of all waits until there is something to know. deadline: seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._known.wait(), deadline)
        return self._facts

    async def refresh(self, deadline: float | None = None) -> PackFacts:
        """Ask now. Raises NoAnswer; what was known before is then still `current`."""
        facts = await self._worker.packs(self._deadline if deadline is None else deadline)
        changed = replace(facts, door=None) != replace(self._facts, door=None)
        self._facts = facts
        self._known.set()
        if changed:
            await asyncio.to_thread(self._keep, facts)
        return facts

    async def handle(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A prompt's body as the packs want it. One that does not answer in time is passed over."""
        if not self._facts.handles_prompts:
            return body
        # A prompt that came a moment too early must not mean something else than the same prompt a moment later.
        is_up = self._worker.state in ("idle", "busy")
        try:
            return await self._worker.handle(body, self._patience if is_up else self._start)
        except NoAnswer as silent:
            log.warning("A prompt is used as it came, without the packs that wanted to see it: %s", silent)
            return body

    async def _follow(self) -> None:
        while True:
            try:
                await self.refresh()
                return
            except NoAnswer as silent:
                log.debug("Nothing is known of packs yet: %s", silent)
            await asyncio.sleep(self._pause)

    def _keep(self, facts: PackFacts) -> None:
        part = self._path.with_name(f".{self._path.name}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(_CODEC.plain(facts, [])), encoding="utf-8")
            os.replace(part, self._path)
        except OSError as error:
            log.warning("What is known of packs cannot be kept: %s", error)
