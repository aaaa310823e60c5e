"""Which models are where."""

from tests.server.v1.conftest import Api


async def test_every_worker_says_which_models_are_where(api: Api):
    await api.run()  # the worker is up by then
    said = await api("GET", "/v1/memory")
    assert said.status == 200
    [worker] = said.body["workers"]
    assert worker["device"] == {"name": "card", "capacity": 9, "used": 4, "free": 5}
    [model] = worker["models"]
    assert (model["name"], model["bytes"], model["next_use"]) == ("SDXL", {"host": 10, "device": 4}, 2)
