"""Asynchronous nodes of one job, side by side in a loop of their own.

The engine is synchronous; it lets the loop run when it has nothing better to do, and for a moment between synchronous
nodes. A synchronous node is never called from inside the loop, so it may use asyncio itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

_LOOK_UP = 0.02  # seconds between two looks at whether the job should stop
_GRACE = 1.0  # seconds for cancelled tasks to end; whoever ignores it is left behind with the loop

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """How an awaitable ended. Exactly one of the two says something."""

    value: T | None = None
    error: BaseException | None = None


class Tasks:
    """Groups of awaitables, one group per node. `close` must be called."""

    def __init__(self, check: Callable[[], None]):
        """check: raises when the job should end."""
        self._check = check
        self._made: asyncio.AbstractEventLoop | None = None
        self._groups: dict[str, list[asyncio.Task[Ended[Any]]]] = {}
        self._left: dict[str, int] = {}
        self._ended: list[str] = []
        self._wake: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        """How many groups have not been fetched."""
        return len(self._groups)

    @property
    def first(self) -> str:
        """The group that runs for longest. There must be one."""
        return next(iter(self._groups))

    def start(self, id: str, awaitables: Sequence[tuple[Awaitable[Any], Context]]) -> None:
        """Let a node's calls begin, each in its own context."""
        group = [self._loop.create_task(_to_end(awaitable), context=context) for awaitable, context in awaitables]
        self._groups[id] = group
        self._left[id] = len(group)
        for task in group:
            task.add_done_callback(lambda _, id=id: self._one_less(id))

    def fetch(self, wait: bool) -> list[tuple[str, list[Ended[Any]]]]:
        """Let the loop run, and return the groups that have ended. wait: until there is one."""
        self._turn(0.0)
        while wait and not self._ended and self._groups:
            self._check()
            self._turn(_LOOK_UP)
        ended, self._ended = self._ended, []
        return [(id, [task.result() for task in self._groups.pop(id)]) for id in ended]

    def finish(self, awaitable: Awaitable[Any]) -> Any:
        """Run one awaitable to its end, beside the others. Raises what it raises."""
        task = self._loop.create_task(_to_end(awaitable))
        task.add_done_callback(lambda _: self._awaken())
        while not task.done():
            self._check()
            self._turn(_LOOK_UP)
        ended = task.result()
        if ended.error is not None:
            raise ended.error
        return ended.value

    def close(self) -> None:
        """Cancel what still runs and let go of the loop. Threads a node started are not waited for."""
        loop, self._made = self._made, None
        if loop is None:
            return
        loop.set_exception_handler(_ignore)  # tasks that would not end are lost on purpose
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_GRACE))
        self._groups.clear()
        loop.close()

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        if self._made is None:
            self._made = asyncio.new_event_loop()
        return self._made

    def _one_less(self, id: str) -> None:
        self._left[id] -= 1
        if self._left[id] == 0:
            del self._left[id]
            self._ended.append(id)
            self._awaken()

    def _awaken(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _turn(self, seconds: float) -> None:
        """Let the loop run: one round, or until somebody wakes it or the time is up."""
        loop = self._loop
        if seconds == 0.0:
            loop.run_until_complete(asyncio.sleep(0))
            return
        self._wake = loop.create_future()
        timer = loop.call_later(seconds, self._awaken)
        loop.run_until_complete(self._wake)
        timer.cancel()
        self._wake = None


async def _to_end(awaitable: Awaitable[Any]) -> Ended[Any]:
    # Everything is caught: SystemExit and KeyboardInterrupt would break out of the loop and take other nodes along.
    try:
        return Ended(value=await awaitable)
    except BaseException as error:
        return Ended(error=error)


def _ignore(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    pass
