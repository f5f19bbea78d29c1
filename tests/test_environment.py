"""A folder of databases as a mapping of names."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from couchette import Database, Environment, environment
from couchette.database_file import make_private
from couchette.errors import (
    DatabaseBusy,
    DatabaseExists,
    DatabaseNotFound,
    IllegalDatabaseName,
    NotADatabase,
    StoreError,
)


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
    "name", ["", "Notes", "1a", "_x", "a b", "é", "a.b", "../x", "a\0", "\ud800", "a" * 238, "a\n"]
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


def test_databases_that_nobody_asked_for_longest_let_go_of_their_files(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "databases_awake_max", lambda: 2)

    def awake():
        return [name for name, database in opened().items() if not database._pool.rests]

    with Environment(tmp_path) as env:
        opened = env.opened
        for name in "abc":
            env[name]["x"] = {"v": name}
        assert awake() == ["b", "c"]
        held = env.open("b")
        env["d"]
        assert awake() == ["b", "d"]
        assert [env[name]["x"]["v"] for name in "abc"] == ["a", "b", "c"]
        assert awake() == ["b", "c"]
        env["a"], "x" in env["d"]
        held["x"]["v"] = "used where it is held"
        assert len(awake()) == 2
        assert "b" in awake()
        assert len(env.opened()) == 4


def test_what_cannot_be_opened_is_listed_and_can_be_destroyed(tmp_path):
    (tmp_path / "damaged.couchette").write_bytes(b"no database" * 1000)
    (tmp_path / "damaged.couchette-wal").write_bytes(b"?")
    with Environment(tmp_path) as env:
        assert list(env) == ["damaged"]
        with pytest.raises(NotADatabase):
            env.open("damaged")
        env.destroy("damaged")
        assert list(env) == []
        assert not list(tmp_path.glob("damaged*"))
        assert list(env["damaged"]) == []


def test_a_folder_is_no_database_whatever_its_name(tmp_path):
    (tmp_path / "folder.couchette").mkdir()
    with Environment(tmp_path) as env:
        assert list(env) == []
        with pytest.raises(DatabaseNotFound):
            env.destroy("folder")


def test_a_new_database_that_cannot_be_opened_leaves_nothing(tmp_path, monkeypatch):
    def fail(path, **options):
        Path(path).write_bytes(b"")
        raise StoreError("It cannot be opened.", "")

    with Environment(tmp_path) as env:
        monkeypatch.setattr(environment, "Database", fail)
        with pytest.raises(StoreError):
            env.create("new")
        (tmp_path / "old.couchette").write_bytes(b"mine")
        with pytest.raises(StoreError):
            env.open("old")
        assert list(env) == ["old"]


def test_what_is_being_used_is_not_deleted(tmp_path, monkeypatch):
    with Environment(tmp_path) as env:
        db = env["used"]
        with db.transaction(), pytest.raises(StoreError, match="inside a transaction"):
            env.destroy("used")
        assert db.path in map(str, tmp_path.iterdir())

        def busy(*args, **options):
            raise DatabaseBusy("Another process is writing.", "")

        env["busy"].close()
        monkeypatch.setattr(environment, "Database", busy)
        with pytest.raises(DatabaseBusy):
            env.destroy("busy")
        assert "busy" in env


def test_a_file_that_another_process_made_meanwhile_is_left(tmp_path, monkeypatch):
    def fail(path, **options):
        Path(path).write_bytes(b"another's")
        raise StoreError("It cannot be opened.", "")

    with Environment(tmp_path) as env:
        monkeypatch.setattr(environment, "Database", fail)
        with pytest.raises(StoreError):
            env.create("new")
        assert list(env) == ["new"]


def test_where_a_file_was_taken_away_a_new_database_can_be_made(tmp_path):
    with Environment(tmp_path) as env:
        env["notes"]["a"] = {}
        (tmp_path / "notes.couchette").rename(tmp_path / "elsewhere")
        made = env.create("notes")
        made["b"] = {}
        assert list(env["notes"]) == ["b"]
    with Environment(tmp_path) as env:
        assert list(env["notes"]) == ["b"]


def test_a_file_that_cannot_be_deleted_is_named(tmp_path, monkeypatch):
    (tmp_path / "damaged.couchette").write_bytes(b"no database" * 1000)

    def fail(path):
        raise PermissionError(13, "Permission denied")

    with Environment(tmp_path) as env:
        monkeypatch.setattr(os, "unlink", fail)
        with pytest.raises(StoreError, match="damaged cannot be deleted: Permission denied"):
            env.destroy("damaged")


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


@pytest.fixture
def open_to_all():
    """Files are made for everybody, where nothing is said about them."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("open_to_all")
def test_what_a_private_folder_makes_is_for_its_owner_alone(tmp_path):
    folder = tmp_path / "above" / "dbs"
    with Environment(folder, private=True) as env:
        env["notes"]["a"] = {}
        assert {path.name: mode(path) for path in folder.glob("*.*")} == dict.fromkeys(
            ["notes.couchette", "notes.couchette-wal", "notes.couchette-shm"], 0o600
        )
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o777)
    with Environment(folder, private=True) as env:
        assert env["notes"]["a"]["_id"] == "a"


@pytest.mark.usefixtures("open_to_all")
def test_what_is_there_keeps_its_rights(tmp_path):
    with Environment(tmp_path / "dbs") as env:
        env["notes"]["a"] = {}
    with Environment(tmp_path / "dbs", private=True) as env:
        env["notes"]["b"] = {}
        env["tasks"]["a"] = {}
    modes = [mode(tmp_path / "dbs" / name) for name in ("", "notes.couchette", "tasks.couchette")]
    assert modes == [0o777, 0o644, 0o600]  # SQLite asks for 0644.


def test_a_private_file_never_takes_the_place_of_another(tmp_path):
    path = tmp_path / "notes.couchette"
    path.write_bytes(b"another process was first")
    make_private(str(path))
    assert [(file, file.read_bytes()) for file in tmp_path.iterdir()] == [(path, b"another process was first")]


def test_a_private_file_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(StoreError, match="cannot be opened") as refused:
        make_private(str(tmp_path / "none" / "notes.couchette"))
    assert "give a folder where you may write" in refused.value.hint
