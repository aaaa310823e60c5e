"""What has no room, on the disk or in the queue, is refused as what it is and loses nothing."""

import errno

import pytest

from execution.queue import QueueFull
from tests.server.house import TWO_NODES, House


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EIO, 503)])
async def test_a_submit_that_cannot_be_kept_is_refused_and_the_next_one_works(
    house: House, monkeypatch: pytest.MonkeyPatch, number: int, status: int
):
    async def no_room(*_: object) -> None:
        raise OSError(number, "nothing can be written now")

    with monkeypatch.context() as patched:
        patched.setattr(house.services.queue, "put", no_room)
        answer = await house.client.post("/prompt", json={"prompt": TWO_NODES})
        assert answer.status == status
        assert (await answer.json())["error"]["type"] in ("disk_full", "storage_unavailable")
    answer = await house.client.post("/prompt", json={"prompt": TWO_NODES})
    assert answer.status == 200


async def test_a_full_queue_is_told_from_a_bad_prompt(house: House, monkeypatch: pytest.MonkeyPatch):
    async def full(*_: object) -> None:
        raise QueueFull(5)

    monkeypatch.setattr(house.services.queue, "put", full)
    answer = await house.client.post("/prompt", json={"prompt": TWO_NODES})
    assert answer.status == 429
    assert (await answer.json())["error"]["type"] == "queue_full"
