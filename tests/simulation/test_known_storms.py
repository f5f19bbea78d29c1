"""Storms that a simulation once found something in, each told from its first fault to its last."""

from __future__ import annotations

import anyio
import pytest

import couchette
from couchette.errors import CouchetteError
from couchette.testing import Fault, Kind, network

PAUSE_S = 5


@pytest.mark.slow
def test_a_checkpoint_that_reaches_a_recreated_database_claims_nothing():
    """For every k: the k-th request has to wait, and is repeated when an empty server has taken the other's place."""
    for step in range(1, 100):
        with network(step) as net, couchette.Database(":memory:") as phone:
            office = net.server("office")
            office["notes"].info()
            phone.bulk_docs([{"_id": f"{number}"} for number in range(6)])
            office.next(*[None] * step, Fault(Kind.ANSWERED, status=503, seconds=PAUSE_S))

            net.run(replicate_while_it_is_replaced, phone, office)
            phone.replicate_to("http://office/notes")
            assert sorted(office["notes"]) == sorted(phone), f"at request {step + 1}"
            if len(office._script) > 0:
                break
    assert step > 10


async def replicate_while_it_is_replaced(phone, office):
    async def replace():
        await anyio.sleep(PAUSE_S / 2)
        office.restart()
        office["notes"].info()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(replace)
        try:
            await couchette.replicate_async(phone, "http://office/notes", batch_docs=1)
        except CouchetteError:
            return  # It noticed. What counts is what the next one does.
