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

# Seconds to wait for the worker's word: at the very first start, before which nothing is known, and when only its
# choices may have changed.
FIRST, MOVING = 30.0, 1.0


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
        try:
            return await self._catalogue.refresh(MOVING if known else FIRST)
        except NoAnswer as silent:
            if known:
                return known
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
