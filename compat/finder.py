"""Imports of promised names, and of names in the same families that nobody promised.

A name that is not there is answered by how it was asked for. Code that is prepared for its absence (`try`, `hasattr`,
`getattr`) is told the truth; code that is not gets a placeholder that fails with a sentence when it is used, so that
the other nodes of the pack work.
"""

import importlib.util
import inspect
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import FrameType, ModuleType

from compat.guarded import caller_is_prepared, module_asked_for
from compat.node_classes import node_classes
from compat.placeholder import placeholder

COMMON = frozenset({"app", "utils", "middleware", "api_server", "protocol"})
"""Names that packs also use for parts of their own; those go first."""

FAMILIES = frozenset(
    {"comfy", "comfy_api", "comfy_api_nodes", "comfy_config", "comfy_execution", "comfy_extras", *COMMON}
)
"""Packages of which any module may be asked for."""


NODES = "comfy_extras.nodes_"
"""Modules beginning so have the classes of our own nodes, whatever file they once were in."""


class NamesFinder(MetaPathFinder):
    """Finds modules beneath the folder of names. common: the instance for the end of the path, which finds what is
    called like many other things, and modules of `comfy` asked for without their package, as old packs do."""

    def __init__(self, folder: Path, common: bool = False):
        self._folder = folder
        self._common = common
        self._promised = frozenset(
            entry.stem for entry in folder.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").is_file()
        )

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        family, _, rest = fullname.partition(".")
        if rest and not self._is_ours(family):
            return None
        if (family in COMMON) != self._common and family in FAMILIES | self._promised:
            return None
        if family in FAMILIES or family in self._promised:
            return self._promised_spec(fullname) or (self._missing(fullname) if rest else None)
        if self._common and (found := self._promised_spec(f"comfy.{fullname}")) is not None:
            return ModuleSpec(fullname, _Alias(found.name), is_package=found.submodule_search_locations is not None)
        return None

    def _is_ours(self, family: str) -> bool:
        """Whether the package a module is asked of came from here."""
        package = sys.modules.get(family)
        places: list[str] = list(getattr(package, "__path__", ()))
        return any(Path(place).is_relative_to(self._folder) for place in places)

    def _promised_spec(self, fullname: str) -> ModuleSpec | None:
        stem = self._folder.joinpath(*fullname.split("."))
        if (stem / "__init__.py").is_file():
            return _spec(fullname, stem / "__init__.py", [str(stem)])
        if stem.with_suffix(".py").is_file():
            return _spec(fullname, stem.with_suffix(".py"), None)
        return None

    def _missing(self, fullname: str) -> ModuleSpec | None:
        importer = _importer()
        if not fullname.startswith(NODES):
            if caller_is_prepared(importer):
                return None
            asked = module_asked_for(importer)
            if asked is not None and not f"{asked}.".startswith(f"{fullname}."):
                return None  # `from module import name`: the module answers for it, as a class that is not there
        spec = ModuleSpec(fullname, _Missing(), is_package=True)
        spec.submodule_search_locations = [str(self._folder.joinpath(*fullname.split(".")))]
        return spec


def _spec(fullname: str, file: Path, places: list[str] | None) -> ModuleSpec | None:
    loader = _NamesLoader(fullname, str(file))
    return importlib.util.spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=places)


def _importer() -> FrameType | None:
    """The frame whose `import` is being carried out."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and (frame.f_code.co_filename == __file__ or "importlib" in frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def _caller() -> FrameType | None:
    """The frame that called whoever calls this."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame and frame.f_back
    return frame


def answer_for_missing(module: ModuleType) -> None:
    """Let a module answer for names it does not have."""

    def missing(name: str) -> object:
        full = f"{module.__name__}.{name}"
        if name in FAMILIES and name in sys.modules:
            return sys.modules[name]  # as if the module had imported it
        if full.startswith(NODES) and name in node_classes().mapping:
            return node_classes().mapping[name]
        if name.startswith("__") or caller_is_prepared(_caller()):
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        return placeholder(full)

    module.__getattr__ = missing


class _NamesLoader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if "__getattr__" not in vars(module):
            answer_for_missing(module)


class _Missing(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__doc__ = "Not promised: its names fail when they are used."
        answer_for_missing(module)


class _Alias(Loader):
    """The same module under another name."""

    def __init__(self, name: str):
        self._name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return importlib.import_module(self._name)

    def exec_module(self, module: ModuleType) -> None:
        pass
