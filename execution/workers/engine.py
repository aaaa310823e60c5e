"""What a worker carries: the part that runs jobs, wherever that is; built by `launch` from nodes, cache and devices."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from execution.events import Ending
from execution.job import Job
from execution.packs import PackSide
from execution.spec import Declaration
from execution.workers.worker import CheckQuestion, Emit, Verdict


class Engine(Protocol):
    """`run` and `free` are called from the thread that built the engine, a process's main thread where there is one.
    The questions come one at a time from another thread, also while a job runs; one that takes too long is left alone
    with its thread, and the next comes from a third."""

    def run(self, job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        """Run a job to its end and emit every event, the ending included, which is returned. Never raises for what a
        node did. emit may be called from any thread of a node; it waits when nobody keeps up with the events.
        should_stop is cheap and becomes true once the user wants the job to end."""
        ...

    def catalogue(self) -> Mapping[str, Declaration]: ...

    def check(self, questions: Sequence[CheckQuestion]) -> Sequence[Verdict]: ...

    def free(self, unload_models: bool, free_memory: bool) -> None:
        """Between jobs, on the thread that runs them."""
        ...

    def system(self) -> Mapping[str, Any]: ...

    def memory(self) -> Mapping[str, Any]: ...

    def expect(self, job: Job) -> None:
        """From any thread: this job will probably be the next."""
        ...

    @property
    def packs(self) -> PackSide | None:
        """What packs bring besides nodes; None where there are no packs."""
        ...
