"""Names that come from outside, made safe: what a name may be, and where it leads beneath a root after links.

Both separators count as separators on every system, so that one name means one place everywhere and `..\\x` is not a
file on one machine and an escape on another.
"""

import os
import re
from pathlib import Path
from typing import Literal, get_args

FileKind = Literal["input", "output", "temp"]
FILE_KINDS: tuple[FileKind, ...] = get_args(FileKind)

LONGEST_NAME = 200  # bytes of UTF-8 in one part of a path; most file systems end at 255, and we append counters
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WINDOWS_ONLY = re.compile(r'[<>:"|?*]')
_ANNOTATION = re.compile(r"^(?P<name>.*\S) ?\[(?P<kind>input|output|temp)\]$", re.DOTALL)


class BadName(ValueError):
    """A name that cannot be a file of ours. The message says which name and why, and is fit for the client."""

    def __init__(self, name: str, why: str):
        self.name, self.why = name, why
        super().__init__(f"{shown(name)} {why}")


def shown(name: str) -> str:
    """The name for a message: quoted, with nothing a terminal would obey, at most 120 characters."""
    return ascii(name if len(name) <= 120 else name[:117] + "...")


def parts(name: str) -> list[str]:
    """The parts of a relative name ("a/b.png" → ["a", "b.png"]); empty for "".

    Raises BadName for absolute names, drive letters, "..", control characters and parts that are too long."""
    if _CONTROL.search(name):
        raise BadName(name, "holds a control character")
    if name.startswith(("/", "\\")) or re.match(r"^[A-Za-z]:[/\\]", name):
        raise BadName(name, "is absolute; give a name beneath the folder")
    found = [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]
    for part in found:
        if part == "..":
            raise BadName(name, "leaves its folder")
        if len(part.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
            raise BadName(name, f"has a part longer than {LONGEST_NAME} bytes")
        if os.name == "nt" and (_WINDOWS_ONLY.search(part) or part.endswith((" ", "."))):
            raise BadName(name, "cannot be a file name on Windows")
        try:
            part.encode("utf-8")
        except UnicodeEncodeError:
            raise BadName(name, "is not text (lone surrogates)") from None
    return found


def beneath(root: Path, name: str) -> Path:
    """The path of `name` under `root`, links followed; it need not exist.

    Raises BadName when it ends up outside, whether by its text or by a link inside the root. A root that is itself a
    link is fine: it is where its owner put it."""
    real = root.resolve()
    path = real.joinpath(*parts(name))
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError) as error:  # a loop of links, or a path the system cannot hold
        raise BadName(name, "cannot be resolved") from error
    if resolved != real and real not in resolved.parents:
        raise BadName(name, "leads outside its folder through a link")
    return resolved


def split_annotation(name: str) -> tuple[str, FileKind | None]:
    """`sub/a.png [output]` → ("sub/a.png", "output"); without an annotation → (name, None)."""
    match = _ANNOTATION.match(name)
    if match is None:
        return name, None
    return match["name"], next(kind for kind in FILE_KINDS if kind == match["kind"])
