"""What clients are told about nodes, and how cheaply."""

from typing import Any

import pytest

from execution.spec import Declaration, InputSpec
from server import definitions
from tests.server.house import DECLARATIONS, House


async def ask(house: House, path: str = "/object_info", etag: str = "") -> tuple[int, Any, str]:
    headers = {"If-None-Match": etag} if etag else {}
    async with house.client.get(path, headers=headers) as response:
        body = await response.json() if response.status == 200 else None
        return response.status, body, response.headers.get("ETag", "")


async def test_every_node_is_described(house: House):
    status, described, etag = await ask(house)
    assert status == 200
    assert list(described) == list(DECLARATIONS)
    assert described["PreviewImage"]["output_node"] is True
    assert etag


async def test_one_node_is_described_like_among_all(house: House):
    _, described, _ = await ask(house)
    assert (await ask(house, "/object_info/LoadImage"))[1] == {"LoadImage": described["LoadImage"]}
    assert (await ask(house, "/api/object_info/Nope"))[:2] == (200, {})


async def test_who_knows_it_already_gets_nothing_again(house: House):
    _, _, etag = await ask(house)
    assert (await ask(house, etag=etag))[0] == 304
    assert (await ask(house, etag=f'"other", W/{etag}'))[0] == 304
    (house.folders.input / "new.png").touch()
    status, described, changed = await ask(house, etag=etag)
    assert status == 200
    assert changed != etag
    assert described["LoadImage"]["input"]["required"]["image"][0] == ["new.png"]


async def test_a_changed_catalogue_is_told_at_once(house: House):
    await ask(house)
    house.catalogue.nodes = {**DECLARATIONS, "New": Declaration("New", "New", "x")}
    assert "New" in (await ask(house))[1]


async def test_nothing_is_made_again_while_nothing_changed(house: House, monkeypatch: pytest.MonkeyPatch):
    await ask(house)

    def fail(*_: object) -> None:
        raise AssertionError("described again")

    monkeypatch.setattr(definitions, "describe_all", fail)
    assert (await ask(house))[0] == 200


async def test_before_the_first_word_of_a_worker_clients_are_told_to_ask_again(house: House):
    house.catalogue.nodes = {}
    async with house.client.get("/object_info") as response:
        assert response.status == 503
        assert (await response.json())["error"]["type"] == "nodes_unknown"
    house.catalogue.answer = DECLARATIONS
    assert list((await ask(house))[1]) == list(DECLARATIONS)


async def test_choices_that_a_pack_makes_up_are_asked_for_afresh(house: House):
    def pack(*choices: str) -> dict[str, Declaration]:
        spec = InputSpec("c", "COMBO", choices=choices)
        return {"P": Declaration("P", "P", "x", inputs=(spec,), pack="custom_nodes.p")}

    house.catalogue.nodes, house.catalogue.answer = pack("old"), pack("new")
    assert (await ask(house))[1]["P"]["input"]["required"]["c"] == [["new"]]
    house.catalogue.answer = None  # a worker that is too busy to answer
    assert (await ask(house))[1]["P"]["input"]["required"]["c"] == [["new"]]


async def test_native_nodes_need_no_question_to_the_worker(house: House):
    await ask(house)
    assert house.catalogue.deadlines == []
