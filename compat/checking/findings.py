"""What a check has to say."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Aspect = Literal["loading", "schema", "running", "purity", "numbers", "dtype", "device", "timing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """is_fault: false for what may be meant so."""

    aspect: Aspect
    sentence: str
    is_fault: bool = True


@dataclass(frozen=True, slots=True)
class NodeReport:
    """seconds: of the quickest run; None when it was not run, and then `not_run` says why."""

    id: str
    findings: Sequence[Finding] = ()
    seconds: float | None = None
    not_run: str | None = None

    @property
    def faults(self) -> int:
        return sum(finding.is_fault for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Report:
    """seconds: of importing the pack."""

    name: str
    seconds: float
    nodes: Sequence[NodeReport] = ()
    findings: Sequence[Finding] = field(default_factory=tuple[Finding, ...])

    @property
    def faults(self) -> int:
        return sum(finding.is_fault for finding in self.findings) + sum(node.faults for node in self.nodes)
