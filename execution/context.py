"""What a node may know and do while it runs, handed to it as `Given[Run]`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from execution.events import NodeRef


class JobInterrupted(BaseException):
    """The user wants this job to end. Not an Exception: a node's own `except Exception` must not swallow it."""


class RunningGraph(Protocol):
    """The graph of a running job as it stands: what was submitted, and the nodes that nodes have become since."""

    @property
    def submitted(self) -> Mapping[str, Any]:
        """The graph as submitted, API form."""
        ...

    def ids(self) -> Sequence[str]:
        """Every node there is by now, those of the submitted graph first."""
        ...

    def node(self, id: str) -> Mapping[str, Any]:
        """A node in API form. Raises KeyError for an id that nobody has."""
        ...

    def ref(self, id: str) -> NodeRef:
        """Where a node stands. Raises KeyError as `node`."""
        ...


class Run(Protocol):
    """One node's view of the job it runs in. All methods may be called from any thread of the node."""

    @property
    def prompt_id(self) -> str: ...

    @property
    def node(self) -> NodeRef: ...

    @property
    def list_index(self) -> int:
        """Which call of a node that is called once per element of a list; 0 for the only one."""
        ...

    @property
    def prompt(self) -> Mapping[str, Any]:
        """The graph as submitted, API form; written into saved files."""
        ...

    @property
    def graph(self) -> RunningGraph:
        """The graph as it stands, nodes of expansions included. Empty once the job has ended."""
        ...

    @property
    def extra(self) -> Mapping[str, Any]:
        """`extra_data` of the request: `extra_pnginfo`, `client_id`, …"""
        ...

    def check(self) -> None:
        """Raise JobInterrupted if the job should end. Cheap; call it between steps."""
        ...

    def progress(self, value: float, total: float) -> None:
        """Say how far the node is, in its own unit, and `check`."""
        ...

    def preview(self, image: bytes, format: Literal["jpeg", "png"]) -> None:
        """Show a whole encoded picture of the work so far. Dropped rather than waited for when nobody keeps up."""
        ...

    def text(self, text: str) -> None:
        """Show a line beside the node."""
        ...

    def note(self, sentence: str) -> None:
        """Record something about how the job was run in its result ("VAE decoded in 4 tiles: …")."""
        ...
