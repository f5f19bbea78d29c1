"""A program that dies at its k-th step: what it did before is done, and nothing after."""

from __future__ import annotations

import anyio
import pytest

import couchette
from couchette import AsyncDatabase
from couchette.testing import Crashed, network


@pytest.fixture
def net():
    with network(1) as net:
        yield net


@pytest.mark.parametrize(("after", "left"), [(False, ["a"]), (True, ["a", "b"])])
def test_it_dies_before_a_step_or_after_it(net, after, left):
    async def main(db):
        with net.crash(2, after=after) as crash:
            for name in "abc":
                await db.put({"_id": name})
        assert crash.happened
        assert crash.steps == 2

    db = couchette.Database(":memory:")
    net.run(main, AsyncDatabase(db))
    assert list(db) == left
    assert "crash" in net.log[-1]
    db.close()


def test_a_request_is_a_step(net):
    async def main():
        with net.crash(1, after=True):
            await couchette.replicate_async("http://office/notes", "http://office/copy", create_target=True)
        assert office.requests == ["GET /notes"]

    office = net.server("office")
    office["notes"].info()
    net.run(main)


def test_who_lives_long_enough_sees_nothing_of_it(net):
    async def main(db):
        with net.crash(9) as crash:
            await db.put({"_id": "a"})
        assert not crash.happened

    with couchette.Database(":memory:") as db:
        net.run(main, AsyncDatabase(db))
        assert net.log == []


def test_the_clean_up_of_a_dead_program_has_no_effect(net):
    async def main(db):
        with net.crash(1):
            try:
                await db.put({"_id": "a"})
            finally:
                with anyio.CancelScope(shield=True), pytest.raises(Crashed):
                    await db.put({"_id": "b"})

    with couchette.Database(":memory:") as db:
        net.run(main, AsyncDatabase(db))
        assert list(db) == []


def test_who_cancels_a_dying_program_is_heeded(net):
    """It dies while it cleans up after a cancellation from outside."""

    async def main(db):
        with anyio.CancelScope() as outside:
            with net.crash(1):
                try:
                    outside.cancel()
                    await anyio.sleep_forever()
                finally:
                    with anyio.CancelScope(shield=True):
                        async with anyio.create_task_group() as tasks:
                            tasks.start_soon(db.put, {"_id": "b"})
            await anyio.lowlevel.checkpoint()
        assert outside.cancelled_caught

    with couchette.Database(":memory:") as db:
        net.run(main, AsyncDatabase(db))
        assert list(db) == []


def test_an_error_of_a_living_program_is_raised(net):
    async def main():
        with net.crash(9):
            raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        net.run(main)
