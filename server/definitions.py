"""`/object_info` as bytes: made in a thread, kept until a node or a listed file changes."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from execution.object_info import describe, describe_all
from execution.spec import Declaration
from server.messages import dumps
from server.services import Catalogue
from storage.folders import Folders


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
        """Every node. Asking again while nothing changed costs a look at the folders' time stamps."""
        async with self._making:
            self._last = await asyncio.to_thread(self._refresh, self._catalogue.current(), self._last)
            return self._last

    async def one(self, id: str) -> bytes:
        """One node, `{id: entry}`; `{}` for an unknown one."""
        declaration = self._catalogue.current().get(id)
        if declaration is None:
            return b"{}"
        return await asyncio.to_thread(lambda: dumps({id: describe(declaration, self._listing)}).encode())

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
