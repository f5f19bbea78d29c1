"""Replications that are kept: how they are written down, run, fail, and start again with the program."""

from __future__ import annotations

import logging
import threading
from contextlib import asynccontextmanager, contextmanager

import anyio
import pytest

from couchette import BasicAuth, BearerAuth, Database, Environment, SessionAuth, limits
from couchette.errors import BadRequest, DatabaseBusy, NotFound, StoreError, Unauthorized
from couchette.jobs import Plan
from couchette.jobs.scheduler import Scheduler
from couchette.testing import network


@pytest.fixture
def env(tmp_path):
    with Environment(tmp_path / "folder") as environment:
        environment["near"]["a"] = {"v": 1}
        environment.create("far")
        yield environment


# -- Written down -------------------------------------------------------------------------------------


def test_a_replication_is_a_document_as_couchdb_has_it(env):
    env.replications.add("pull", "https://host/db", env["far"], selector={"type": "a"}, since="5-x", create_target=True)
    doc = env["_replicator"]["pull"]
    del doc["_rev"]
    assert doc == {
        "_id": "pull",
        "source": "https://host/db",
        "target": "far",
        "continuous": True,
        "create_target": True,
        "selector": {"type": "a"},
        "since_seq": "5-x",
    }
    assert (list(env.replications), len(env.replications), "pull" in env.replications) == (["pull"], 1, True)
    assert env.replications["pull"]["selector"] == {"type": "a"}


def test_saying_it_again_changes_nothing_and_another_one_takes_its_place(env):
    env.replications.add("it", "near", "far")
    rev = env["_replicator"]["it"]["_rev"]
    env.replications.add("it", "near", "far")
    assert env["_replicator"]["it"]["_rev"] == rev
    env.replications.add("it", "near", "far", live=False)
    assert env.replications["it"].status.continuous is False
    del env.replications["it"]
    assert dict(env.replications) == {}


def test_nothing_is_there_before_one_is_added(env):
    assert (list(env.replications), "_replicator" in env) == ([], False)
    for missing in ("none", "_design/x"):
        with pytest.raises(NotFound, match="no replication"):
            env.replications[missing]
    with pytest.raises(NotFound):
        env.replications.remove("none")


@pytest.mark.parametrize(
    ("auth", "stored"),
    [
        (("ann", "s3cret"), {"auth": {"basic": {"username": "ann", "password": "s3cret"}}}),
        (BasicAuth("ann", "s3cret"), {"auth": {"basic": {"username": "ann", "password": "s3cret"}}}),
        (SessionAuth("ann", "s3cret"), {"auth": {"basic": {"username": "ann", "password": "s3cret"}}}),
        (BearerAuth("s3cret"), {"headers": {"Authorization": "Bearer s3cret"}}),
    ],
)
def test_credentials_are_stored_as_couchdb_stores_them_and_not_shown(env, auth, stored):
    replication = env.replications.add("it", "http://host/db", "far", source_auth=auth)
    assert env["_replicator"]["it"]["source"] == {"url": "http://host/db", **stored}
    shown = [repr(replication), repr(dict(replication)), repr(replication.status), repr(env.replications)]
    assert "s3cret" not in "".join(shown)
    assert replication["source"] == replication.status.source == "http://host/db"


@pytest.mark.parametrize(
    ("source", "options", "told"),
    [
        ("http://host/db", {"source_auth": BearerAuth(refresh=lambda: "x")}, "cannot be stored"),
        ("near", {"source_auth": ("ann", "x")}, "Credentials are for a URL"),
        ("near", {"filter": lambda doc: True}, "cannot be stored"),
        ("near", {"progress": print}, "cannot be stored"),
        ("near", {"doc_ids": ["a"], "selector": {}}, "exclude one another"),
        ("ftp://host/db", {}, "not http:// or https://"),
        (Database(":memory:", name="near"), {}, "not of this environment"),
    ],
)
def test_what_cannot_be_stored_is_refused(env, source, options, told):
    with pytest.raises(BadRequest, match=told):
        env.replications.add("it", source, "far", **options)
    assert list(env.replications) == []
    if isinstance(source, Database):
        source.close()


@pytest.mark.parametrize(
    ("member", "value", "told"),
    [
        ("source", None, "`source` must be a URL"),
        ("source", {"url": "http://h/d", "headers": {"x": 1}}, "headers"),
        ("source", {"url": "http://h/d", "auth": {"basic": {"username": "a"}}}, "auth.basic"),
        ("source", "ann:s3cret@host/db", "`source` is not http:// or https://"),
        ("source_proxy", 5, "source_proxy"),
        ("continuous", "x", "parameter `continuous` must be a boolean"),
        ("doc_ids", "x", "parameter `doc_ids` must be an array"),
        ("worker_batch_size", True, "must be a number"),
    ],
)
def test_a_malformed_document_is_told_by_its_member(member, value, told):
    with pytest.raises(BadRequest, match=told):
        Plan.from_json({"source": "a", "target": "b", member: value})


def test_the_id_does_not_depend_on_credentials_or_on_how_fast_it_goes():
    plain = Plan.from_json({"source": "http://host/db", "target": "b", "continuous": True})
    other = {"source": "http://ann:p/w@host/db", "target": "b", "continuous": True, "worker_batch_size": 7}
    assert Plan.from_json(other).id == plain.id
    assert plain.id.endswith("+continuous")
    assert Plan.from_json({**other, "doc_ids": ["a"]}).id != plain.id


# -- On a thread --------------------------------------------------------------------------------------


def test_they_run_from_start_to_stop_and_go_on_after_that(tmp_path):
    with Environment(tmp_path) as env:
        env["near"]["a"] = {}
        env.create("far")
        replication = env.replications.add("it", "near", "far")
        assert (replication.status.state, env.replications.running) == ("pending", False)
        with pytest.raises(BadRequest, match="not running"):
            replication.wait_until_synced()
        env.replications.start()
        assert replication.wait_until_synced(60)
        status = replication.status
        assert (status.state, status.error_count, status.numbers["docs_written"]) == ("running", 0, 1)
        assert [entry["type"] for entry in status.history] == ["started", "added"]
        env.replications.stop()
        assert (replication.status.state, env.replications.running) == ("pending", False)
        env["near"]["b"] = {}
    with Environment(tmp_path) as env:
        env.replications.start()
        assert env.replications["it"].wait_until_synced(60)
        assert env.replications["it"].status.numbers["docs_read"] == 1
        assert set(env["far"]) == {"a", "b"}


def test_one_that_is_added_later_starts_and_one_that_is_removed_ends(env):
    env.replications.start()
    env.replications.start()
    assert env.replications.running
    replication = env.replications.add("it", "near", "far")
    assert replication.wait_until_synced(60)
    env.replications.remove("it")
    with pytest.raises(NotFound):
        replication.wait_until_synced(60)
    other = env.replications.add("other", "near", "third", create_target=True, live=False)
    assert other.wait_until_synced(60)
    assert list(env["third"]) == ["a"]


def test_nobody_is_told_that_all_is_there_when_it_is_not(env):
    env.replications.start()
    replication = env.replications.add("it", "none", "far")
    with pytest.raises(NotFound, match="no database 'none'"):
        replication.wait_until_synced(60)
    assert (replication.status.state, replication.status.error_count) == ("crashing", 1)


# -- In virtual time ----------------------------------------------------------------------------------


class Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@contextmanager
def logged(name):
    """What is logged there meanwhile."""
    handler = Kept()
    logging.getLogger(name).addHandler(handler)
    try:
        yield handler.records
    finally:
        logging.getLogger(name).removeHandler(handler)


@asynccontextmanager
async def running(env, auth=None):
    async with anyio.create_task_group() as tasks:
        await tasks.start(env.replications.run, auth)
        yield
        tasks.cancel_scope.cancel()


async def until(condition, within=1000):
    with anyio.fail_after(within):
        while not condition():
            await anyio.sleep(0.5)


def virtually(test):
    """Run a test on a simulated network, with an environment in memory of our own."""

    def run():
        with network() as net, Environment(":memory:") as env:
            env["near"]["a"] = {}
            env.create("far")
            net.run(test, net, env)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@virtually
async def test_a_missing_database_is_looked_for_in_pauses_that_double(net, env):
    replication = env.replications.add("it", "none", "far")
    async with running(env):
        await until(lambda: replication.status.error_count == 3)
        begun = net.clocks.elapsed_s
        await until(lambda: replication.status.error_count == 4)
        assert net.clocks.elapsed_s - begun == pytest.approx(4 * limits.JOB_RETRY_FIRST_S, abs=1)
        env["none"]["b"] = {}
        assert not await replication.wait_until_synced_async(timeout=1)
        replication.retry()
        await until(lambda: "b" in env["far"], within=10)
        await until(lambda: replication.status.state == "running")
        assert replication.status.error_count == 0
        assert await replication.wait_until_synced_async(60)
        kinds = [entry["type"] for entry in replication.status.history]
        assert kinds == ["started", *["crashed", "started"] * 4, "added"]
        for _ in range(30):
            env.destroy("none")
            await until(lambda: replication.status.state == "crashing")
            env.create("none")
            replication.retry()
            await until(lambda: replication.status.state == "running")
        assert len(replication.status.history) == limits.JOB_HISTORY_MAX


@virtually
async def test_a_server_that_goes_and_comes_back_is_a_crash_that_heals(net, env):
    server = net.server("hub")
    server.environment["db"]["x"] = {}
    replication = env.replications.add("it", "http://hub/db", "far")
    async with running(env):
        assert await replication.wait_until_synced_async(60)
        server.stop()
        env["far"]["local"] = {}
        await until(lambda: replication.status.state == "crashing")
        assert "reached" in replication.status.error
        server.start()
        server.environment.create("db")
        await until(lambda: replication.status.state == "running")
        assert (replication.status.error, replication.status.error_count) == (None, 0)


@virtually
async def test_a_one_time_job_says_in_its_document_that_it_is_through_and_is_not_run_again(net, env):
    replication = env.replications.add("it", "near", "far", live=False)
    async with running(env):
        assert await replication.wait_until_synced_async(60)
        await until(lambda: "_replication_state" in env["_replicator"]["it"])
        doc = env["_replicator"]["it"]
        assert (doc["_replication_state"], doc["_replication_stats"]["docs_written"]) == ("completed", 1)
        assert doc["_replication_id"] == replication.status.id
        env["near"]["b"] = {}
    assert replication.status.state == "completed"
    async with running(env):
        assert await replication.wait_until_synced_async(60)
        assert (replication.status.state, "b" in env["far"]) == ("completed", False)
        kept = {name: value for name, value in env["_replicator"]["it"].items() if not name.startswith("_replication")}
        env["_replicator"].put(kept)
        await until(lambda: "b" in env["far"])


@virtually
async def test_a_document_that_is_no_replication_fails_and_says_why(net, env):
    env["_replicator"]["it"] = {"source": "near", "target": "far", "continuous": "yes"}
    assert env.replications["it"].status.state == "failed"
    async with running(env):
        await until(lambda: "_replication_state" in env["_replicator"]["it"])
        doc, status = env["_replicator"]["it"], env.replications["it"].status
        assert (doc["_replication_state"], status.state) == ("failed", "failed")
        assert "`continuous` must be a boolean" in doc["_replication_state_reason"] == status.error
        with pytest.raises(BadRequest, match="must be a boolean"):
            await env.replications["it"].wait_until_synced_async(60)
        env["_replicator"]["it"] = {"source": "near", "target": "far", "continuous": True}
        await until(lambda: env.replications["it"].status.state == "running")


@virtually
async def test_a_document_that_is_only_touched_keeps_its_job(net, env):
    replication = env.replications.add("it", "near", "far")
    async with running(env):
        assert await replication.wait_until_synced_async(60)
        seen = replication.status.start_time
        await anyio.sleep(5)
        env["_replicator"].put({**env["_replicator"]["it"], "comment": "ours"})
        env["near"]["b"] = {}
        await until(lambda: "b" in env["far"])
        assert replication.status.start_time == seen
        env["_replicator"].put({**env["_replicator"]["it"], "doc_ids": ["a"]})
        await until(lambda: replication.status.start_time != seen)


@virtually
async def test_a_database_that_appears_goes_and_comes_again_is_followed(net, env):
    async with running(env):
        await anyio.sleep(1)
        replication = env.replications.add("it", "near", "far")
        assert await replication.wait_until_synced_async(60)
        env.destroy("_replicator")
        await anyio.sleep(1)
        env["near"]["b"] = {}
        await anyio.sleep(1)
        assert "b" not in env["far"]
        env.replications.add("it", "near", "far")
        assert await replication.wait_until_synced_async(60)
        assert "b" in env["far"]


@virtually
async def test_credentials_are_given_at_the_start_and_changed_meanwhile(net, env):
    asked, seen = [], []

    async def app(scope, receive, send):
        headers = dict(scope["headers"])
        seen.append(headers.get(b"authorization", b"").decode())
        start = {"type": "http.response.start", "status": 401, "headers": [(b"content-type", b"application/json")]}
        await send(start)
        await send({"type": "http.response.body", "body": b'{"error":"unauthorized","reason":"No."}'})

    def auth(name, url):
        asked.append((name, url))
        return BearerAuth("f1rst")

    net.server("hub")._app = app
    replication = env.replications.add("it", "http://hub/db", "far")
    async with running(env, auth):
        with pytest.raises(Unauthorized):
            await replication.wait_until_synced_async(60)
        assert (asked, seen) == ([("it", "http://hub/db")], ["Bearer f1rst"])
        assert replication.status.state == "crashing"
        replication.set_auth(source=BearerAuth("s3cond"))
        await until(lambda: seen[-1] == "Bearer s3cond", within=10)
        told = f"{replication.status}{replication.status.history}"
        assert "f1rst" not in told
        assert "s3cond" not in told


@virtually
async def test_only_one_loop_runs_them(net, env):
    async with running(env):
        await anyio.sleep(0.1)
        with pytest.raises(BadRequest, match="run already"):
            await env.replications.run()
        env.replications.start()
        env.replications.stop()
        assert env.replications.running


@virtually
async def test_starting_them_where_a_task_runs_them_begins_no_thread(net, env):
    env.create("_replicator")
    async with running(env):
        await anyio.sleep(0.1)
        env.replications.start()
        assert "couchette-replications" not in [thread.name for thread in threading.enumerate()]


@virtually
async def test_the_end_of_a_job_that_cannot_be_written_down_is_written_later_and_the_others_go_on(net, env):
    live, once = env.replications.add("live", "near", "far"), env.replications.add("once", "near", "far", live=False)
    database, fails = env["_replicator"], [DatabaseBusy("busy"), StoreError("full"), ZeroDivisionError()]
    put = database.put

    def failing(doc, **options):
        if fails:
            raise fails.pop(0)
        return put(doc, **options)

    database.put = failing
    with logged("couchette.jobs.scheduler") as records:
        async with running(env):
            await until(lambda: len(fails) == 2)
            env["near"]["b"] = {}
            assert await live.wait_until_synced_async(10)
            assert (once.status.state, "_replication_state" in database["once"]) == ("completed", False)
            await until(lambda: "_replication_state" in database["once"])
            assert database["once"]["_replication_state"] == "completed"
    assert len(records) == 3


@pytest.mark.parametrize("state", [[], {}, ["completed"], 5, None, True])
def test_a_strange_state_in_a_document_is_no_end(state):
    with network() as net, Environment(":memory:") as env:
        env["near"]["a"] = {}
        env["_replicator"]["it"] = {
            "source": "near", "target": "far", "create_target": True, "continuous": True, "_replication_state": state
        }  # fmt: skip
        assert env.replications["it"].status.state == "pending"

        async def test():
            async with running(env):
                assert await env.replications["it"].wait_until_synced_async(60)
                assert "a" in env["far"]

        net.run(test)


@virtually
async def test_a_reason_in_a_document_that_is_no_text_is_shown_as_text(net, env):
    ended = {"_replication_state": "failed", "_replication_state_reason": {"error": "x"}}
    env["_replicator"]["it"] = {"source": "near", "target": "far", **ended}
    assert env.replications["it"].status.error == '{"error":"x"}'
    async with running(env):
        await until(lambda: env.replications["it"].status.state == "failed")
        assert env.replications["it"].status.error == '{"error":"x"}'


def test_a_document_that_cannot_be_followed_does_not_end_the_others(monkeypatch):
    read = Plan.from_json

    def reading(doc):
        if doc["_id"] == "bad":
            raise ZeroDivisionError
        return read(doc)

    with network() as net, Environment(":memory:") as env, logged("couchette.jobs.scheduler") as records:
        env["near"]["a"] = {}
        for name in ("a", "bad", "c"):
            env["_replicator"][name] = {"source": "near", "target": f"to-{name}", "create_target": True}
        monkeypatch.setattr(Plan, "from_json", reading)

        async def test():
            async with running(env):
                await until(lambda: "to-c" in env and "a" in env["to-c"])
                assert env.replications.status("bad").state == "failed"
                assert "ZeroDivisionError" in (env.replications.status("bad").error or "")

        net.run(test)
    assert len(records) == 1


def test_a_scheduler_that_ends_by_a_fault_of_ours_begins_again(env, monkeypatch):
    monkeypatch.setattr(limits, "RETRY_MAX_S", 0)
    follow, fails = Scheduler._follow, [ZeroDivisionError()]

    async def following(scheduler):
        if fails:
            raise fails.pop()
        await follow(scheduler)

    monkeypatch.setattr(Scheduler, "_follow", following)
    replication = env.replications.add("it", "near", "far")
    with logged("couchette.jobs.replications") as records:
        env.replications.start()
        synced = _synced_again(replication)
        env.replications.stop()
    assert (synced, "a" in env["far"], len(records)) == (True, True, 1)


def _synced_again(replication):
    """Ask until it is not told that the loop that was asked has ended."""
    return any(replication.wait_until_synced(60) for _ in range(1000))


@virtually
async def test_a_fault_of_ours_is_logged_and_tried_again(net, env):
    def auth(name, url):
        raise ZeroDivisionError("s3cret")

    with logged("couchette.jobs.job") as records:
        replication = env.replications.add("it", "http://hub/db", "far")
        async with running(env, auth):
            await until(lambda: replication.status.error_count == 2)
        assert replication.status.state == "pending"
        assert len(records) == 2
