"""A queue on a real database, and a worker that does what the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio

from execution.events import Event
from execution.job import Job
from execution.queue import Queue
from storage.database import Database
from storage.jobs import Jobs

T = TypeVar("T")


@dataclass
class Told:
    """Everything that was published, and a way to wait for it."""

    events: list[Event] = field(default_factory=list[Event])
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def of(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, enough: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not enough():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "heddle.db")
    database.open()
    yield database
    database.close()


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


@pytest_asyncio.fixture
async def queue(jobs: Jobs, told: Told) -> AsyncIterator[Queue]:
    queue = Queue(jobs, told, clock=lambda: 1.0)
    await queue.open()
    yield queue


def job(id: str, number: float = 0, kind: str = "Text", **extra: Any) -> Job:
    return Job(id, number, {"1": {"class_type": kind, "inputs": {}}}, ("1",), extra)
