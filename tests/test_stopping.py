"""Work that is to end before it is done."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future

import anyio
import pytest

from couchette import Database, Environment, stopping, workers
from couchette.errors import CouchetteError, DatabaseClosed
from couchette.functions import Engine, Limits
from couchette.limits import INDEX_BATCH_DOCS
from couchette.stopping import Stop, heeding


class Stopped(CouchetteError):
    """What the stops of these tests raise."""


class AtOnce(Stop):
    """Is set as soon as somebody waits."""

    def begin(self, future):
        super().begin(future)
        self.set()


@pytest.fixture
def stop():
    return Stop(lambda: Stopped("It is to end."))


def test_nothing_is_heeded_that_was_not_named(stop):
    stop.set()
    stopping.check()
    with heeding(stop), pytest.raises(Stopped):
        stopping.check()
    stopping.check()


def test_all_that_are_named_are_heeded_or_one_alone(stop):
    outer = Stop(lambda: Stopped("The outer one."))
    outer.set()
    with heeding(outer):
        with heeding(stop), pytest.raises(Stopped, match="outer"):
            stopping.check()
        with heeding(stop, alone=True):
            stopping.check()


def test_who_waits_for_another_thread_waits_no_longer():
    stop = AtOnce(lambda: Stopped("It is to end."))
    future = Future()
    with heeding(stop), pytest.raises(Stopped):
        stopping.result_of(future)
    assert future.cancelled()


def test_who_begins_to_wait_too_late_does_not(stop):
    stop.set()
    with heeding(stop), pytest.raises(Stopped):
        stopping.result_of(Future())


def test_what_was_there_in_time_is_given(stop):
    future = Future()
    future.set_result(7)
    with heeding(stop):
        assert stopping.result_of(future) == 7
    stop.set()


@pytest.mark.anyio
async def test_the_threads_of_a_task_heed_what_it_heeds(stop):
    stop.set()
    with heeding(stop):
        for hop in (workers.in_thread, workers.in_lean_thread, workers.in_side_thread):
            with pytest.raises(Stopped):
                await hop(stopping.check)
    await anyio.to_thread.run_sync(stopping.check)


def test_a_call_of_javascript_is_given_up_and_the_engine_ends_by_itself():
    stop = AtOnce(lambda: Stopped("It is to end."))
    engine = Engine(limits=Limits(time_s=0.5))
    loop = {"source": "function() { for (;;) {} }", "keys": [], "values": [], "rereduce": False}
    with heeding(stop), pytest.raises(Stopped):
        engine.call("reduce", loop)
    thread = engine._thread
    assert thread is not None
    engine.close()
    thread.join(30)
    assert not thread.is_alive()


def test_an_engine_whose_call_was_given_up_answers_others():
    stop = AtOnce(lambda: Stopped("It is to end."))
    engine = Engine(limits=Limits(time_s=0.05))
    call = {"source": "function(k, v) { while (v[0]) {} return 7 }", "keys": [], "rereduce": False}
    with heeding(stop), pytest.raises(Stopped):
        engine.call("reduce", {**call, "values": [1]})
    assert engine.call("reduce", {**call, "values": [0]}) == 7
    engine.close()


def test_a_build_that_is_ended_keeps_what_it_has_and_goes_on_from_there(tmp_path, stop):
    seen = []

    with Database(tmp_path / "db") as db:
        db.bulk_docs([{"n": number} for number in range(2 * INDEX_BATCH_DOCS)])

        @db.view("by_number")
        def by_number(doc):
            seen.append(doc["n"])
            if len(seen) == INDEX_BATCH_DOCS + 5:
                stop.set()
            yield doc["n"], None

        with heeding(stop), pytest.raises(Stopped):
            db.query("by_number")
        assert len(db.query("by_number", update=False)["rows"]) == INDEX_BATCH_DOCS
        assert len(db.query("by_number")["rows"]) == 2 * INDEX_BATCH_DOCS
        assert len(seen) == 2 * INDEX_BATCH_DOCS + 5


def test_a_reduction_that_is_ended_has_not_failed(tmp_path, stop):
    calls = []

    def total(keys, values, rereduce):
        calls.append(rereduce)
        if len(calls) == 1:
            stop.set()
        return sum(values)

    with Database(tmp_path / "db") as db:
        db.bulk_docs([{"n": number} for number in range(500)])
        db.view("total", reduce=total)(lambda doc: [(doc["n"], doc["n"])])
        with heeding(stop), pytest.raises(Stopped):
            db.query("total")
        assert db.query("total")["rows"] == [{"key": None, "value": sum(range(500))}]


def test_a_compaction_that_is_ended_keeps_what_it_has(tmp_path, stop):
    with Database(tmp_path / "db") as db:
        for _ in range(3):
            db["a"] = {**db.get("a"), "n": 1} if "a" in db else {}
        with heeding(stop), pytest.raises(Stopped):
            db.compact(progress=lambda freed: stop.set())
        assert db.compact()["bodies"] == 0


@pytest.mark.parametrize("index", ["view", "text"])
def test_a_database_that_is_closed_ends_the_build_of_an_index_at_the_next_document(tmp_path, index):
    seen = []
    db = Database(tmp_path / "db")
    db.bulk_docs([{"_id": str(number)} for number in range(50)])

    def function(doc):
        seen.append(doc["_id"])
        db.close()
        return []

    if index == "view":
        db.view("it")(function)
    else:
        db.text_index("it")(function)
    with pytest.raises(DatabaseClosed):
        db.query("it") if index == "view" else db.search("it", "*:*")
    assert len(seen) == 1


def test_a_database_that_is_closed_does_not_wait_for_a_function_that_builds(tmp_path, monkeypatch):
    db = Database(tmp_path / "db")
    db["_design/d"] = {"views": {"v": {"map": "function(doc) { for (;;) {} }"}}}
    db["a"] = {}
    waits = threading.Event()
    begin = Stop.begin

    def noted(stop, future):
        begin(stop, future)
        waits.set()

    monkeypatch.setattr(Stop, "begin", noted)

    async def query():
        with pytest.raises(DatabaseClosed):
            await workers.in_thread(db.query, "d/v")

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(query)
            assert await anyio.to_thread.run_sync(waits.wait, 60)
            await anyio.to_thread.run_sync(db.close)

    anyio.run(main)


def test_replications_that_are_stopped_do_not_wait_for_a_filter(tmp_path, monkeypatch):
    waited_for = queue.SimpleQueue()
    begin = Stop.begin

    def noted(stop, future):
        begin(stop, future)
        waited_for.put(future)

    monkeypatch.setattr(Stop, "begin", noted)
    with Environment(tmp_path) as env:
        env["near"]["_design/d"] = {"filters": {"endless": "function() { for (;;) {} }"}}
        env["near"]["a"] = {}
        env.create("far")
        env.replications.add("it", "near", "far", filter="d/endless")
        env.replications.start()
        future = waited_for.get(timeout=60)
        env.replications.stop()
        assert future.cancelled()
        assert list(env["far"]) == []
