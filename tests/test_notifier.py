"""Waiting for changes: in threads, in both event loops, and for other processes' writes."""

from __future__ import annotations

import threading
import time

import anyio
import anyio.to_thread
import pytest

from couchette import AsyncDatabase, Database
from couchette.errors import BadRequest, DatabaseClosed
from couchette.notifier import loop_caller


def when_waiting(db, call):
    """Call in another thread as soon as somebody waits."""

    def run():
        while not db._pool.notifier._wakers:
            time.sleep(0)
        call()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.fixture
def slow_poll(monkeypatch):
    """Only a wake-up ends a wait: a look every so often would be too late."""
    monkeypatch.setattr("couchette.notifier.FOREIGN_WRITES_POLL_S", 60)


@pytest.fixture
def fast_poll(monkeypatch):
    monkeypatch.setattr("couchette.notifier.FOREIGN_WRITES_POLL_S", 0.01)


# -- Threads --------------------------------------------------------------------------------------


def test_what_changed_before_is_seen_at_once(db, slow_poll):
    db.put({"_id": "a"})
    assert db.wait_changes(0) is True
    assert db.wait_changes(0, 0) is True
    assert db.wait_changes("0") is True


def test_nothing_new_ends_in_a_timeout(db):
    db.put({"_id": "a"})
    assert db.wait_changes("now", 0) is False
    assert db.wait_changes(1, 0.01) is False
    assert db.wait_changes(db.info()["update_seq"], -1) is False


def test_a_write_in_another_thread_wakes_the_waiter(db, slow_poll):
    writer = when_waiting(db, lambda: db.put({"_id": "a"}))
    assert db.wait_changes("now", 30) is True
    writer.join()


def test_a_local_document_wakes_nobody_for_good(db, slow_poll):
    def writes():
        db.put({"_id": "_local/x"})
        db.put({"_id": "a"})

    writer = when_waiting(db, writes)
    assert db.wait_changes() is True
    writer.join()
    assert db.info()["update_seq"].startswith("1-")


def test_a_write_through_another_database_object_is_noticed(db, fast_poll):
    with Database(db.path) as other:
        writer = when_waiting(db, lambda: other.put({"_id": "a"}))
        assert db.wait_changes("now", 30) is True
        writer.join()


def test_closing_wakes_the_waiter(db, slow_poll):
    closer = when_waiting(db, db.close)
    with pytest.raises(DatabaseClosed):
        db.wait_changes("now", 30)
    closer.join()


def test_a_bad_since_is_refused(db):
    with pytest.raises(BadRequest):
        db.wait_changes("nonsense", 0)


def test_waiters_leave_nothing_behind(db):
    db.wait_changes("now", 0)
    with pytest.raises(ZeroDivisionError):
        db._pool.notifier.wait(lambda: 1 // 0 == 0, 0)
    assert not db._pool.notifier._wakers


# -- Event loops ----------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_async_what_changed_before_is_seen_at_once(db, slow_poll):
    db.put({"_id": "a"})
    asynchronous = AsyncDatabase(db)
    assert await asynchronous.wait_changes(0) is True
    assert await asynchronous.wait_changes(0, 0) is True
    assert await asynchronous.wait_changes("now", 0) is False
    assert await asynchronous.wait_changes("now", 0.01) is False
    assert not db._pool.notifier._wakers


@pytest.mark.anyio
async def test_async_a_write_in_a_thread_wakes_the_waiter(db, slow_poll):
    writer = when_waiting(db, lambda: db.put({"_id": "a"}))
    with anyio.fail_after(30):
        assert await AsyncDatabase(db).wait_changes() is True
    await anyio.to_thread.run_sync(writer.join)


@pytest.mark.anyio
async def test_async_a_write_in_the_loop_wakes_every_waiter(db, slow_poll):
    asynchronous = AsyncDatabase(db)
    woken = []

    async def waits():
        woken.append(await asynchronous.wait_changes("now", 30))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(waits)
            while len(db._pool.notifier._wakers) < 5:
                await anyio.sleep(0)
            await asynchronous.put({"_id": "a"})
    assert woken == [True] * 5


@pytest.mark.anyio
async def test_async_another_objects_write_is_noticed(db, fast_poll):
    with Database(db.path) as other, anyio.fail_after(30):
        writer = when_waiting(db, lambda: other.put({"_id": "a"}))
        assert await AsyncDatabase(db).wait_changes() is True
        await anyio.to_thread.run_sync(writer.join)


@pytest.mark.anyio
async def test_async_a_cancelled_waiter_leaves_nothing_behind(db, slow_poll):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(AsyncDatabase(db).wait_changes)
        while not db._pool.notifier._wakers:
            await anyio.sleep(0)
        tasks.cancel_scope.cancel()
    assert not db._pool.notifier._wakers


@pytest.mark.anyio
async def test_async_closing_wakes_the_waiter(db, slow_poll):
    closer = when_waiting(db, db.close)
    with anyio.fail_after(30), pytest.raises(DatabaseClosed):
        await AsyncDatabase(db).wait_changes()
    await anyio.to_thread.run_sync(closer.join)


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_waking_a_loop_that_ended_does_no_harm(backend):
    async def in_loop():
        return loop_caller()

    anyio.run(in_loop, backend=backend)(lambda: None)
