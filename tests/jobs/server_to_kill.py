"""A server without HTTP, to be killed at any moment: `python -m tests.jobs.server_to_kill DATABASE ROUND`.

It submits jobs as fast as they are acknowledged and runs them. What it has promised it says on stdout: `ack ID` once a
submit is answered, `end ID` once an ending is told.
"""

import asyncio
import sys
from pathlib import Path

from execution.dispatch import Dispatch
from execution.events import Ending, Event
from execution.queue import Queue
from execution.workers.thread import ThreadWorker
from storage.database import Database
from storage.jobs import Jobs
from tests.execution.workers.engines import Misbehaving, job


def say(event: Event) -> None:
    if isinstance(event, Ending):
        print("end", event.prompt_id, flush=True)


async def main(path: Path, round: str) -> None:
    database = Database(path)
    database.open()
    queue = Queue(Jobs(database), say, attempts=3)
    await queue.open()
    await Dispatch(queue, [ThreadWorker(Misbehaving)], say).start()

    async def submit(client: int) -> None:
        number = 0
        while True:
            id = f"{round}-{client}-{number:05}"
            await queue.put(job(id, "Text"))
            print("ack", id, flush=True)
            number += 1

    await asyncio.gather(*(submit(client) for client in range(3)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
