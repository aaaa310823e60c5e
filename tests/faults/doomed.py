"""The real server around small nodes, which kills itself at a named point: `python -m tests.faults.doomed ARGUMENTS`.

HEDDLE_TEST_DIE names the point and how often it is passed before: "submit.after 3". A point of the worker kills the
worker. Points are laid around functions from outside; the program knows nothing of them.
"""

import asyncio
import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from execution.dispatch import Dispatch
from execution.executor import Executor
from execution.workers import child
from launch import compose
from launch.arguments import parse_serve
from launch.commands.serve import serve
from launch.folders import folders_of
from launch.settings import Settings
from storage import atomic, inputs, outputs, userdata, versions
from storage.database import Database
from storage.jobs import Jobs
from tests.faults.small_nodes import engine

HOME = Path(__file__).parents[2]

# Where the process may die: name → whose function, which one. Each has a point before it and one after it.
SERVER: dict[str, tuple[Any, str]] = {
    "open": (Database, "open"),
    "migrate": (Database, "_migrate"),
    "commit": (Database, "_commit"),
    "submit": (Jobs, "add"),
    "claim": (Jobs, "claim"),
    "file": (Jobs, "finish"),
    "cancel": (Jobs, "cancel"),
    "give back": (Jobs, "requeue"),
    "renew": (Jobs, "beat"),
    "name an upload": (inputs.atomic, "publish_new"),
    "keep a version": (versions.Versions, "keep"),
    "name a workflow": (userdata.atomic, "publish_over"),
    "write to the disk": (atomic, "finish"),
    "drain": (Dispatch, "close"),
}
WORKER: dict[str, tuple[Any, str]] = {
    "run": (Executor, "run"),
    "bring to the disk": (outputs.atomic, "finish"),
    "name a file": (outputs.atomic, "publish_new"),
}


def points(side: dict[str, tuple[Any, str]]) -> list[str]:
    return [f"{name}{when}" for name in side for when in (".before", ".after")]


def arm(side: dict[str, tuple[Any, str]]) -> None:
    """Lay the point this process dies at, if it is one of its own."""
    point, _, count = os.environ.get("HEDDLE_TEST_DIE", "").rpartition(" ")
    name, _, when = point.rpartition(".")
    if name not in side:
        return
    left = int(count)

    def pass_by(at: str) -> None:
        nonlocal left
        if at == when:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    owner, attribute = side[name]
    setattr(owner, attribute, around(getattr(owner, attribute), pass_by))


def around(original: Callable[..., Any], pass_by: Callable[[str], None]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def waited(*arguments: Any, **named: Any) -> Any:
            pass_by("before")
            result = await original(*arguments, **named)
            pass_by("after")
            return result

        return waited

    @functools.wraps(original)
    def called(*arguments: Any, **named: Any) -> Any:
        pass_by("before")
        result = original(*arguments, **named)
        pass_by("after")
        return result

    return called


def worker_command(settings: Settings, door: Path) -> list[str]:
    return [sys.executable, "-m", "tests.faults.doomed", "worker", *settings.arguments[1:]]


def main(words: Sequence[str]) -> int:
    if words[0] == "worker":
        arm(WORKER)
        child.serve(engine(folders_of(parse_serve(words[1:], HOME).paths)))
        return 1
    compose.worker_command = worker_command
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, lambda *_: print("tasks", len(asyncio.all_tasks()), file=sys.stderr, flush=True))
    arm(SERVER)
    return serve(words, HOME)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
