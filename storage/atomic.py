"""Files that appear whole or not at all: written beside their place under a hidden name, synced, then named.

A reader never sees half a file, and a crash leaves at most a hidden `.part` that `sweep` removes.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

_MARK = ".heddle-"
_END = ".part"


@contextlib.contextmanager
def partial(folder: Path) -> Generator[tuple[BinaryIO, Path]]:
    """A hidden file in `folder` to write to, then `finish`, then publish; removed at the end unless it was renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_MARK}{secrets.token_hex(8)}{_END}"
    try:
        with path.open("xb") as file:
            yield file, path
    finally:
        path.unlink(missing_ok=True)


def finish(file: BinaryIO, durable: bool = True) -> None:
    """Everything is written: bring it to the disk and close it. durable: False for files that do not outlive the
    program, and need not wait for the disk."""
    file.flush()
    if durable:
        os.fsync(file.fileno())
    file.close()


def publish_new(part: Path, target: Path, durable: bool = True) -> None:
    """Give a written part its name. Raises FileExistsError, touching nothing, if the name is taken."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here (FAT, some network drives): reserve the name, then rename over the reservation.
        with target.open("xb"):
            pass
        part.replace(target)
    sync_folder(target.parent, durable)


def publish_over(part: Path, target: Path, durable: bool = True) -> None:
    """Give a written part its name, replacing what had it in one step."""
    part.replace(target)
    sync_folder(target.parent, durable)


def write_over(target: Path, data: bytes) -> None:
    """Replace the file's content in one step."""
    with partial(target.parent) as (file, part):
        file.write(data)
        finish(file)
        publish_over(part, target)


def sweep(folder: Path, older_than: float = 24 * 3600) -> int:
    """Remove the parts that crashes left anywhere beneath `folder`, not younger than so many seconds: those may be
    someone's work. Returns how many."""
    limit, count = time.time() - older_than, 0
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.startswith(_MARK) and name.endswith(_END):
                path = Path(here, name)
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime < limit:
                        path.unlink()
                        count += 1
    return count


def sync_folder(folder: Path, durable: bool = True) -> None:
    """Make the new name itself survive a power cut. Windows has no such call and needs none."""
    if not durable or os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
