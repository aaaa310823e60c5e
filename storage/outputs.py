"""Files that nodes make: how they are called, and that they appear whole, once, and never over another.

A prefix like `portraits/%year%/face` becomes `portraits/2026/face_00001_.png`. The number is one above the highest in
that folder for the same name. Prefixes are the users', so they are checked before anything is written: `Outputs.series`
raises BadName, and may be called before the expensive part of a node.
"""

import re
import secrets
import string
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal

from storage import atomic
from storage.names import BadName, beneath, parts

Place = Literal["output", "temp"]

UNNAMED = "output"
_BATCH = "%batch_num%"
_COUNTER_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Saved:
    """Where a file went, as clients ask for it again."""

    filename: str
    subfolder: str
    type: Place
    path: Path

    def entry(self) -> dict[str, str]:
        """What a node's UI shows: `{"filename", "subfolder", "type"}`."""
        return {"filename": self.filename, "subfolder": self.subfolder, "type": self.type}


Note = Callable[[Path, Path], None]
"""Told of a file that is written and about to get its name: where it is, and what it will be called."""


def nobody(part: Path, target: Path) -> None:
    pass


class Series:
    """Files of one node call that share a name and count upwards. Safe to use from several threads."""

    def __init__(self, folder: Path, subfolder: str, name: str, type: Place, note: Note = nobody):
        self.folder, self.subfolder, self.name = folder, subfolder, name
        self.type: Place = type
        self._note = note
        self._lock = threading.Lock()
        self._next = highest(folder, name) + 1

    @property
    def counter(self) -> int:
        """The number the next file will try first."""
        return self._next

    def save(self, write: Callable[[BinaryIO], object], extension: str, batch: int = 0) -> Saved:
        """Write one file and give it the next free number. write: is given the open file and fills it.

        extension: with its dot. batch: replaces %batch_num% in the name. What `write` raises is raised, with nothing
        left behind; disk errors come as OSError."""
        durable = self.type == "output"
        with atomic.partial(self.folder) as (file, part):
            write(file)
            atomic.finish(file, durable)
            return self._publish(part, extension, batch)

    def save_path(self, write: Callable[[Path], object], extension: str) -> Saved:
        """As `save`, for writers that want a path: what they put in the place of the empty file there is published."""
        with atomic.partial(self.folder) as (file, part):
            file.close()
            write(part)
            with part.open("rb+") as written:
                atomic.finish(written, self.type == "output")
            return self._publish(part, extension, 0)

    def _publish(self, part: Path, extension: str, batch: int) -> Saved:
        durable = self.type == "output"
        while True:
            with self._lock:
                number, self._next = self._next, self._next + 1
            path = self.folder / f"{self.name.replace(_BATCH, str(batch))}_{number:0{_COUNTER_DIGITS}}_{extension}"
            self._note(part, path)
            try:
                atomic.publish_new(part, path, durable)
            except FileExistsError:
                continue  # another job took this number meanwhile
            return Saved(path.name, self.subfolder, self.type, path)

    def save_bytes(self, data: bytes, extension: str, batch: int = 0) -> Saved:
        """Write one file from memory; see `save`."""
        return self.save(lambda file: file.write(data), extension, batch)


class Outputs:
    """The output and temporary folders, for writing.

    disable_metadata: nodes leave prompt and workflow out of what they write. note: is told of each file for the output
    folder before it has its name."""

    def __init__(self, output: Path, temp: Path, disable_metadata: bool = False, note: Note = nobody):
        self.output, self.temp, self.disable_metadata = output, temp, disable_metadata
        self._note = note

    def series(self, prefix: str, width: int = 0, height: int = 0, now: datetime | None = None) -> Series:
        """The place for files of this prefix. width, height: pixels, for %width% and %height%. now: local time.

        Raises BadName for a prefix that leaves the output folder or cannot be a file name."""
        return _series(self.output, prefix, width, height, now, "output", self._note)

    def preview_series(self, prefix: str | None = None, width: int = 0, height: int = 0) -> Series:
        """The place for files that are only looked at; gone at the next start. prefix: None draws a random one."""
        return _series(self.temp, prefix or preview_prefix(), width, height, None, "temp")


def preview_prefix() -> str:
    """A new random prefix. Clients recognise previews by its fixed part."""
    letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(5))
    return f"ComfyUI_temp_{letters}"


def expand(prefix: str, width: int, height: int, now: datetime) -> str:
    """Replace what the server replaces. Everything else between percent signs stays as it is: the page fills in
    `%date:…%` and `%Node.widget%` before it queues."""
    values: Mapping[str, str] = {
        "width": str(width),
        "height": str(height),
        "year": str(now.year),
        "month": f"{now.month:02}",
        "day": f"{now.day:02}",
        "hour": f"{now.hour:02}",
        "minute": f"{now.minute:02}",
        "second": f"{now.second:02}",
    }
    return re.sub(r"%([a-z]+)%", lambda found: values.get(found[1], found[0]), prefix)


def highest(folder: Path, name: str) -> int:
    """The highest number among files `<name>_<number>_…` in the folder, 0 for none. `%batch_num%` in the name stands
    for any number: files of an earlier run must be seen whatever their place in its batch."""
    pattern = r"\d+".join(re.escape(piece) for piece in name.split(_BATCH))
    # At least five digits: "a_1_00001_" belongs to the name "a_1", not to "a".
    counted = re.compile(rf"{pattern}_(\d{{{_COUNTER_DIGITS},}})_", 0 if _case_matters() else re.IGNORECASE)
    try:
        names = [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return max((int(found[1]) for found in map(counted.match, names) if found), default=0)


def _case_matters() -> bool:
    return Path("a") != Path("A")


def _series(
    root: Path, prefix: str, width: int, height: int, now: datetime | None, type: Place, note: Note = nobody
) -> Series:
    expanded = expand(prefix, width, height, now or datetime.now().astimezone())
    pieces = parts(expanded)
    if expanded.endswith(("/", "\\")) or not pieces:
        pieces.append(UNNAMED)
    *folders, name = pieces
    if name.startswith("."):
        raise BadName(prefix, "would make a hidden file")
    folder = beneath(root, "/".join(folders))
    if folder.exists() and not folder.is_dir():
        raise BadName(prefix, "goes through a file as if it were a folder")
    return Series(folder, str(Path(*folders)) if folders else "", name, type, note)
