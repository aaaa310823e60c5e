"""What the server needs from the rest of the house, handed to it by `launch`; each handler gets its part."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from execution.dispatch import Dispatch
from execution.history import History
from execution.problems import NodeErrors
from execution.queue import Queue
from execution.spec import Declaration
from server.guard import Access
from server.hub import Hub
from server.limits import Limits
from storage.folders import Folders
from storage.inputs import Inputs
from storage.logs import RecentLogs
from storage.settings import UserSettings
from storage.users import Users


class Ticket(Protocol):
    """What a submitter gets once the job is on disk. number: an int from the counter, a float if the client chose."""

    @property
    def prompt_id(self) -> str: ...

    @property
    def number(self) -> float: ...

    @property
    def node_errors(self) -> Mapping[str, NodeErrors]: ...


class Intake(Protocol):
    async def submit(self, body: Mapping[str, Any]) -> Ticket:
        """Check and queue. Raises PromptRejected."""
        ...


class Catalogue(Protocol):
    def current(self) -> Mapping[str, Declaration]:
        """Every node known; the same object as long as nothing changed."""
        ...

    async def refresh(self, deadline: float) -> Mapping[str, Declaration]:
        """Ask the worker again; then as `current`. deadline: seconds. Raises NoAnswer."""
        ...


def no_web_directories() -> Mapping[str, Path]:
    return {}


@dataclass(frozen=True, slots=True)
class Options:
    """How the server was told to behave. max_upload: bytes of one request body. front_end: the built editor.
    arguments: the command line, for `/system_stats`. web_directories: name → folder of scripts of a pack."""

    access: Access = field(default_factory=Access)
    limits: Limits = field(default_factory=Limits)
    max_upload: int = 100 * 2**20
    compress: bool = False
    front_end: Path | None = None
    arguments: tuple[str, ...] = ()
    web_directories: Callable[[], Mapping[str, Path]] = no_web_directories


@dataclass(frozen=True, slots=True)
class Services:
    intake: Intake
    queue: Queue
    history: History
    dispatch: Dispatch
    catalogue: Catalogue
    hub: Hub
    folders: Folders
    inputs: Inputs
    users: Users
    settings: UserSettings
    logs: RecentLogs
    options: Options = field(default_factory=Options)
