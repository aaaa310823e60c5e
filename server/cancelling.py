"""Taking jobs back, and telling those who wait for them: a job that never began has no other event."""

import time
from collections.abc import Callable, Sequence

from execution.dispatch import Dispatch
from execution.events import Filed, Interrupted
from execution.queue import Queue
from server.hub import Hub


class Cancelling:
    def __init__(self, queue: Queue, dispatch: Dispatch, hub: Hub, clock: Callable[[], float] = time.time):
        self._queue, self._dispatch, self._hub, self._clock = queue, dispatch, hub, clock

    async def take_back(self, prompt_ids: Sequence[str]) -> int:
        """Waiting jobs of these ids; others are left alone. Returns how many."""
        waited = [id for id in prompt_ids if self._hub.awaits(id)]
        count = await self._queue.delete(prompt_ids)
        if count:
            self._tell([id for id in waited if await self._queue.position(id) is None])
        return count

    async def take_back_all(self) -> None:
        waited = self._hub.awaited()
        await self._queue.clear()
        self._tell(waited)

    async def cancel(self, prompt_ids: Sequence[str]) -> int:
        """Waiting jobs are taken back, running ones interrupted. Returns how many that were."""
        taken_back = await self.take_back(prompt_ids)
        return taken_back + sum(self._dispatch.interrupt(id) for id in prompt_ids)

    def _tell(self, prompt_ids: Sequence[str]) -> None:
        """Those that began meanwhile have told so themselves, and are awaited no more."""
        running = {held.job.id for held in self._dispatch.running}
        for id in prompt_ids:
            if id not in running and self._hub.awaits(id):
                self._hub.publish(Interrupted(id, self._clock(), None, "", ()))
                self._hub.publish(Filed(id))
