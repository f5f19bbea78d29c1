"""Running a replication from code that is not asynchronous."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import anyio
import pytest
import sniffio

from couchette.replication import replicate, run_sync
from tests.replication.peers import fill, leaves, local


async def backend():
    return sniffio.current_async_library()


def test_it_runs_on_trio_and_leaves_no_thread_behind():
    before = threading.active_count()
    assert run_sync(backend) == "trio"
    assert threading.active_count() == before


@pytest.mark.anyio
async def test_a_caller_inside_an_event_loop_may_block_it():
    async def work():
        await anyio.lowlevel.checkpoint()
        return 1

    assert run_sync(work) == 1


def test_a_replication_runs_to_its_result():
    source, target = local(), local()
    fill(source)
    assert run_sync(partial(replicate, source, target)).ok
    assert leaves(target) == leaves(source)


def test_an_error_is_raised_as_it_is():
    async def fail():
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        run_sync(fail)


def test_an_interrupt_cancels_and_waits_for_the_end():
    ended = []
    main = threading.get_ident()

    async def wait():
        try:
            await anyio.to_thread.run_sync(partial(interrupt, main))
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        run_sync(wait)
    assert ended == [True]


def interrupt(thread):
    """As Ctrl-C does: a signal to the main thread."""
    import signal

    signal.pthread_kill(thread, signal.SIGINT)


def test_an_interrupt_while_the_thread_starts_ends_the_work(monkeypatch):
    ended = []
    start = threading.Thread.start

    def start_and_interrupt(thread):
        start(thread)
        raise KeyboardInterrupt

    async def wait():
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    before = threading.active_count()
    monkeypatch.setattr(threading.Thread, "start", start_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_sync(wait)
    assert ended == [True]
    assert threading.active_count() == before


def test_concurrent_callers_do_not_wait_for_one_another():
    together = threading.Barrier(3)

    async def meet():
        return await anyio.to_thread.run_sync(together.wait)

    with ThreadPoolExecutor(3) as callers:
        arrivals = [callers.submit(run_sync, meet) for _ in range(3)]
        assert {arrival.result() for arrival in arrivals} == {0, 1, 2}
