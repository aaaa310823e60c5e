"""One worker process from its start to its death, as the server sees it: frames in, frames out, signs of life."""

import asyncio
import contextlib
import logging
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from execution.workers.codec import Malformed
from execution.workers.frames import PREFIX, Frames, FrameTooLarge
from execution.workers.messages import Begin, FromWorker, ToWorker
from execution.workers.offspring import Exit, apart, exit_of, kill_with_children
from execution.workers.stderr import LineLog

log = logging.getLogger(__name__)

BUFFER = 2**20  # bytes read ahead from the pipe
LARGE = 2**18  # bytes of a header that is decoded off the loop
TICKS = 10  # a silent process is looked at so often before it is given up
TURN = 0.002  # seconds of listening without giving others a turn
DRAIN = 2.0  # seconds to read what a dead process has left in its pipes

_INCOMING = Frames[FromWorker](FromWorker)
_OUTGOING = Frames[ToWorker](ToWorker)


@dataclass(frozen=True, slots=True)
class Death:
    """exit: how the process ended. killed_because: why we ended it, None when it ended by itself. last_words: the
    last line it printed."""

    exit: Exit
    killed_because: str | None
    last_words: str | None


class Life:
    """hear is called on the loop with every message. start, silence: seconds until the first message, and from one to
    the next, after which the process is ended."""

    def __init__(self, name: str, hear: Callable[[FromWorker], None], start: float, silence: float):
        self._hear = hear
        self._start = start
        self._silence = silence
        self._lines = LineLog(lambda line: log.info("[%s] %s", name, line))
        self._process: Process | None = None
        self._heard = False
        self._killed_because: str | None = None

    async def start(
        self, command: Sequence[str], environment: Mapping[str, str] | None, directory: Path | None
    ) -> None:
        """Raises OSError when the program cannot be started."""
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment, cwd=directory, limit=BUFFER, **apart()
        )
        self._process = process
        self.send(Begin(min(1.0, self._silence / TICKS)))

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def send(self, message: ToWorker) -> None:
        """Never waits; what is sent to a dead process is lost, and its death is told by `last`.
        Raises Unfit or FrameTooLarge."""
        frame = _OUTGOING.pack(message)
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._process.stdin.write(frame)

    def kill(self, because: str | None) -> None:
        """End the process and all it has started, at once."""
        if self._process is not None:
            self._killed_because = self._killed_because or because
            kill_with_children(self._process.pid)

    async def last(self) -> Death:
        """Listen until the process has ended, in whatever way; leaves none of its children behind."""
        process = self._process
        assert process is not None
        listening = asyncio.create_task(self._listen(process))
        draining = asyncio.create_task(self._drain(process))
        watching = asyncio.create_task(self._watch(process))
        waiting = asyncio.create_task(process.wait())
        tasks = (listening, draining, watching, waiting)
        try:
            # Any of them ends for us: a forked child may keep the pipe open, a closed pipe may outlive the process.
            await asyncio.wait((listening, watching, waiting), return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                await asyncio.wait((waiting,), timeout=DRAIN if listening.done() else 0)
        finally:
            kill_with_children(process.pid)
            await asyncio.wait((listening, draining, waiting), timeout=DRAIN)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._lines.close()
            # There is no public way to let go of pipes that an escaped grandchild still holds.
            process._transport.close()  # pyright: ignore  # untyped as well as private
        code = process.returncode
        last_words = self._lines.last[-1] if self._lines.last else None
        return Death(exit_of(0 if code is None else code), self._killed_because, last_words)

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None
        due = 0.0  # when others shall have their turn: the pipe may always hold more
        clock = asyncio.get_running_loop().time
        try:
            while True:
                header_size, tail_size = _INCOMING.lengths(await process.stdout.readexactly(PREFIX.size))
                header = await process.stdout.readexactly(header_size)
                tail = await process.stdout.readexactly(tail_size)
                if header_size > LARGE:
                    message = await asyncio.to_thread(_INCOMING.unpack, header, tail)
                else:
                    message = _INCOMING.unpack(header, tail)
                self._heard = True
                self._hear(message)
                if clock() > due:
                    await asyncio.sleep(0)
                    due = clock() + TURN
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        except (Malformed, FrameTooLarge) as error:
            self.kill(f"it said something that cannot be understood ({error})")

    async def _drain(self, process: Process) -> None:
        assert process.stderr is not None
        while chunk := await process.stderr.read(2**16):
            self._lines.feed(chunk)
            await asyncio.sleep(0)

    async def _watch(self, process: Process) -> None:
        # Silence is counted in looks, not measured by the clock: while our own loop stands still or the machine
        # sleeps, nobody looks.
        silent, allowed = 0.0, self._start
        tick = self._silence / TICKS
        while silent < allowed and process.returncode is None:
            await asyncio.sleep(tick)
            silent += tick
            if self._heard:
                silent, allowed = 0.0, self._silence
            self._heard = False
        if process.returncode is None:
            self.kill(f"it gave no sign of life for {allowed:g} s")
