"""What lies in a folder, and whether a list made earlier is still true."""

import contextlib
import mimetypes
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

# A change in the same tick of the file system's clock as the scan would go unseen (FAT counts two seconds), so a
# list is only believed when everything in it was older than that when it was made.
_TICK_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Listing:
    """The files found beneath some directories. stamps: every directory visited → its time stamp (None: not there)."""

    names: tuple[str, ...]
    stamps: tuple[tuple[str, int | None], ...]
    settled: bool

    @classmethod
    def read(cls, directories: Sequence[Path], extensions: Collection[str]) -> "Listing":
        """Walk the directories, links followed, hidden directories left out. extensions: lower case with their dot;
        none means every file."""
        now = time.time_ns()
        names: set[str] = set()
        stamps: dict[str, int | None] = {}
        for directory in directories:
            stamps[str(directory)] = _stamp(str(directory))
            seen: set[str] = set()
            for here, below, files in os.walk(directory, followlinks=True):
                real = os.path.realpath(here)
                if real in seen:  # a link to a folder above
                    below.clear()
                    continue
                seen.add(real)
                stamps[here] = _stamp(here)
                below[:] = sorted(name for name in below if not name.startswith("."))
                relative = os.path.relpath(here, directory)
                for file in files:
                    if not extensions or os.path.splitext(file)[1].lower() in extensions:
                        names.add(file if relative == "." else os.path.join(relative, file))
        newest = max((stamp for stamp in stamps.values() if stamp is not None), default=0)
        return cls(tuple(sorted(names)), tuple(stamps.items()), settled=now - newest > _TICK_NS)

    def fresh(self) -> bool:
        """True when no directory changed since. One `stat` per directory."""
        return self.settled and all(_stamp(path) == stamp for path, stamp in self.stamps)


def _stamp(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def input_files(folder: Path, media: Sequence[str] = (), endings: Sequence[str] = ()) -> list[str]:
    """Names of the files directly in the folder, sorted, hidden ones left out. media: major types to keep ("image"),
    by extension; endings: extensions to keep."""
    names: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()]
    if media:
        names = [name for name in names if media_type(name).split("/")[0] in media]
    if endings:
        names = [name for name in names if name.lower().endswith(tuple(endings))]
    return sorted(names)


def input_folders(folder: Path) -> list[str]:
    """Names of the folders directly in the folder, sorted."""
    names: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    return sorted(names)


def folder_tree(folder: Path, below: str, endings: Sequence[str]) -> list[str]:
    """Files anywhere beneath `folder/below`, as names relative to `folder`, sorted."""
    found = Listing.read((folder / below,), frozenset(endings))
    return [f"{below}/{name}" for name in found.names]


def is_diffusers_model(path: Path) -> bool:
    return (path / "model_index.json").is_file()


# Types the platform's table may not know, or knows differently from machine to machine.
_TYPES = {
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".jxl": "image/jxl",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".mp4": "video/mp4",
    ".flac": "audio/flac",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
}


def media_type(name: str) -> str:
    """The type a file's name promises; "application/octet-stream" when it promises none."""
    ending = os.path.splitext(name)[1].lower()
    return _TYPES.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"
