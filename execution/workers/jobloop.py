"""The one thread that builds the engine, runs jobs and gives memory back, in the order asked; it knows no pipe.

Both workers have one: a process in its main thread, because libraries that handle signals expect to live there, and
`ThreadWorker` in a thread of its own.
"""

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from execution.events import Crashed, Ending
from execution.job import Job
from execution.workers.engine import Engine
from execution.workers.worker import Emit

log = logging.getLogger(__name__)


class JobLoop:
    def __init__(self, build_engine: Callable[[], Engine]):
        self._build_engine = build_engine
        self._tasks: SimpleQueue[Callable[[Engine], None] | None] = SimpleQueue()
        self._unwanted: set[str] = set()
        self._engine: Engine | None = None
        self._built = threading.Event()

    def serve(self, on_ready: Callable[[], None]) -> None:
        """Build the engine, say so, and work until `stop`. Raises what building raises."""
        self._engine = engine = self._build_engine()
        self._built.set()
        on_ready()
        while (task := self._tasks.get()) is not None:
            task(engine)

    def engine(self, deadline: float) -> Engine:
        """The engine, once it is built. deadline: seconds. Raises TimeoutError."""
        if not self._built.wait(deadline) or self._engine is None:
            raise TimeoutError("the worker is still starting")
        return self._engine

    def run(self, job: Job, emit: Emit, done: Callable[[Ending], None]) -> None:
        """From any thread: run a job after what was asked before."""

        def task(engine: Engine) -> None:
            ending = self._guarded(engine, job, emit)
            self._unwanted.discard(job.id)
            done(ending)

        self._unwanted.discard(job.id)  # an interrupt that came too late for an earlier job of this id
        self._tasks.put(task)

    def interrupt(self, prompt_id: str) -> None:
        """From any thread. Heeded also when the job has been taken in and not begun."""
        self._unwanted.add(prompt_id)

    def expect(self, job: Job) -> None:
        """From any thread: this job will probably be the next. Heeded at once, also while another runs."""
        if self._engine is not None:
            self._engine.expect(job)

    def free(self, unload_models: bool, free_memory: bool) -> None:
        """From any thread: give memory back after what was asked before."""

        def task(engine: Engine) -> None:
            try:
                engine.free(unload_models, free_memory)
            except Exception:
                log.exception("Giving memory back failed")

        self._tasks.put(task)

    def stop(self) -> None:
        """From any thread: end `serve` after what was asked before."""
        self._tasks.put(None)

    def _guarded(self, engine: Engine, job: Job, emit: Emit) -> Ending:
        try:
            return engine.run(job, emit, lambda: job.id in self._unwanted)
        except BaseException as error:  # an engine does not raise for what a node did; one that does must not end us
            log.exception("The engine failed with job %s", job.id)
            cause = f"The engine itself failed with {type(error).__name__}: {error}"
            ending = Crashed(job.id, time.time(), cause, None, None, None, "", ())
            emit(ending)
            return ending
