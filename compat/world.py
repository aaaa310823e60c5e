"""What the names reach of this installation. Packs expect modules with state of their own, so there is one world for
a process, set by `install` before the first pack is imported; nothing outside `compat` looks here."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from diffusion.store import ModelStore
from execution.context import Run
from execution.node_run import NodeRun, executing
from execution.spec import NodeSpec
from storage.folders import Folders
from storage.inputs import Inputs
from storage.outputs import Outputs


@dataclass(frozen=True, slots=True)
class World:
    """flags: the command line by the names that packs read (`comfy.cli_args.args`). nodes: class name → spec, of every
    node there is; grows as packs load. capabilities: what native nodes may be given, by type."""

    folders: Folders
    inputs: Inputs
    outputs: Outputs
    store: ModelStore
    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    nodes: MutableMapping[str, NodeSpec] = field(default_factory=dict[str, NodeSpec])
    capabilities: Mapping[type, object] = field(default_factory=dict[type, object])


class NotInstalled(RuntimeError):
    def __init__(self) -> None:
        super().__init__("the names of packs are used before compat.install.install(world) was called")


_worlds: list[World] = []


def world() -> World:
    """The world of this process. Raises NotInstalled."""
    if not _worlds:
        raise NotInstalled
    return _worlds[-1]


def become(new: World) -> None:
    """From now on `world()` is this one."""
    _worlds[:] = [new]


def running() -> NodeRun | None:
    """The call of a node that runs in this thread or task; None outside of jobs."""
    return executing.get()


def check() -> None:
    """Raise JobInterrupted if the running job should end."""
    run: Run | None = running()
    if run is not None:
        run.check()
