"""Packs of native nodes in `custom_nodes`: found, imported apart from each other, and reported when they are broken.

A pack is a folder with an `__init__.py`, or a single file, that holds `NODES`: a list of what `@node` makes. A pack
that cannot be imported stops nobody; nothing is ever installed on its own.
"""

import importlib.util
import logging
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from execution.spec import NodeSpec
from launch.settings import Packs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pack:
    """One pack as it was found. seconds: what importing it took. trouble: why it gives no nodes; None when it does."""

    name: str
    path: Path
    seconds: float
    specs: Sequence[NodeSpec] = field(default_factory=tuple[NodeSpec, ...])
    trouble: str | None = None


def candidates(directories: Iterable[Path]) -> list[Path]:
    """Folders and files that may be packs, by name."""
    found = [path for directory in directories if directory.is_dir() for path in directory.iterdir()]
    return sorted((path for path in found if is_candidate(path)), key=lambda path: path.name)


def is_candidate(path: Path) -> bool:
    if path.name.startswith((".", "__")) or path.name.endswith(".disabled"):
        return False
    return path.suffix == ".py" if path.is_file() else (path / "__init__.py").is_file()


def load_packs(directories: Iterable[Path], packs: Packs) -> list[Pack]:
    """Import every pack that is wanted. Never raises for what a pack does."""
    wanted = [path for path in candidates(directories) if packs.enabled or path.name in packs.whitelist]
    loaded = [load_pack(path) for path in wanted]
    for pack in loaded:
        if pack.trouble is not None:
            log.warning("pack %s gives no nodes: %s", pack.name, pack.trouble)
        else:
            log.info("pack %s: %d nodes in %.2f s", pack.name, len(pack.specs), pack.seconds)
    return loaded


def load_pack(path: Path) -> Pack:
    began = time.perf_counter()
    trouble: str | None = None
    specs: list[NodeSpec] = []
    try:
        module = import_path(path)
        specs = [in_pack(spec, path.stem) for spec in getattr(module, "NODES", [])]
        if not specs:
            trouble = "it has no NODES, a list of what @node makes"
    except BaseException as error:  # a pack's import is someone else's code, and may even exit
        where = traceback.extract_tb(error.__traceback__)[-1]
        trouble = f"{type(error).__name__}: {error} ({where.filename}, line {where.lineno})"
    return Pack(path.stem, path, time.perf_counter() - began, tuple(specs), trouble)


def import_path(path: Path) -> Any:
    file = path / "__init__.py" if path.is_dir() else path
    name = f"custom_nodes.{path.stem}"
    found = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=[str(path)] if path.is_dir() else None
    )
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def in_pack(listed: object, name: str) -> NodeSpec:
    spec = getattr(listed, "spec", listed)  # what @node makes holds the spec; packs may list either
    if not isinstance(spec, NodeSpec):
        raise TypeError(f"NODES must hold what @node makes, got {type(listed).__name__}")
    return replace(spec, declaration=replace(spec.declaration, pack=f"custom_nodes.{name}"))
