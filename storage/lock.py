"""Keeps a second server off the same data."""

import os
import sys
from pathlib import Path
from typing import IO

# On Windows a locked byte cannot be read by others: lock one far behind the text.
FAR = 1 << 30


class AlreadyInUse(RuntimeError):
    """Another process works with this data. pid: its id; None when it could not be read."""

    def __init__(self, path: Path, pid: int | None):
        self.path, self.pid = path, pid
        owner = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{path.parent} is in use by {owner}: stop it, or choose another directory")


class FileLock:
    """Held from `take` to `release`, or until the process ends in whatever way; the file itself stays."""

    def __init__(self, path: Path):
        self._path = path
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raises AlreadyInUse."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+", encoding="ascii")
        try:
            _lock(file)
        except OSError as error:
            file.seek(0)
            text = file.read(32).strip()
            file.close()
            raise AlreadyInUse(self._path, int(text) if text.isdecimal() else None) from error
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _lock(file: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
