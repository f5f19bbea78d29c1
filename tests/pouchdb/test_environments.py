"""Environments: folders, names, events, and what is there for debugging."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest

from couchette import pouchdb
from couchette.pouchdb import AsyncEnvironment, EnvironmentError, PouchDBError, SyncEnvironment


def test_setup_gives_the_environment_of_the_api(tmp_path):
    assert type(pouchdb.setup(tmp_path)) is SyncEnvironment
    assert type(pouchdb.setup(tmp_path, True)) is AsyncEnvironment
    assert type(pouchdb.setup(async_=True)) is AsyncEnvironment
    options: dict[str, Any] = {"async": True}
    assert type(pouchdb.setup(**options)) is AsyncEnvironment
    assert type(pouchdb.setup(storageDir=tmp_path, baseUrl="http://localhost/", async_=False)) is SyncEnvironment
    with pytest.raises(TypeError, match="asink"):
        pouchdb.setup(asink=True)


def test_a_folder_is_made_and_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pouchdb.setup("new/folder")["a"]["x"] = {"n": 1}
    assert pouchdb.setup(tmp_path / "new" / "folder")["a"]["x"].n == 1


def test_a_folder_that_cannot_be_used_is_an_environment_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentError, match="file"):
        pouchdb.setup(tmp_path / "file")


def test_there_may_be_several_folders(tmp_path):
    one, two = pouchdb.setup(tmp_path / "one"), pouchdb.setup(tmp_path / "two")
    one["a"]["x"] = {}
    assert "x" not in two["a"]
    assert one.allDbs() == two.all_dbs() == ["a"]


@pytest.mark.slow
def test_a_temporary_folder_is_removed_at_the_programs_exit():
    program = (
        "from couchette import pouchdb\n"
        "env = pouchdb.setup(); env['a']['x'] = {}\n"
        "asynchronous = pouchdb.setup(async_=True); asynchronous['b'].post({})\n"
        "print(env.context.inspect().storage_dir)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert not os.path.exists(done.stdout.strip())


@pytest.mark.slow
def test_a_program_that_forgets_to_cancel_ends_all_the_same(tmp_path):
    program = (
        "from couchette import pouchdb\n"
        "env = pouchdb.setup('folder')\n"
        "paused = []\n"
        "changes = env['a'].changes(live=True)\n"
        "sync = env['a'].sync('b', live=True).on('paused', lambda *error: paused.append(1))\n"
        "while not paused: env.context.run_pending(timeout=None)\n"
        "asynchronous = pouchdb.setup('folder', async_=True)\n"
        "asynchronous['a'].put({'_id': 'x'})\n"
        "asynchronous['a'].changes(live=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "x" in pouchdb.setup(tmp_path / "folder")["a"]


def test_an_environment_is_a_mapping_of_the_databases_that_there_are(env):
    assert env.keys() == set()
    db = env["test"]
    assert isinstance(db, pouchdb.SyncPouchDB)
    env.PouchDB("Notes 2026")
    assert repr(env.keys()) == "['Notes 2026', 'test']"
    assert (len(env), list(env)) == (2, ["Notes 2026", "test"])
    assert "test" in env
    assert "nope" not in env
    assert len(env.get("nope")) == 0
    assert env == env
    assert env != pouchdb.setup(env.context.inspect().storage_dir)
    assert re.fullmatch("<pouchdb.SyncEnvironment object at 0x[0-9a-f]+>", repr(env))


def test_databases_are_destroyed_by_their_names(env):
    env["test"]["x"] = {}
    assert env.destroy("test") is None
    assert "test" not in env
    del env["test"]
    env["test"]
    assert env.destroy(name="test") is None
    assert len(env) == 0
    assert env.resetAllDbs() is None
    for name in (None, 34234):
        with pytest.raises(PouchDBError, match="invalid"):
            env.destroy(name)


def test_what_is_no_name_is_refused(env, async_env):
    for make in (env.PouchDB, async_env.PouchDB):
        with pytest.raises(PouchDBError, match="invalid"):
            make(34234)


def test_events_tell_of_databases(env):
    events = []
    for name in ("created", "destroyed", "destroy"):
        env.on(name, lambda database, name=name: events.append((name, database)))
    env["a"]
    env["a"]
    env["a"].destroy()
    assert events == [("created", "a"), ("destroyed", "a"), ("destroy", "a")]
    env.destroy("never there")
    assert events[3:] == [("destroyed", "never there"), ("destroy", "never there")]


def test_two_environments_on_a_folder_share_its_databases(env):
    other = pouchdb.setup(env.context.inspect().storage_dir)
    events = []
    other.once("created", lambda name: events.append(("created", name)))
    other.on("destroyed", lambda name: events.append(("destroyed", name)))
    mine = env["a"]
    yours = other["a"]
    mine["x"] = {"n": 1}
    assert yours["x"].n == 1
    other.destroy("a")
    with pytest.raises(PouchDBError, match="database is destroyed"):
        mine.get("x")
    assert len(env["a"]) == 0
    assert events == [("created", "a"), ("destroyed", "a")]


def test_a_listener_of_ours_that_raises_is_logged(env, caplog):
    env.on("created", lambda name: 1 / 0)
    assert len(env["a"]) == 0
    assert "ZeroDivisionError" in caplog.text
    with pytest.raises(ZeroDivisionError):
        env.emit("created", "by the program")


def test_replicate_takes_names_objects_and_facades(env, tmp_path):
    from couchette import Database

    env["a"].update({"x": {}, "y": {}})
    result = env.replicate("a", "b")
    assert (result.ok, result.docs_read, result.docs_written, result.last_seq) == (True, 2, 2, 2)
    assert (result.status, result.errors, result.doc_write_failures) == ("complete", [], 0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", result.start_time)
    assert result.end_time >= result.start_time
    with Database(tmp_path / "other") as facade:
        assert env["b"].replicateTo(facade).docs_written == 2
        assert env["c"].replicate_from(facade, doc_ids=["x"]).docs_written == 1
    assert list(env["c"]) == ["x"]


def test_replicate_takes_pouchdbs_options(env):
    env["a"].update({name: {"kind": name} for name in "abc"})
    done = []
    env.replicate("a", "b", filter=lambda doc: doc["kind"] == "a", complete=lambda *args: done.append(args))
    env.replicate(
        "a", "b", filter=lambda doc, req: doc["kind"] == req["query"]["k"], query_params={"k": "b"}, batch_size=1
    )
    assert list(env["b"]) == ["a", "b"]
    assert env.replicate("a", "b", selector={"kind": "c"}, checkpoint=False).docs_written == 1
    assert [(error, result.ok) for error, result in done] == [(None, True)]


def test_sync_goes_both_ways(env):
    env["a"].update({"x": {}, "y": {}})
    env["b"]["z"] = {}
    result = env.sync("a", "b")
    assert (result.push.docs_written, result.pull.docs_written) == (2, 1)
    assert list(env["a"]) == list(env["b"]) == ["x", "y", "z"]
    env["a"].update({"p": {}, "q": {}})
    assert env["a"].sync(env["b"], push={"doc_ids": ["q"]}).push.docs_written == 1


def test_steps_are_told_to_on_change(env):
    env["a"].update({"x": {}, "y": {}})
    steps = []
    env.replicate("a", "b", onChange=steps.append)
    assert [step.docs_written for step in steps] == [2]
    env["b"]["z"] = {}
    env.sync("a", "b", onChange=steps.append)
    assert [(step.direction, step.change.docs_written) for step in steps[1:]] == [("pull", 1)]


def test_an_endpoint_that_is_none_is_refused(env):
    with pytest.raises(PouchDBError, match="Invalid endpoint"):
        env.replicate("a", 5)


def test_inspect_tells_what_is_going_on(env):
    env["a"]
    assert env.context.inspect() == {
        "api": "synchronous",
        "storage_dir": env.context.inspect().storage_dir,
        "databases": [],
        "loop": None,
        "callbacks": 0,
        "under_way": 0,
    }
    kept = env["a"]
    assert env.context.inspect(block=False).databases == [kept._core.name]


def test_the_context_tells_sizes_and_resets(env):
    env["a"]["x"] = {}
    assert env.context.getDbSize("a") > 0
    with pytest.raises(KeyError):
        env.context.get_db_size("nope")
    session = env._core.session
    env.context.reset()
    assert env.allDbs() == []
    assert env._core.session is not session
