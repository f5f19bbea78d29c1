"""Worker threads for asyncio, to which a hop costs half as much as to anyio's.

A server hops for each request, and what anyio does around a call (three turns of the loop, a queue with conditions)
takes longer than reading a document. Here a call is one message to a thread and one back. The threads belong to the
process: any loop's call goes to the one that became idle last. They end by themselves when there is nothing to do, and
are waited for when the program ends.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

from couchette.limits import WORKER_IDLE_S


class _Call(NamedTuple):
    """A function to call, and where somebody waits for what comes of it: its result and what it raised."""

    context: Context
    function: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    outcome: asyncio.Future[tuple[Any, BaseException | None]]


class _Worker(threading.Thread):
    """A thread that makes one call after the other."""

    def __init__(self) -> None:
        # A daemon, since the interpreter would else wait for its idle time to pass; `_end` waits for its work instead.
        super().__init__(name="couchette-worker", daemon=True)
        self.calls: SimpleQueue[_Call | None] = SimpleQueue()

    def run(self) -> None:
        while True:
            call = self._wait()
            if call is not None:
                self._make(call)
            elif self._leave():
                return
            del call  # Nothing of it is kept while the next one is waited for.

    def _wait(self) -> _Call | None:
        """The next call; None if there is none for long, or is to be none."""
        try:
            return self.calls.get(timeout=WORKER_IDLE_S)
        except Empty:
            return None

    def _leave(self) -> bool:
        """Be idle no more; False if a call is on its way."""
        try:
            _idle.remove(self)
        except ValueError:
            return False
        return True

    def _make(self, call: _Call) -> None:
        result, failure = None, None
        if not call.outcome.cancelled():
            try:
                result = call.context.run(call.function)
            except BaseException as exc:
                failure = exc
        _idle.append(self)
        with suppress(RuntimeError):  # The loop was closed: nobody waits any more.
            call.loop.call_soon_threadsafe(_tell, call.outcome, (result, failure))


_idle: Final[list[_Worker]] = []
"""Those that wait for a call, the last one since the shortest time. Its appending and popping need no lock."""


def _tell(outcome: asyncio.Future[Any], what: tuple[Any, BaseException | None]) -> None:
    if not outcome.cancelled():
        outcome.set_result(what)


def begin(context: Context, function: Callable[[], Any]) -> asyncio.Future[tuple[Any, BaseException | None]]:
    """Have a worker call a function in this context; to be awaited are its result and what it raised.

    Who cancels the future does not hear of the outcome, and a call that has not begun is not made.
    """
    loop = asyncio.get_running_loop()
    outcome = loop.create_future()
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
        worker.start()
    worker.calls.put(_Call(context, function, loop, outcome))
    return outcome


def _end() -> None:
    """Let the workers end when their calls have: SQLite is not to be left in the middle of one."""
    for thread in threading.enumerate():
        if isinstance(thread, _Worker):
            thread.calls.put(None)
            thread.join()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # A child has the list, but not the threads.
