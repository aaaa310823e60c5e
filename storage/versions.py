"""What a file held before it was saved over, moved onto or deleted: the last hundred contents of each.

A content is kept by giving its file a second name before the first one goes to the new content, so keeping costs no
copy and nobody can change it afterwards by writing to the file's own name.
"""

import contextlib
import os
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage import atomic

KEEP = 100
FOLDER = ".versions"
_ID = re.compile(r"^\d{8}T\d{6}-\d{6}$")
_FORM = "%Y%m%dT%H%M%S-%f"


@dataclass(frozen=True, slots=True)
class Version:
    """id: sorts by time. saved: when this content was written, seconds since the epoch. size: bytes."""

    id: str
    saved: float
    size: int


class Versions:
    """The earlier contents of the files beneath `root`, kept in a hidden folder there under the files' own names, so
    that a person finds them without this program. Names are relative and already checked."""

    def __init__(self, root: Path, keep: int = KEEP):
        self._folder, self._keep = root / FOLDER, keep

    def of(self, name: str) -> list[Version]:
        """The latest first."""
        folder = self._folder / name
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found = [path for path in folder.iterdir() if _ID.match(path.stem)]
            return [_version(path) for path in sorted(found, reverse=True)]
        return []

    def path(self, name: str, id: str) -> Path:
        """One content. Raises FileNotFoundError."""
        path = self._folder / name / f"{id}{Path(name).suffix}"
        if not _ID.match(id) or not path.is_file():
            raise FileNotFoundError(id)
        return path

    def keep(self, file: Path, name: str) -> None:
        """Before the file's name goes to another content: remember the present one. Nothing if there is none."""
        try:
            written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        except FileNotFoundError:
            return
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            target = folder / f"{written.strftime(_FORM)}{Path(name).suffix}"
            try:
                os.link(file, target)
            except FileExistsError:
                if target.samefile(file):
                    return  # kept before a crash kept its name from going to another
                written += timedelta(microseconds=1)
                continue
            except OSError:  # no second names here (FAT, some network drives)
                atomic.write_over(target, file.read_bytes())
                shutil.copystat(file, target)
            break
        self._prune(folder)

    def move(self, before: str, after: str) -> None:
        """The file was renamed: its past goes with it."""
        source, target = self._folder / before, self._folder / after
        if not source.is_dir() or source == target:
            return
        target.mkdir(parents=True, exist_ok=True)
        for path in source.iterdir():
            path.replace(target / f"{path.stem}{Path(after).suffix}")
        source.rmdir()
        self._prune(target)

    def _prune(self, folder: Path) -> None:
        found = sorted(path for path in folder.iterdir() if _ID.match(path.stem))
        for path in found[: -self._keep]:
            path.unlink(missing_ok=True)


def _version(path: Path) -> Version:
    written = datetime.strptime(path.stem, _FORM).replace(tzinfo=UTC)
    return Version(path.stem, written.timestamp(), path.stat().st_size)
