"""Packs that extend the server: their routes are answered in the worker and reached through the server."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from compat import door
from compat.found import Wanted
from compat.install import install
from compat.pack_side import LoadedPacks
from compat.packs import load_packs
from compat.placeholder import NotPromised
from compat.prompt_server import PromptServer
from compat.world import World
from diffusion.store import ModelStore
from execution.engine import GraphEngine
from execution.events import Broadcast, Event
from execution.executor import Executor
from execution.job import Job
from execution.known_packs import KnownPacks
from execution.packs import Door, PackFacts, PackRoute
from execution.workers.worker import NoAnswer
from server.guard import Access
from server.services import Options
from storage.folders import Folders
from storage.inputs import Inputs
from storage.outputs import Outputs
from tests.server.house import TWO_NODES, Engine, House, built, ears


@dataclass
class Installation:
    """packs: as the worker's engine holds them. module: the pack itself."""

    house: House
    packs: LoadedPacks
    module: Any

    def request(self, method: str, path: str, **more: Any) -> Any:
        return self.house.client.request(method, path, **more)


def loaded(base: Path, folders: Folders) -> tuple[LoadedPacks, Any]:
    pack = base / "custom_nodes" / "probe pack"
    for part in ("web", "files", "example_workflows", "locales/en"):
        (pack / part).mkdir(parents=True)
    off = base / "custom_nodes" / "off.disabled" / "locales" / "en"
    off.mkdir(parents=True)
    (off / "main.json").write_text('{"off": "not to be seen"}')
    (pack / "web" / "a.js").write_text("// script")
    (pack / "files" / "data.txt").write_text("a file")
    (pack / "files" / "b.js").write_text("// another")
    (pack / "example_workflows" / "first.json").write_text("{}")
    (pack / "locales" / "en" / "main.json").write_text('{"probe": "a word"}')
    shutil.copy(Path(__file__).with_name("routes_pack.py"), pack / "__init__.py")
    inputs = Inputs(folders.input, folders.output, folders.temp)
    install(World(folders, inputs, Outputs(folders.output, folders.temp), ModelStore(), {"port": 8188}))
    found = load_packs([base / "custom_nodes"], Wanted(), {})
    assert [pack.trouble for pack in found.packs] == [None]
    return LoadedPacks(found, PromptServer.instance), found.packs[0].module


@pytest.fixture
async def installed(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    folders = Folders(tmp_path)
    packs, module = loaded(tmp_path, folders)
    await asyncio.to_thread(PromptServer.instance.pack_app.open, tmp_path_factory.mktemp("d"))
    async with built(tmp_path, engine=Engine(packs=packs), checked=True) as house:
        yield Installation(house, packs, module)


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_a_route_is_reached_with_its_path_query_and_headers(installed: Installation, prefix: str):
    async with installed.request("GET", f"{prefix}/probe/hello/a%20b?q=%C3%A9") as response:
        assert (response.status, await response.json()) == (200, {"hello": "a b", "q": "é"})
        assert response.headers["X-Marked"] == "by the pack"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_bodies_and_answers_flow_through(installed: Installation):
    body = bytes(range(256)) * 2000
    async with installed.request("POST", "/probe/echo", data=body) as response:
        assert (response.status, await response.read()) == (201, body)
        assert response.headers["X-Probe"] == "yes"
        assert response.headers["X-Host"] == response.request_info.url.authority
    async with installed.request("GET", "/probe/stream") as response:
        assert await response.read() == b"0" * 1000 + b"1" * 1000 + b"2" * 1000
    async with installed.request("HEAD", "/probe/hello/x") as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_files_and_routes_added_to_the_application_are_served_too(installed: Installation):
    async with installed.request("GET", "/probe_files/data.txt") as response:
        assert await response.text() == "a file"
    async with installed.request("GET", "/probe/added") as response:
        assert response.status == 201
    assert installed.module.started == [True]


async def test_what_a_page_of_the_pack_sends_needs_no_content_type(installed: Installation):
    """Scripts post JSON as text; that it is our own page is still checked."""
    origin = str(installed.house.client.make_url("")).rstrip("/")
    async with installed.request("PUT", "/probe/settings", data="[1]", headers={"Origin": origin}) as response:
        assert await response.json() == [str(installed.house.folders.user / "default" / "a" / "b.txt"), [1]]
    async with installed.request("PUT", "/probe/settings", data="[1]", headers={"Origin": "http://x.example"}) as r:
        assert r.status == 403


async def test_our_own_addresses_stay_ours_and_unknown_ones_stay_unknown(installed: Installation):
    async with installed.request("GET", "/system_stats") as response:
        assert "system" in await response.json()
    for method, path, status in (("GET", "/probe/nothing", 404), ("DELETE", "/probe/echo", 405)):
        async with installed.request(method, path) as response:
            assert response.status == status


async def test_a_mistake_of_a_pack_is_its_own(installed: Installation):
    async with installed.request("GET", "/probe/broken") as response:
        assert response.status == 500
    async with installed.request("GET", "/health") as response:
        assert response.status == 200


async def test_a_body_over_the_limit_is_refused_also_when_its_length_is_not_told(installed: Installation):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(1 << 16)

    for body in (BytesIO(bytes(2 << 20)), pieces()):
        async with installed.request("POST", "/probe/echo", data=body) as response:
            assert response.status == 413


async def test_nobody_but_the_server_gets_in(installed: Installation):
    opened = installed.packs.facts().door
    assert opened is not None
    assert opened.socket is not None
    connector = aiohttp.UnixConnector(opened.socket)
    async with aiohttp.ClientSession(connector=connector) as stranger, stranger.get("http://packs/probe/hello/x") as r:
        assert r.status == 403


async def test_where_there_are_no_unix_sockets_a_port_with_a_secret_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    packs, _ = loaded(tmp_path, Folders(tmp_path))
    monkeypatch.setattr(door, "has_unix_sockets", lambda: False)
    await asyncio.to_thread(PromptServer.instance.pack_app.open, tmp_path)
    opened = packs.facts().door
    assert opened is not None
    assert opened.port is not None
    async with built(tmp_path, engine=Engine(packs=packs)) as house:
        async with house.client.get("/probe/hello/x") as response:
            assert response.status == 200
        address = f"http://127.0.0.1:{opened.port}/probe/hello/x"
        async with aiohttp.ClientSession() as stranger, stranger.get(address) as response:
            assert response.status == 403


async def test_a_websocket_of_a_pack_is_refused_in_words(installed: Installation):
    async with installed.request("GET", "/probe/hello/x", headers={"Upgrade": "websocket"}) as response:
        assert (response.status, (await response.json())["error"]["type"]) == (501, "not_forwarded")


async def test_a_worker_that_is_gone_is_a_503_that_says_so(installed: Installation):
    known: Any = installed.house.services.packs
    facts = known.current()

    async def gone(deadline: float | None = None) -> PackFacts:
        raise NoAnswer("The worker process was killed by SIGKILL")

    known._facts = PackFacts(routes=facts.routes, door=Door(socket="/nowhere/1.sock"))
    known.refresh = gone
    async with installed.request("GET", "/probe/hello/x") as response:
        assert response.status == 503
        error = (await response.json())["error"]
        assert error["type"] == "packs_unavailable"
        assert "SIGKILL" in error["details"]


async def test_a_new_worker_is_found_behind_its_new_door(installed: Installation):
    known: Any = installed.house.services.packs
    known._facts = PackFacts(routes=known.current().routes, door=Door(socket="/nowhere/1.sock"))
    async with installed.request("POST", "/probe/echo", data=b"twice") as response:
        assert (response.status, await response.read()) == (201, b"twice")


async def test_scripts_words_and_examples_of_packs_are_listed_and_served(installed: Installation):
    async with installed.request("GET", "/extensions") as response:
        listed = ["/extensions/probe%20pack/a.js", "/extensions/more%20of%20probe/b.js"]
        assert await response.json() == listed
    async with installed.request("GET", "/extensions/probe%20pack/a.js") as response:
        assert (await response.text(), response.headers["Cache-Control"]) == ("// script", "no-cache")
    async with installed.request("GET", "/i18n") as response:
        assert (await response.json())["en"] == {"probe": "a word"}
    async with installed.request("GET", "/workflow_templates") as response:
        assert await response.json() == {"probe pack": ["first"]}
    async with installed.request("GET", "/api/workflow_templates/probe%20pack/first.json") as response:
        assert await response.text() == "{}"


async def test_prompts_pass_the_packs_handlers_and_broken_ones_are_passed_over(installed: Installation):
    graph = {**TWO_NODES, "extra": {"class_type": "Nobody knows this", "inputs": {}}}
    ticket = await installed.house.submit(graph)
    entry = await installed.house.history(ticket["prompt_id"])
    assert list(entry["prompt"][2]) == ["1", "2"]


async def test_what_a_pack_sends_reaches_one_client_or_all(installed: Installation):
    told: list[Event] = []
    installed.packs.speak(told.append)
    installed.module.talk("me")
    assert all(isinstance(event, Broadcast) and event.client == "me" for event in told)
    async with ears(installed.house, "me") as me, ears(installed.house, "you") as you:
        for event in told:
            installed.house.hub.publish(event)
        assert await me.next() == {"type": "probe.event", "data": {"a": 1}}
        assert await me.next() == b"\0\0\0\3\0\0\0\x011" + "héllo".encode()
        assert (await me.next()).startswith(b"\0\0\0\1\0\0\0\1\xff\xd8")
        frame = await me.next()
        length = int.from_bytes(frame[4:8], "big")
        assert json.loads(frame[8 : 8 + length]) == {"node_id": "1", "image_type": "image/jpeg"}
        assert await me.next() == {"type": "probe.later", "data": [2]}
        assert await you.silent()


def test_the_server_knows_which_job_runs(tmp_path: Path):
    folders = Folders(tmp_path)
    server = PromptServer(
        World(folders, Inputs(tmp_path, tmp_path, tmp_path), Outputs(tmp_path, tmp_path), ModelStore())
    )
    assert (server.client_id, server.last_node_id, server.prompt_queue.get_tasks_remaining()) == (None, None, 0)
    assert "custom_nodes_from_web" in server.supports
    server.number += 1
    server.begin(Job("p", 3, {"1": {}}, ("1",), {"client_id": "c"}))
    assert (server.client_id, server.last_prompt_id) == ("c", "p")
    assert server.prompt_queue.get_current_queue()[0][0][:2] == (3, "p")
    server.end(Job("p", 3, {}, ()))
    assert server.prompt_queue.currently_running == {}
    with pytest.raises(NotPromised, match="POST /prompt queues a graph"):
        server.prompt_queue.put(None)


async def test_a_handler_that_does_not_answer_in_time_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """And one whose worker is still starting is waited for."""

    class Hanging:
        state = "idle"

        async def packs(self, deadline: float) -> PackFacts:
            return PackFacts(handles_prompts=True)

        async def handle(self, body: Any, deadline: float) -> Any:
            raise NoAnswer(f"no answer within {deadline:g} s")

    worker: Any = Hanging()
    known = KnownPacks(worker, tmp_path / "packs.json")
    await known.refresh()
    with caplog.at_level("WARNING"):
        assert await known.handle({"prompt": {}}) == {"prompt": {}}
        Hanging.state = "starting"
        await known.handle({"prompt": {}})
    assert ["no answer within 5 s" in text for text in caplog.messages] == [True, False]
    assert "no answer within 90 s" in caplog.messages[1]


def test_packs_may_ask_for_memory_to_be_given_back_after_a_job(tmp_path: Path):
    packs, _ = loaded(tmp_path, Folders(tmp_path))
    unloaded: list[str] = []
    engine = GraphEngine(Executor({}), dict, lambda: unloaded.append("models"), packs)

    def run() -> None:
        engine.run(Job("p", 0, {}, ()), lambda _: None, lambda: False)

    run()
    assert unloaded == []
    PromptServer.instance.prompt_queue.set_flag("unload_models", True)
    run()
    run()
    assert unloaded == ["models"], "once"


class SlowWorker:
    """Says what it knows when it is let."""

    def __init__(self, facts: PackFacts):
        self.facts, self.let = facts, asyncio.Event()

    async def packs(self, deadline: float) -> PackFacts:
        await self.let.wait()
        return self.facts


async def test_what_packs_bring_is_known_from_the_disk_before_the_worker_answers(tmp_path: Path):
    facts = PackFacts({"p": str(tmp_path)}, (PackRoute("GET", "/x"),), Door(socket="/s"), True)
    worker: Any = SlowWorker(facts)
    known = KnownPacks(worker, tmp_path / "state" / "packs.json")
    known.load()
    waiting = asyncio.create_task(known.known(10))
    worker.let.set()
    assert await known.refresh() == facts
    assert await waiting == facts, "the very first start waits"
    later = KnownPacks(worker, tmp_path / "state" / "packs.json")
    later.load()
    assert later.web() == {"p": tmp_path}
    assert later.current() == PackFacts({"p": str(tmp_path)}, (PackRoute("GET", "/x"),), None, True)
    (tmp_path / "state" / "packs.json").write_text("[5]")
    KnownPacks(worker, tmp_path / "state" / "packs.json").load()


async def test_routes_of_packs_need_the_token_like_all_others(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory):
    packs, _ = loaded(tmp_path, Folders(tmp_path))
    await asyncio.to_thread(PromptServer.instance.pack_app.open, tmp_path_factory.mktemp("d"))
    options = Options(access=Access(loopback=False, token="t"))
    async with built(tmp_path, options, engine=Engine(packs=packs)) as house:
        async with house.client.get("/probe/hello/x") as response:
            assert response.status == 401
        async with house.client.get("/probe/hello/x", headers={"Authorization": "Bearer t"}) as response:
            assert response.status == 200
