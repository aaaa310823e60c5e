"""Files that belong to one user: workflows, style sheets, whatever the editor and packs keep.

A file is replaced in one step, and only if it is still what the writer believes it to be, when the writer says what
that is. Workflows leave their earlier contents behind (`versions`)."""

import filecmp
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage import atomic, drafts, versions
from storage.incoming import Incoming
from storage.names import BadName, beneath, parts, shown
from storage.versions import Version, Versions

WORKFLOWS = "workflows"  # files beneath this folder keep their earlier contents


@dataclass(frozen=True, slots=True)
class FileInfo:
    """path: relative, "/" between its parts. size: bytes. modified, created: seconds since the epoch. tag: see
    `tag_of`."""

    path: str
    size: int
    modified: float
    created: float
    tag: str

    def shown(self) -> dict[str, Any]:
        """As clients know it; they get the tag as a header."""
        return {"path": self.path, "size": self.size, "modified": self.modified, "created": self.created}


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


class ChangedMeanwhile(RuntimeError):
    """The file is not what the writer took it for; nothing was done. tag: of what it is now, None when it is gone."""

    def __init__(self, name: str, tag: str | None):
        self.name, self.tag = name, tag
        what = "does not exist any more" if tag is None else "was changed by someone else meanwhile"
        super().__init__(f"{shown(name)} {what}")


Condition = Callable[[str | None], bool]
"""Given the tag of what a file holds now, None when there is no file: whether it may be changed."""


def always(_: str | None) -> bool:
    return True


def tag_of(path: Path) -> str | None:
    """A word for what a file holds, without reading it; None when there is none. As aiohttp makes its ETags."""
    try:
        return _tag(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _tag(stat: os.stat_result) -> str:
    return f"{stat.st_mtime_ns:x}-{stat.st_size:x}"


class UserData:
    """The files beneath one user's folder. Names are relative to it; BadName for those that lead outside.

    lock: held while a file is looked at and replaced; shared by everyone who writes there. All methods block on the
    disk. Those that change a file raise ChangedMeanwhile when their condition does not hold for what it is."""

    def __init__(self, folder: Path, lock: AbstractContextManager[Any] | None = None):
        self.folder = folder
        self._lock = lock or threading.Lock()
        self._versions = Versions(folder)

    def path(self, name: str) -> Path:
        pieces = parts(name)
        if not pieces:
            raise BadName(name, "is no file name")
        if pieces[0] in (versions.FOLDER, drafts.FOLDER):
            raise BadName(name, "is kept by the program; ask for versions and drafts instead")
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

    def store(self, incoming: Incoming, name: str, overwrite: bool = True, condition: Condition = always) -> FileInfo:
        """Put what came in its place. Raises FileExistsError when it is taken and must not be replaced."""
        target = self.path(name)
        self._make_room(target, name)
        incoming.finish()
        with self._lock:
            self._check(target, name, condition)
            if not overwrite:
                atomic.publish_new(incoming.path, target)
            elif not (target.is_file() and filecmp.cmp(incoming.path, target, shallow=False)):
                self._keep(target)
                _make_newer(incoming.path, target)
                atomic.publish_over(incoming.path, target)
            return _info(target, self.folder.resolve())

    def delete(self, name: str, condition: Condition = always) -> None:
        """Remove one file. Raises FileNotFoundError; IsADirectoryError for a folder, which stays."""
        path = self.path(name)
        if path.is_dir():
            raise IsADirectoryError(name)
        with self._lock:
            self._check(path, name, condition)
            self._keep(path)
            path.unlink()

    def move(self, source: str, target: str, overwrite: bool = True, condition: Condition = always) -> FileInfo:
        """Rename. condition: of the source. Raises FileNotFoundError, FileExistsError."""
        before, after = self.path(source), self.path(target)
        with self._lock:
            if not before.exists():
                raise FileNotFoundError(source)
            self._check(before, source, condition)
            if after.exists() and not overwrite:
                raise FileExistsError(target)
            self._make_room(after, target)
            self._keep(after)
            before.replace(after)
            self._versions.move(self._relative(before), self._relative(after))
            return _info(after, self.folder.resolve())

    def versions(self, name: str) -> list[Version]:
        """What the file held before, the latest first; also of a file that was deleted."""
        return self._versions.of(self._relative(self.path(name)))

    def version(self, name: str, id: str) -> Path:
        """One earlier content. Raises FileNotFoundError."""
        return self._versions.path(self._relative(self.path(name)), id)

    def restore(self, name: str, id: str, condition: Condition = always) -> FileInfo:
        """Let the file hold an earlier content again; what it holds now is kept. Raises FileNotFoundError."""
        content = self.version(name, id).read_bytes()
        with self.receive() as incoming:
            incoming.write(content)
            return self.store(incoming, name, condition=condition)

    def _check(self, path: Path, name: str, condition: Condition) -> None:
        tag = tag_of(path)
        if not condition(tag):
            raise ChangedMeanwhile(name, tag)

    def _keep(self, path: Path) -> None:
        name = self._relative(path)
        if name.split("/", 1)[0] == WORKFLOWS:
            self._versions.keep(path, name)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.folder.resolve()).as_posix()

    def _make_room(self, target: Path, name: str) -> None:
        if target.is_dir():
            raise BadName(name, "is a folder")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise BadName(name, "goes through a file as if it were a folder") from None


def _make_newer(part: Path, target: Path) -> None:
    """No two contents of a file have one tag, however fast they follow each other and whatever the clock does."""
    if target.exists() and part.stat().st_mtime_ns <= (earlier := target.stat().st_mtime_ns):
        os.utime(part, ns=(earlier + 1, earlier + 1))


def _info(path: Path, root: Path) -> FileInfo:
    stat = path.stat()
    return FileInfo(path.relative_to(root).as_posix(), stat.st_size, stat.st_mtime, stat.st_ctime, _tag(stat))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _walk(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(here, name) for name in files if not name.startswith(".") and Path(here, name).is_file())
