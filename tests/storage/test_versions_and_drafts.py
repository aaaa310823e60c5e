"""Saving never leaves a user with less than before."""

import threading
from pathlib import Path

import pytest

from storage.drafts import BadDraftId, Drafts
from storage.names import BadName
from storage.userdata import ChangedMeanwhile, UserData, tag_of
from storage.versions import Versions

NAME = "workflows/a.json"


@pytest.fixture
def data(tmp_path: Path) -> UserData:
    return UserData(tmp_path)


def save(data: UserData, content: bytes, name: str = NAME, **how: object):
    with data.receive() as incoming:
        incoming.write(content)
        return data.store(incoming, name, **how)  # type: ignore[arg-type]


def held(data: UserData, name: str = NAME) -> list[bytes]:
    return [data.version(name, one.id).read_bytes() for one in data.versions(name)]


def test_what_was_saved_over_is_kept_the_latest_first(data: UserData):
    for n in range(4):
        save(data, b"%d" % n)
    assert data.path(NAME).read_bytes() == b"3"
    assert held(data) == [b"2", b"1", b"0"]
    assert [one.size for one in data.versions(NAME)] == [1, 1, 1]


def test_a_hundred_versions_are_kept_and_the_oldest_go(data: UserData):
    for n in range(105):
        save(data, b"%d" % n)
    assert held(data) == [b"%d" % n for n in range(103, 3, -1)]


def test_saving_the_same_again_makes_no_version(data: UserData):
    before = save(data, b"1")
    assert save(data, b"1") == before
    assert held(data) == []


def test_a_kept_content_cannot_be_changed_through_the_files_name(data: UserData):
    save(data, b"1")
    save(data, b"2")
    with data.path(NAME).open("r+b") as file:
        file.write(b"X")
    assert held(data) == [b"1"]


def test_restoring_keeps_what_was_there(data: UserData):
    save(data, b"good")
    save(data, b"bad")
    (version,) = data.versions(NAME)
    data.restore(NAME, version.id)
    assert data.path(NAME).read_bytes() == b"good"
    assert held(data) == [b"bad", b"good"]


def test_a_deleted_workflow_can_be_restored(data: UserData):
    save(data, b"1")
    data.delete(NAME)
    (version,) = data.versions(NAME)
    data.restore(NAME, version.id)
    assert data.path(NAME).read_bytes() == b"1"


def test_a_renamed_workflow_takes_its_past_along(data: UserData):
    save(data, b"1")
    save(data, b"2")
    save(data, b"other", "workflows/b.json")
    data.move(NAME, "workflows/b.json")
    assert sorted(held(data, "workflows/b.json")) == [b"1", b"other"]
    assert held(data) == []


def test_other_files_keep_no_past_and_the_past_is_no_file(data: UserData):
    save(data, b"1", "user.css")
    save(data, b"2", "user.css")
    save(data, b"1")
    save(data, b"2")
    assert data.versions("user.css") == []
    assert [entry.path for entry in data.tree("")] == ["workflows", "user.css", NAME]
    for name in (".versions/workflows/a.json/x.json", ".drafts/x.json"):
        with pytest.raises(BadName, match="kept by the program"):
            data.path(name)


@pytest.mark.parametrize("id", ["../../x", "", "20260101T000000-000000", "latest"])
def test_an_unknown_version_is_not_found(data: UserData, id: str):
    save(data, b"1")
    with pytest.raises(FileNotFoundError):
        data.version(NAME, id)


def test_a_kill_between_keeping_and_replacing_leaves_no_double(data: UserData):
    save(data, b"1")
    Versions(data.folder).keep(data.path(NAME), NAME)  # then the power went
    save(data, b"2")
    assert held(data) == [b"1"]


def test_a_writer_that_did_not_see_the_latest_changes_nothing(data: UserData):
    seen = save(data, b"1").tag
    save(data, b"2")
    for change in (
        lambda: save(data, b"3", condition=lambda tag: tag == seen),
        lambda: data.delete(NAME, lambda tag: tag == seen),
        lambda: data.move(NAME, "workflows/b.json", condition=lambda tag: tag == seen),
    ):
        with pytest.raises(ChangedMeanwhile) as refused:
            change()
        assert refused.value.tag == tag_of(data.path(NAME))
    assert data.path(NAME).read_bytes() == b"2"


def test_of_many_writers_that_saw_the_same_one_wins(data: UserData):
    seen = save(data, b"0").tag
    won: list[int] = []

    def write(n: int) -> None:
        try:
            save(data, b"%d" % n, condition=lambda tag: tag == seen)
            won.append(n)
        except ChangedMeanwhile:
            pass

    writers = [threading.Thread(target=write, args=(n,)) for n in range(1, 9)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(won) == 1
    assert data.path(NAME).read_bytes() == b"%d" % won[0]


def test_drafts_come_back_and_the_oldest_go(tmp_path: Path):
    drafts = Drafts(tmp_path, most=3)
    for n in range(5):
        drafts.put(f"tab-{n}", {"n": n})
    drafts.put("tab-3", {"n": 33})
    again = Drafts(tmp_path)
    assert sorted(id for id, _, _ in again.all()) == ["tab-2", "tab-3", "tab-4"]
    assert again.get("tab-3") == {"n": 33}
    assert drafts.delete("tab-3")
    assert not drafts.delete("tab-3")


@pytest.mark.parametrize("id", ["", "../x", "a/b", "a" * 65, "a.json", "\x00"])
def test_a_drafts_id_is_no_path(tmp_path: Path, id: str):
    with pytest.raises(BadDraftId):
        Drafts(tmp_path).put(id, {})


def test_a_draft_that_cannot_be_read_hides_no_other(tmp_path: Path):
    drafts = Drafts(tmp_path)
    drafts.put("good", {"n": 1})
    (tmp_path / ".drafts" / "bad.json").write_bytes(b'{"n"')
    assert [id for id, _, _ in drafts.all()] == ["good"]
