"""Files that belong to one user: workflows, style sheets, whatever the editor and packs keep."""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from storage import atomic
from storage.incoming import Incoming
from storage.names import BadName, beneath, parts


@dataclass(frozen=True, slots=True)
class FileInfo:
    """path: relative, "/" between its parts. size: bytes. modified, created: seconds since the epoch."""

    path: str
    size: int
    modified: float
    created: float

    def shown(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a recursive listing. size, modified: None for a folder."""

    name: str
    path: str
    size: int | None = None
    modified: float | None = None

    def shown(self) -> dict[str, Any]:
        if self.size is None:
            return {"name": self.name, "path": self.path, "type": "directory"}
        return {
            "name": self.name,
            "path": self.path,
            "type": "file",
            "size": self.size,
            "modified": self.modified,
        }


class UserData:
    """The files beneath one user's folder. Names are relative to it; BadName for those that lead outside.

    All methods block on the disk."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, name: str) -> Path:
        if not parts(name):
            raise BadName(name, "is no file name")
        return beneath(self.folder, name)

    def files(self, directory: str, recurse: bool = False) -> list[FileInfo]:
        """Files of a folder, sorted, paths relative to it. Raises FileNotFoundError."""
        root = beneath(self.folder, directory)
        if not root.is_dir():
            raise FileNotFoundError(directory)
        return [_info(path, root) for path in sorted(_walk(root) if recurse else _files(root))]

    def tree(self, directory: str) -> list[Entry]:
        """Everything beneath a folder, folders first, then by name; paths relative to the user's folder.

        Raises FileNotFoundError and NotADirectoryError; the user's own folder may be missing, and is then empty."""
        root = beneath(self.folder, directory)
        if not root.exists():
            if root == self.folder.resolve():
                return []
            raise FileNotFoundError(directory)
        if not root.is_dir():
            raise NotADirectoryError(directory)
        rows: list[Entry] = []
        home = self.folder.resolve()
        for here, folders, files in os.walk(root):
            at = Path(here)
            rows += [Entry(name, (at / name).relative_to(home).as_posix()) for name in folders if name[:1] != "."]
            folders[:] = [name for name in folders if name[:1] != "."]
            for name in files:
                if not name.startswith("."):
                    info = _info(at / name, home)
                    rows.append(Entry(name, info.path, info.size, info.modified))
        return sorted(rows, key=lambda row: (row.size is not None, row.path.lower()))

    def receive(self) -> Incoming:
        """Begin to receive a file for `store`."""
        return Incoming(self.folder)

    def store(self, incoming: Incoming, name: str, overwrite: bool = True) -> FileInfo:
        """Put what came in its place. Raises FileExistsError when it is taken and must not be replaced."""
        target = self.path(name)
        self._make_room(target, name)
        incoming.finish()
        if overwrite:
            atomic.publish_over(incoming.path, target)
        else:
            atomic.publish_new(incoming.path, target)
        return _info(target, self.folder.resolve())

    def delete(self, name: str) -> None:
        """Remove one file. Raises FileNotFoundError; IsADirectoryError for a folder, which stays."""
        path = self.path(name)
        if path.is_dir():
            raise IsADirectoryError(name)
        path.unlink()

    def move(self, source: str, target: str, overwrite: bool = True) -> FileInfo:
        """Rename. Raises FileNotFoundError, FileExistsError."""
        before, after = self.path(source), self.path(target)
        if not before.exists():
            raise FileNotFoundError(source)
        if after.exists() and not overwrite:
            raise FileExistsError(target)
        self._make_room(after, target)
        before.replace(after)
        return _info(after, self.folder.resolve())

    def _make_room(self, target: Path, name: str) -> None:
        if target.is_dir():
            raise BadName(name, "is a folder")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise BadName(name, "goes through a file as if it were a folder") from None


def _info(path: Path, root: Path) -> FileInfo:
    stat = path.stat()
    return FileInfo(path.relative_to(root).as_posix(), stat.st_size, stat.st_mtime, stat.st_ctime)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _walk(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(here, name) for name in files if not name.startswith(".") and Path(here, name).is_file())
