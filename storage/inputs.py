"""Files that users give: finding them by the names graphs use, and storing uploads in constant memory."""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from storage import atomic
from storage.incoming import Incoming
from storage.listing import input_files
from storage.names import FILE_KINDS, BadName, FileKind, beneath, parts, split_annotation

_CHUNK = 1 << 20


class Inputs:
    """The three folders of user files, for reading, and uploads into them."""

    def __init__(self, input: Path, output: Path, temp: Path):
        self._roots: dict[FileKind, Path] = {"input": input, "output": output, "temp": temp}

    def root(self, kind: FileKind) -> Path:
        return self._roots[kind]

    def resolve(self, name: str, default: FileKind = "input") -> Path:
        """The path that `name`, `sub/name` or `name [output]` means, links followed; it need not exist.

        default: the folder for names without an annotation. Raises BadName for a name that leads outside."""
        bare, kind = split_annotation(name)
        return beneath(self._roots[kind or default], bare)

    def find(self, name: str, default: FileKind = "input") -> Path | None:
        """The existing file of that name, or None, also for names that lead outside."""
        try:
            path = self.resolve(name, default)
        except BadName:
            return None
        return path if path.is_file() else None

    def has(self, name: str) -> bool:
        """Whether that name leads to a file."""
        return self.find(name) is not None

    def files(self, kind: FileKind = "input") -> list[str]:
        """Names of the files directly in the folder, sorted."""
        return input_files(self._roots[kind])

    def newest(self, kind: FileKind) -> list[str]:
        """Names of the files directly in the folder, newest first; equally old ones by name."""
        aged: list[tuple[int, str]] = []
        with contextlib.suppress(OSError), os.scandir(self._roots[kind]) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if not entry.name.startswith(".") and entry.is_file():
                        aged.append((-entry.stat().st_mtime_ns, entry.name))
        return [name for _, name in sorted(aged)]

    def upload(self) -> "Upload":
        """Begin to receive a file; see Upload. Blocking, like everything of an Upload: call it in a thread."""
        return Upload(self._roots)


def file_kind(text: str) -> FileKind:
    """ "input", "output" or "temp". Raises BadName for anything else."""
    for kind in FILE_KINDS:
        if kind == text:
            return kind
    raise BadName(text, "is no kind of file; expected input, output or temp")


class Upload(Incoming):
    """A user's file on its way in: `write` as it comes, then `store` under a name, or `discard`. Hashed in passing."""

    def __init__(self, roots: dict[FileKind, Path]):
        super().__init__(roots["input"])
        self._roots = roots
        self._hash = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        super().write(chunk)
        self._hash.update(chunk)

    def store(self, name: str, subfolder: str = "", kind: FileKind = "input", overwrite: bool = False) -> str:
        """Put the file in its place and return the name it got.

        A taken name with the same content is that file; with other content the name becomes `name (1).png`, and so
        on, unless `overwrite`. Raises BadName for names that are empty or lead outside."""
        if not parts(name) or name.endswith(("/", "\\")):
            raise BadName(name, "is no file name")
        self.finish()
        target = beneath(self._roots[kind], f"{subfolder}/{name}" if subfolder else name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise BadName(f"{subfolder}/{name}", "goes through a file as if it were a folder") from None
        if target.is_dir():
            raise BadName(name, "is a folder")
        with self._beside(target) as part:
            if overwrite:
                atomic.publish_over(part, target)
                return name
            stem, ending = os.path.splitext(name)
            taken = 0
            while True:
                candidate = target if taken == 0 else target.with_name(f"{Path(stem).name} ({taken}){ending}")
                called = name if taken == 0 else f"{stem} ({taken}){ending}"
                try:
                    atomic.publish_new(part, candidate)
                except FileExistsError:
                    if self._same(candidate):
                        return called
                    taken += 1
                    continue
                return called

    def _same(self, path: Path) -> bool:
        try:
            if path.stat().st_size != self.size:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest() == self._hash.digest()
        except OSError:
            return False  # a folder, or gone meanwhile: the next name will do

    @contextlib.contextmanager
    def _beside(self, target: Path):
        """The received file on the file system of its target: usually it is there already."""
        if os.stat(self.path).st_dev == os.stat(target.parent).st_dev:
            yield self.path
            return
        with atomic.partial(target.parent) as (copy, part):
            with self.path.open("rb") as source:
                shutil.copyfileobj(source, copy, _CHUNK)
            atomic.finish(copy)
            yield part
