"""What has just happened to jobs, for those who follow one: a short memory of events with numbers of their own.

Whoever follows reads at their own pace from the same memory; who falls out of it starts over from how the job stands.
So a slow reader costs nothing, and nobody waits for anybody.
"""

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Generator
from secrets import token_hex

from execution.events import (
    Broadcast,
    Ending,
    Event,
    Filed,
    NodeFinished,
    Preview,
    Progress,
    QueueChanged,
    Queued,
    Started,
)

REMEMBERED = 512  # events of one job
ENDED = 64  # jobs that have ended and are still remembered


class JobFeed:
    """The events of one job. ended: the job is filed, nothing more will come."""

    def __init__(self) -> None:
        self.entries: deque[tuple[int, Event]] = deque()
        self.progress: dict[str, Progress] = {}
        self.last = 0
        self.lost = 0  # the highest number that is not remembered any more
        self.ended = False
        self.closed = False
        self.followers = 0
        self._news: asyncio.Future[None] | None = None

    def add(self, number: int, event: Event) -> None:
        match event:
            case Started():
                self.progress.clear()
            case Progress():
                self.progress[event.node.id] = event
                if self.entries and _same_progress(self.entries[-1][1], event):
                    self.entries.pop()  # a newer word for the same thing
            case NodeFinished():
                self.progress.pop(event.node.id, None)
            case Filed():
                self.ended = True
                self.progress.clear()
            case _:
                pass
        self.entries.append((number, event))
        self.last = number
        if len(self.entries) > REMEMBERED:
            self.lost, _ = self.entries.popleft()
        self.wake()

    def close(self) -> None:
        """Nobody need wait for more: the server stops."""
        self.closed = True
        self.wake()

    def wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def news(self) -> None:
        """Return when something was added after the call."""
        if self._news is None or self._news.done():
            self._news = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._news)


class Feed:
    """`publish` is called on the loop with every event of every job."""

    def __init__(self) -> None:
        self.on_end: list[Callable[[], None]] = []  # called when a job has been filed
        self.mark = token_hex(4)  # of this run of the program: numbers of another mean nothing here
        self._jobs: dict[str, JobFeed] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._number = 0

    def publish(self, event: Event) -> None:
        if isinstance(event, Queued) and event.prompt_id in self._ended:
            del self._ended[event.prompt_id], self._jobs[event.prompt_id]  # the id is used again
        if isinstance(event, Preview | Queued | QueueChanged | Broadcast | Ending):
            return  # the end is told when it can be read, with Filed
        id = event.prompt_id
        if isinstance(event, Filed):
            for tell in self.on_end:
                tell()
        feed = self._jobs.get(id)
        if feed is None:
            if isinstance(event, Filed):
                return  # it never began, and nobody waits for it
            feed = self._jobs[id] = JobFeed()
        self._number += 1
        feed.add(self._number, event)
        if isinstance(event, Filed):
            self._ended[id] = None
            if len(self._ended) > ENDED:
                oldest, _ = self._ended.popitem(last=False)
                self._jobs.pop(oldest, None)

    def close(self) -> None:
        """Send everybody home who follows a job."""
        for feed in list(self._jobs.values()):
            feed.close()

    def progress(self, id: str) -> list[Progress]:
        """Of the nodes of a job that run."""
        feed = self._jobs.get(id)
        return [] if feed is None else list(feed.progress.values())

    @contextlib.contextmanager
    def follow(self, id: str) -> Generator[JobFeed]:
        """The events of a job that has not ended, or just has; what comes is remembered while somebody follows."""
        feed = self._jobs.get(id)
        if feed is None:
            feed = self._jobs[id] = JobFeed()
        feed.followers += 1
        try:
            yield feed
        finally:
            feed.followers -= 1
            if not feed.followers and not feed.entries and self._jobs.get(id) is feed:
                del self._jobs[id]

    async def ended(self, id: str, seconds: float) -> None:
        """Return when a job has ended, or after so many seconds. The caller follows it and has seen it live."""
        with contextlib.suppress(TimeoutError), self.follow(id) as feed:
            async with asyncio.timeout(seconds):
                while not (feed.ended or feed.closed):
                    await feed.news()


async def entries(feed: JobFeed, after: int) -> AsyncGenerator[tuple[int, Event] | None]:
    """The events after a number as they come, to the last or until the server stops. None: some were forgotten before
    they were read."""
    while True:
        if after < feed.lost:
            yield None
            after = feed.lost
        for number, event in [entry for entry in feed.entries if entry[0] > after]:
            yield number, event
            after = number
            if isinstance(event, Filed):
                return
        if feed.closed:
            return
        if feed.last <= after:
            await feed.news()


def _same_progress(before: Event, now: Progress) -> bool:
    return isinstance(before, Progress) and before.node.id == now.node.id
