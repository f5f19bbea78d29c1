"""Virtual time: it costs nothing, and its two clocks can go wrong."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest
import trio

from couchette import surroundings
from couchette.testing import network
from couchette.testing.clock import tasks_in_order_of


@pytest.fixture
def net():
    with network(1) as net:
        yield net


def test_waiting_takes_no_time(net):
    net.run(anyio.sleep, 1e9)
    assert net.clocks.elapsed_s == pytest.approx(1e9)


def test_both_clocks_advance_together(net):
    before = surroundings.now()
    net.run(anyio.sleep, 90)
    assert surroundings.now() - before == timedelta(seconds=90)


def test_a_sleeping_computer_finds_its_deadlines_past(net):
    async def main():
        before = surroundings.now()
        with anyio.move_on_after(3600) as scope:
            net.clocks.sleep_through(7200)
            await anyio.lowlevel.checkpoint()
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert surroundings.now() - before == timedelta(hours=2)

    net.run(main)


def test_the_clock_on_the_wall_may_be_set_back(net):
    before = surroundings.now()
    net.clocks.set_wall(-60)
    assert surroundings.now() - before == timedelta(seconds=-60)
    assert net.clocks.elapsed_s == 0


async def run_many():
    order = []

    async def work(number):
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
            order.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(work, number)
    return order


def test_the_order_of_tasks_comes_from_the_seed():
    def order(seed):
        with tasks_in_order_of(seed):
            return trio.run(run_many)

    assert order(1) == order(1)
    assert order(1) != order(2)
