"""Users, their settings, their files, and the log they may look at."""

import json
import logging
import re
from pathlib import Path

import pytest

from storage.logs import RecentLogs
from storage.names import BadName
from storage.settings import FILE, UserSettings
from storage.userdata import UserData
from storage.users import BadUserName, UnknownUser, Users


@pytest.fixture
def data(tmp_path: Path) -> UserData:
    return UserData(tmp_path / "default")


def store(data: UserData, name: str, content: bytes, overwrite: bool = True):
    with data.receive() as incoming:
        incoming.write(content)
        return data.store(incoming, name, overwrite)


def test_a_stored_file_is_listed_and_read_back(data: UserData):
    info = store(data, "workflows/a.json", b"{}")
    assert (info.path, info.size) == ("workflows/a.json", 2)
    assert data.path("workflows/a.json").read_bytes() == b"{}"
    assert [one.path for one in data.files("workflows")] == ["a.json"]
    assert [one.path for one in data.files("", recurse=True)] == ["workflows/a.json"]
    assert data.files("") == []


def test_a_failed_store_keeps_the_old_content(data: UserData):
    store(data, "a.json", b"old")
    with pytest.raises(FileExistsError):
        store(data, "a.json", b"new", overwrite=False)
    with data.receive() as incoming:
        incoming.write(b"half of the new")
    assert data.path("a.json").read_bytes() == b"old"
    assert [path.name for path in data.folder.iterdir()] == ["a.json"]


def test_the_tree_shows_folders_first(data: UserData):
    store(data, "b/c.json", b"1")
    store(data, "a.json", b"22")
    shown = [entry.shown() for entry in data.tree("")]
    assert shown[0] == {"name": "b", "path": "b", "type": "directory"}
    assert [(row["path"], row["type"]) for row in shown[1:]] == [("a.json", "file"), ("b/c.json", "file")]
    assert [entry.path for entry in data.tree("b")] == ["b/c.json"]
    with pytest.raises(FileNotFoundError):
        data.tree("missing")
    with pytest.raises(NotADirectoryError):
        data.tree("a.json")


def test_a_user_without_files_has_an_empty_tree(data: UserData):
    assert data.tree("") == []


def test_moving_and_deleting(data: UserData):
    store(data, "a", b"a")
    store(data, "b", b"b")
    with pytest.raises(FileExistsError):
        data.move("a", "b", overwrite=False)
    assert data.move("a", "sub/c").path == "sub/c"
    with pytest.raises(FileNotFoundError):
        data.move("a", "d")
    with pytest.raises(IsADirectoryError):
        data.delete("sub")
    data.delete("sub/c")
    with pytest.raises(FileNotFoundError):
        data.delete("sub/c")


@pytest.mark.parametrize("name", ["../other/a", "..", "", "/etc/passwd", "a/../../b", "..\\a"])
def test_no_name_leads_to_another_user(data: UserData, name: str):
    for action in (data.path, data.delete, lambda n: data.move(n, "x"), lambda n: store(data, n, b"")):
        with pytest.raises(BadName):
            action(name)


def test_settings_merge_and_are_written_for_people(tmp_path: Path):
    settings = UserSettings()
    assert settings.read(tmp_path) == {}
    settings.merge(tmp_path, {"a": 1, "b": {"c": 2}})
    settings.merge(tmp_path, {"a": 3})
    assert settings.read(tmp_path) == {"a": 3, "b": {"c": 2}}
    assert (tmp_path / FILE).read_text().startswith('{\n    "a": 3')


def test_damaged_settings_are_set_aside_not_lost(tmp_path: Path):
    (tmp_path / FILE).write_text('{"a": 1')
    settings = UserSettings()
    settings.merge(tmp_path, {"b": 2})
    assert settings.read(tmp_path) == {"b": 2}
    assert (tmp_path / "comfy.settings.damaged.json").read_text() == '{"a": 1'


def test_a_single_user_is_everyone(tmp_path: Path):
    users = Users(tmp_path)
    assert users.resolve(None) == users.resolve("anyone") == "default"


def test_users_get_ids_made_from_their_names(tmp_path: Path):
    users = Users(tmp_path, multi=True)
    id = users.create("bob b!")
    assert re.fullmatch(r"bob-b-_[0-9a-f-]{36}", id)
    assert users.all() == {id: "bob b!"}
    assert users.resolve(id) == id
    assert json.loads((tmp_path / "users.json").read_text()) == {id: "bob b!"}
    for name, why in (("Bob B!", "Duplicate"), (" ", "empty"), ("x" * 129, "longer")):
        with pytest.raises(BadUserName, match=why):
            users.create(name)
    for unknown in (None, "", "mallory", "../x"):
        with pytest.raises(UnknownUser):
            users.resolve(unknown)


def test_the_log_keeps_its_last_lines():
    logs = RecentLogs(kept=3)
    logger = logging.Logger("test")
    logger.addHandler(logs)
    for n in range(5):
        logger.warning("line %d", n)
    assert [entry.text for entry in logs.entries()] == ["line 2\n", "line 3\n", "line 4\n"]
    assert [entry.number for entry in logs.entries(since=4)] == [4]
    assert set(logs.entries()[0].shown()) == {"t", "m"}
