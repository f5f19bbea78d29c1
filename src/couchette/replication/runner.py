"""Running a replication for a caller that is not asynchronous.

The network is trio's, so it runs on a thread of its own that ends with the call. An interrupt of the caller
may come at any moment, also while the thread starts: it is remembered, and cancels the work as soon as there
is something to cancel. (anyio's blocking portal waits forever when it is interrupted while it starts.)
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar, TypeVarTuple, Unpack

import anyio

Result = TypeVar("Result")
Args = TypeVarTuple("Args")


def run_sync(async_fn: Callable[[Unpack[Args]], Awaitable[Result]], *args: *Args) -> Result:
    """Run ``async_fn(*args)`` on a background thread and wait for its result.

    KeyboardInterrupt cancels it and is raised when it has ended, so that nothing runs on behind the
    caller; a second one does not wait.
    """
    work = _Work(partial(async_fn, *args))
    thread = threading.Thread(target=work.run, name="couchette-replication")
    try:
        thread.start()
        result: Result = work.outcome.result()
    except BaseException:
        # Either what the work raised, or an interrupt of this thread while the work runs on.
        work.cancel()
        if thread.ident is not None:
            thread.join()
        raise
    thread.join()
    return result


class _Work:
    """A coroutine that another thread runs; ``outcome`` gets what comes of it."""

    def __init__(self, async_fn: Callable[[], Awaitable[Any]]) -> None:
        self.outcome: Future[Any] = Future()
        self._async_fn = async_fn
        self._lock = threading.Lock()
        self._cancelled = False
        self._cancel: Callable[[], None] | None = None

    def run(self) -> None:
        """Run it, in the thread that is made for it."""
        try:
            self.outcome.set_result(anyio.run(self._run, backend="trio"))
        except BaseException as exc:
            self.outcome.set_exception(exc)

    async def _run(self) -> Any:
        import trio.lowlevel

        token = trio.lowlevel.current_trio_token()
        with anyio.CancelScope() as scope:
            with self._lock:
                self._cancel = partial(token.run_sync_soon, scope.cancel)
                if self._cancelled:
                    scope.cancel()
            try:
                return await self._async_fn()
            finally:
                with self._lock:
                    self._cancel = None

    def cancel(self) -> None:
        """End it as soon as possible. Any thread may call this, at any time."""
        with self._lock:
            self._cancelled = True
            if self._cancel is not None:
                self._cancel()
