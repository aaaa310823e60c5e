"""Work that was not saved: what an editor holds, written down every second, and given back after a crash of either.

A draft belongs to one tab of an editor, which names it; which file it will become is the editor's to say. It is on
disk when `put` returns.
"""

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storage import atomic

FOLDER = ".drafts"
MOST = 100  # of one user; the oldest go
_ID = re.compile(r"^[A-Za-z0-9_-]{1,64}$")


class BadDraftId(ValueError):
    def __init__(self, id: str):
        super().__init__(f"a draft's id is 1 to 64 letters, digits, - and _; received {id[:80]!a}")


class Drafts:
    """The drafts of one user. root: the user's folder. All methods block on the disk."""

    def __init__(self, root: Path, most: int = MOST):
        self._folder, self._most = root / FOLDER, most

    def all(self) -> list[tuple[str, float, dict[str, Any]]]:
        """Id, time of writing (seconds since the epoch) and content of each, the latest first. What cannot be read is
        left out."""
        found: list[tuple[str, float, dict[str, Any]]] = []
        for path in self._by_age():
            with contextlib.suppress(OSError, ValueError):
                found.append((path.stem, path.stat().st_mtime, json.loads(path.read_bytes())))
        return found[::-1]

    def get(self, id: str) -> Any:
        """Raises FileNotFoundError or BadDraftId."""
        return json.loads(self._path(id).read_bytes())

    def put(self, id: str, content: Mapping[str, Any]) -> float:
        """Write a draft over the last of its id. Returns the time of writing. Raises BadDraftId."""
        path = self._path(id)
        atomic.write_over(path, json.dumps(content).encode())
        for old in self._by_age()[: -self._most]:
            old.unlink(missing_ok=True)
        return path.stat().st_mtime

    def delete(self, id: str) -> bool:
        """False when there is none. Raises BadDraftId."""
        try:
            self._path(id).unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, id: str) -> Path:
        if not _ID.match(id):
            raise BadDraftId(id)
        return self._folder / f"{id}.json"

    def _by_age(self) -> list[Path]:
        """The oldest first."""
        aged: list[tuple[int, Path]] = []
        with contextlib.suppress(FileNotFoundError):
            for path in self._folder.glob("*.json"):
                with contextlib.suppress(FileNotFoundError):
                    aged.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(aged)]
