"""What a worker carries: the part that runs jobs, wherever that is; built by `launch` from nodes, cache and devices."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from execution.events import Ending
from execution.job import Job
from execution.spec import Declaration
from execution.workers.worker import CheckQuestion, Emit, Verdict


class Engine(Protocol):
    """`run` is called from one thread, always the same; everything else from another, also while a job runs."""

    def run(self, job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        """Run a job to its end and emit every event, the ending included. Never raises for what a node did.
        emit may be called from any thread of a node."""
        ...

    def catalogue(self) -> Mapping[str, Declaration]: ...

    def check(self, questions: Sequence[CheckQuestion]) -> Sequence[Verdict]: ...

    def free(self, unload_models: bool, free_memory: bool) -> None:
        """Between jobs, on the thread that runs them."""
        ...

    def system(self) -> Mapping[str, Any]: ...
