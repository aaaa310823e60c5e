"""What a worker process still has to say, and in which order it gives way when nobody keeps up.

The job's threads add events, a writer thread packs many of them into one frame. When the server is slow, sketches are
dropped first (only the newest few wait), then progress of the same node is merged, and in the end the job waits. Signs
of life and answers never wait behind a limit.

That a node begins is written by the job's own thread before the node runs: it may end the process or hold the
interpreter from its first instruction on, and then nothing else would say who did it.
"""

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from execution.events import Broadcast, Crashed, Ending, Event, NodeFinished, NodeStarted, Preview, Progress
from execution.workers.frames import Frames, FrameTooLarge, Unfit
from execution.workers.messages import Alive, CannotSay, FromWorker, Happened

IN_ONE_FRAME = 500  # events: about 4 ms of work for the server's loop
BYTES_IN_ONE_FRAME = 4 * 2**20
SKETCHES = 4  # droppable previews that may wait
MERGE_FROM = 1_000  # waiting events from which progress is merged
MOST_WAITING = 10_000  # events, and
MOST_BYTES = 64 * 2**20  # bytes of pictures, from which the job waits
LINGER = 0.003  # seconds in which more events may join a frame


@dataclass(slots=True, eq=False)
class _Item:
    """A place in the queue; None when what stood there was dropped."""

    content: Event | FromWorker | None


class Outbox:
    """write: sends one frame, waiting as long as it takes; an OSError from it ends `serve`."""

    def __init__(self, write: Callable[[bytes], None], frames: Frames[FromWorker] | None = None):
        self._write = write
        self._frames = frames or Frames[FromWorker](FromWorker)
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)  # for threads of the job
        self._work = threading.Condition(self._lock)  # for the writer
        self._writing = threading.Lock()  # held from taking items until they are written, to keep their order
        self._items: deque[_Item] = deque()
        self._sketches: deque[_Item] = deque()
        self._bytes = 0
        self._crowd = 0  # threads that wait for room
        self._urgent = False
        self._writer_waits = False

    def tell(self, event: Event) -> None:
        """From a thread of the job. Waits while too much waits already."""
        with self._lock:
            self._crowd += 1
            self._room.wait_for(lambda: len(self._items) < MOST_WAITING and self._bytes < MOST_BYTES)
            self._crowd -= 1
            if isinstance(event, Preview):
                self._bytes += len(event.image)
                if event.droppable:
                    self._add_sketch(event)
                    return
            elif isinstance(event, Progress) and self._merged(event):
                return
            self._add(event)
        if isinstance(event, NodeStarted | Ending):
            with contextlib.suppress(OSError):  # the other end is gone; `serve` will notice
                self._send()

    def say(self, message: FromWorker) -> None:
        """From any thread: something that is not an event, soon."""
        with self._lock:
            self._urgent = True
            self._add(message)

    def serve(self) -> None:
        """The body of the writer thread: send until the other end is gone."""
        with contextlib.suppress(OSError):
            while True:
                self._wait()
                self._send()

    def _add(self, content: Event | FromWorker) -> _Item:
        item = _Item(content)
        self._items.append(item)
        if self._writer_waits or self._urgent or len(self._items) == IN_ONE_FRAME:
            self._work.notify()
        return item

    def _add_sketch(self, sketch: Preview) -> None:
        self._sketches.append(self._add(sketch))
        if len(self._sketches) > SKETCHES:
            oldest = self._sketches.popleft()
            self._bytes -= len(cast(Preview, oldest.content).image)
            oldest.content = None

    def _merged(self, event: Progress) -> bool:
        """Let a progress take the place of the one before it, where many wait."""
        last = self._items[-1] if len(self._items) >= MERGE_FROM else None
        if last is None or not isinstance(last.content, Progress) or last.content.node.id != event.node.id:
            return False
        last.content = event
        return True

    def _wait(self) -> None:
        """For something to say, and a moment for more of it."""
        with self._lock:
            self._writer_waits = True
            self._work.wait_for(lambda: self._items)
            self._writer_waits = False
            self._work.wait_for(lambda: self._urgent or len(self._items) >= IN_ONE_FRAME, LINGER)

    def _send(self) -> None:
        """Write everything there is. Raises OSError when the other end is gone."""
        with self._writing:
            for message in _batches(self._taken()):
                self._write(self._packed(message))

    def _taken(self) -> list[Event | FromWorker]:
        with self._lock:
            items = [item.content for item in self._items if item.content is not None]
            self._items.clear()
            self._sketches.clear()
            self._bytes = 0
            self._urgent = False
            if self._crowd:
                self._room.notify_all()
        return items

    def _packed(self, message: FromWorker) -> bytes:
        try:
            return self._frames.pack(message)
        except (Unfit, FrameTooLarge) as problem:
            print(f"A message to the server was changed: {problem}", file=sys.stderr)
            if not isinstance(message, Happened):
                id = getattr(message, "id", None)
                return self._frames.pack(Alive() if id is None else CannotSay(id, str(problem)))
            if len(message.events) > 1:
                return b"".join(self._packed(Happened((event,))) for event in message.events)
            return self._lenient(message.events[0])

    def _lenient(self, event: Event) -> bytes:
        """An event whose content a node made and that is not plain: as text where possible, else without it."""
        for attempt in (event, _without_content(event)):
            try:
                return self._frames.pack(Happened((attempt,)), lenient=True)
            except (Unfit, FrameTooLarge):
                continue
        if not isinstance(event, Ending):
            return b""
        cause = f"The ending of the job ({type(event).__name__}) could not be told to the server"
        return self._frames.pack(Happened((Crashed(event.prompt_id, event.at, cause, None, None, None, "", ()),)))


def _without_content(event: Event) -> Event:
    match event:
        case NodeFinished():
            return replace(event, ui=None)
        case Broadcast():
            return replace(event, data=None)
        case _:
            return event


def _batches(items: Sequence[Event | FromWorker]) -> list[FromWorker]:
    """Events that stand together, in frames of a bearable size; everything else as it is."""
    messages: list[FromWorker] = []
    events: list[Event] = []
    size = 0

    def flush() -> None:
        nonlocal events, size
        if events:
            messages.append(Happened(events))
        events, size = [], 0

    for item in items:
        if isinstance(item, Event):
            events.append(item)
            size += len(item.image) if isinstance(item, Preview) else 0
            if len(events) >= IN_ONE_FRAME or size >= BYTES_IN_ONE_FRAME:
                flush()
        else:
            flush()
            messages.append(item)
    flush()
    return messages
