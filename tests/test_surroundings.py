"""What couchette takes from its surroundings: the real ones unless they are replaced, for one context only."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from couchette import replication, surroundings, workers
from couchette.surroundings import Surroundings

FIXED = datetime(2000, 1, 1, tzinfo=UTC)


def test_the_real_ones_are_the_default():
    assert surroundings.now() - datetime.now(UTC) < timedelta(seconds=10)
    assert surroundings.trio_options() == {}
    first, second = uuid.UUID(surroundings.uuid_hex()), uuid.UUID(surroundings.uuid_hex())
    assert first != second
    assert first.version == 4


def test_chance_and_time_can_be_replaced_for_a_block():
    def drawn():
        with surroundings.replaced(Surroundings(random=Random(1), now=lambda: FIXED)):
            return surroundings.uuid_hex(), surroundings.random().random(), surroundings.now()

    assert drawn() == drawn()
    assert surroundings.now() != FIXED


def test_threads_of_ours_inherit_them():
    async def look():
        return surroundings.now()

    with surroundings.replaced(Surroundings(now=lambda: FIXED)):
        assert replication.run_sync(look) == FIXED


@pytest.mark.anyio
async def test_blocking_functions_run_in_a_worker_thread():
    thread = await workers.in_thread(threading.current_thread)
    assert thread is not threading.current_thread()


@pytest.mark.anyio
async def test_blocking_functions_run_where_the_surroundings_say():
    async def call(fn):
        return "called", fn()

    with surroundings.replaced(replace(surroundings.current(), call=call)):
        answer: object = await workers.in_thread(divmod, 7, 2)
    assert answer == ("called", (3, 1))
