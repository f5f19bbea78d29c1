"""Feeds of changes and replications that go on: events, promises, and their end."""

from __future__ import annotations

import pytest

from couchette import errors, limits, pouchdb
from couchette.pouchdb import Changes, PouchDBError, Replication, Sync

EVENTS = ("change", "complete", "error", "paused", "active", "denied")


def logged(handle):
    """A list that each event of a handle is added to."""
    log = []
    for event in EVENTS:
        handle.on(event, lambda *args, event=event: log.append((event, *args)))
    return log


@pytest.fixture
def until(env):
    """Call callbacks until a condition holds."""

    def wait(condition):
        while not condition():
            env.context.run_pending(timeout=None)

    return wait


# -- Changes --------------------------------------------------------------------------------------


def test_live_changes_are_told_until_they_are_cancelled(pouch, until):
    pouch.update({"a": {}, "b": {}})
    seen = []
    changes = pouch.changes(live=True, since=1, onChange=seen.append)
    assert isinstance(changes, Changes)
    until(lambda: len(seen) == 1)
    pouch["c"] = {}
    until(lambda: len(seen) == 2)
    assert [(change.id, change.seq) for change in seen] == [("b", 2), ("c", 3)]
    ended = []
    changes.then(ended.append)
    changes.cancel()
    changes.cancel()
    until(lambda: ended)
    assert ended == [{"status": "cancelled"}]
    pouch["d"] = {}
    assert len(seen) == 2


def test_continuous_is_live_and_complete_is_a_callback(pouch, env):
    done = []

    def complete(error, result):
        done.append((error, result))

    pouch["a"] = {}
    changes = pouch.changes(continuous=True, limit=1, complete=complete, include_docs=True)
    log = logged(changes)
    env.context.waitUntilCalled(complete)
    assert done == [(None, {"results": [], "last_seq": 1})]
    assert log[0][1].doc._id == "a"
    assert [entry[0] for entry in log] == ["change", "complete"]


def test_after_cancel_nothing_that_waits_is_told(pouch, until):
    pouch.update({"a": {}, "b": {}, "c": {}})
    seen = []

    def first(change):
        seen.append(change.id)
        changes.cancel()

    ended = []
    changes = pouch.changes(live=True, onChange=first, complete=lambda err, resp: ended.append(resp.status))
    until(lambda: ended)
    assert (seen, ended) == (["a"], ["cancelled"])


def test_a_feed_waits_for_a_program_that_is_busy(pouch, env, until, monkeypatch):
    monkeypatch.setattr("couchette.pouchdb.live.POUCHDB_UNSEEN_CHANGES", 2)
    assert limits.POUCHDB_UNSEEN_CHANGES > 2
    pouch.bulkDocs([{"_id": str(n)} for n in range(9)])
    seen, waiting = [], []

    def look(change):
        seen.append(change.id)
        waiting.append(env.context.inspect().callbacks)

    pouch.changes(live=True, limit=9, onChange=look)
    until(lambda: len(seen) == 9)
    assert max(waiting) <= 2


def test_destroying_the_database_ends_its_feed(env, until):
    pouch = env["a"]
    ended = []
    pouch.changes(live=True, onComplete=lambda error, result: ended.append(result))
    pouch.destroy()
    until(lambda: ended)
    assert ended == [{"status": "cancelled"}]


def test_a_feed_that_cannot_begin_tells_of_its_error(pouch, until):
    failed, caught = [], []
    changes = pouch.changes(live=True, filter="no/filter").on("error", failed.append)
    changes.catch(caught.append)
    until(lambda: caught)
    assert failed[0]["status"] == 404
    assert failed == caught


def test_an_error_event_that_is_listened_to_counts_as_looked_at(pouch, until, caplog):
    failed = []
    pouch.changes(live=True, descending=True).on("error", failed.append)
    until(lambda: failed)
    assert "nothing looked at" not in caplog.text


def test_live_changes_pass_a_filter(pouch, until):
    pouch["_design/f"] = {"filters": {"odd": "function (doc) { return doc.n % 2 === 1; }"}}
    seen, others = [], []
    changes = pouch.changes(live=True, filter="f/odd", onChange=lambda change: seen.append(change.id))
    more = pouch.changes(live=True, filter=lambda doc: doc.get("n") == 2)
    more.on("change", lambda change: others.append(change.id))
    pouch.bulkDocs([{"_id": str(n), "n": n} for n in range(4)])
    until(lambda: len(seen) == 2 and others)
    assert (seen, others) == (["1", "3"], ["2"])
    changes.cancel()
    more.cancel()


def test_a_listener_that_raises_does_not_end_the_feed(pouch, until, caplog):
    seen = []
    changes = pouch.changes(live=True).on("change", lambda change: 1 / 0).on("change", seen.append)
    pouch.update({"a": {}, "b": {}})
    until(lambda: len(seen) == 2)
    assert "ZeroDivisionError" in caplog.text
    changes.cancel()


# -- Replications ---------------------------------------------------------------------------------


def test_a_live_replication_tells_how_it_goes(env, until):
    env["a"]["x"] = {}
    replication = env.replicate("a", "b", live=True)
    assert isinstance(replication, Replication)
    log = logged(replication)
    until(lambda: ("paused",) in log)
    env["a"]["y"] = {}
    until(lambda: [entry[0] for entry in log].count("paused") == 2)
    assert [entry[0] for entry in log] == ["active", "change", "paused", "active", "change", "paused"]
    change = log[4][1]
    assert (change.ok, change.docs_read, change.docs_written, change.last_seq) == (True, 2, 2, 2)
    states = [replication.state]
    assert (replication["cancelled"], "cancel" in replication) == (False, True)
    replication.cancel()
    until(lambda: log[-1][0] == "complete")
    result = log[-1][1]
    assert (result.status, result.docs_written) == ("cancelled", 2)
    assert [*states, replication.state] == ["active", "cancelled"]
    assert list(env["b"]) == ["x", "y"]


def test_a_live_sync_tells_the_directions(env, until):
    env["a"]["x"] = {}
    sync = env["a"].sync("b", continuous=True)
    assert isinstance(sync, Sync)
    log = logged(sync)
    until(lambda: ("paused",) in log)
    assert ("active", {"direction": "push"}) in log
    env["b"]["y"] = {}
    until(lambda: "y" in env["a"] and log[-1] == ("paused",))
    changes = [entry[1] for entry in log if entry[0] == "change"]
    assert [(change.direction, change.change.docs_written) for change in changes] == [("push", 1), ("pull", 1)]
    sync.cancel()
    until(lambda: log[-1][0] == "complete")
    assert (log[-1][1].push.status, log[-1][1].pull.status) == ("cancelled", "cancelled")


def test_documents_that_the_target_refuses_are_denied(env, until, monkeypatch):
    from couchette.replication.local import LocalPeer
    from couchette.wire.transfer import Refusal

    write = LocalPeer.write

    async def refusing(self, *args, **kwargs):
        await write(self, *args, **kwargs)
        return [Refusal("x", "1-a", "forbidden", "not this one")]

    monkeypatch.setattr(LocalPeer, "write", refusing)
    env["a"]["x"] = {}
    replication = env.replicate("a", "b", live=True)
    log = logged(replication)
    until(lambda: any(entry[0] == "denied" for entry in log))
    denied = next(entry[1] for entry in log if entry[0] == "denied")
    assert (denied.id, denied.status, denied.name, denied.message) == ("x", 403, "forbidden", "not this one")
    replication.cancel()
    until(lambda: log[-1][0] == "complete")
    assert log[-1][1].errors[0].id == "x"


def test_without_retry_a_failure_ends_it(env, until):
    replication = env.replicate("a", "http://127.0.0.1:1/x", live=True)
    failed, caught = [], []
    replication.on("error", failed.append)
    replication.catch(caught.append)
    until(lambda: caught)
    assert replication.state == "rejected"
    assert isinstance(failed[0], PouchDBError)
    assert isinstance(failed[0].__cause__, errors.Unreachable)


def test_what_fails_at_once_raises_in_the_synchronous_api(env):
    with pytest.raises(PouchDBError) as caught:
        env.replicate("a", "http://127.0.0.1:1/x")
    assert caught.value["name"] == "unreachable"


def test_a_sync_that_fails_one_way_ends_both(env, until):
    sync = env.sync("a", "http://127.0.0.1:1/x", live=True)
    failed = []
    sync.on("error", failed.append)
    until(lambda: failed)
    assert env.context.inspect()
    assert {sync.push.state, sync.pull.state} == {"rejected"}


def test_a_replication_may_be_cancelled_before_it_began(async_env, settled):
    replication = async_env.replicate("a", "b", live=True)
    replication.cancel()
    assert settled(replication).status == "cancelled"


def test_the_handles_are_of_the_package():
    assert pouchdb.Changes is Changes
