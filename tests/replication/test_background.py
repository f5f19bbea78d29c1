"""Live replications for programs that are not asynchronous, and the two facades' way to them."""

from __future__ import annotations

import threading

import anyio
import pytest

import couchette
from couchette import AsyncDatabase, Database
from couchette.errors import BadRequest, DatabaseClosed, DatabaseNotFound, StoreError


@pytest.fixture
def near():
    with Database(name="near") as db:
        yield db


@pytest.fixture
def far():
    with Database(name="far") as db:
        yield db


def test_it_runs_while_the_program_goes_on(near, far):
    near["a"] = {}
    with near.replicate_to(far, live=True) as replication:
        assert replication.wait_until_synced(60)
        near["b"] = {}
        assert replication.wait_until_synced(60)
        assert set(far) == {"a", "b"}
        assert replication.status.docs_written == 2
        assert repr(replication).startswith("<couchette live replication, ")
    assert replication.status.state == "cancelled"
    assert not replication.wait_until_synced()
    replication.retry()
    replication.cancel()
    assert replication.join()
    assert "couchette-replication" not in [thread.name for thread in threading.enumerate()]


def test_a_sync_runs_both_ways(near, far):
    near["a"], far["b"] = {}, {}
    with near.sync(far, live=True) as both:
        assert both.wait_until_synced(60)
        assert set(near) == set(far) == {"a", "b"}
        assert both.status.push.docs_written == both.status.pull.docs_written == 1


def test_it_can_be_cancelled_from_its_own_callback(near, far):
    handles = []

    def once(event):
        started.wait()
        handles[0].cancel()

    started = threading.Event()
    handles.append(near.replicate_from(far, live=True, on_event=once))
    started.set()
    assert handles[0].join(60)


def test_joining_has_a_limit(near, far):
    replication = near.replicate_to(far, live=True)
    assert not replication.join(0)
    replication.cancel()


def test_what_ends_it_is_raised_where_one_asks(near, tmp_path):
    replication = couchette.replicate(tmp_path / "nowhere", near, live=True)
    with pytest.raises(DatabaseNotFound):
        replication.wait_until_synced()
    with pytest.raises(DatabaseNotFound):
        replication.join()
    assert replication.status.state == "error"


def test_a_closed_database_ends_it(near):
    with Database() as other:
        replication = near.replicate_to(other, live=True)
        assert replication.wait_until_synced(60)
    near["a"] = {}
    with pytest.raises(DatabaseClosed):
        replication.join(60)


def test_an_error_of_the_block_is_not_hidden(near, far):
    with pytest.raises(ZeroDivisionError), near.replicate_to(far, live=True):
        raise ZeroDivisionError


def test_only_sides_that_there_are_have_credentials(near, far):
    pair = couchette.endpoints._Pair({"near": near, "far": far}, {"near": None, "far": ("ann", "x")}, {})
    pair.set_auth(far=("bob", "y"))
    with pytest.raises(BadRequest, match="'source' is none of"):
        pair.set_auth(source=("bob", "y"))


def test_a_transaction_cannot_replicate_live(near, far):
    with near.transaction(), pytest.raises(StoreError, match="inside its transaction"):
        near.replicate_to(far, live=True)


def test_in_the_child_of_a_fork_nobody_waits_for_it(near, far, monkeypatch):
    with near.replicate_to(far, live=True) as handle:
        assert handle.wait_until_synced(60)
        with monkeypatch.context() as forked:
            forked.setattr("couchette.replication.runner.os.getpid", lambda: -1)
            handle.cancel()
            assert handle.join() is True
            for call in (handle.retry, handle.wait_until_synced):
                with pytest.raises(StoreError, match="another process"):
                    call()
        near["later"] = {}
        assert handle.wait_until_synced(60)
        assert "later" in far


def test_files_are_opened_for_it_and_closed_again(tmp_path):
    with Database(tmp_path / "a.couchette") as db:
        db["a"] = {}
    with couchette.sync(tmp_path / "a.couchette", tmp_path / "b.couchette", live=True) as both:
        assert both.wait_until_synced(60)
    with Database(tmp_path / "b.couchette") as db:
        assert "a" in db


def test_a_dry_run_makes_no_file(near, tmp_path):
    near["a"] = {}
    with pytest.raises(DatabaseNotFound):
        near.replicate_to(tmp_path / "new.couchette", dry_run=True)
    assert not (tmp_path / "new.couchette").exists()


@pytest.mark.anyio
async def test_an_asynchronous_program_runs_it_in_a_block():
    async with AsyncDatabase() as near, AsyncDatabase() as far:
        await near.put({"_id": "a"})
        async with await near.sync(far, live=True) as both:
            assert await both.wait_until_synced(60)
            assert (await far.get("a"))["_id"] == "a"
            assert both.status.push.docs_written == 1


@pytest.mark.anyio
async def test_an_asynchronous_program_runs_it_in_its_task_group():
    async with AsyncDatabase() as near, AsyncDatabase() as far:
        await near.put({"_id": "a"})
        replication = await near.replicate_to(far, live=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(replication.run)
            assert await replication.wait_until_synced(60)
            tasks.cancel_scope.cancel()
        assert replication.status.state == "cancelled"


def test_the_status_counts_attachments_and_comparisons(near, far):
    near.put({"_id": "a", "_attachments": {"x": {"data": "aGk="}, "y": {"data": "aG8="}}})
    near["b"] = {}
    with near.replicate_to(far, live=True) as replication:
        assert replication.wait_until_synced(60)
        status = replication.status
    assert (status.attachments_read, status.missing_checked, status.missing_found) == (2, 2, 2)
    assert status.as_json()["attachments_read"] == 2
