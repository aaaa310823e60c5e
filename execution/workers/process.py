"""A worker in a process of its own, and its supervisor: the default.

Whatever a job does to its process (ends it, hangs it, holds the interpreter) ends in an event here, and a new process
takes the place of the old one. A process is ended when it gives no sign of life, and when its job ignores an interrupt.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from execution.catalogue import from_plain
from execution.events import Crashed, Ending, Event, Interrupted
from execution.job import Job
from execution.packs import PackFacts
from execution.record import Recorder
from execution.spec import Declaration
from execution.workers.life import Death, Life
from execution.workers.messages import (
    Alive,
    Answer,
    AskCatalogue,
    AskCheck,
    AskHandlers,
    AskMemory,
    AskPacks,
    AskSystem,
    CannotSay,
    Catalogue,
    Expect,
    Free,
    FromWorker,
    Handled,
    Happened,
    Interrupt,
    Packs,
    Question,
    Ready,
    Run,
    System,
    Verdicts,
)
from execution.workers.worker import CheckQuestion, Emit, NoAnswer, State, Verdict, WorkerClosed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. start: until the first sign of life. silence: from one to the next, until the process is ended. grace:
    for a job to heed an interrupt. restart, restart_most: the first and the longest pause after a failed start."""

    start: float = 60
    silence: float = 60
    grace: float = 5
    restart: float = 0.5
    restart_most: float = 30

    def pause(self, failures: int) -> float:
        """How long to wait after so many failed starts in a row; doubles each time."""
        return min(self.restart * 2 ** min(failures - 1, 20), self.restart_most) if failures else 0


@dataclass(slots=True)
class _Running:
    job: Job
    emit: Emit
    recorder: Recorder
    ended: asyncio.Future[Ending]
    unwanted: bool = False
    sent: bool = False


@dataclass(slots=True)
class _Asked:
    answers: dict[int, asyncio.Future[Answer]] = field(default_factory=dict[int, asyncio.Future[Answer]])
    ids: "itertools.count[int]" = field(default_factory=itertools.count)


def _ignore(_: Event) -> None:
    """For broadcasts of packs while no job runs."""


class ProcessWorker:
    """command: a program that calls `child.serve`. environment: None for ours. directory: where it runs; None for here.
    overhear: is given what packs broadcast while no job runs."""

    def __init__(
        self,
        command: Sequence[str],
        name: str = "worker",
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        patience: Patience = Patience(),  # frozen
        overhear: Emit = _ignore,
    ):
        self._command = tuple(command)
        self._name = name
        self._environment = environment
        self._directory = directory
        self._patience = patience
        self._overhear = overhear
        self._life: Life | None = None
        self._up = False  # the process of the day has said that it is ready
        self._closing = False
        self._closed = asyncio.Event()
        self._trouble: str | None = None
        self._changed = asyncio.Event()
        self._supervision: asyncio.Task[None] | None = None
        self._running: _Running | None = None
        self._served = False
        self._starts = 0
        self._asked = _Asked()

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> State:
        if self._closing:
            return "closed"
        if not self._up:
            return "starting" if self._starts <= 1 else "restarting"
        return "idle" if self._running is None else "busy"

    @property
    def trouble(self) -> str | None:
        return self._trouble

    @property
    def pid(self) -> int | None:
        """Of the present process, for whoever looks at the system's list of processes."""
        return self._life.pid if self._life else None

    async def start(self) -> None:
        self._supervision = asyncio.create_task(self._supervise(), name=f"supervisor of {self._name}")

    async def ready(self) -> None:
        await self._until(lambda: self._up and self._running is None)

    async def run(self, job: Job, emit: Emit) -> Ending:
        if self._running is not None:
            raise RuntimeError(f"{self._name} runs {self._running.job.id} already")
        running = _Running(job, emit, Recorder(job.graph), asyncio.get_running_loop().create_future())
        self._running = running
        try:
            await self._until(lambda: self._up or running.unwanted)
            if running.unwanted:
                self._end(running, Interrupted(job.id, time.time(), None, "", ()))
            elif self._life is not None:
                self._life.send(Run(job))
                running.sent = True
            return await running.ended
        finally:
            self._running = None
            self._changed.set()

    def interrupt(self, prompt_id: str) -> None:
        running = self._running
        if running is None or running.job.id != prompt_id or running.unwanted:
            return
        running.unwanted = True
        self._changed.set()
        if running.sent and self._life is not None:
            self._life.send(Interrupt(prompt_id))
            asyncio.get_running_loop().call_later(self._patience.grace, self._lose_patience, running, self._life)

    async def catalogue(self, deadline: float) -> Mapping[str, Declaration]:
        answer = await self._ask(lambda id: AskCatalogue(id, deadline), deadline)
        return from_plain(answer.declarations) if isinstance(answer, Catalogue) else {}

    async def check(self, questions: Sequence[CheckQuestion], deadline: float) -> Sequence[Verdict]:
        answer = await self._ask(lambda id: AskCheck(id, deadline, questions), deadline)
        return answer.verdicts if isinstance(answer, Verdicts) else ()

    def expect(self, job: Job) -> None:
        if self._up and self._life is not None:
            self._life.send(Expect(job))

    async def memory(self, deadline: float) -> Mapping[str, Any]:
        answer = await self._ask(lambda id: AskMemory(id, deadline), deadline)
        return answer.facts if isinstance(answer, System) else {}

    async def system(self, deadline: float) -> Mapping[str, Any]:
        answer = await self._ask(lambda id: AskSystem(id, deadline), deadline)
        return answer.facts if isinstance(answer, System) else {}

    async def packs(self, deadline: float) -> PackFacts:
        answer = await self._ask(lambda id: AskPacks(id, deadline), deadline)
        return answer.facts if isinstance(answer, Packs) else PackFacts()

    async def handle(self, body: Mapping[str, Any], deadline: float) -> Mapping[str, Any]:
        answer = await self._ask(lambda id: AskHandlers(id, deadline, body), deadline)
        return answer.body if isinstance(answer, Handled) else body

    async def free(self, unload_models: bool, free_memory: bool) -> None:
        if self._up and self._life is not None:  # a process that is not up holds nothing
            self._life.send(Free(unload_models, free_memory))

    async def close(self) -> None:
        self._closing = True
        self._closed.set()
        self._changed.set()
        if self._life is not None:
            self._life.kill("the server was closed")
        if self._supervision is not None:
            await self._supervision

    async def _supervise(self) -> None:
        failures = 0
        while not self._closing:
            self._starts += 1
            self._served = False
            life = Life(self._name, self._hear, self._patience.start, self._patience.silence)
            try:
                await life.start(self._command, self._environment, self._directory)
            except OSError as error:
                self._trouble = f"The worker process cannot be started: {error}"
                log.error("%s", self._trouble)
            else:
                self._life = life
                if self._closing:
                    life.kill("the server was closed")
                self._settle(await life.last())
            failures = 0 if self._served else failures + 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), self._patience.pause(failures))

    def _settle(self, death: Death) -> None:
        """The process is gone: say so to everyone who waited for it."""
        died_starting = not self._up
        self._life, self._up = None, False
        what = str(death.exit) if death.killed_because is None else f"was ended because {death.killed_because}"
        if not self._closing:
            words = f": {death.last_words}" if died_starting and death.last_words else ""
            self._trouble = f"The worker process {what}{' while starting' if died_starting else ''}{words}"
            log.error("%s", self._trouble)
        if self._running is not None and self._running.sent:
            self._served = True  # what its job did to it says nothing against the program
            self._end(self._running, self._ending(self._running, death, what))
        for answer in self._asked.answers.values():
            if not answer.done():
                answer.set_exception(NoAnswer(f"the worker process {what}"))
        self._changed.set()

    def _ending(self, running: _Running, death: Death, what: str) -> Ending:
        recorder = running.recorder
        node, node_type = recorder.at_work, recorder.node_type
        at = time.time()
        if running.unwanted:
            return Interrupted(running.job.id, at, node, node_type, recorder.executed)
        where = f"while node {node.id} ({node_type}) was running" if node else "between two nodes"
        by_itself = death.killed_because is None
        code, signal = (death.exit.code, death.exit.signal) if by_itself else (None, None)
        cause = f"The worker process {what} {where}"
        return Crashed(running.job.id, at, cause, code, signal, node, node_type, recorder.executed)

    def _end(self, running: _Running, ending: Ending) -> None:
        if not running.ended.done():
            self._tell(running, ending)
            running.ended.set_result(ending)

    def _tell(self, running: _Running, event: Event) -> None:
        running.recorder.take(event)
        try:
            running.emit(event)
        except Exception:  # whoever listens must not cost us the process
            log.exception("A listener failed with %s", type(event).__name__)

    def _hear(self, message: FromWorker) -> None:
        match message:
            case Alive():
                pass
            case Ready():
                self._up, self._trouble = True, None
                self._changed.set()
            case Happened(events):
                for event in events:
                    self._happened(event)
            case Catalogue() | Verdicts() | System() | Packs() | Handled() | CannotSay():
                answer = self._asked.answers.get(message.id)
                if answer is not None and not answer.done():
                    answer.set_result(message)

    def _happened(self, event: Event) -> None:
        running = self._running
        id = getattr(event, "prompt_id", None)
        if running is None or running.ended.done() or id not in (None, running.job.id):
            if id is None:
                self._overhear(event)
            return
        if isinstance(event, Ending):
            self._served = True
            self._end(running, event)
        else:
            self._tell(running, event)

    def _lose_patience(self, running: _Running, life: Life) -> None:
        if self._running is running and not running.ended.done() and self._life is life:
            life.kill(f"job {running.job.id} did not heed an interrupt for {self._patience.grace:g} s")

    async def _ask(self, question: Callable[[int], Question], deadline: float) -> Answer:
        id = next(self._asked.ids)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked.answers[id] = answer
        try:
            async with asyncio.timeout(deadline):
                await self._until(lambda: self._up)
                if self._life is not None:
                    self._life.send(question(id))
                said = await answer
        except TimeoutError as error:
            raise NoAnswer(self._trouble or f"{self._name} did not answer within {deadline:g} s") from error
        except WorkerClosed as error:
            raise NoAnswer(str(error)) from error
        finally:
            del self._asked.answers[id]
        if isinstance(said, CannotSay):
            raise NoAnswer(said.reason)
        return said

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            if self._closing:
                raise WorkerClosed(f"{self._name} was closed")
            self._changed.clear()
            await self._changed.wait()
