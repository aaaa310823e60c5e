"""Prepares a worker for packs: the path of the names, the finder for what is missing, the attributes over our own
packages. Before this ran, and in every process without it, nothing of `compat` can be imported by a pack."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

from compat.finder import NamesFinder
from compat.inside import translations
from compat.node_classes import node_classes
from compat.prompt_server import PromptServer
from compat.world import World, become

NAMES = Path(__file__).parent / "names"

OVERLAYS = ("nodes", "execution", "server")
"""Our packages that are called as modules packs import; `compat/overlays/<name>.py` holds what packs look for there."""


def install(world: World) -> None:
    """Make the promised names importable in this process, for packs in this world. A later call is for another world:
    what was imported for the one before is forgotten."""
    become(world)
    PromptServer.instance = PromptServer(world)
    if any(isinstance(finder, NamesFinder) for finder in sys.meta_path):
        forget()
    else:
        sys.meta_path.insert(0, NamesFinder(NAMES))
        sys.meta_path.append(NamesFinder(NAMES, common=True))
    translations.register()
    for name in OVERLAYS:
        lay_over(importlib.import_module(name), importlib.import_module(f"compat.overlays.{name}"))
    importlib.import_module("compat.overlays.nodes").fill()


def forget() -> None:
    """Let every promised module be imported anew."""
    node_classes().clear()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if file.startswith(str(NAMES)) or name == "folder_paths":
            del sys.modules[name]


def lay_over(package: ModuleType, overlay: ModuleType) -> None:
    """Give a package of ours the public names of an overlay. What the package has itself stays."""
    for name, value in vars(overlay).items():
        if not name.startswith("_") and name not in vars(package):
            setattr(package, name, value)
    if hasattr(overlay, "__getattr__"):
        package.__getattr__ = overlay.__getattr__  # pyright: ignore[reportAttributeAccessIssue]  # PEP 562, from outside
