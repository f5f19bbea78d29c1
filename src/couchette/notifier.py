"""Tells those who wait that the sequence advanced: threads, event loops, and (by looking) other processes.

A waiter subscribes first, then reads the sequence, then waits, so no change falls between. Waking up is
only a hint to look again. Another process's commit wakes nobody here, so a waiter also looks each
``limits.FOREIGN_WRITES_POLL_S``.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import sniffio

from couchette.limits import FOREIGN_WRITES_POLL_S


class Notifier:
    """The waiters of one database in this process."""

    def __init__(self) -> None:
        self._wakers: set[Callable[[], Any]] = set()

    def publish(self) -> None:
        """Wake every waiter. Never blocks, may be called from any thread."""
        for wake in tuple(self._wakers):
            wake()

    def subscribe(self, wake: Callable[[], Any]) -> None:
        """Have a function called with each wake-up, from any thread, for as long as this object lives."""
        self._wakers.add(wake)

    def wait(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Block this thread until ``ready()``; False when ``timeout`` seconds pass before it is."""
        event = threading.Event()
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        self._wakers.add(event.set)
        try:
            while not ready():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                event.wait(min(left, FOREIGN_WRITES_POLL_S))
                event.clear()
            return True
        finally:
            self._wakers.discard(event.set)

    async def wait_async(self, ready: Callable[[], Awaitable[bool]], timeout: float | None) -> bool:
        """The same in an event loop; cancellable at any time."""
        woken = anyio.Event()

        def wake() -> None:
            run_soon(woken.set)

        run_soon = loop_caller()
        self._wakers.add(wake)
        try:
            deadline = math.inf if timeout is None else anyio.current_time() + timeout
            while not await ready():
                left = deadline - anyio.current_time()
                if left <= 0:
                    return False
                with anyio.move_on_after(min(left, FOREIGN_WRITES_POLL_S)):
                    await woken.wait()
                woken = anyio.Event()
            return True
        finally:
            self._wakers.discard(wake)


def loop_caller() -> Callable[[Callable[[], Any]], Any]:
    """How another thread has the running loop call a function."""
    if sniffio.current_async_library() == "trio":
        import trio  # Only a program that runs trio pays for its import.

        token = trio.lowlevel.current_trio_token()

        def run_soon(call: Callable[[], Any]) -> None:
            with suppress(trio.RunFinishedError):  # The loop ended, and its waiters with it.
                token.run_sync_soon(call)

        return run_soon
    loop = asyncio.get_running_loop()

    def run_soon_asyncio(call: Callable[[], Any]) -> None:
        with suppress(RuntimeError):  # The loop was closed, and its waiters with it.
            loop.call_soon_threadsafe(call)

    return run_soon_asyncio
