"""Results on disk (`--cache-disk`): what the executor keeps beyond the life of its process.

Writing happens in a thread of its own; when it cannot keep up, results are left out rather than waited for.
"""

import hashlib
import logging
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from queue import Full, Queue
from typing import Any

from nodes import kept
from storage.blobs import Blobs

log = logging.getLogger(__name__)

WAITING = 16  # results that wait to be written


class DiskShelf:
    """As `execution.cache.Shelf` wants one. Signatures are hexadecimal."""

    def __init__(self, blobs: Blobs):
        self._blobs = blobs
        self._waiting: Queue[tuple[str, kept.Slots]] = Queue(WAITING)
        threading.Thread(target=self._write, name="results-to-disk", daemon=True).start()

    def __contains__(self, signature: object) -> bool:
        return signature in self._blobs

    def get(self, signature: str) -> list[list[Any]] | None:
        data = self._blobs.get(signature)
        if data is None:
            return None
        try:
            return kept.read(data)
        except ValueError as error:
            log.warning("A kept result cannot be read: %s", error)
            return None

    def put(self, signature: str, types: Sequence[object], slots: kept.Slots) -> None:
        if not kept.may_keep(types) or signature in self._blobs:
            return
        try:
            self._waiting.put_nowait((signature, slots))
        except Full:
            log.debug("The disk cannot keep up; a result is not kept")

    def settle(self) -> None:
        """Return when everything that was put is on disk, or was found unfit."""
        self._waiting.join()

    def _write(self) -> None:
        while True:
            signature, slots = self._waiting.get()
            try:
                self._blobs.put(signature, kept.write(slots))
            except kept.CannotKeep:
                pass  # a handle in a conditioning, a hook of a pack
            except Exception:
                log.exception("A result could not be written")
            del slots
            self._waiting.task_done()


def edition(sources: Iterable[Path], *facts: object) -> str:
    """A word for everything a result depends on that its signature does not name: the programs that make it (all Python
    files beneath `sources`) and facts about how they run."""
    hashed = hashlib.blake2b(repr(facts).encode(), digest_size=10)
    for folder in sources:
        for path in sorted(folder.rglob("*.py")):
            stat = path.stat()
            hashed.update(f"{path}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return hashed.hexdigest()
