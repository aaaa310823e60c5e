"""What has become of ended jobs, as clients read it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from execution.job import redacted

# Entries of a page for which no size was asked. Clients know histories of at most so many; ours keeps more.
AT_ONCE = 10_000


class KeptJob(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def number(self) -> float: ...
    @property
    def graph(self) -> Mapping[str, Any]: ...
    @property
    def targets(self) -> tuple[str, ...]: ...
    @property
    def extra(self) -> Mapping[str, Any]: ...
    @property
    def submitted_at(self) -> float: ...


class KeptRecord(Protocol):
    @property
    def job(self) -> KeptJob: ...
    @property
    def outputs(self) -> Mapping[str, Any]: ...
    @property
    def status(self) -> Mapping[str, Any]: ...
    @property
    def meta(self) -> Mapping[str, Any]: ...


class HistoryStore(Protocol):
    async def history(self, max_items: int | None, offset: int | None) -> Sequence[KeptRecord]: ...
    async def record(self, id: str) -> KeptRecord | None: ...
    async def records(self, ids: Sequence[str]) -> Sequence[KeptRecord]: ...
    async def forget(self, ids: Sequence[str]) -> None: ...
    async def forget_all(self) -> None: ...


class History:
    def __init__(self, store: HistoryStore):
        self._store = store

    async def page(self, max_items: int | None = None, offset: int = -1) -> dict[str, Any]:
        """Entries by prompt id, oldest ending first. offset: how many of the oldest to skip; negative: the last
        `max_items` instead. max_items: None or negative for as many as are told at once."""
        most = AT_ONCE if max_items is None or max_items < 0 else max_items
        records = await self._store.history(most, None if offset < 0 else offset)
        return {record.job.id: entry(record) for record in records}

    async def entry(self, prompt_id: str) -> dict[str, Any] | None:
        """One entry; None for a job that is unknown or has not ended."""
        record = await self._store.record(prompt_id)
        return None if record is None else entry(record)

    async def records(self, prompt_ids: Sequence[str]) -> Sequence[KeptRecord]:
        """Jobs of these ids in whatever state; one that has not ended has no outputs and no status."""
        return await self._store.records(prompt_ids)

    async def delete(self, prompt_ids: Sequence[str]) -> None:
        """Forget ended jobs; ids of others are ignored."""
        await self._store.forget(prompt_ids)

    async def clear(self) -> None:
        await self._store.forget_all()


def entry(record: KeptRecord) -> dict[str, Any]:
    """One entry as `/history` shows it."""
    job = record.job
    return {
        "prompt": [job.number, job.id, job.graph, redacted(job.extra), list(job.targets)],
        "outputs": record.outputs,
        "status": record.status,
        "meta": record.meta,
    }
