"""A folder of databases as a mapping of names."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from couchette import Database, Environment
from couchette.errors import DatabaseExists, DatabaseNotFound, IllegalDatabaseName, StoreError


@pytest.fixture(params=["folder", "memory"])
def env(request, tmp_path):
    with Environment(":memory:" if request.param == "memory" else tmp_path / "dbs") as environment:
        yield environment


def test_an_environment_is_a_mapping_that_makes_what_is_asked_for(env):
    assert isinstance(env, Mapping)
    assert (list(env), len(env), "notes" in env) == ([], 0, False)
    notes = env["notes"]
    assert isinstance(notes, Database)
    assert notes.name == notes.info()["db_name"] == "notes"
    assert env["notes"] is notes
    env["alpha"]["a"] = {}
    assert (list(env), len(env), "notes" in env) == (["alpha", "notes"], 2, True)
    assert list(env.keys()) == ["alpha", "notes"]
    assert dict(env.items()) == {"alpha": env["alpha"], "notes": notes}


def test_open_wants_an_existing_database_and_create_a_new_one(env):
    with pytest.raises(DatabaseNotFound, match="Database does not exist.") as missing:
        env.open("notes")
    assert (missing.value.status, missing.value.error) == (404, "not_found")
    assert "'notes'" in missing.value.hint
    made = env.create("notes")
    assert env.open("notes") is made
    with pytest.raises(DatabaseExists) as exists:
        env.create("notes")
    assert (exists.value.status, exists.value.error) == (412, "file_exists")
    assert exists.value.reason == "The database could not be created, the file already exists."


def test_destroying_removes_a_database(env):
    env["notes"]["a"] = {}
    env["other"]["a"] = {}
    before = env["notes"]
    del env["notes"]
    assert before.closed
    assert list(env) == ["other"]
    env.destroy("other")
    assert len(env) == 0
    for call in (env.destroy, env.__delitem__):
        with pytest.raises(DatabaseNotFound):
            call("notes")
    assert list(env["notes"]) == []
    assert env["notes"].info()["uuid"] != before.name


def test_a_database_that_was_closed_is_opened_again(tmp_path):
    with Environment(tmp_path) as env:
        first = env["notes"]
        first["a"] = {}
        first.close()
        assert env["notes"] is not first
        assert list(env["notes"]) == ["a"]


@pytest.mark.parametrize(
    "name", ["", "Notes", "1a", "_x", "a b", "é", "a.b", "../x", "a\0", "\ud800", "a" * 239, "a\n"]
)
def test_illegal_names_are_refused_and_are_no_members(env, name):
    assert name not in env
    for call in (env.__getitem__, env.create):
        with pytest.raises(IllegalDatabaseName) as caught:
            call(name)
        assert caught.value.status == 400
        assert caught.value.hint
    with pytest.raises(DatabaseNotFound):
        env.open(name)
    assert list(env) == []


@pytest.mark.parametrize("name", [None, 5, b"a"])
def test_other_keys_are_no_members(env, name):
    assert name not in env


@pytest.mark.parametrize("name", ["a", "a_$()+-z9", "a/b", "a/b/c", "a" * 237, "a" + "/" * 236])
def test_every_name_that_couchdb_takes_is_taken(env, name):
    env[name]["x"] = {}
    assert list(env) == [name]
    assert name in env
    assert list(env[name]) == ["x"]
    env.destroy(name)
    assert list(env) == []


def test_what_was_written_is_there_in_the_next_environment(tmp_path):
    with Environment(tmp_path) as env:
        env["notes"]["a"] = {"v": 1}
        env["a/b"]["a"] = {}
        uuid, notes = env.uuid, env["notes"]
    assert notes.closed
    with Environment(tmp_path) as env:
        assert list(env) == ["a/b", "notes"]
        assert env.open("notes")["a"]["v"] == 1
        assert env.uuid == uuid


def test_other_files_in_the_folder_are_left_out(tmp_path):
    for name in ("notes.txt", "Upper.couchette", "a b.couchette", ".couchette", "uuid.x"):
        (tmp_path / name).write_text("mine")
    with Environment(tmp_path) as env:
        assert list(env) == []
        env["notes"]
        assert len(env) == 1
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_each_environment_has_a_uuid_of_its_own(tmp_path):
    uuids = {Environment(tmp_path / name).uuid for name in "ab"} | {Environment(":memory:").uuid}
    assert len(uuids) == 3
    assert all(len(uuid) == 32 for uuid in uuids)


def test_a_folder_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be used"):
        Environment(tmp_path / "file")


def test_whoever_waits_is_woken_when_a_database_comes_is_written_to_or_goes(env):
    seen = []
    env.notifier.subscribe(lambda: seen.append(sorted(env.opened())))
    env.create("notes")
    assert seen.pop() == ["notes"]
    env["notes"]["a"] = {}
    assert seen.pop() == ["notes"]
    env.destroy("notes")
    assert seen.pop() == []


def test_a_database_that_was_closed_is_not_open(env):
    env["notes"].close()
    assert env.opened() == {}


def test_repr_names_the_folder(env):
    assert repr(env) == f"<couchette.Environment {env.folder!r}>"
