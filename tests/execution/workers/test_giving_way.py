"""What a worker process does when nobody keeps up with what it says."""

import io
import threading
from collections.abc import Callable

import pytest

from execution.events import Event, NodeFinished, NodeRef, NodeStarted, Preview, Progress, Started, Succeeded
from execution.workers import outbox as limits
from execution.workers.frames import Frames
from execution.workers.messages import Alive, CannotSay, Catalogue, FromWorker, Happened, System
from execution.workers.outbox import Outbox
from execution.workers.stderr import LONGEST, PER_SECOND, LineLog

NODE = NodeRef("1", "1", None, "1")


class Pipe:
    """Takes frames; a closed one makes the writer wait. What was written can be read back."""

    def __init__(self):
        self.open = threading.Event()
        self.frames: list[bytes] = []
        self.news = threading.Condition()

    def __call__(self, data: bytes) -> None:
        self.open.wait(30)
        with self.news:
            self.frames.append(data)
            self.news.notify_all()

    def messages(self) -> list[FromWorker]:
        file, frames = io.BytesIO(b"".join(self.frames)), Frames[FromWorker](FromWorker)
        said: list[FromWorker] = []
        while (message := frames.read(file)) is not None:
            said.append(message)
        return said

    def events(self) -> list[Event]:
        return [event for message in self.messages() if isinstance(message, Happened) for event in message.events]

    def until(self, enough: Callable[[], bool]) -> None:
        with self.news:
            assert self.news.wait_for(enough, 30)


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


@pytest.fixture
def outbox(pipe: Pipe) -> Outbox:
    """Its writer is already stuck in its first frame."""
    outbox = Outbox(pipe)
    outbox.say(Alive())
    threading.Thread(target=outbox.serve, daemon=True).start()
    return outbox


def later(outbox: Outbox, *events: Event) -> threading.Thread:
    thread = threading.Thread(target=lambda: [outbox.tell(event) for event in events], daemon=True)
    thread.start()
    return thread


def test_only_the_newest_sketches_wait(outbox: Outbox, pipe: Pipe):
    for number in range(100):
        outbox.tell(Preview("p", NODE, "jpeg", bytes([number])))
    pipe.open.set()
    pipe.until(lambda: len(pipe.events()) >= limits.SKETCHES)
    assert [event.image[0] for event in pipe.events() if isinstance(event, Preview)][-limits.SKETCHES :] == (
        [96, 97, 98, 99]
    )
    assert len(pipe.events()) < 100


def test_progress_of_one_node_is_merged_where_many_wait(outbox: Outbox, pipe: Pipe):
    for number in range(limits.MERGE_FROM * 3):
        outbox.tell(Progress("p", NODE, number, 1))
    pipe.open.set()
    last = limits.MERGE_FROM * 3 - 1
    pipe.until(lambda: any(isinstance(each, Progress) and each.value == last for each in pipe.events()))
    assert len(pipe.events()) <= limits.MERGE_FROM * 2


def test_a_job_waits_when_too_much_waits_and_goes_on_when_there_is_room(
    outbox: Outbox, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "MOST_WAITING", 10)
    job = later(outbox, *(NodeFinished("p", NODE, {"n": [number]}) for number in range(100)))
    job.join(0.05)
    assert job.is_alive()
    pipe.open.set()
    job.join(30)
    assert not job.is_alive()
    pipe.until(lambda: len(pipe.events()) == 100)
    assert [event.ui for event in pipe.events() if isinstance(event, NodeFinished)] == [{"n": [n]} for n in range(100)]


def test_pictures_that_must_not_be_lost_wait_within_a_bound(
    outbox: Outbox, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "MOST_BYTES", 1000)
    job = later(outbox, *(Preview("p", NODE, "png", bytes(400)) for _ in range(20)))
    job.join(0.05)
    assert job.is_alive()
    pipe.open.set()
    pipe.until(lambda: len(pipe.events()) == 20)


def test_a_node_is_announced_before_it_runs(pipe: Pipe):
    pipe.open.set()
    outbox = Outbox(pipe)  # without a writer thread: it may never get its turn once the node runs
    for event in (Started("p", 1), NodeFinished("p", NODE, None), NodeStarted("p", NODE)):
        outbox.tell(event)
    assert [type(event) for event in pipe.events()] == [Started, NodeFinished, NodeStarted]


def test_an_answer_that_is_not_plain_is_said_to_be_none(pipe: Pipe, capsys: pytest.CaptureFixture[str]):
    outbox = Outbox(pipe)
    pipe.open.set()
    outbox.say(System(5, {"x": object()}))
    outbox.tell(Succeeded("p", 1))
    [answer, _] = pipe.messages()
    assert isinstance(answer, CannotSay)
    assert (answer.id, "object" in answer.reason) == (5, True)
    assert "System holds what cannot cross a process" in capsys.readouterr().err


def test_what_is_too_large_is_left_out_and_its_node_still_finishes(pipe: Pipe, capsys: pytest.CaptureFixture[str]):
    outbox = Outbox(pipe, Frames[FromWorker](FromWorker, limit=1000))
    pipe.open.set()
    outbox.tell(NodeFinished("p", NODE, {"text": ["x" * 2000]}))
    outbox.say(Catalogue(1, {}))
    outbox.tell(Succeeded("p", 1))
    assert [event.ui for event in pipe.events() if isinstance(event, NodeFinished)] == [None]
    assert "over the limit of 1,000 bytes" in capsys.readouterr().err


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lines() -> list[str]:
    return []


def test_lines_are_whole_however_they_come(lines: list[str]):
    log = LineLog(lines.append, Clock())
    for chunk in (b"one\ntw", b"o\n\n", b"", b"thr", b"ee"):
        log.feed(chunk)
    log.close()
    assert lines == ["one", "two", "three"]


def test_a_flood_of_lines_is_cut_and_counted(lines: list[str]):
    clock = Clock()
    log = LineLog(lines.append, clock)
    log.feed(b"noise\n" * 100_000 + b"the last\n")
    assert len(lines) == PER_SECOND
    clock.now = 1.5
    log.feed(b"later\n")
    assert lines[PER_SECOND:] == [f"({100_001 - PER_SECOND:,} more lines were left out)", "later"]
    assert list(log.last)[-2:] == ["the last", "later"]


def test_a_line_without_end_is_cut(lines: list[str]):
    log = LineLog(lines.append, Clock())
    for _ in range(1000):
        log.feed(b"x" * 65_536)
    log.feed(b"\nnext\n")
    assert lines == ["x" * LONGEST, "next"]


def test_what_would_command_the_terminal_is_spelled_out(lines: list[str]):
    log = LineLog(lines.append, Clock())
    log.feed("tab\tis fine\n\x1b[2J\x07 \x9b31m \x00\n".encode() + b"\xff\xfe\n")
    assert lines == ["tab\tis fine", r"\x1b[2J\x07 \x9b31m \x00", r"\xff\xfe"]


def test_of_a_line_that_rewrites_itself_the_last_state_is_kept(lines: list[str]):
    log = LineLog(lines.append, Clock())
    log.feed(b" 10%\r 50%\r100%\r\nwindows\r\n")
    assert lines == ["100%", "windows"]
