"""`/object_info` as bytes: made in a thread, kept until a node or a listed file changes."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from execution.object_info import describe, describe_all
from execution.spec import Declaration
from execution.workers.worker import NoAnswer
from server.messages import dumps
from server.problems import RequestError
from server.services import Catalogue
from storage.folders import Folders

# Seconds for the worker's word: at the very first start, before which nothing is known, and when only its choices may
# have changed. In that case we wait for a moment; the question goes on without us, and whoever asks next has its
# answer: a node that holds the interpreter must not hold up the editor.
FIRST, AGAIN, MOMENT = 30.0, 2.0, 0.06


@dataclass(frozen=True, slots=True)
class Described:
    body: bytes
    etag: str
    catalogue: Mapping[str, Declaration]
    listings: Mapping[str, Sequence[str]]


class Definitions:
    """What the nodes look like, with the choices that are files listed afresh."""

    def __init__(self, catalogue: Catalogue, folders: Folders):
        self._catalogue, self._folders = catalogue, folders
        self._last: Described | None = None
        self._making = asyncio.Lock()
        self._asking: asyncio.Task[Mapping[str, Declaration]] | None = None

    async def all(self) -> Described:
        """Every node. Asking again while nothing changed costs a look at the folders' time stamps.

        Raises RequestError 503 when no worker has ever said which nodes there are."""
        async with self._making:
            self._last = await asyncio.to_thread(self._refresh, await self._known(), self._last)
            return self._last

    async def one(self, id: str) -> bytes:
        """One node, `{id: entry}`; `{}` for an unknown one. Raises RequestError 503 as `all`."""
        declaration = (await self._known()).get(id)
        if declaration is None:
            return b"{}"
        return await asyncio.to_thread(lambda: dumps({id: describe(declaration, self._listing)}).encode())

    async def _known(self) -> Mapping[str, Declaration]:
        known = self._catalogue.current()
        if known and not has_moving_choices(known):
            return known
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._catalogue.refresh(AGAIN if known else FIRST))
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may come for it
        await asyncio.wait({self._asking}, timeout=MOMENT if known else None)
        if known and (not self._asking.done() or self._asking.exception() is not None):
            return known
        try:
            return self._asking.result()
        except NoAnswer as silent:
            raise RequestError(
                503, "nodes_unknown", "The worker has not yet said which nodes there are; ask again", str(silent)
            ) from None

    def _refresh(self, catalogue: Mapping[str, Declaration], last: Described | None) -> Described:
        names = (
            last.listings.keys()
            if last is not None and last.catalogue is catalogue
            else {spec.choices_from for node in catalogue.values() for spec in node.inputs if spec.choices_from}
        )
        listings = {name: self._listing(name) for name in names}
        if last is not None and last.catalogue is catalogue and last.listings == listings:
            return last
        body = dumps(describe_all(catalogue, listings.__getitem__)).encode()
        return Described(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', catalogue, listings)

    def _listing(self, name: str) -> list[str]:
        try:
            return self._folders.listing(name)
        except KeyError:
            return []  # a pack's kind of model that has no folder here


def has_moving_choices(catalogue: Mapping[str, Declaration]) -> bool:
    """Whether some third-party node makes up its choices in code, so that they may be others at every question."""
    return any(
        spec.choices is not None and spec.choices_from is None
        for node in catalogue.values()
        if node.pack.startswith("custom_nodes.")
        for spec in node.inputs
    )
