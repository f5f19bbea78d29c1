"""The asynchronous API in programs of asyncio and trio, and in those that have no loop."""

from __future__ import annotations

import asyncio
import threading

import anyio
import pytest
import trio

from couchette import pouchdb
from couchette.pouchdb import AsyncPouchDB, PouchDBError, Promise
from couchette.pouchdb.operations import operation

pytestmark = pytest.mark.filterwarnings("error")


# -- Programs with a loop -------------------------------------------------------------------------


@pytest.mark.anyio
async def test_promises_are_awaited(tmp_path):
    env = pouchdb.setup(tmp_path, async_=True)
    db = env.PouchDB("a")
    put = await db.put({"_id": "x", "n": 1})
    assert (await db.get("x")).n == 1
    assert put.rev.startswith("1-")
    with pytest.raises(PouchDBError) as caught:
        await db.get("nope")
    assert str(caught.value) == '{"status":404,"name":"not_found","message":"missing"}'
    promise = db.allDocs()
    assert (await promise).total_rows == 1
    assert (await promise).total_rows == 1
    assert await env.allDbs() == ["a"]
    await env.destroy("a")
    assert await env.allDbs() == []


@pytest.mark.anyio
async def test_callbacks_run_on_the_loops_thread_and_operations_do_not(tmp_path):
    env = pouchdb.setup(tmp_path, async_=True)
    threads, done = [], anyio.Event()

    def callback(error, result):
        threads.append(threading.current_thread())
        done.set()

    def view(doc):
        threads.append(threading.current_thread())
        return []

    db = env["a"]
    db.put({"_id": "x"})
    db.query(view, callback)
    await done.wait()
    assert threads[0] is not threading.current_thread()
    assert threads[1] is threading.current_thread()


@pytest.mark.anyio
async def test_what_is_awaited_may_be_given_up(tmp_path):
    env = pouchdb.setup(tmp_path, async_=True)
    held, entered = threading.Event(), anyio.Event()
    promise: Promise = env.context.promise("a", held.wait)

    async def wait():
        entered.set()
        await promise

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await entered.wait()
        tasks.cancel_scope.cancel()
    held.set()
    assert await promise is True


@pytest.mark.anyio
async def test_live_changes_come_to_the_loop(tmp_path):
    env = pouchdb.setup(tmp_path, async_=True)
    db = env["a"]
    seen, second = [], anyio.Event()

    def change(row):
        seen.append(row.id)
        if len(seen) == 2:
            second.set()

    changes = db.changes(live=True, onChange=change)
    db.put({"_id": "x"})
    db.put({"_id": "y"})
    await second.wait()
    changes.cancel()
    assert await changes == {"status": "cancelled"}
    assert seen == ["x", "y"]


@pytest.mark.anyio
async def test_replications_are_awaited_or_listened_to(tmp_path):
    env = pouchdb.setup(tmp_path, async_=True)
    await env["a"].put({"_id": "x"})
    result = await env.replicate("a", "b")
    assert (result.docs_written, result.status) == (1, "complete")
    assert (await env["a"].replicateTo(env["c"])).docs_written == 1
    assert (await env["d"].replicate_from("c")).docs_written == 1
    both = await env["a"].sync("b")
    assert (both.push.docs_written, both.pull.docs_written) == (0, 0)
    live, moved = env.sync("a", "b", live=True), anyio.Event()
    live.on("change", lambda change: moved.set())
    await env["b"].put({"_id": "y"})
    await moved.wait()
    live.cancel()
    assert (await live).pull.docs_written == 1


@pytest.mark.parametrize("run", [asyncio.run, lambda coroutine: trio.run(lambda: coroutine)], ids=["asyncio", "trio"])
def test_an_environment_may_be_older_than_the_loop_and_outlive_it(tmp_path, run):
    env = pouchdb.setup(tmp_path, async_=True)
    db = env["a"]

    async def write(name):
        told = anyio.Event()
        db.put({"_id": name}, lambda error, result: told.set())
        await told.wait()
        return await db.allDocs()

    assert run(write("x")).total_rows == 1
    assert run(write("y")).total_rows == 2


# -- Programs without one -------------------------------------------------------------------------


def test_a_callback_gets_an_error_or_a_result(async_env):
    calls = []

    def callback(err, resp):
        calls.append((err, resp))

    db = async_env.PouchDB("example")
    assert isinstance(db.post({}, callback), Promise)
    async_env.context.waitUntilCalled(callback)
    error, result = calls[0]
    assert error is None
    assert result.ok
    db.get("nope", callback=callback)
    async_env.context.wait_until_called(callback)
    error, result = calls[1]
    assert (error["status"], result) == (404, None)


def test_chains_adopt_the_promises_of_operations(async_env, settled):
    db = async_env["a"]
    chain = (
        db.get("x")
        .catch(lambda error: db.put({"_id": "x"}))
        .then(lambda put: db.get(put.id))
        .then(lambda doc: doc._id)
        .finally_(lambda: async_env.destroy("a"))
    )
    assert settled(chain) == "x"
    assert settled(async_env.allDbs()) == []


def test_operations_on_a_database_keep_their_order(async_env, settled):
    db, again = async_env["a"], async_env["a"]
    db.put({"_id": "x"})
    again.put({"_id": "y"})
    listed, destroyed = db.allDocs(), async_env.destroy("a")
    assert settled(listed).total_rows == 2
    settled(destroyed)
    assert settled(async_env["a"].info()).doc_count == 0


def test_an_argument_may_be_changed_after_the_call(async_env, settled):
    db = async_env["a"]
    doc: dict = {"_id": "x", "list": [1]}
    promise = db.put(doc)
    doc["list"].append(2)
    settled(promise)
    assert settled(db.get("x")).list == [1]


def test_a_function_is_a_callback_only_behind_the_arguments(async_env, settled):
    db = async_env["a"]
    seen: list = []
    settled(db.put({"_id": "x"}, lambda err, resp: seen.append(resp.ok)))
    rows = settled(db.query(lambda doc: [(doc["_id"], None)], lambda err, resp: seen.append(len(resp.rows)))).rows
    assert [row.key for row in rows] == ["x"]
    done: list = []
    settled(db.changes(lambda err, resp: done.append(resp.last_seq)))
    settled(async_env.destroy("a", lambda err, resp: done.append((err, resp))))
    settled(async_env.destroy(lambda err, resp: done.append("by option"), name="a"))
    assert settled(async_env.reset_all_dbs()) is None
    assert (seen, done) == ([True, 1], [1, (None, None), "by option"])


def test_a_callback_that_raises_is_logged_and_kills_nothing(async_env, settled, caplog):
    db = async_env["a"]
    db.post({}, lambda err, resp: 1 / 0)
    assert settled(db.info()).doc_count == 1
    assert "ZeroDivisionError" in caplog.text


def test_a_wrong_call_rejects_its_promise(async_env, settled):
    with pytest.raises(TypeError, match="docid"):
        settled(async_env["a"].get())


def test_a_database_that_cannot_be_opened_rejects_each_operation(async_env, settled):
    db = async_env.PouchDB("Ä" * 200)
    for _ in range(2):
        with pytest.raises(PouchDBError) as caught:
            settled(db.info())
        assert caught.value["name"] == "database_name_too_long"


def test_events_are_emitted_when_the_program_gets_to_them(async_env, settled):
    names = []
    async_env.on("created", names.append)
    db = async_env["a"]
    assert names == []
    settled(db.info())
    settled(db.destroy())
    assert names == ["a"]


def test_changes_until_now_are_events_and_a_promise(async_env, settled):
    db = async_env["a"]
    settled(db.bulkDocs([{"_id": "x"}, {"_id": "y"}]))
    seen = []
    changes = db.changes().on("change", lambda change: seen.append(change.id))
    result = settled(changes)
    assert seen == [row.id for row in result.results] == ["x", "y"]
    assert settled(db.changes(onChange=lambda change: seen.append(change.id), return_docs=False)).results == []
    assert seen == ["x", "y", "x", "y"]
    cancelled = db.changes(onChange=seen.append)
    cancelled.cancel()
    assert settled(cancelled) == {"status": "cancelled"}
    assert len(seen) == 4


def test_plugins_work_in_this_api_too(async_env, settled):
    async_env.PouchDB.plugin({"first": lambda db: db.allDocs(limit=1).then(lambda answer: answer.rows[0].id)})
    db = async_env["a"]
    db.put({"_id": "x"})
    assert settled(db.first()) == "x"


def test_the_same_operation_is_behind_both_apis():
    assert isinstance(vars(pouchdb.AbstractPouchDB)["put"], operation)
    assert AsyncPouchDB.put.__doc__ == pouchdb.SyncPouchDB.put.__doc__
