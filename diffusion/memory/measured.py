"""What work of some kind and size took the last time, kept on disk: better than any estimate."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any, cast

_MOST = 1000
"""Entries; the oldest go first."""


class Measured:
    """path: a JSON file of key → bytes; None keeps nothing beyond this process. A file that cannot be read or written
    costs the memory of it, and nothing else."""

    def __init__(self, path: Path | None = None):
        self._path = path
        self._bytes: dict[str, int] | None = None

    def get(self, key: str) -> int | None:
        return self._all().get(key)

    def note(self, key: str, size: int) -> None:
        """key: empty for work that is like no other, which is not remembered."""
        if not key:
            return
        known = self._all()
        # Peaks differ by a few kilobytes from run to run; that is not worth a write.
        if abs(known.get(key, 0) - size) <= size // 100:
            return
        known.pop(key, None)
        known[key] = size
        while len(known) > _MOST:
            del known[next(iter(known))]
        self._save(known)

    def _all(self) -> dict[str, int]:
        if self._bytes is None:
            self._bytes = _read(self._path)
        return self._bytes

    def _save(self, known: dict[str, int]) -> None:
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self._path.with_suffix(".unfinished")
            unfinished.write_text(json.dumps(known, indent=1), encoding="utf-8")
            os.replace(unfinished, self._path)


def _read(path: Path | None) -> dict[str, int]:
    try:
        found: Any = {} if path is None else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        key: size
        for key, size in cast(dict[Any, Any], found).items()
        if isinstance(key, str) and isinstance(size, int) and size >= 0
    }
