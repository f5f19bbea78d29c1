"""Several writes in one commit."""

from __future__ import annotations

import threading

import anyio.to_thread
import pytest

from couchette import AsyncDatabase, Database
from couchette.errors import BadRequest, Conflict, NotFound, StoreError


@pytest.fixture(params=["file", "memory"])
def db(request, tmp_path):
    with Database(":memory:" if request.param == "memory" else tmp_path / "a.couchette") as database:
        yield database


def in_thread(call):
    """The result of a call in another thread."""
    results: list = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join(30)
    return results[0]


def test_all_writes_are_committed_at_the_end(db):
    with db.transaction():
        rev = db.put({"_id": "a", "v": 1})["rev"]
        db.put({"_id": "a", "_rev": rev, "v": 2})
        db.bulk_docs([{"_id": "b"}, {"_id": "c"}])
        db.put({"_id": "_local/x"})
        db.put_attachment("d", "x", b"y")
        assert db.get("a")["v"] == 2
        assert db.get("a", revs=True)["_revisions"]["start"] == 2
        assert list(db) == ["a", "b", "c", "d"]
        assert (db.info()["doc_count"], len(db.changes()["results"])) == (4, 4)
    assert in_thread(lambda: (list(db), db.get_attachment("d", "x").data)) == (["a", "b", "c", "d"], b"y")
    assert "_local/x" in db


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, Conflict])
def test_a_block_that_raises_leaves_nothing(db, error):
    db.put({"_id": "before"})
    info = db.info()

    def fails():
        with db.transaction():
            db.put({"_id": "a"})
            db.put({"_id": "_local/x"})
            raise error

    with pytest.raises(error):
        fails()
    assert {**db.info(), "sizes": 0} == {**info, "sizes": 0}
    assert list(db) == ["before"]
    assert "_local/x" not in db
    db.put({"_id": "a"})


def test_a_write_that_fails_undoes_only_itself(db):
    with db.transaction():
        db.put({"_id": "a"})
        with pytest.raises(Conflict):
            db.put({"_id": "a"})
        with pytest.raises(BadRequest):
            db.bulk_docs([{"_id": "b"}, {"_id": "_c"}])
        with pytest.raises(NotFound):
            db.get("b")
        db.put({"_id": "d"})
    assert list(db) == ["a", "d"]


def test_a_block_within_a_block_joins_it(db):

    def fails():
        with db.transaction():
            with db.transaction():
                db.put({"_id": "c"})
            raise ZeroDivisionError

    with db.transaction():
        db.put({"_id": "a"})
        with db.transaction():
            db.put({"_id": "b"})
        with pytest.raises(ZeroDivisionError):
            fails()
    assert list(db) == ["a", "b"]
    with pytest.raises(ZeroDivisionError):
        fails()
    assert list(db) == ["a", "b"]


def test_other_threads_see_nothing_before_the_commit(tmp_path):
    with Database(tmp_path / "a.couchette") as db:
        with db.transaction():
            db.put({"_id": "a"})
            assert in_thread(lambda: (list(db), "a" in db)) == ([], False)
        assert in_thread(lambda: (list(db), "a" in db)) == (["a"], True)


def test_other_threads_writes_wait(db):
    began = threading.Event()

    def writes():
        began.set()
        db.put({"_id": "b"})

    writer = threading.Thread(target=writes)
    with db.transaction():
        writer.start()
        assert began.wait(30)
        db.put({"_id": "a"})
        assert list(db) == ["a"]
    writer.join()
    assert [row["id"] for row in db.changes()["results"]] == ["a", "b"]


def test_waiters_are_woken_once_and_after_the_commit(db):
    seen: list = []
    db._pool.notifier._wakers.add(lambda: seen.append(in_thread(lambda: len(db))))
    with db.transaction():
        db.put({"_id": "a"})
        db.put({"_id": "b"})
        assert seen == []
    db._pool.notifier._wakers.clear()
    assert seen == [2]


def test_a_function_runs_in_a_transaction(db):
    def move(tx):
        tx.put({"_id": "a"})
        return tx.put({"_id": "b"})["id"]

    assert db.transaction(move) == "b"
    with pytest.raises(Conflict):
        db.transaction(lambda tx: (tx.put({"_id": "c"}), tx.put({"_id": "a"})))
    assert list(db) == ["a", "b"]


def test_the_database_cannot_be_closed_inside(db):
    with db.transaction():
        db.put({"_id": "a"})
        with pytest.raises(StoreError, match="inside a transaction") as caught:
            db.close()
        assert caught.value.hint
    assert list(db) == ["a"]


def test_a_replication_inside_is_refused_rather_than_waiting_for_ever(db):
    def replicates(call):
        with db.transaction():
            call(":memory:")

    for call in (db.replicate_to, db.replicate_from, db.sync):
        with pytest.raises(StoreError, match="inside its transaction"):
            replicates(call)


def test_a_transaction_that_sqlite_undid_is_an_error(tmp_path):
    def work(tx):
        tx.put({"_id": "a"})
        tx._pool._writer.execute("ROLLBACK")
        with pytest.raises(StoreError, match="undone"):
            tx.put({"_id": "b"})

    with Database(tmp_path / "a.couchette") as db:
        with pytest.raises(StoreError, match="undone"):
            db.transaction(work)
        assert list(db) == []
        db.put({"_id": "c"})


@pytest.mark.anyio
async def test_async_a_function_runs_in_a_transaction(db):
    asynchronous = AsyncDatabase(db)

    def work(tx):
        assert tx is db
        tx.put({"_id": "a"})
        tx.ack("indexer", 1)
        return threading.get_ident()

    assert await asynchronous.transaction(work) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await asynchronous.transaction(lambda tx: (tx.put({"_id": "b"}), 1 // 0))
    assert (await asynchronous.all_docs())["total_rows"] == 1
    with pytest.raises(BadRequest, match="needs a function"):
        await asynchronous.transaction()
    assert await anyio.to_thread.run_sync(len, db) == 1
