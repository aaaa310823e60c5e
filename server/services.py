"""What the server needs from the rest of the house, handed to it by `launch`; each handler gets its part."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from execution.dispatch import Dispatch
from execution.history import History
from execution.intake import Prepared
from execution.packs import PackFacts
from execution.problems import NodeErrors
from execution.queue import Queue
from execution.spec import Declaration
from server.guard import Access
from server.hub import Hub
from server.limits import Limits
from server.v1.feed import Feed
from storage.folders import Folders
from storage.inputs import Inputs
from storage.job_list import JobList
from storage.logs import RecentLogs
from storage.published import Published
from storage.settings import UserSettings
from storage.users import Users
from storage.webhooks import Webhooks


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

    async def prepare(self, body: Mapping[str, Any]) -> Prepared:
        """Check. Raises PromptRejected."""
        ...

    async def convert(self, file: Mapping[str, Any]) -> Mapping[str, Any]:
        """The graph in API form of an editor's workflow file. Raises WorkflowError or PromptRejected."""
        ...


class Catalogue(Protocol):
    def current(self) -> Mapping[str, Declaration]:
        """Every node known; the same object as long as nothing changed."""
        ...

    async def refresh(self, deadline: float) -> Mapping[str, Declaration]:
        """Ask the worker again; then as `current`. deadline: seconds. Raises NoAnswer."""
        ...


class Packs(Protocol):
    """What is known of packs besides their nodes; see `execution.known_packs`."""

    def current(self) -> PackFacts: ...

    def web(self) -> Mapping[str, Path]:
        """Name under `/extensions/` → folder of a pack's scripts."""
        ...

    async def known(self, deadline: float) -> PackFacts:
        """As `current`, but waits while nothing was ever known. deadline: seconds."""
        ...

    async def refresh(self, deadline: float | None = None) -> PackFacts:
        """Ask the worker. Raises NoAnswer."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """How the server was told to behave. max_upload: bytes of one request body. front_end: the built editor;
    examples: our own example workflows (None: no such folder).
    arguments: the command line, for `/system_stats`."""

    access: Access = field(default_factory=Access)
    limits: Limits = field(default_factory=Limits)
    max_upload: int = 100 * 2**20
    compress: bool = False
    front_end: Path | None = None
    examples: Path | None = None
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Services:
    intake: Intake
    queue: Queue
    history: History
    dispatch: Dispatch
    catalogue: Catalogue
    packs: Packs
    hub: Hub
    folders: Folders
    inputs: Inputs
    users: Users
    settings: UserSettings
    logs: RecentLogs
    jobs: JobList
    published: Published
    webhooks: Webhooks
    feed: Feed
    options: Options = field(default_factory=Options)
