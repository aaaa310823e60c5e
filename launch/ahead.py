"""Reads the model files of the job that comes next from disk while another runs, so that they are in memory by then."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from execution.job import Job
from storage.folders import Folders

KINDS = ("checkpoints", "diffusion_models", "text_encoders", "vae", "loras", "controlnet", "upscale_models")


class ReadAhead:
    """free: bytes of memory that nobody uses. Files that do not fit in half of it are left on disk. read: has the
    system read a file into its cache, and returns at once."""

    def __init__(self, folders: Folders, free: Callable[[], int], read: Callable[[Path], None] | None = None):
        self._folders, self._free, self._read = folders, free, read or advise
        self._last: tuple[Path, ...] = ()

    def __call__(self, job: Job) -> None:
        found = tuple(dict.fromkeys(self._files(job.graph)))
        if found == self._last:
            return
        self._last = found
        room = self._free() // 2
        for path in found:
            with contextlib.suppress(OSError):  # it is only ahead of time
                size = path.stat().st_size
                if size <= room:
                    room -= size
                    self._read(path)

    def _files(self, graph: Mapping[str, Any]) -> Iterator[Path]:
        """Files of models that constants of the graph name."""
        for node in graph.values():
            for value in dict(node.get("inputs", {})).values():
                if isinstance(value, str) and "." in value and "\n" not in value:
                    paths = (self._folders.find(kind, value) for kind in KINDS)
                    yield from (path for path in paths if path is not None and path.is_file())


def advise(path: Path) -> None:
    """Where the system takes such advice; elsewhere nothing happens."""
    if hasattr(os, "posix_fadvise"):
        file = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(file)
