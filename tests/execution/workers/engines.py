"""A small engine whose nodes misbehave in the ways that nodes do; run in this process and in worker processes."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from execution.events import (
    Cached,
    Ending,
    Failed,
    Interrupted,
    NodeFinished,
    NodeRef,
    NodeStarted,
    Preview,
    Progress,
    Started,
    Succeeded,
)
from execution.job import Job
from execution.packs import PackSide
from execution.problems import NodeProblem
from execution.spec import Declaration
from execution.workers.worker import CheckQuestion, Emit, Verdict


def graph(*kinds: str, **inputs: Any) -> dict[str, Any]:
    """Nodes "1", "2", … of these kinds, run in this order, all with the same inputs."""
    return {str(n): {"class_type": kind, "inputs": inputs} for n, kind in enumerate(kinds, start=1)}


def job(id: str, *kinds: str, **inputs: Any) -> Job:
    nodes = graph(*kinds, **inputs)
    return Job(id, 0, nodes, (str(len(nodes)),))


class Misbehaving:
    """Runs a graph's nodes in their order. Not tidy on purpose: what a node raises other than an Exception escapes."""

    packs: PackSide | None = None

    def __init__(self):
        self.freed: list[tuple[bool, bool]] = []
        self.expected: list[str] = []
        self.runs = 0

    def run(self, job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        self.runs += 1
        emit(Started(job.id, 1.0))
        emit(Cached(job.id, (), 1.0))
        ending = self._nodes(job, emit, should_stop)
        emit(ending)
        return ending

    def _nodes(self, job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        done: list[str] = []
        for id, node in job.graph.items():
            ref = NodeRef(id, id, None, id)
            if should_stop():
                return Interrupted(job.id, 2.0, ref, node["class_type"], tuple(done))
            emit(NodeStarted(job.id, ref))
            try:
                ui = self._node(job, node, ref, emit, should_stop)
            except Exception as error:
                problem = NodeProblem(id, node["class_type"], type(error).__name__, f"{error}\n", executed=tuple(done))
                return Failed(job.id, 2.0, problem)
            emit(NodeFinished(job.id, ref, ui))
            done.append(id)
        if should_stop():
            return Interrupted(job.id, 2.0, None, "", tuple(done))
        return Succeeded(job.id, 2.0)

    def _node(
        self, job: Job, node: Mapping[str, Any], ref: NodeRef, emit: Emit, should_stop: Callable[[], bool]
    ) -> Mapping[str, Any] | None:
        inputs = node["inputs"]
        match node["class_type"]:
            case "Text":
                return {"text": [inputs.get("text", "done")]}
            case "Where":
                return {"pid": [os.getpid()], "main": [threading.current_thread() is threading.main_thread()]}
            case "Runs":
                return {"runs": [self.runs]}
            case "Freed":
                return {"freed": [list(each) for each in self.freed]}
            case "Raise":
                raise ValueError("no")
            case "SystemExit":
                sys.exit(3)
            case "OsExit":
                os._exit(7)
            case "Segfault":
                ctypes.string_at(0)
            case "KillMe":
                os.kill(os.getpid(), signal.SIGKILL)
            case "Sleep":
                time.sleep(60)
            case "Cooperative":
                while not should_stop():
                    time.sleep(0.001)
            case "HoldGil":
                re.match(r"(a+)+$", "a" * 64 + "b")
            case "Print":
                print("noise on stdout", flush=True)
                if sys.__stdout__:
                    sys.__stdout__.write("and on the original\x1b[31m\n")
                os.write(1, b"\x00\x00\x00\x02[]\xff raw bytes\n")
                subprocess.run(["sh", "-c", "echo a child of a node; read line"], check=False)
            case "Flood":
                for number in range(inputs["count"]):
                    emit(Preview(job.id, ref, "jpeg", number.to_bytes(4, "big") * 4096))
            case "Results":
                for number in range(inputs["count"]):
                    emit(Preview(job.id, ref, "png", number.to_bytes(4, "big") * 4096))
            case "Count":
                for number in range(inputs["count"]):
                    emit(Progress(job.id, ref, number + 1, inputs["count"]))
            case "Strange":
                return {"strange": [object(), b"bytes", {1, 2}]}
            case "Orphan":
                orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                emit(Progress(job.id, ref, orphan.pid, 1))
                while not should_stop():
                    time.sleep(0.001)
            case kind:
                raise LookupError(f"no such kind: {kind}")
        return None

    def catalogue(self) -> Mapping[str, Declaration]:
        return {"Text": Declaration("Text", "Text", "test", is_output=True)}

    def check(self, questions: Sequence[CheckQuestion]) -> Sequence[Verdict]:
        if any(question.class_type == "Hang" for question in questions):
            threading.Event().wait()
        if any(question.class_type == "Raise" for question in questions):
            raise ValueError("no verdict")
        return tuple(Verdict(question.node, None, tuple(question.values)) for question in questions)

    def free(self, unload_models: bool, free_memory: bool) -> None:
        self.freed.append((unload_models, free_memory))

    def memory(self) -> Mapping[str, Any]:
        return {"device": None, "expected": self.expected}

    def expect(self, job: Job) -> None:
        self.expected.append(job.id)

    def system(self) -> Mapping[str, Any]:
        return {"pid": os.getpid()}
