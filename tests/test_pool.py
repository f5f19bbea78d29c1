"""Connections to one file: threads, other processes, transactions, and the end of it all."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import apsw
import pytest

from couchette import Database, connecting, limits, store
from couchette.errors import BadRequest, DatabaseBusy, DatabaseClosed, StoreError
from couchette.pool import Pool


def count(conn):
    return conn.execute("SELECT count(*) FROM docs").fetchone()[0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.couchette"


def in_threads(call, threads=8):
    """Run the call in threads that start together; raises what any of them raised."""
    gate = threading.Barrier(threads)

    def run(n):
        gate.wait()
        return call(n)

    with ThreadPoolExecutor(threads) as executor:
        return list(executor.map(run, range(threads)))


# -- Threads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [False, True])
def test_many_threads_write_and_read_at_once(path, memory):
    with Database(":memory:" if memory else path) as db:

        def work(n):
            for step in range(20):
                rev = db.put({"_id": f"{n}-{step}"})["rev"]
                assert db.get(f"{n}-{step}")["_rev"] == rev
                db.all_docs(limit=5, include_docs=True)
                assert db.changes(since="now")["results"] == []

        in_threads(work)
        assert len(db) == 160
        assert [int(row["seq"].partition("-")[0]) for row in db.changes()["results"]] == list(range(1, 161))


def test_of_many_threads_that_edit_one_leaf_one_wins(path):
    with Database(path) as db:
        rev = db.put({"_id": "a"})["rev"]
        rows = in_threads(lambda n: db.bulk_docs([{"_id": "a", "_rev": rev, "n": n}])[0])
        assert sorted("ok" in row for row in rows) == [False] * 7 + [True]


def test_a_reader_sees_one_snapshot_while_another_thread_writes(path):
    with Database(path) as db:
        db.put({"_id": "a"})

        def reads(conn):
            before = count(conn)
            threading.Thread(target=db.put, args=({"_id": "b"},)).run()
            with ThreadPoolExecutor(1) as executor:
                executor.submit(db.put, {"_id": "c"}).result()
            return before, count(conn)

        assert db._pool.read(reads) == (1, 1)
        assert len(db) == 3


def test_a_join_is_planned_once_whatever_its_values(path):
    def planned(conn):
        """What SQLite asked about while it planned the same query for one value after the other."""
        asked = []

        def allow(*what):
            asked.append(what)
            return apsw.SQLITE_OK

        conn.set_authorizer(allow)
        query = "SELECT docs.body FROM local AS l CROSS JOIN docs ON docs.id=l.id AND docs.cur=1 WHERE l.id=?"
        counts = [len(asked) for value in "abc" if conn.execute(query, (value,)).fetchall() == []]
        conn.set_authorizer(None)
        return counts

    with Database(path) as db:
        first, *others = db._pool.read(planned)
    assert first > 0
    assert others == [first, first]


def test_what_fails_because_the_database_was_closed_says_so(path):
    pool = Pool(path)

    def closed_meanwhile(conn):
        pool.close()
        raise apsw.IOError("disk I/O error")

    with pytest.raises(DatabaseClosed):
        pool.read(closed_meanwhile)


def test_idle_readers_are_kept_up_to_a_bound(path):
    with Database(path) as db:
        gate = threading.Barrier(limits.IDLE_READERS_MAX + 4)
        in_threads(lambda _: db._pool.read(lambda conn: gate.wait()), limits.IDLE_READERS_MAX + 4)
        assert len(db._pool._idle) == limits.IDLE_READERS_MAX


# -- Two pools and two processes ------------------------------------------------------------------


def test_two_databases_on_one_file_see_each_others_commits(path):
    with Database(path) as one, Database(path) as other:
        rev = one.put({"_id": "a", "v": 1})["rev"]
        assert other.get("a")["v"] == 1
        other.put({"_id": "a", "_rev": rev, "v": 2})
        assert one.get("a")["v"] == 2
        assert one.info()["update_seq"] == other.info()["update_seq"]


def test_opening_a_new_file_many_times_at_once_makes_one_database(path):
    def opens(_):
        with Database(path) as db:
            return db.info()["uuid"]

    assert len(set(in_threads(opens))) == 1


@pytest.mark.slow
def test_two_processes_write_one_file(path):
    program = """if True:
        import sys
        from couchette import Database
        with Database(sys.argv[1]) as db:
            for n in range(50):
                db.put({"_id": f"{sys.argv[2]}-{n}"})
    """
    running = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in "ab"]
    assert [process.wait(60) for process in running] == [0, 0]
    with Database(path) as db:
        assert len(db) == 100
        assert db.info()["update_seq"].startswith("100-")


def test_a_writer_that_waits_too_long_for_another_gets_database_busy(path, monkeypatch):
    monkeypatch.setattr(connecting, "BUSY_TIMEOUT_MS", 20)
    with Database(path) as db:
        db.put({"_id": "a"})
        other = apsw.Connection(str(path))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy, match="Another process is writing") as caught:
            db.put({"_id": "b"})
        assert (caught.value.status, caught.value.error) == (503, "database_busy")
        assert "20 ms" in caught.value.hint
        assert list(db) == ["a"]
        other.execute("ROLLBACK")
        other.close()
        db.put({"_id": "b"})
        assert list(db) == ["a", "b"]


# -- Transactions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, BadRequest])
def test_an_operation_that_raises_leaves_nothing(path, memory, error):
    def fails(conn):
        store.put(conn, {"_id": "a", "_attachments": {"x": {"data": b"y"}}})
        store.put(conn, {"_id": "_local/x"})
        raise error("no")

    with Database(":memory:" if memory else path) as db:
        before = db.info()
        with pytest.raises(error):
            db._pool.write(fails)
        assert {**db.info(), "sizes": 0} == {**before, "sizes": 0}
        assert list(db) == []
        assert "_local/x" not in db
        db.put({"_id": "a"})
        assert list(db) == ["a"]


def test_a_write_is_published_after_its_commit(path):
    opened = Pool(path)
    seen = []
    opened.notifier._wakers.add(lambda: seen.append(opened.read(count)))
    opened.write(store.put, {"_id": "a"})
    with pytest.raises(BadRequest):
        opened.write(store.put, {"_id": "_b"})
    opened.notifier._wakers.clear()
    opened.close()
    assert seen == [1]


def test_errors_of_sqlite_become_ours(path):
    opened = Pool(path)
    for call in (opened.read, opened.read_one, opened.write):
        with pytest.raises(StoreError, match="no such table") as caught:
            call(lambda conn: conn.execute("SELECT * FROM nowhere").fetchall())
        assert isinstance(caught.value.__cause__, apsw.Error)
    with pytest.raises(StoreError, match="may only be read"):
        opened.read(lambda conn: conn.execute("DELETE FROM docs"))
    opened.close()


def test_a_full_disk_is_an_error_that_leaves_the_database_as_it_was(path):
    with Database(path) as db:
        db.put({"_id": "a"})
        db._pool.write(lambda conn: conn.pragma("max_page_count", 20))
        with pytest.raises(StoreError, match="full"):
            db.put({"_id": "b", "x": "y" * 1_000_000})
        assert list(db) == ["a"]


# -- The end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [False, True])
def test_a_closed_database_says_so(path, memory):
    db = Database(":memory:" if memory else path)
    db.put({"_id": "a"})
    db.get("a")
    db.close()
    db.close()
    assert db.closed
    calls = [
        lambda: db.get("a"),
        lambda: db.get("a", revs=True),
        lambda: db.put({"_id": "b"}),
        lambda: db.info(),
        lambda: len(db),
        lambda: list(db),
        lambda: "a" in db,
        lambda: db.wait_changes(0, 0),
    ]
    for call in calls:
        with pytest.raises(DatabaseClosed, match="is closed") as caught:
            call()
        assert caught.value.hint


def test_closing_leaves_one_file(path):
    with Database(path) as db:
        db.put({"_id": "a"})
        in_threads(lambda _: db.get("a"))
    assert list(path.parent.iterdir()) == [path]


def test_a_reader_that_is_busy_while_the_database_closes_ends_its_work(path):
    db = Database(path)
    db.put({"_id": "a"})

    def reads(conn):
        db.close()
        return count(conn)

    assert db._pool.read(reads) == 1
    assert not db._pool._idle
    with Database(path) as again:
        assert list(again) == ["a"]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_durability_is_what_was_asked_for(path, durability):
    opened = Pool(path, durability=durability)
    assert opened.write(lambda conn: conn.pragma("synchronous")) == {"normal": 1, "full": 2}[durability]
    opened.close()


def test_an_unknown_durability_is_refused(path):
    with pytest.raises(StoreError, match="durability"):
        Pool(path, durability="extra")  # type: ignore[arg-type]
    assert not path.exists()


def test_sync_has_the_disk_confirm_what_the_log_holds(path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    with Database(path) as db:
        db["a"] = {}
        answer = db.ensure_full_commit()
        assert answer == {"ok": True, "instance_start_time": db.info()["instance_start_time"]}
        assert synced == [os.stat(f"{path}-wal").st_ino]


def test_in_memory_there_is_no_disk_to_wait_for():
    with Database(":memory:") as db:
        assert db.ensure_full_commit()["ok"]


def test_a_disk_that_does_not_confirm_is_an_error(path, monkeypatch):
    def failing(descriptor):
        raise OSError(5, "Input/output error")

    with Database(path) as db:
        db["a"] = {}
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            with pytest.raises(StoreError, match="did not confirm"):
                db.ensure_full_commit()
        assert db["a"]["_rev"]


def test_a_write_inside_a_write_is_refused_and_leaves_nothing(path):
    with Database(path) as db:
        docs = (db.put({"_id": f"inner {number}"}) and {"_id": str(number)} for number in range(2))
        with pytest.raises(StoreError, match="cannot be made inside another one"):
            db.bulk_docs(docs)
        assert list(db) == []


def test_a_reader_that_opens_while_the_pool_begins_to_rest_sees_later_writes(path, monkeypatch):
    with Database(path) as db:
        db.put({"_id": "a"})
        opens = db._pool._open

        def open_after_rest(flags):
            if db._pool._writer is not None:
                db._pool.rest()
            return opens(flags)

        monkeypatch.setattr(db._pool, "_open", open_after_rest)
        assert db.get("a", revs=True)["_id"] == "a"
        rev = db.put({"_id": "b"})["rev"]
        assert db.get("b", revs=True)["_rev"] == rev


# -- Ctrl-C ---------------------------------------------------------------------------------------

send_signal = ctypes.CDLL(None)["raise"]
"""Unlike ``signal.raise_signal`` it leaves the signal to be noticed by the Python code that runs next."""


def interrupted(conn, call, after):
    """Call, with Ctrl-C after so many steps of the connection's SQL; whether it was in time."""
    signals = itertools.chain(itertools.repeat(0, after), [signal.SIGINT], itertools.repeat(0))
    conn.set_progress_handler(map(send_signal, signals).__next__, 1)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        conn.set_progress_handler(None)
    return False


def put_two(db):
    with db.transaction():
        db.put({"_id": uuid.uuid4().hex})
        db.put({"_id": uuid.uuid4().hex})


@pytest.mark.parametrize(
    "call", [lambda db: db.put({"_id": uuid.uuid4().hex}), put_two, lambda db: db.get("a", revs=True)]
)
@pytest.mark.parametrize("memory", [False, True])
def test_ctrl_c_at_any_step_leaves_the_database_usable(path, memory, call):
    with Database(":memory:" if memory else path) as db:
        rev = db.put({"_id": "a"})["rev"]
        db.get("a", revs=True)  # A reader is there.
        after = 0
        for conn in [db._pool._writer, *db._pool._idle]:
            while interrupted(conn, lambda: call(db), after):
                assert db.get("a", revs=True)["_rev"] == rev
                rev = db.put({"_id": "a", "_rev": rev, "after": after})["rev"]
                with db.transaction():
                    assert db.get("a", revs=True)["after"] == after
                after += 1
        assert after > 0
        assert db.verify() == []


# -- Rest -----------------------------------------------------------------------------------------


def test_a_database_that_rests_has_no_file_open_until_it_is_used_again(path):
    with Database(path) as db, Database(path.with_name("other.couchette")):
        uses = [
            lambda: db.get("a"),
            lambda: list(db),
            lambda: db.put({"_id": uuid.uuid4().hex}),
            lambda: db.changes(),
            lambda: _transact(db),
        ]
        db["a"] = {"v": 1}
        for use in uses:
            db._pool.rest()
            assert db._pool.rests
            assert not [conn for conn in db._pool._opened if _is_open(conn)]
            assert not path.with_name("a.couchette-wal").exists()
            db.ensure_full_commit()
            db._pool.rest()
            use()
            assert not db._pool.rests
        assert db["a"]["v"] == 1
        db._pool.rest()
    with pytest.raises(DatabaseClosed):
        db.get("a")


def _transact(db):
    with db.transaction():
        db["a"] = {**db["a"], "w": 1}


def _is_open(conn):
    try:
        conn.filename  # noqa: B018
    except apsw.ConnectionClosedError:
        return False
    return True


def test_what_is_being_used_does_not_rest(path):
    with Database(path) as db, Database(":memory:") as memory:
        db["a"] = {}
        with db.transaction():
            db["b"] = {}
            db._pool.rest()
            assert not db._pool.rests
        memory._pool.rest()
        assert not memory._pool.rests
        began, ends = threading.Event(), threading.Event()

        def slowly(conn):
            counted = count(conn)
            began.set()
            assert ends.wait(10)
            assert count(conn) == counted
            return counted

        with ThreadPoolExecutor(1) as other:
            slow = other.submit(db._pool.write, slowly)
            assert began.wait(10)
            db._pool.rest()
            assert not db._pool.rests
            ends.set()
            assert slow.result() == 2
            began.clear()
            ends.clear()
            slow = other.submit(db._pool.read, slowly)
            assert began.wait(10)
            db._pool.rest()
            db["c"] = {}
            ends.set()
            assert slow.result() == 2
        assert len(db) == 3


def test_a_database_may_rest_at_any_moment(path):
    with Database(path) as db:

        def work(n):
            for step in range(20):
                if n == 0:
                    db._pool.rest()
                else:
                    db[f"{n}-{step}"] = {}
                    assert f"{n}-{step}" in db

        in_threads(work)
        assert len(db) == 140


def test_the_log_that_a_mover_moves_rests_too(path):
    with Database(path) as db:
        db["a"] = {}
        db._pool.wrote(limits.LOG_MOVED_BYTES)
        db._pool._log_mover.close()
        db._pool.rest()
        assert db._pool._moves_log is None
        db["b"] = {}
        assert len(db) == 2
