"""Files that a running job has saved and that no answer names yet.

They are written down before they get their names. When a job is begun again, what its last attempt saved goes: it was
never part of a result, and would stand beside its own twin. Once a job is filed, its files are its result.
"""

import contextlib
import hashlib
import json
import os
import threading
from pathlib import Path

Mark = tuple[str, int, int, int]
"""Path, device, inode and time of writing: a file of that name which is another is left alone."""


class Unpublished:
    """One small file for each job that has saved something. folder: where these are."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._begun: set[str] = set()  # jobs of this process
        self._lock = threading.Lock()

    def note(self, job: str, part: Path, target: Path) -> None:
        """A written file is about to be called `target`. Returns once that is on disk; the first time for a job, what
        an earlier attempt of it saved is removed."""
        stat = part.stat()
        mark: Mark = (str(target), stat.st_dev, stat.st_ino, stat.st_mtime_ns)
        with self._lock:
            path = self._path(job)
            if job not in self._begun:
                self._begun.add(job)
                self._collect(path)
                self._folder.mkdir(parents=True, exist_ok=True)
            with path.open("ab", buffering=0) as file:
                file.write(json.dumps([job, mark]).encode() + b"\n")
                os.fsync(file.fileno())

    def settle(self, job: str) -> None:
        """The job is filed; its files are its own."""
        self._path(job).unlink(missing_ok=True)

    def jobs(self) -> set[str]:
        """Those that have saved something and were not settled."""
        found: set[str] = set()
        with contextlib.suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                found |= {job for job, _ in _marks(path)}
        return found

    def _collect(self, path: Path) -> None:
        for _, (name, *identity) in _marks(path):
            with contextlib.suppress(OSError):
                stat = os.stat(name, follow_symlinks=False)
                if [stat.st_dev, stat.st_ino, stat.st_mtime_ns] == identity:
                    os.unlink(name)
        path.unlink(missing_ok=True)

    def _path(self, job: str) -> Path:
        return self._folder / hashlib.blake2b(job.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _marks(path: Path) -> list[tuple[str, Mark]]:
    found: list[tuple[str, Mark]] = []
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError):  # what a kill left of a line
                job, mark = json.loads(line)
                found.append((job, mark))
    return found
