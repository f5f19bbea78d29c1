"""Calls in worker threads: what their waiters learn, whatever is cancelled, and what threads are left."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from functools import partial

import anyio
import pytest
import sniffio

from couchette import limits, worker_threads, workers
from couchette.errors import CouchetteError

HOPS = [workers.in_thread, workers.in_lean_thread, workers.in_side_thread]
each_hop = pytest.mark.parametrize("hop", HOPS, ids=lambda hop: hop.__name__)
number = contextvars.ContextVar("number", default=0)


class Gate:
    """A function that says when it was called, and returns when it may."""

    def __init__(self):
        self.began, self.may_end = threading.Event(), threading.Event()
        self.ends = 0

    def __call__(self):
        self.thread = threading.current_thread()
        self.began.set()
        assert self.may_end.wait(10)
        self.ends += 1
        return self.ends


async def began(gate):
    assert await anyio.to_thread.run_sync(gate.began.wait, 10)


@each_hop
@pytest.mark.anyio
async def test_a_call_gives_its_result_and_knows_its_callers_context(hop):
    number.set(7)

    def look(*args, **kwargs):
        assert threading.current_thread() is not threading.main_thread()
        with pytest.raises(sniffio.AsyncLibraryNotFoundError):
            sniffio.current_async_library()
        number.set(8)
        return args, kwargs, number.get()

    assert await hop(look, 1, two=2) == ((1,), {"two": 2}, 8)
    assert number.get() == 7


@each_hop
@pytest.mark.anyio
async def test_what_a_call_raises_its_waiter_raises(hop):
    def fail(kind):
        raise kind("reason")

    for kind in (ValueError, SystemExit, KeyboardInterrupt):
        with pytest.raises(kind, match="reason"):
            await hop(fail, kind)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await hop(next, iter(()))
    assert await hop(int) == 0


@each_hop
@pytest.mark.anyio
async def test_nothing_is_called_for_who_is_cancelled_already(hop):
    called = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await hop(called.append, 1)
    assert (scope.cancelled_caught, called) == (True, [])


@each_hop
@pytest.mark.anyio
async def test_who_is_cancelled_meanwhile_waits_for_the_end(hop):
    gate, known = Gate(), []

    async def wait():
        known.append(await hop(gate))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await began(gate)
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
        assert known == []
        gate.may_end.set()
    assert known == [1]
    assert await hop(gate) == 2


@pytest.mark.anyio
async def test_a_call_that_waits_for_room_is_never_made_when_it_is_cancelled(monkeypatch):
    monkeypatch.setattr(limits, "SIDE_THREADS", 1)
    monkeypatch.setattr(limits, "SIDE_WAITING_MAX", 1)
    gate, called = Gate(), []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(workers.in_side_thread, gate)
        await began(gate)
        async with anyio.create_task_group() as second:
            second.start_soon(workers.in_side_thread, called.append, 1)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(CouchetteError) as too_many:
                await workers.in_side_thread(called.append, 2)
            assert too_many.value.status == 503
            second.cancel_scope.cancel()
        gate.may_end.set()
    assert called == []
    await workers.in_side_thread(called.append, 3)
    assert called == [3]


@pytest.mark.anyio
async def test_no_more_calls_are_made_at_once_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(limits, "SIDE_THREADS", 2)
    gates = [Gate() for _ in range(3)]
    async with anyio.create_task_group() as tasks:
        for gate in gates:
            tasks.start_soon(workers.in_side_thread, gate)
            await anyio.wait_all_tasks_blocked()
        await began(gates[0])
        await began(gates[1])
        assert not gates[2].began.is_set()
        gates[0].may_end.set()
        await began(gates[2])
        gates[1].may_end.set()
        gates[2].may_end.set()
    assert [gate.ends for gate in gates] == [1, 1, 1]


def left(worker):
    """See a worker end, which it does when it is idle."""
    worker.calls.put(None)
    worker.join(10)
    assert not worker.is_alive()
    assert worker not in worker_threads._idle


async def cancelled_natively(gate):
    """Cancel a task, as asyncio does it, while a worker is at its call."""
    task = asyncio.create_task(workers.in_lean_thread(gate))
    await began(gate)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.ends == 0


def test_a_task_that_asyncio_cancels_ends_at_once_and_its_call_in_its_time():
    gate = Gate()

    async def main():
        await cancelled_natively(gate)
        assert await workers.in_lean_thread(threading.current_thread) is not gate.thread
        assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0

    asyncio.run(main())
    gate.may_end.set()
    left(gate.thread)
    assert gate.ends == 1


def test_a_call_outlives_its_loop_and_its_worker_serves_another(monkeypatch):
    is_idle = threading.Event()

    class Idle(list):
        def append(self, worker):
            super().append(worker)
            is_idle.set()

    monkeypatch.setattr(worker_threads, "_idle", Idle())
    gate = Gate()
    asyncio.run(cancelled_natively(gate))
    gate.may_end.set()
    assert is_idle.wait(10)

    async def call():
        return [await workers.in_lean_thread(threading.current_thread) for _ in range(3)]

    assert asyncio.run(call()) == [gate.thread] * 3
    left(gate.thread)
    assert gate.ends == 1


def test_a_call_that_was_cancelled_before_a_worker_came_to_it_is_not_made():
    called = []

    async def main():
        outcome = asyncio.get_running_loop().create_future()
        outcome.cancel()
        worker = worker_threads._Worker()
        call = worker_threads._Call(contextvars.copy_context(), partial(called.append, 1), outcome.get_loop(), outcome)
        worker._make(call)
        worker_threads._idle.remove(worker)

    asyncio.run(main())
    assert called == []


def test_loops_in_many_threads_share_the_workers():
    async def main():
        return [await workers.in_lean_thread(pow, 2, power) for power in range(50)]

    results = []
    threads = [threading.Thread(target=lambda: results.append(asyncio.run(main()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[2**power for power in range(50)]] * 8
    assert len(worker_threads._idle) == len(set(worker_threads._idle))


def test_a_worker_that_nobody_needs_ends(monkeypatch):
    monkeypatch.setattr(worker_threads, "WORKER_IDLE_S", 0.001)
    monkeypatch.setattr(worker_threads, "_idle", [])

    async def main():
        return await workers.in_lean_thread(threading.current_thread)

    thread = asyncio.run(main())
    thread.join(10)
    assert not thread.is_alive()
    assert worker_threads._idle == []
    assert asyncio.run(main()) is not thread


def test_a_worker_that_was_just_given_a_call_does_not_end():
    worker = worker_threads._Worker()
    assert not worker._leave()
    worker_threads._idle.append(worker)
    assert worker._leave()
    assert worker not in worker_threads._idle


END = """
import asyncio, sys, threading
from couchette import workers
began, may_end = threading.Event(), threading.Event()
def work():
    began.set()
    may_end.wait(10)
    sys.stdout.write("worked\\n")
async def main():
    task = asyncio.create_task(workers.in_lean_thread(work))
    await asyncio.to_thread(began.wait)
    task.cancel()
asyncio.run(main())
may_end.set()
sys.stdout.write("end\\n")
"""
FORK = """
import asyncio, os
from couchette import workers
def call():
    return asyncio.run(workers.in_lean_thread(int))
call()
child = os.fork()
if child == 0:
    os._exit(call() + 7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("program", "lines"), [(END, {"end", "worked"}), (FORK, {"7"})], ids=["end", "fork"])
def test_a_program_ends_when_its_calls_have_and_a_child_has_workers_of_its_own(program, lines):
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert (set(ended.stdout.split()), ended.stderr) == (lines, "")
