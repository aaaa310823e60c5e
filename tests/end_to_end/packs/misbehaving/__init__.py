"""Nodes that do what a node must never do, to see that only their own job suffers."""

import ctypes
import os
import signal
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Annotated

from PIL import Image

from execution.context import Run
from nodes import wire
from nodes.declare import node
from nodes.markers import Choice, Given, Number, Ui

WAYS = ["sleep", "spin", "hold the lock", "raise", "exit", "leave", "crash", "kill itself", "print", "recurse"]


@node("Misbehave", category="test", output=True)
def misbehave(*, how: Annotated[str, Choice(WAYS)], number: int = 0) -> Ui:
    """Go wrong in one of many ways."""
    match how:
        case "sleep":
            time.sleep(3600)
        case "spin":
            while True:
                pass
        case "hold the lock":
            sum(range(10**13))
        case "exit":
            raise SystemExit(3)
        case "leave":
            os._exit(7)
        case "crash":
            ctypes.string_at(0)
        case "kill itself":
            os.kill(os.getpid(), signal.SIGKILL)
        case "print":
            print("\x1b[2J noise " * 1000)
            sys.stdout.flush()
        case "recurse":
            misbehave(how=how, number=number)
        case _:
            raise ValueError(f"as asked, number {number}")
    return Ui({"text": [how]})


@node("Steps", category="test", output=True)
def steps(
    *, run: Given[Run], total: Annotated[int, Number(1, 100_000)] = 3, seconds: Annotated[float, Number(0, 60)] = 0.0
) -> Ui:
    """Work in steps that look up in between, each with a picture of how far it is."""
    picture = BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "JPEG")
    for step in range(total):
        time.sleep(seconds)
        run.progress(step + 1, total)
        run.preview(picture.getvalue(), "jpeg")
    return Ui({"text": [str(total)]})


@node("DieOnce", category="test", output=True)
def die_once(*, image: wire.Image, folder: str, results: Annotated[int, Number(0, 10)]) -> Ui:
    """End the process the first time, once so many results are kept in a folder."""
    died = Path(folder) / "died"
    if died.exists():
        return Ui({"text": ["alive"]})
    deadline = time.monotonic() + 20
    while len(list(Path(folder).glob("*/*.*"))) < results and time.monotonic() < deadline:
        time.sleep(0.01)
    died.touch()
    os._exit(9)


NODES = [misbehave, steps, die_once]
