"""Live feeds of changes: in a thread, in both event loops, with a callback; filters; named cursors."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import anyio
import anyio.to_thread
import pytest

from couchette import AsyncDatabase, Database
from couchette.errors import BadRequest, DatabaseClosed, StoreError

FILTERS = [{"selector": {"kind": "cat"}}, {"filter": lambda doc: doc.get("kind") == "cat"}]


@pytest.fixture
def no_poll(monkeypatch):
    """Only a wake-up ends a wait: a look every so often would be too late."""
    monkeypatch.setattr("couchette.notifier.FOREIGN_WRITES_POLL_S", 60)


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr("couchette.live.FEED_PAGE_DOCS", 2)


def ids(rows):
    return [row["id"] for row in rows]


def when_waiting(db, *calls):
    """In another thread, make each call when somebody waits."""

    def run():
        for call in calls:
            while not db._pool.notifier._wakers:
                time.sleep(0)
            call()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


# -- Filters of a page ----------------------------------------------------------------------------


@pytest.mark.parametrize("options", FILTERS)
def test_a_filter_leaves_rows_out_and_moves_on_all_the_same(db, options):
    db.bulk_docs([{"_id": "a", "kind": "cat"}, {"_id": "b"}, {"_id": "c", "kind": "cat"}, {"_id": "d"}])
    page = db.changes(**options)
    assert ids(page["results"]) == ["a", "c"]
    assert "doc" not in page["results"][0]
    assert (page["last_seq"], page["pending"]) == (db.info()["update_seq"], 0)
    first = db.changes(limit=1, **options)
    assert ids(first["results"]) == ["a"]
    assert first["last_seq"] == first["results"][0]["seq"]
    assert first["pending"] == 3
    assert ids(db.changes(since=first["last_seq"], **options)["results"]) == ["c"]
    assert ids(db.changes(descending=True, limit=1, include_docs=True, **options)["results"]) == ["c"]
    nothing = db.changes(limit=0, **options)
    assert (nothing["results"], nothing["last_seq"][:2]) == ([], "0-")


def test_both_filters_and_doc_ids_hold_at_once(db):
    db.bulk_docs([{"_id": f"{n}", "n": n} for n in range(6)])
    page = db.changes(selector={"n": {"$gt": 1}}, filter=lambda doc: doc["n"] % 2 == 0, doc_ids=["0", "2", "3"])
    assert ids(page["results"]) == ["2"]


def test_a_filter_sees_tombstones_and_attachments_and_ids(db):
    db.put({"_id": "a", "_attachments": {"x": {"data": b"y"}}})
    db.remove("b", db.put({"_id": "b"})["rev"])
    seen: list = []
    db.changes(filter=seen.append)
    assert seen[0]["_attachments"]["x"]["stub"]
    assert (seen[1]["_id"], seen[1]["_deleted"]) == ("b", True)
    assert ids(db.changes(selector={"_deleted": True})["results"]) == ["b"]


def test_with_all_leaves_each_leaf_is_judged(db):
    leaves = [
        {"_id": "a", "_rev": "1-a", "n": 1},
        {"_id": "a", "_rev": "1-b", "n": 2},
        {"_id": "a", "_rev": "1-c", "n": 1},
    ]
    db.bulk_docs(leaves, new_edits=False)
    [row] = db.changes(style="all_docs", selector={"n": 1})["results"]
    assert row["changes"] == [{"rev": "1-c"}, {"rev": "1-a"}]
    assert db.changes(selector={"n": 2})["results"] == []


@pytest.mark.parametrize("memory", [False, True])
def test_a_filter_that_raises_leaves_no_old_snapshot_behind(tmp_path, memory):
    with Database(":memory:" if memory else tmp_path / "a.couchette") as db:
        db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
        with pytest.raises(KeyError) as caught:
            db.changes(filter=lambda doc: doc["kind"])
        db.put({"_id": "c"})
        assert ids(db.changes()["results"]) == ["a", "b", "c"]
        assert caught.value.__traceback__ is not None


def test_options_of_a_live_feed_need_one(db):
    for options in ({"timeout": 1}, {"on_change": print}):
        with pytest.raises(BadRequest, match="live feed") as caught:
            db.changes(**options)
        assert "live=True" in caught.value.hint
    with pytest.raises(BadRequest, match="descending"):
        db.changes(live=True, descending=True)
    with pytest.raises(BadRequest, match="Invalid operator"):
        db.changes(live=True, selector={"a": {"$nope": 1}})
    with pytest.raises(BadRequest, match="since"):
        db.changes(live=True, since="nonsense")


# -- In a thread ----------------------------------------------------------------------------------


def test_a_feed_gives_what_is_there_and_then_waits(db, no_poll):
    db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    feed = db.changes(live=True, include_docs=True)
    assert [next(feed)["id"], next(feed)["doc"]["_id"]] == ["a", "b"]
    writer = when_waiting(db, lambda: db.put({"_id": "c"}), lambda: db.put({"_id": "d"}))
    assert [next(feed)["id"], next(feed)["id"]] == ["c", "d"]
    writer.join()
    assert not db._pool.notifier._wakers


def test_now_is_when_the_feed_is_made(db):
    db.put({"_id": "a"})
    feed = db.changes(live=True, since="now", timeout=0)
    db.put({"_id": "b"})
    assert ids(feed) == ["b"]


def test_a_feed_ends_after_so_much_silence_or_so_many_changes(db, small_pages):
    db.bulk_docs([{"_id": f"{n}"} for n in range(7)])
    assert ids(db.changes(live=True, timeout=0)) == list("0123456")
    assert ids(db.changes(live=True, timeout=0.01, since="now")) == []
    assert ids(db.changes(live=True, limit=5)) == list("01234")
    assert ids(db.changes(live=True, limit=0)) == []


def test_a_feed_cannot_be_read_inside_a_transaction_whose_changes_may_be_undone(db):
    feed = db.changes(live=True, timeout=0)
    waiting = [
        lambda: next(feed),
        lambda: db.changes(live=True, since="now", timeout=0),
        lambda: db.changes(live=True, on_change=print),
        lambda: db.live({"n": 1}),
        lambda: db.wait_changes(0),
    ]

    def undone():
        with db.transaction():
            db.put({"_id": "undone"})
            for wait in waiting:
                with pytest.raises(StoreError, match="inside a transaction"):
                    wait()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        undone()
    db.put({"_id": "done"})
    assert ids(feed) == ["done"]


@pytest.mark.parametrize("options", FILTERS)
def test_a_filtered_feed_passes_over_pages_without_a_match(db, small_pages, options):
    db.bulk_docs([{"_id": f"{n}", "kind": "cat" if n == 7 else "dog"} for n in range(10)])
    assert ids(db.changes(live=True, timeout=0, **options)) == ["7"]
    assert ids(db.changes(live=True, limit=1, **options)) == ["7"]


def test_a_document_that_changes_again_is_shown_at_its_new_seq(db):
    rev = db.put({"_id": "a"})["rev"]
    feed = db.changes(live=True, timeout=0)
    first = next(feed)
    db.put({"_id": "a", "_rev": rev})
    again = next(feed)
    assert (first["id"], again["id"]) == ("a", "a")
    assert first["seq"] != again["seq"]
    assert list(feed) == []


def test_another_thread_ends_a_feed_that_waits(db, no_poll):
    with db.changes(live=True) as feed:
        canceller = when_waiting(db, feed.cancel)
        assert list(feed) == []
        canceller.join()
        feed.cancel()


WRITER = """if True:
    import sys, time
    from couchette import Database
    with Database(sys.argv[1]) as db:
        for line in sys.stdin:
            db.put({"_id": line.strip()})
            print(time.monotonic(), flush=True)
"""


@pytest.fixture
def written_elsewhere(db):
    """A function that has another process write a document, and returns when that was committed."""
    command = [sys.executable, "-c", WRITER, db.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def write(id):
            print(id, file=stdin, flush=True)
            return float(stdout.readline())

        write("first")
        yield write
        stdin.close()
    assert process.returncode == 0


@pytest.mark.slow
def test_what_another_process_writes_is_seen_within_a_second(db, written_elsewhere):
    took = []
    with db.changes(since="now", live=True, timeout=30) as feed:
        for id in "abc":
            committed = []
            writer = when_waiting(db, lambda id=id, committed=committed: committed.append(written_elsewhere(id)))
            assert next(feed)["id"] == id
            seen = time.monotonic()
            writer.join()
            took.append(seen - committed[0])
    assert min(took) < 1  # A busy machine delays one of them, or two.


@pytest.mark.slow
@pytest.mark.anyio
async def test_async_what_another_process_writes_is_seen_within_a_second(db, written_elsewhere):
    took = []
    async with AsyncDatabase(db).changes(since="now", live=True, timeout=30) as feed:
        for id in "abc":
            committed = []
            writer = when_waiting(db, lambda id=id, committed=committed: committed.append(written_elsewhere(id)))
            assert (await anext(feed))["id"] == id
            seen = time.monotonic()
            await anyio.to_thread.run_sync(writer.join)
            took.append(seen - committed[0])
    assert min(took) < 1


def test_the_end_of_the_block_ends_the_feed(db):
    db.put({"_id": "a"})
    with db.changes(live=True) as feed:
        pass
    assert list(feed) == []


def test_closing_the_database_is_an_error_for_who_waits(db, no_poll):
    feed = db.changes(live=True)
    closer = when_waiting(db, db.close)
    with pytest.raises(DatabaseClosed):
        next(feed)
    closer.join()


def test_no_change_is_missed_or_repeated_while_many_threads_write(db, small_pages):
    def writes(name):
        for n in range(50):
            db.put({"_id": f"{name}-{n}"})

    writers = [threading.Thread(target=writes, args=(name,)) for name in "abcd"]
    feed = db.changes(live=True, since="now", limit=200, timeout=30)
    for writer in writers:
        writer.start()
    rows = list(feed)
    for writer in writers:
        writer.join()
    assert len(rows) == len({row["id"] for row in rows}) == 200
    assert [int(row["seq"].partition("-")[0]) for row in rows] == list(range(1, 201))


# -- A callback -----------------------------------------------------------------------------------


def test_a_callback_is_called_on_one_other_thread(db):
    seen: list = []
    enough = threading.Event()

    def note(change):
        seen.append((change["id"], threading.current_thread()))
        if len(seen) == 3:
            enough.set()

    listener = db.changes(live=True, on_change=note)
    for name in "abc":
        db.put({"_id": name})
    assert enough.wait(30)
    assert listener.join(0) is False
    listener.cancel()
    assert listener.join() is True
    assert [name for name, _ in seen] == ["a", "b", "c"]
    [thread] = {thread for _, thread in seen}
    assert thread is not threading.current_thread()
    assert not thread.is_alive()


def test_an_error_of_the_callback_ends_the_feed_and_is_raised(db, caplog):
    db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    seen: list = []

    def fails(change):
        seen.append(change["id"])
        raise ZeroDivisionError("mine")

    listener = db.changes(live=True, on_change=fails)
    with pytest.raises(ZeroDivisionError, match="mine"):
        listener.join()
    assert seen == ["a"]
    assert "callback raised" in caplog.text
    listener.cancel()


def test_a_callback_may_end_its_own_feed(db):
    db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    seen: list = []
    made = threading.Event()

    def note(change):
        assert made.wait(30)
        seen.append(change["id"])
        listener.cancel()

    with db.changes(live=True, on_change=note) as listener:
        made.set()
        assert listener.join(30) is True
    assert seen == ["a"]


def test_closing_the_database_ends_a_callbacks_feed_quietly(db, no_poll):
    listener = db.changes(live=True, on_change=print)
    when_waiting(db, db.close).join()
    assert listener.join(30) is True


# -- In event loops -------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_async_a_feed_gives_what_is_there_and_then_waits(db, no_poll):
    asynchronous = AsyncDatabase(db)
    await asynchronous.put({"_id": "a"})
    seen = []
    with anyio.fail_after(30):
        async with asynchronous.changes(live=True) as feed, anyio.create_task_group() as tasks:
            async for change in feed:
                seen.append(change["id"])
                if len(seen) < 3:
                    tasks.start_soon(asynchronous.put, {"_id": f"{len(seen)}"})
                else:
                    feed.cancel()
    assert seen == ["a", "1", "2"]
    assert not db._pool.notifier._wakers


@pytest.mark.anyio
async def test_async_now_is_when_the_feed_begins(db):
    asynchronous = AsyncDatabase(db)
    await asynchronous.put({"_id": "a"})
    async with asynchronous.changes(live=True, since="now", timeout=0.01) as feed:
        await asynchronous.put({"_id": "b"})
        assert [change["id"] async for change in feed] == ["b"]
    assert [change["id"] async for change in asynchronous.changes(live=True, limit=1)] == ["a"]
    assert [change["id"] async for change in asynchronous.changes(live=True, since="now", timeout=0)] == []


@pytest.mark.anyio
@pytest.mark.parametrize("options", FILTERS)
async def test_async_filters(db, small_pages, options):
    db.bulk_docs([{"_id": f"{n}", "kind": "cat" if n % 5 == 0 else "dog"} for n in range(10)])
    asynchronous = AsyncDatabase(db)
    assert [change["id"] async for change in asynchronous.changes(live=True, timeout=0, **options)] == ["0", "5"]
    assert await asynchronous.changes(**options) == db.changes(**options)


@pytest.mark.anyio
async def test_async_a_cancelled_task_loses_no_change(db, no_poll):
    feed = AsyncDatabase(db).changes(live=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed.__anext__)
        while not db._pool.notifier._wakers:
            await anyio.sleep(0)
        tasks.cancel_scope.cancel()
    assert not db._pool.notifier._wakers
    db.put({"_id": "a"})
    assert (await anext(feed))["id"] == "a"


@pytest.mark.anyio
async def test_async_another_thread_ends_a_feed_that_waits(db, no_poll):
    with anyio.fail_after(30):
        feed = AsyncDatabase(db).changes(live=True)
        canceller = when_waiting(db, feed.cancel)
        assert [change async for change in feed] == []
        await anyio.to_thread.run_sync(canceller.join)


@pytest.mark.anyio
async def test_async_a_callback_runs_on_a_thread(db):
    asynchronous = AsyncDatabase(db)
    seen: list = []
    listener = asynchronous.changes(live=True, limit=1, on_change=seen.append)
    await asynchronous.put({"_id": "a"})
    assert await anyio.to_thread.run_sync(listener.join)
    assert ids(seen) == ["a"]


# -- Cursors --------------------------------------------------------------------------------------


def test_a_cursor_goes_on_after_what_was_acknowledged(db):
    db.bulk_docs([{"_id": name} for name in "abc"])
    rows = db.changes(cursor="indexer")["results"]
    assert ids(rows) == ["a", "b", "c"]
    assert db.ack("indexer", rows[1]) == rows[1]["seq"]
    assert ids(db.changes(cursor="indexer")["results"]) == ["c"]
    assert ids(db.changes(cursor="indexer", live=True, timeout=0)) == ["c"]
    assert ids(db.changes(cursor="another")["results"]) == ["a", "b", "c"]
    assert ids(db.changes(cursor="another", since=2)["results"]) == ["c"]
    db.ack("indexer", 0)
    assert len(db.changes(cursor="indexer", since="now")["results"]) == 3
    assert db.info()["update_seq"].startswith("3-")


def test_a_cursor_outlives_the_database_object(tmp_path):
    path = tmp_path / "a.couchette"
    with Database(path) as db:
        db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
        db.ack("indexer", db.changes(limit=1)["last_seq"])
    with Database(path) as db:
        assert ids(db.changes(cursor="indexer")["results"]) == ["b"]


def test_an_acknowledgement_is_committed_with_the_consumers_writes(db):
    db.put({"_id": "a", "n": 1})

    def consume(fail):
        for change in db.changes(cursor="sum", selector={"n": {"$exists": True}}, include_docs=True)["results"]:
            with db.transaction():
                total = db.get("total")["total"] if "total" in db else 0
                db["total"] = {"total": total + change["doc"]["n"]}
                db.ack("sum", change)
                if fail:
                    raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume(fail=True)
    assert "total" not in db
    for n in (2, 3):
        consume(fail=False)
        db.put({"_id": f"{n}", "n": n})
    consume(fail=False)
    assert db["total"]["total"] == 6


def test_bad_acknowledgements_are_refused(db):
    db.put({"_id": "a"})
    for seq in ("nonsense", -1, None):
        with pytest.raises(BadRequest):
            db.ack("indexer", {"seq": seq})
    for name in ("", None):
        with pytest.raises(BadRequest, match="non-empty"):
            db.ack(name, 1)


@pytest.mark.anyio
async def test_async_acknowledgements(db):
    db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    asynchronous = AsyncDatabase(db)
    async for change in asynchronous.changes(live=True, cursor="indexer", timeout=0):
        await asynchronous.ack("indexer", change)
    assert (await asynchronous.changes(cursor="indexer"))["results"] == []
