"""A disk that is full, slow, broken or loses its power, at every single call."""

import asyncio
import errno
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from execution.queue import Queue
from storage import atomic
from storage.database import DamagedDatabase, Database
from storage.inputs import Inputs
from storage.jobs import Jobs
from storage.outputs import Outputs
from storage.settings import UserSettings
from storage.userdata import UserData
from tests.jobs.conftest import job
from tests.server.house import House, built

Operation = Callable[[Path], object]


def save_a_workflow(base: Path) -> None:
    data = UserData(base)
    with data.receive() as incoming:
        incoming.write(b"new")
        data.store(incoming, "workflows/a.json")


def store_an_upload(base: Path) -> None:
    with Inputs(base, base / "out", base / "temp").upload() as upload:
        upload.write(b"new")
        upload.store("a.json", "workflows", overwrite=True)


def save_an_output(base: Path) -> None:
    Outputs(base, base / "temp").series("workflows/a").save_bytes(b"new", ".json")


def change_a_setting(base: Path) -> None:
    UserSettings().merge(base / "workflows", {"a": "new"})


OPERATIONS: list[Operation] = [save_a_workflow, store_an_upload, save_an_output, change_a_setting]
CALLS = ("fsync", "link", "replace", "open", "mkdir", "rename")


def prepared(base: Path) -> None:
    (base / "workflows").mkdir(parents=True)
    (base / "workflows" / "a.json").write_text("old")
    (base / "workflows" / "comfy.settings.json").write_text('{"b": 1}')


def visible(base: Path) -> dict[str, bytes]:
    files = (path for path in base.rglob("*") if path.is_file())
    return {path.relative_to(base).as_posix(): path.read_bytes() for path in files if not path.name.startswith(".")}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_disk_that_fails_at_any_call_leaves_what_was_there(
    operation: Operation, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The first call to the disk fails, then the second, and so on until the operation succeeds."""
    prepared(tmp_path / "whole")
    operation(tmp_path / "whole")
    for nth in range(1, 100):
        base = tmp_path / str(nth)
        prepared(base)
        before = visible(base)
        passed = 0

        def failing(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                nonlocal passed
                passed += 1
                if passed == nth:  # noqa: B023
                    raise OSError(number, os.strerror(number))
                return original(*arguments, **named)

            return call

        with monkeypatch.context() as patched:
            for name in CALLS:
                patched.setattr(os, name, failing(getattr(os, name)))
            try:
                operation(base)
                raised = 0
            except OSError as error:
                raised = error.errno or -1
        assert raised in (0, number)
        after = visible(base)
        for name, content in before.items():
            assert after[name] in (content, visible(tmp_path / "whole").get(name)), f"{name} at call {nth}"
        left = [path.name for path in base.rglob(".heddle-*") if path.is_file()]
        assert not left, f"call {nth} left {left}"
        if not raised and passed < nth:
            return
    raise AssertionError("the operation never ran without a failure")


def test_a_name_is_given_only_to_what_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is not synced is lost when the power goes. So: first the content is synced, then it is named, then the
    folder is synced, and only then does anybody hear of it."""
    order: list[tuple[str, str]] = []
    fsync, link, replace = os.fsync, os.link, os.replace

    def note(what: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            result = original(*arguments, **named)
            if what == "sync":
                path = Path(os.readlink(f"/proc/self/fd/{arguments[0]}"))
                order.append(("sync folder" if path.is_dir() else "sync file", path.name))
            else:
                order.append((what, Path(arguments[1]).name))
            return result

        return call

    monkeypatch.setattr(os, "fsync", note("sync", fsync))
    monkeypatch.setattr(os, "link", note("name", link))
    monkeypatch.setattr(os, "replace", note("name", replace))
    for operation in OPERATIONS:
        base = tmp_path / operation.__name__
        prepared(base)
        order.clear()
        operation(base)
        steps = [what for what, _ in order]
        named = steps.index("name", len(steps) - 1 - steps[::-1].index("name"))
        assert "sync file" in steps[:named], f"{operation.__name__}: {order}"
        assert "sync folder" in steps[named:], f"{operation.__name__}: {order}"


def test_parts_that_a_crash_left_are_swept_away_when_they_are_old(tmp_path: Path):
    for age, folder in ((100_000, "a/b"), (0, "a"), (100_000, "")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        part = tmp_path / folder / f".heddle-{age}.part"
        part.write_text("half")
        long_ago = time.time() - age
        os.utime(part, (long_ago, long_ago))
    (tmp_path / "whole.png").write_text("whole")
    assert atomic.sweep(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [".heddle-0.part", "whole.png"]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with built(tmp_path) as made:
        yield made


async def test_a_slow_disk_holds_up_nobody_but_who_waits_for_it(house: House, monkeypatch: pytest.MonkeyPatch):
    entered, release = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    commit = Database._commit

    def slow(self: Database, connection: Any, pieces: Any) -> None:
        loop.call_soon_threadsafe(entered.set)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(20)
        commit(self, connection, pieces)

    monkeypatch.setattr(Database, "_commit", slow)
    submitting = asyncio.create_task(house.submit())
    async with asyncio.timeout(10):
        await entered.wait()
        for path in ("/health", "/queue", "/history", "/object_info"):
            async with house.client.get(path) as answer:
                assert answer.status == 200
        assert not submitting.done()  # it is acknowledged when it is on the disk, not before
        release.set()
        assert (await submitting)["prompt_id"]


def filled(path: Path) -> None:
    async def fill() -> None:
        database = Database(path)
        database.open()
        queue = Queue(Jobs(database), lambda _: None)
        await queue.open()
        for number in range(200):
            await queue.put(job(f"job {number}", number, "x" * 300))
        database.close()

    asyncio.run(fill())


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut by a byte": lambda path: os.truncate(path, path.stat().st_size - 1),
    "cut to its first page": lambda path: os.truncate(path, 4096),
    "zeros in front": lambda path: overwrite(path, 0, bytes(100)),
    "a log of another database": lambda path: shutil.copy(path, f"{path}-wal"),
    "a log of noise": lambda path: Path(f"{path}-wal").write_bytes(os.urandom(9000)),
}


def overwrite(path: Path, place: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(data)


def looked_at(path: Path) -> int | None:
    """How many jobs there are; None when the file was refused."""
    database = Database(path)
    try:
        database.open()
    except DamagedDatabase:
        return None
    try:
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            count: int = connection.execute("SELECT count(*) FROM jobs").fetchone()[0]
        connection.close()
        return count
    finally:
        database.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "jobs.sqlite"
    filled(path)
    return path


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_database_is_refused_or_whole(damage: Callable[[Path], object], whole: Path, tmp_path: Path):
    path = tmp_path / "jobs.sqlite"
    shutil.copy(whole, path)
    damage(path)
    before = path.read_bytes()
    count = looked_at(path)
    assert count in (None, 200)
    if count is None:
        assert path.read_bytes() == before, "a damaged file is for whoever restores it"


def test_a_byte_changed_in_any_page_is_refused_or_harmless(whole: Path, tmp_path: Path):
    """A byte inside a text cannot be told from another text; whatever holds the pages together can."""
    pages = whole.stat().st_size // 4096
    for page in range(pages):
        path = tmp_path / "jobs.sqlite"
        shutil.copy(whole, path)
        overwrite(path, page * 4096 + 3, b"\xee")  # in the middle of a page's header
        assert looked_at(path) in (None, 200), f"page {page}"
        path.unlink()
