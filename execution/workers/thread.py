"""A worker in a thread of this process: for tests and for running a graph without a server.

It cannot be killed: a job that ignores an interrupt runs on, and one that ends the process ends us.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from execution.events import Ending, Event, Preview
from execution.job import Job
from execution.packs import PackFacts
from execution.spec import Declaration
from execution.workers.engine import Engine
from execution.workers.jobloop import JobLoop
from execution.workers.questions import Answerer
from execution.workers.worker import CheckQuestion, Emit, NoAnswer, State, Verdict, WorkerClosed

log = logging.getLogger(__name__)

T = TypeVar("T")

# Events handed to the loop in one turn, so that a talkative job does not starve everything else on it.
AT_ONCE = 256


class Crossing:
    """Carries events from any thread to a loop, in order, many per wake-up. Previews nobody has seen yet are dropped
    when the loop does not keep up."""

    def __init__(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Event], None]):
        self._loop = loop
        self._deliver = deliver
        self._events: deque[Event] = deque()
        self._scheduled = False

    def post(self, event: Event) -> None:
        if isinstance(event, Preview) and event.droppable and len(self._events) > AT_ONCE:
            return
        self._events.append(event)
        if not self._scheduled:
            self._scheduled = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._turn)

    def flush(self) -> None:
        """On the loop: deliver whatever is left."""
        while self._events:
            self._deliver(self._events.popleft())

    def _turn(self) -> None:
        self._scheduled = False  # before the look: who posts from here on schedules anew
        for _ in range(min(AT_ONCE, len(self._events))):
            self._deliver(self._events.popleft())
        if self._events and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)


class ThreadWorker:
    """build_engine is called on the worker's thread. grace: seconds that `close` waits for a running job."""

    def __init__(self, build_engine: Callable[[], Engine], name: str = "thread", grace: float = 5):
        self._jobs = JobLoop(build_engine)
        self._answerer = Answerer(f"{name}-questions")
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._name = name
        self._grace = grace
        self._state: State = "starting"
        self._trouble: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._running: str | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> State:
        return self._state

    @property
    def trouble(self) -> str | None:
        return self._trouble

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def ready(self) -> None:
        while self._state != "idle":
            if self._state == "closed":
                raise WorkerClosed(self._trouble or "the worker was closed")
            self._changed.clear()
            await self._changed.wait()

    async def run(self, job: Job, emit: Emit) -> Ending:
        await self.ready()
        loop = asyncio.get_running_loop()
        crossing = Crossing(loop, emit)
        ended: asyncio.Future[Ending] = loop.create_future()
        self._running = job.id
        self._become("busy")
        self._jobs.run(job, crossing.post, lambda ending: self._resolve(ended, ending, None))
        try:
            ending = await asyncio.shield(ended)
            crossing.flush()
            return ending
        finally:
            self._running = None
            if self._state == "busy":
                self._become("idle")

    def interrupt(self, prompt_id: str) -> None:
        if prompt_id == self._running:
            self._jobs.interrupt(prompt_id)

    async def catalogue(self, deadline: float) -> Mapping[str, Declaration]:
        return await self._ask(lambda engine: engine.catalogue(), deadline)

    async def check(self, questions: Sequence[CheckQuestion], deadline: float) -> Sequence[Verdict]:
        return await self._ask(lambda engine: engine.check(questions), deadline)

    def expect(self, job: Job) -> None:
        self._jobs.expect(job)

    async def memory(self, deadline: float) -> Mapping[str, Any]:
        return await self._ask(lambda engine: engine.memory(), deadline)

    async def system(self, deadline: float) -> Mapping[str, Any]:
        return await self._ask(lambda engine: engine.system(), deadline)

    async def packs(self, deadline: float) -> PackFacts:
        return await self._ask(lambda engine: engine.packs.facts() if engine.packs else PackFacts(), deadline)

    async def handle(self, body: Mapping[str, Any], deadline: float) -> Mapping[str, Any]:
        return await self._ask(lambda engine: engine.packs.handle(body) if engine.packs else body, deadline)

    async def free(self, unload_models: bool, free_memory: bool) -> None:
        self._jobs.free(unload_models, free_memory)

    async def close(self) -> None:
        if self._running is not None:
            self._jobs.interrupt(self._running)
        self._jobs.stop()
        self._answerer.close()
        if self._state != "closed" and self._loop is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), self._grace)
        self._become("closed")

    def _serve(self) -> None:
        """The body of the thread."""
        try:
            self._jobs.serve(lambda: self._on_loop(self._become, "idle"))
        except BaseException as error:
            log.exception("The engine could not be built")
            self._trouble = f"The engine could not be built: {type(error).__name__}: {error}"
        self._on_loop(self._become, "closed")
        self._on_loop(self._ended.set)

    def _become(self, state: State) -> None:
        if self._state != "closed":
            self._state = state
        self._changed.set()

    def _on_loop(self, call: Callable[..., object], *arguments: object) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(call, *arguments)

    def _resolve(self, future: asyncio.Future[T], value: T | None, error: Exception | None) -> None:
        def settle() -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)  # pyright: ignore[reportArgumentType]  # None only beside an error

        self._on_loop(settle)

    async def _ask(self, question: Callable[[Engine], T], deadline: float) -> T:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def work() -> None:
            try:
                self._resolve(answer, question(self._jobs.engine(deadline)), None)
            except Exception as error:
                self._resolve(answer, None, error)

        self._answerer.ask(deadline, work)
        try:
            return await asyncio.wait_for(answer, deadline)
        except Exception as error:
            raise NoAnswer(f"{self._name} did not answer: {type(error).__name__} {error}") from error
