"""Pieces of data that may be found again after a restart, by name: bounded in bytes and age, and checked when read.

The checksum of a piece is part of its file's name, so the file itself is nothing but the piece. What does not match,
cannot be read or is gone is a miss. Losing any of it costs time and nothing else, so nothing here waits for the disk.
"""

import contextlib
import hashlib
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from storage import atomic

log = logging.getLogger(__name__)

MONTH = 30 * 24 * 3600.0
RESERVE = 2 * 2**30  # bytes of the disk that are left to others
_FILE = re.compile(r"^(?P<key>[0-9a-f]{8,128})\.(?P<check>[0-9a-f]{32})$")


@dataclass(slots=True)
class _Held:
    path: Path
    size: int
    used: float


class Blobs:
    """One folder of pieces. edition: a folder in it; pieces of another are not found here, and age beside these.
    budget: bytes. age: seconds since the last use after which a piece goes. Keys are hexadecimal. May be used from
    several threads; processes that share a folder take pieces from each other, which are misses then."""

    def __init__(
        self,
        folder: Path,
        edition: str,
        budget: int,
        age: float = MONTH,
        clock: Callable[[], float] = time.time,
        free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    ):
        self._folder, self._edition, self._budget, self._age = folder, edition, budget, age
        self._clock, self._free = clock, free
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._bytes = 0

    def open(self) -> None:
        """See what there is, and make room."""
        (self._folder / self._edition).mkdir(parents=True, exist_ok=True)
        for place in self._folder.iterdir():
            if place.is_dir():
                atomic.sweep(place, older_than=3600)
                self._look(place)
        with self._lock:
            self._make_room(0)

    def _look(self, place: Path) -> None:
        for path in place.iterdir():
            if found := _FILE.match(path.name):
                with contextlib.suppress(OSError):
                    stat = path.stat()
                    self._add(f"{place.name}/{found['key']}", _Held(path, stat.st_size, stat.st_mtime))

    @property
    def size(self) -> int:
        """Bytes of all pieces together."""
        return self._bytes

    def __contains__(self, key: object) -> bool:
        return f"{self._edition}/{key}" in self._held

    def get(self, key: str) -> bytes | None:
        """The piece, unchanged; None when there is none that is."""
        name = f"{self._edition}/{key}"
        with self._lock:
            held = self._held.get(name)
        if held is None:
            return None
        try:
            data = held.path.read_bytes()
        except OSError:
            data = b""
        if _file_name(key, data) != held.path.name:
            log.warning("A kept result is damaged and will be made again: %s", held.path.name)
            with self._lock:
                if name in self._held:
                    self._drop(name)
            return None
        held.used = self._clock()
        with contextlib.suppress(OSError):
            os.utime(held.path, (held.used, held.used))
        return data

    def put(self, key: str, data: bytes) -> bool:
        """Keep a piece, at the price of those not used for longest. False when it was not kept."""
        if len(data) > self._budget or key in self:
            return False
        path = self._folder / self._edition / _file_name(key, data)
        try:
            with self._lock:
                self._make_room(len(data))
                if self._free(self._folder) - len(data) < RESERVE:
                    return False
            with atomic.partial(path.parent) as (file, part):
                file.write(data)
                atomic.finish(file, durable=False)
                atomic.publish_over(part, path, durable=False)
        except OSError as error:
            log.warning("A result could not be kept on disk: %s", error)
            return False
        with self._lock:
            self._add(f"{self._edition}/{key}", _Held(path, len(data), self._clock()))
        return True

    def _make_room(self, wanted: int) -> None:
        too_old = self._clock() - self._age
        for name in sorted(self._held, key=lambda name: self._held[name].used):
            enough = self._bytes + wanted <= self._budget and self._free(self._folder) - wanted >= RESERVE
            if enough and self._held[name].used >= too_old:
                return
            self._drop(name)

    def _add(self, name: str, held: _Held) -> None:
        self._held[name] = held
        self._bytes += held.size

    def _drop(self, name: str) -> None:
        held = self._held.pop(name)
        self._bytes -= held.size
        with contextlib.suppress(OSError):
            held.path.unlink()


def _file_name(key: str, data: bytes) -> str:
    return f"{key}.{hashlib.blake2b(data, digest_size=16).hexdigest()}"
