"""`GET /v1/memory`: which models are where. The workers know."""

from datetime import datetime
from typing import Literal

import msgspec

from execution.dispatch import Dispatch
from execution.workers.worker import NoAnswer
from server.v1.operations import Answer, Call, Operation
from server.v1.problems import Refused

PATIENCE = 2.0  # seconds: a worker whose node holds the interpreter answers late or never


class DeviceMemory(msgspec.Struct, kw_only=True):
    """Sizes in bytes. capacity: the most that is used."""

    name: str
    capacity: int
    used: int
    free: int


class Places(msgspec.Struct, kw_only=True):
    """Bytes. host: mapped from a file counts whole, read or not."""

    host: int
    device: int


class ModelMemory(msgspec.Struct, kw_only=True):
    """held_by: what it is in memory for. next_use: how many runs of models ahead, as far as the rest of the workflow
    tells; null when nobody knows."""

    name: str
    held_by: Literal["running job", "recently opened", "a result"]
    bytes: Places
    last_use: datetime | None
    next_use: int | None


class WorkerMemory(msgspec.Struct, kw_only=True):
    """device: null where models compute on the processor."""

    worker: str
    device: DeviceMemory | None
    models: list[ModelMemory]


class Memory(msgspec.Struct, kw_only=True):
    workers: list[WorkerMemory]


class MemoryOperations:
    def __init__(self, dispatch: Dispatch, patience: float = PATIENCE):
        self._dispatch, self._patience = dispatch, patience

    def all(self) -> list[Operation]:
        return [
            Operation(
                *("GET", "/v1/memory", "getMemory", "Which models are where, and how much room there is", self.get),
                {200: (Memory,)},
                {503: "No worker answers at the moment."},
            )
        ]

    async def get(self, call: Call) -> Answer:
        """One entry for each worker that answers, also while it runs a job."""
        found: list[WorkerMemory] = []
        for worker in self._dispatch.workers:
            try:
                facts = await worker.memory(self._patience)
            except NoAnswer:
                continue
            found.append(msgspec.convert({"worker": worker.name, **facts}, WorkerMemory))
        if not found:
            raise Refused(503, "no_worker", "No worker answers at the moment; try again in a few seconds")
        return Answer(Memory(workers=found))
