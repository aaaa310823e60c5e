"""The worker process's own half: `serve` is all that its command has to call.

The main thread runs jobs, because libraries that handle signals expect to live there. A listener thread takes what the
server says, a writer sends what we say, a third gives signs of life, and questions are answered on another, so that all
of this goes on while a job runs.
"""

import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import BinaryIO

from execution.catalogue import to_plain
from execution.events import Ending
from execution.packs import PackFacts
from execution.workers.engine import Engine
from execution.workers.frames import Frames
from execution.workers.jobloop import JobLoop
from execution.workers.messages import (
    Alive,
    Answer,
    AskCatalogue,
    AskCheck,
    AskHandlers,
    AskMemory,
    AskPacks,
    AskSystem,
    Begin,
    CannotSay,
    Catalogue,
    Expect,
    Free,
    Handled,
    Interrupt,
    Packs,
    Question,
    Ready,
    Run,
    System,
    ToWorker,
    Verdicts,
)
from execution.workers.offspring import die_with_parent, end_self_with_children
from execution.workers.outbox import Outbox
from execution.workers.questions import Answerer


def serve(build_engine: Callable[[], Engine]) -> None:
    """Run jobs for the server at the other end of stdin and stdout, until it is gone. Does not return.

    build_engine is called in the main thread, after the pipes are safe from what it may print.
    """
    incoming, write = take_over_the_pipes()
    die_with_parent()
    try:
        Child(build_engine, incoming, write).serve()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)  # not sys.exit: a pack's threads must not keep a worker alive that is done


def take_over_the_pipes() -> tuple[BinaryIO, Callable[[bytes], None]]:
    """Move stdin and stdout to descriptors nobody knows, and leave in their places nothing and stderr: whatever a pack
    or a program it starts prints cannot come between our frames."""
    incoming, outgoing = os.dup(0), os.dup(1)  # not inherited by programs that packs start
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(incoming, os.O_BINARY)
        msvcrt.setmode(outgoing, os.O_BINARY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)

    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(outgoing, view) :]

    return os.fdopen(incoming, "rb"), write


class Child:
    def __init__(self, build_engine: Callable[[], Engine], incoming: BinaryIO, write: Callable[[bytes], None]):
        self._incoming = incoming
        self._jobs = JobLoop(build_engine)
        self._outbox = Outbox(write)
        self._answerer = Answerer()

    def serve(self) -> None:
        """Never returns in good order: the listener ends the process when the server is gone."""
        _thread(self._listen, "listener")
        _thread(self._speak, "writer")
        self._jobs.serve(self._ready)

    def _ready(self) -> None:
        if (packs := self._jobs.engine(0).packs) is not None:
            packs.speak(self._outbox.tell)
        self._outbox.say(Ready())

    def _speak(self) -> None:
        self._outbox.serve()
        end_self_with_children()

    def _listen(self) -> None:
        frames = Frames[ToWorker](ToWorker)
        try:
            while (message := frames.read(self._incoming)) is not None:
                self._heed(message)
        except Exception:
            traceback.print_exc()
        end_self_with_children()

    def _heed(self, message: ToWorker) -> None:
        match message:
            case Begin(beat):
                _thread(lambda: self._beat(beat), "signs of life")
            case Run(job):
                self._jobs.run(job, self._outbox.tell, _nothing)
            case Interrupt(prompt_id):
                self._jobs.interrupt(prompt_id)
            case Expect(job):
                self._jobs.expect(job)
            case Free(unload_models, free_memory):
                self._jobs.free(unload_models, free_memory)
            case AskCatalogue() | AskCheck() | AskSystem() | AskMemory() | AskPacks() | AskHandlers():
                self._answerer.ask(message.deadline, lambda: self._answer(message))

    def _beat(self, seconds: float) -> None:
        pause = threading.Event()
        while not pause.wait(seconds):
            self._outbox.say(Alive())

    def _answer(self, question: Question) -> None:
        try:
            self._outbox.say(self._answered(question))
        except BaseException as error:  # a pack's validator may raise anything
            traceback.print_exc()
            self._outbox.say(CannotSay(question.id, f"{type(error).__name__}: {error}"))

    def _answered(self, question: Question) -> Answer:
        engine = self._jobs.engine(question.deadline)
        match question:
            case AskCatalogue(id):
                return Catalogue(id, to_plain(engine.catalogue()))
            case AskCheck(id, _, questions):
                return Verdicts(id, engine.check(questions))
            case AskSystem(id):
                return System(id, engine.system())
            case AskMemory(id):
                return System(id, engine.memory())
            case AskPacks(id):
                return Packs(id, engine.packs.facts() if engine.packs else PackFacts())
            case AskHandlers(id, _, body):
                return Handled(id, engine.packs.handle(body) if engine.packs else body)


def _nothing(_: Ending) -> None:
    """The ending has been told as an event."""


def _thread(body: Callable[[], None], name: str) -> None:
    threading.Thread(target=body, name=name, daemon=True).start()
