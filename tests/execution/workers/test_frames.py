"""What crosses the pipe between server and worker, and what does not."""

import io
import json
import struct
import time
from typing import Any

import pytest

from execution.catalogue import from_plain, to_plain
from execution.events import (
    Broadcast,
    Crashed,
    Event,
    Failed,
    NodeFinished,
    NodeRef,
    NodeStarted,
    Preview,
    Progress,
    Started,
    Succeeded,
)
from execution.job import Job
from execution.problems import NodeProblem
from execution.spec import Declaration, InputSpec, OutputSpec
from execution.workers.codec import Malformed, codec
from execution.workers.frames import PREFIX, Frames, FrameTooLarge, Unfit
from execution.workers.messages import AskCheck, Catalogue, FromWorker, Happened, Run, ToWorker
from execution.workers.worker import CheckQuestion

NODE = NodeRef("3.0.0.1", "3", "3", "3")
EVENTS: tuple[Event, ...] = (
    Started("p", 12.5),
    NodeStarted("p", NODE),
    Progress("p", NODE, 1, 4),
    Preview("p", NODE, "jpeg", b"\xff\xd8 first"),
    Preview("p", NODE, "png", b""),
    NodeFinished("p", NODE, {"text": ["héllo \ud800", float("inf"), {"deep": [None, True]}]}),
    NodeFinished("p", NODE, None, reused=True, reported=False),
    Broadcast("my.pack", {"a": [1]}, None),
    Broadcast(7, b"\x00\x01", "client"),
    Failed("p", 1.0, NodeProblem("3", "Boom", "ValueError", "no", ("line",), {"x": (1, "a")}, ("1", "2"))),
    Crashed("p", 1.0, "died", None, "SIGSEGV", NODE, "Boom", ()),
    Succeeded("p", 2.0, ("tiled",)),
)


def through_the_pipe(kind: Any, message: Any) -> Any:
    frames = Frames[Any](kind)
    return frames.read(io.BytesIO(frames.pack(message)))


def test_every_event_arrives_as_it_was_sent():
    assert through_the_pipe(FromWorker, Happened(EVENTS)) == Happened(EVENTS)


def test_a_job_arrives_as_it_was_sent():
    job = Job("p", -2.5, {"1": {"class_type": "A", "inputs": {"seed": 2**64 - 1, "x": ["2", 0]}}}, ("1",), {"n": 1})
    assert through_the_pipe(ToWorker, Run(job)) == Run(job)


def test_declarations_arrive_as_they_were_sent():
    seed = InputSpec("seed", "INT", options={"default": 0, "max": 2**64 - 1})
    name = InputSpec("name", "COMBO", required=False, choices=("a", 3), names_file=True, options={})
    spec = Declaration("A", None, "x", (seed, name), (OutputSpec("c", ("a", 3)), OutputSpec("d", "INT", is_list=True)))
    said = through_the_pipe(FromWorker, Catalogue(1, to_plain({"A": spec})))
    assert from_plain(said.declarations) == {"A": spec}


def test_questions_arrive_as_they_were_sent():
    asked = AskCheck(3, 1.5, (CheckQuestion("5", "A", {"x": [1, 2]}, ("y",), {"y": "INT"}),))
    assert through_the_pipe(ToWorker, asked) == asked


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes within JSON"])
def test_what_is_not_plain_is_refused_before_it_is_sent(value: object):
    with pytest.raises(Unfit, match="cannot cross a process"):
        Frames[Any](FromWorker).pack(Happened((NodeFinished("p", NODE, {"x": [value]}),)))


def test_a_value_that_holds_itself_is_refused():
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(Unfit):
        Frames[Any](FromWorker).pack(Happened((NodeFinished("p", NODE, {"x": loop}),)))


def frame(message: object, sizes: object, tail: bytes = b"") -> io.BytesIO:
    header = json.dumps([message, sizes]).encode()
    return io.BytesIO(PREFIX.pack(len(header), len(tail)) + header + tail)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (["Nonsense", []], "one of"),
        (["Happened", []], "1 fields"),
        (["Happened", [[["Started", ["p", "soon"]]]]], "Started.at: expected a number, got 'soon'"),
        (["Happened", [[["Started", [1, 2.0]]]]], "Started.prompt_id: expected a string"),
        (["Happened", [[["Progress", ["p", ["1", "1", None, "1"], True, 1]]]]], "Progress.value: expected a number"),
        (["Happened", [[["Preview", ["p", ["1", "1", None, "1"], "gif", 0]]]]], "Preview.format: expected one of"),
        (["Happened", [[["Preview", ["p", ["1", "1", None, "1"], "png", 0]]]]], "one of 0 blobs"),
        (["Catalogue", [1, []]], "expected an object"),
        ("Ready", "one of"),
    ],
)
def test_a_message_of_the_wrong_shape_is_refused_with_what_was_expected(message: object, said: str):
    with pytest.raises(Malformed, match=said):
        Frames[Any](FromWorker).read(frame(message, []))


@pytest.mark.parametrize("sizes", [[1], "x", [-1, 1], ["1"]])
def test_blobs_of_the_wrong_length_are_refused(sizes: object):
    with pytest.raises(Malformed):
        Frames[Any](FromWorker).read(frame(["Ready", []], sizes))


def test_a_header_that_is_not_json_is_refused():
    with pytest.raises(Malformed, match="expected JSON"):
        Frames[Any](FromWorker).read(io.BytesIO(PREFIX.pack(5, 0) + b"{{{{{"))


def test_an_announced_size_over_the_limit_is_refused_before_anything_is_read():
    with pytest.raises(FrameTooLarge, match="4,294,967,295"):
        Frames[Any](FromWorker).read(io.BytesIO(struct.pack(">II", 2**32 - 1, 0)))


def test_a_message_over_the_limit_is_refused_before_it_is_sent():
    frames = Frames[Any](FromWorker, limit=1000)
    frames.pack(Happened((Preview("p", NODE, "png", bytes(800)),)))
    with pytest.raises(FrameTooLarge, match="limit of 1,000 bytes"):
        frames.pack(Happened((Preview("p", NODE, "png", bytes(1000)),)))


@pytest.mark.parametrize("length", [0, 3, 8, 20, -1])
def test_a_pipe_cut_anywhere_is_an_end_and_not_an_error(length: int):
    frames = Frames[Any](FromWorker)
    assert frames.read(io.BytesIO(frames.pack(Happened(EVENTS))[:length])) is None


def test_a_type_without_a_plain_form_is_refused_when_the_codec_is_built():
    with pytest.raises(TypeError, match="no plain form"):
        codec(dict[str, object])
    with pytest.raises(TypeError, match="keys of a plain mapping"):
        codec(dict[int, str])


def test_thirty_thousand_events_cost_well_under_half_a_second():
    """A job of 10,000 nodes tells about this many. Measured at 0.16 s on one busy core; the bound leaves room."""
    frames = Frames[Any](FromWorker)
    events: list[Event] = []
    for number in range(10_000):
        node = NodeRef(str(number), str(number), None, str(number))
        events += [NodeStarted("p", node), Progress("p", node, 1, 1), NodeFinished("p", node, None)]
    begin = time.process_time()
    for start in range(0, len(events), 500):
        frames.read(io.BytesIO(frames.pack(Happened(events[start : start + 500]))))
    assert time.process_time() - begin < 0.5
