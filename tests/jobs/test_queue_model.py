"""The queue against a model of it: whatever is done in whatever order, also over restarts, nothing acknowledged is
lost, nothing is told twice, and the order is kept."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from execution.events import Ending, Event, Succeeded
from execution.queue import Claim, DuplicateJob, Queue
from execution.record import Recorder
from storage.database import Database
from storage.jobs import Jobs
from tests.jobs.conftest import job

ATTEMPTS = 2
IDS = st.sampled_from([f"job {number}" for number in range(6)])
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([-0.5, 0.0, 1.0, 2.5]))


@dataclass
class Model:
    """Waiting jobs with number, arrival and how often they were begun; the running ones; the ended, oldest first."""

    waiting: dict[str, tuple[float, int, int]] = field(default_factory=dict[str, tuple[float, int, int]])
    running: dict[str, tuple[float, int, int]] = field(default_factory=dict[str, tuple[float, int, int]])
    ended: list[str] = field(default_factory=list[str])
    arrivals: int = 0
    paused: bool = False

    def order(self) -> list[str]:
        return sorted(self.waiting, key=lambda id: self.waiting[id][:2])


class QueueMachine(RuleBasedStateMachine):
    claims = Bundle("claims")

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.model = Model()
        self.told: list[str] = []
        self.owed: list[str] = []  # endings that must have been told by now
        self.open()

    def open(self) -> None:
        self.database = Database(Path(self.folder.name) / "h.db")
        self.database.open()
        self.jobs = Jobs(self.database)
        self.queue = Queue(self.jobs, self.hear, attempts=ATTEMPTS)
        self.runner.run(self.queue.open())

    def hear(self, event: Event) -> None:
        if isinstance(event, Ending):
            self.told.append(event.prompt_id)

    def teardown(self) -> None:
        self.database.close()
        self.runner.close()
        self.folder.cleanup()

    @rule(id=IDS, number=NUMBERS)
    def submit(self, id: str, number: float) -> None:
        taken = id in self.model.waiting or id in self.model.running
        try:
            self.runner.run(self.queue.put(job(id, number)))
        except DuplicateJob:
            assert taken
            return
        assert not taken
        self.model.arrivals += 1
        self.model.waiting[id] = (number, self.model.arrivals, 0)
        if id in self.model.ended:
            self.model.ended.remove(id)

    @rule(target=claims)
    def claim(self):
        if self.model.paused or not self.model.waiting:
            return multiple()
        claim = self.runner.run(self.queue.next("w"))
        assert claim.job.id == self.model.order()[0]
        number, arrival, attempts = self.model.waiting.pop(claim.job.id)
        self.model.running[claim.job.id] = (number, arrival, attempts + 1)
        assert claim.attempt == attempts + 1
        return claim

    def holds(self, claim: Claim) -> bool:
        """The latest claim of a job holds it; earlier ones and those from before a restart may not."""
        return not self.runner.run(self.jobs.beat([(claim.job.id, claim.fence)], 1.0)).lost

    @rule(claim=claims)
    def finish(self, claim: Claim) -> None:
        held = self.holds(claim)
        recorder, ending = Recorder(claim.job.graph), Succeeded(claim.job.id, 1.0)
        recorder.take(ending)
        self.runner.run(self.queue.finish(claim, ending, recorder.record(ending)))
        if held:
            del self.model.running[claim.job.id]
            self.model.ended.append(claim.job.id)
            self.owed.append(claim.job.id)

    @rule(claim=consumes(claims), forgive=st.booleans())
    def give_back(self, claim: Claim, forgive: bool) -> None:
        held = self.holds(claim)
        given = self.runner.run(self.queue.retry(claim, forgive=forgive))
        assert given == (held and (forgive or claim.attempt < ATTEMPTS))
        if given:
            number, arrival, attempts = self.model.running.pop(claim.job.id)
            self.model.waiting[claim.job.id] = (number, arrival, attempts - forgive)

    @rule(ids=st.lists(IDS, max_size=3))
    def delete(self, ids: list[str]) -> None:
        expected = {id for id in ids if id in self.model.waiting}
        assert self.runner.run(self.queue.delete(ids)) == len(expected)
        for id in expected:
            del self.model.waiting[id]
        self.owed += expected

    @rule()
    def clear(self) -> None:
        assert self.runner.run(self.queue.clear()) == len(self.model.waiting)
        self.owed += self.model.waiting
        self.model.waiting.clear()

    @rule(id=IDS, other=st.one_of(st.none(), IDS))
    def reorder(self, id: str, other: str | None) -> None:
        """other: which it shall come before; None for the front. All others keep their order."""
        moving = self.queue.move_to_front(id) if other is None else self.queue.move_before(id, other)
        order = self.model.order()
        possible = id in order and (other is None or other in order)
        assert self.runner.run(moving) == possible
        if possible and id != other:
            order.remove(id)
            order.insert(0 if other is None else order.index(other), id)
        pending = self.runner.run(self.queue.pending())
        assert [each.id for each in pending] == order
        for each in pending:
            _, arrival, attempts = self.model.waiting[each.id]
            self.model.waiting[each.id] = (each.number, arrival, attempts)

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.runner.run(self.queue.pause() if paused else self.queue.resume())
        self.model.paused = paused

    @rule()
    def restart(self) -> None:
        """The server is gone from one moment to the next; its jobs that ran go back to their places or are given up."""
        self.database.close()
        self.open()
        for id, (number, arrival, attempts) in sorted(self.model.running.items(), key=lambda item: item[1][1]):
            if attempts < ATTEMPTS:
                self.model.waiting[id] = (number, arrival, attempts)
            else:
                self.model.ended.append(id)
                self.owed.append(id)
        self.model.running.clear()

    @invariant()
    def everything_is_where_it_should_be(self) -> None:
        async def look() -> None:
            assert [each.id for each in await self.queue.pending()] == self.model.order()
            assert {each.id for each in await self.queue.running()} == self.model.running.keys()
            assert [record.job.id for record in await self.jobs.history(None, 0)] == self.model.ended
            assert self.queue.remaining == len(self.model.waiting) + len(self.model.running)
            assert self.queue.paused == self.model.paused

        self.runner.run(look())

    @invariant()
    def every_ending_was_told_once(self) -> None:
        assert sorted(self.told) == sorted(self.owed)


TestQueueAgainstItsModel = QueueMachine.TestCase
TestQueueAgainstItsModel.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
