"""Loads packs: each imported apart from the others, its nodes read, and reported when it is broken.

A pack is a folder with an `__init__.py`, or a single file, that holds `NODES` (a list of what `@node` makes),
`NODE_CLASS_MAPPINGS`, or `comfy_entrypoint`. One that cannot be imported stops nobody; nothing is ever installed.
"""

import importlib.util
import logging
import sys
import time
import tomllib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from compat import legacy_nodes, schema_nodes
from compat.found import Wanted, candidates
from compat.node_classes import node_classes
from compat.pack import Loaded, Pack
from compat.placeholder import loading
from compat.trouble import remedy_of, trouble_of
from execution.spec import NodeSpec

log = logging.getLogger(__name__)


def load_packs(directories: Iterable[Path], wanted: Wanted, nodes: MutableMapping[str, NodeSpec]) -> Loaded:
    """Import every pack that is wanted, and add its nodes to `nodes`. Never raises for what a pack does.

    A name of ours stays ours; between packs the later one has it.
    """
    places = list(directories)
    _make_importable(places)
    packs: list[Pack] = []
    conflicts: list[str] = []
    for path in candidates(places, wanted):
        pack = load_pack(path)
        conflicts += _add(pack, nodes)
        _report(pack)
        packs.append(pack)
    for sentence in conflicts:
        log.warning("%s", sentence)
    return Loaded(packs, nodes, conflicts)


def _add(pack: Pack, nodes: MutableMapping[str, NodeSpec]) -> Iterator[str]:
    for spec in pack.specs:
        known = nodes.get(spec.id)
        if known is not None and known.declaration.pack != spec.declaration.pack:
            before = known.declaration.pack
            if not before.startswith("custom_nodes."):
                yield f"pack {pack.name}: its node {spec.id} is left out, the name is taken by {before}"
                continue
            yield f"pack {pack.name}: its node {spec.id} takes the place of that of {before}"
        nodes[spec.id] = spec


def _report(pack: Pack) -> None:
    for id, why in pack.broken_nodes.items():
        log.warning("pack %s: node %s is left out: %s", pack.name, id, why)
    if pack.trouble is None:
        log.info("pack %s: %d nodes in %.2f s", pack.name, len(pack.specs), pack.seconds)
    else:
        log.warning("pack %s gives no nodes: %s", pack.name, pack.trouble)
        if pack.remedy is not None:
            log.warning("pack %s: this may help: %s", pack.name, pack.remedy)


def load_pack(path: Path) -> Pack:
    """One pack. Never raises for what it does."""
    pack = Pack(path.stem, path)
    began = time.perf_counter()
    try:
        with loading(), classes_added() as added:
            module = import_path(path)
            imported = time.perf_counter()
            pack = replace(pack, seconds=imported - began, module=module, **_belongings(path, module))
            specs, broken = _specs(module, path.stem, added())
    except BaseException as error:  # a pack's import is someone else's code, and may even exit
        seconds = pack.seconds or time.perf_counter() - began
        return replace(pack, seconds=seconds, trouble=trouble_of(error, path), remedy=remedy_of(error, path))
    declaring = time.perf_counter() - imported
    return replace(
        pack, declaring=declaring, specs=tuple(specs), broken_nodes=broken, trouble=_nothing_in(module, specs, broken)
    )


def _nothing_in(module: ModuleType, specs: Sequence[NodeSpec], broken: Mapping[str, str]) -> str | None:
    if specs:
        return None
    if broken:
        return f"none of its {len(broken)} nodes can be declared: {next(iter(broken.values()))}"
    if hasattr(module, "NODE_CLASS_MAPPINGS") or hasattr(module, "NODES") or hasattr(module, "comfy_entrypoint"):
        return None  # a pack may bring scripts alone
    return "it has no NODES (what @node makes), NODE_CLASS_MAPPINGS or comfy_entrypoint"


def _specs(module: ModuleType, name: str, added: Mapping[str, type]) -> tuple[list[NodeSpec], dict[str, str]]:
    """The nodes of a pack, and those that cannot be declared with the reason."""
    source = f"custom_nodes.{name}"
    specs = [_in_pack(listed, source) for listed in getattr(module, "NODES", [])]
    mappings = getattr(module, "NODE_CLASS_MAPPINGS", None)
    classes: dict[str, Any] = dict(added)
    if isinstance(mappings, Mapping):
        classes.update(cast(Mapping[str, Any], mappings))
    elif callable(entry := getattr(module, "comfy_entrypoint", None)):
        classes.update(schema_nodes.classes_of(entry))
    titles: Mapping[str, Any] = getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", None) or {}
    broken: dict[str, str] = {}
    for id, kind in classes.items():
        try:
            specs.append(spec_of(str(id), kind, titles.get(id), source))
        except BaseException as error:
            broken[str(id)] = f"{type(error).__name__}: {error}"
        else:
            node_classes().place(str(id), kind, titles.get(id))
    return specs, broken


def spec_of(id: str, kind: Any, title: str | None, source: str) -> NodeSpec:
    """A node from a class of either style."""
    if schema_nodes.is_schema_class(kind):
        return schema_nodes.spec_of(kind, source, id=id, title=title)
    return legacy_nodes.spec_of(id, kind, title, source)


def _in_pack(listed: object, source: str) -> NodeSpec:
    spec = getattr(listed, "spec", listed)  # what @node makes holds the spec; packs may list either
    if not isinstance(spec, NodeSpec):
        raise TypeError(f"NODES must hold what @node makes, got {type(listed).__name__}")
    return replace(spec, declaration=replace(spec.declaration, pack=source))


@contextmanager
def classes_added() -> Generator[Callable[[], dict[str, Any]]]:
    """What is put into `nodes.NODE_CLASS_MAPPINGS` meanwhile: some packs add their nodes there themselves."""
    before = dict(node_classes().theirs)
    yield lambda: {id: kind for id, kind in node_classes().theirs.items() if before.get(id) is not kind}


# Importing


def import_path(path: Path) -> ModuleType:
    """A pack under the name other programs give it (its path), and as `custom_nodes.<name>`."""
    file = path / "__init__.py" if path.is_dir() else path
    name = str(path if path.is_dir() else path.with_suffix("")).replace(".", "_x_")
    places = [str(path)] if path.is_dir() else None
    found = importlib.util.spec_from_file_location(name, file, submodule_search_locations=places)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    names = (name, f"custom_nodes.{path.stem}")
    for known in names:
        sys.modules[known] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        for known in names:
            sys.modules.pop(known, None)
        raise
    return module


def _make_importable(places: Sequence[Path]) -> None:
    """`import custom_nodes.<name>` finds packs of every root."""
    package = sys.modules.setdefault("custom_nodes", ModuleType("custom_nodes"))
    known: list[str] = list(getattr(package, "__path__", ()))
    package.__path__ = [*known, *(str(place) for place in places if str(place) not in known)]


# What a pack brings besides nodes


def _belongings(path: Path, module: ModuleType) -> dict[str, Any]:
    folder = path if path.is_dir() else path.parent
    web: dict[str, Path] = {}
    declared = getattr(module, "WEB_DIRECTORY", None)
    if isinstance(declared, str) and (scripts := (folder / declared).resolve()).is_dir():
        web[path.stem if path.is_file() else path.name] = scripts
    web.update(_web_of_project(path))
    locales, examples = path / "locales", _first_folder(path, ("example_workflows", "example", "examples", "workflow"))
    return {"web": web, "locales": locales if locales.is_dir() else None, "examples": examples}


def _first_folder(path: Path, names: Sequence[str]) -> Path | None:
    return next((path / name for name in names if (path / name).is_dir()), None)


def _web_of_project(path: Path) -> dict[str, Path]:
    """The scripts a `pyproject.toml` names in `[tool.comfy]`, under the project's name."""
    try:
        data = tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8"))
        declared: Any = data["tool"]["comfy"]["web"]
        name: Any = data["project"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    scripts = path / str(declared)
    return {str(name): scripts.resolve()} if declared and scripts.is_dir() else {}
