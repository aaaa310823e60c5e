"""Where jobs run, as the server sees it: one protocol for a thread, a process and another machine.

A worker runs one job at a time and answers questions meanwhile. What its jobs do (raise, hang, exit, exhaust memory)
ends in an event, never in an exception here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from execution.events import Ending, Event
from execution.job import Job
from execution.packs import PackFacts
from execution.spec import Declaration

Emit = Callable[[Event], None]
State = Literal["starting", "idle", "busy", "restarting", "closed"]


class NoAnswer(Exception):
    """The worker did not answer in time, or is not there. What was asked may still happen later."""


class WorkerClosed(Exception):
    """The worker was closed, or could not be built and will not try again."""


@dataclass(frozen=True, slots=True)
class CheckQuestion:
    """Ask a node's own validator. values: the constants it names; types: received types of its linked inputs."""

    node: str
    class_type: str
    values: Mapping[str, Any]
    linked: Sequence[str]
    types: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a validator said. complaint: None when content, else the text (may be empty). raised: exception type, text
    and traceback when it raised. names: the inputs it looked at."""

    node: str
    complaint: str | None
    names: Sequence[str] = ()
    raised: tuple[str, str, Sequence[str]] | None = None


class Worker(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def state(self) -> State: ...

    @property
    def trouble(self) -> str | None:
        """Why no job can run here at the moment, in one sentence (how its process died); None when all is well."""
        ...

    async def start(self) -> None:
        """Begin to start; returns at once. `state` becomes "idle" when jobs can run."""
        ...

    async def ready(self) -> None:
        """Return when a job can run here at once. Raises WorkerClosed when none ever will."""
        ...

    async def run(self, job: Job, emit: Emit) -> Ending:
        """Run a job to its end. Every event, the ending included, goes through `emit` first, on the caller's loop."""
        ...

    def interrupt(self, prompt_id: str) -> None:
        """Ask a job to stop; a node that does not within the grace time costs the worker its process."""
        ...

    async def catalogue(self, deadline: float) -> Mapping[str, Declaration]:
        """Every node known, choices afresh. deadline: seconds. Raises NoAnswer."""
        ...

    async def check(self, questions: Sequence[CheckQuestion], deadline: float) -> Sequence[Verdict]:
        """Ask validators of nodes that have one. Raises NoAnswer."""
        ...

    async def free(self, unload_models: bool, free_memory: bool) -> None:
        """Give memory back as soon as no job runs."""
        ...

    def expect(self, job: Job) -> None:
        """Say which job will probably be the next to run here, so that what it needs can be made ready."""
        ...

    async def memory(self, deadline: float) -> Mapping[str, Any]:
        """Which models are where, as `/v1/memory` shows them. Raises NoAnswer."""
        ...

    async def system(self, deadline: float) -> Mapping[str, Any]:
        """Versions, devices and memory, as `/system_stats` shows them. Raises NoAnswer."""
        ...

    async def packs(self, deadline: float) -> PackFacts:
        """What packs bring besides nodes. Raises NoAnswer."""
        ...

    async def handle(self, body: Mapping[str, Any], deadline: float) -> Mapping[str, Any]:
        """Let packs look at the body of a prompt, and change it. Raises NoAnswer."""
        ...

    async def close(self) -> None:
        """Stop, with whatever runs. Leaves no process behind."""
        ...
