"""What one pack turned out to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from execution.spec import NodeSpec


@dataclass(frozen=True, slots=True)
class Pack:
    """One pack as it was found.

    seconds: what importing it took; declaring: what reading its nodes took besides. trouble: why it gives nothing; None
    when it does. remedy: a command line that may help, never run by us. broken_nodes: nodes left out of it → why.
    web: name under `/extensions/` → folder of its scripts. locales, examples: its folders, where it has them.
    """

    name: str
    path: Path
    seconds: float = 0
    declaring: float = 0
    specs: Sequence[NodeSpec] = ()
    trouble: str | None = None
    remedy: str | None = None
    broken_nodes: Mapping[str, str] = field(default_factory=dict[str, str])
    web: Mapping[str, Path] = field(default_factory=dict[str, Path])
    locales: Path | None = None
    examples: Path | None = None
    module: ModuleType | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """All packs of an installation. nodes: class name → spec, ours and theirs. conflicts: one sentence for each class
    name that two wanted."""

    packs: Sequence[Pack]
    nodes: Mapping[str, NodeSpec]
    conflicts: Sequence[str] = ()

    @property
    def web_directories(self) -> dict[str, Path]:
        return {name: folder for pack in self.packs for name, folder in pack.web.items()}
