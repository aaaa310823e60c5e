"""A file on its way in: bytes as they come, into a hidden file, until it is known what becomes of it."""

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Self

from storage import atomic


class Incoming:
    """`write` as it comes, `finish`, then publish `path`; leaving the `with` removes what was not published.

    Memory does not grow with the file. All methods block on the disk: call them in a thread."""

    def __init__(self, folder: Path):
        self._scope = contextlib.ExitStack()
        self._file, self.path = self._scope.enter_context(atomic.partial(folder))
        self.size = 0

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self.size += len(chunk)

    def flush(self) -> None:
        """Make what came readable at `path`."""
        self._file.flush()

    def finish(self) -> None:
        """Everything came. The file is on the disk and closed."""
        atomic.finish(self._file)

    def discard(self) -> None:
        """Forget what came. Harmless after publishing."""
        self._scope.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()
