"""Where packs lie: folders and single files under every root, without opening any of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which packs load. names: folder names that load although packs are disabled."""

    enabled: bool = True
    names: Sequence[str] = ()


def candidates(directories: Iterable[Path], wanted: Wanted) -> list[Path]:
    """What may be a pack, by name; of one name in two roots, both."""
    found = [path for directory in directories if directory.is_dir() for path in directory.iterdir()]
    mine = [path for path in found if _is_candidate(path) and (wanted.enabled or path.name in wanted.names)]
    return sorted(mine, key=lambda path: path.name)


def _is_candidate(path: Path) -> bool:
    if path.name.startswith((".", "__")) or path.name.endswith(".disabled"):
        return False
    return path.suffix == ".py" if path.is_file() else (path / "__init__.py").is_file()
