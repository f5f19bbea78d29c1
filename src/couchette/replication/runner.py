"""Running a replication for a caller that is not asynchronous.

The network is trio's, so it runs on a thread of its own that ends with the call. An interrupt of the caller
may come at any moment, also while the thread starts: it is remembered, and cancels the work as soon as there
is something to cancel. (anyio's blocking portal waits forever when it is interrupted while it starts.)
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple, Unpack

import anyio

from couchette import surroundings, workers
from couchette.errors import StoreError
from couchette.replication.live import LiveReplication, LiveSync, SyncStatus
from couchette.replication.status import Outcome, Status

Result = TypeVar("Result")
Args = TypeVarTuple("Args")


def run_sync(async_fn: Callable[[Unpack[Args]], Awaitable[Result]], *args: *Args) -> Result:
    """Run ``async_fn(*args)`` on a background thread and wait for its result.

    KeyboardInterrupt cancels it and is raised when it has ended, so that nothing runs on behind the
    caller; a second one does not wait.
    """
    work = Work(partial(async_fn, *args))
    thread = threading.Thread(target=workers.thread_context().run, args=(work.run,), name="couchette-replication")
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


class Background:
    """A live replication on a thread of its own, from when this is made until :meth:`cancel`.

    A context manager, which cancels it at its end. It also ends with the program.
    """

    def __init__(self, live: LiveReplication | LiveSync) -> None:
        self._live = live
        self._work = Work(live.run)
        run = partial(workers.thread_context().run, self._work.run)
        # A program that forgets to cancel it must be able to end; its exit then cancels it first.
        self._thread = threading.Thread(target=run, name="couchette-replication", daemon=True)
        atexit.register(self._end)
        self._thread.start()

    @property
    def status(self) -> Status | SyncStatus:
        """How it stands now."""
        return self._live.status

    def cancel(self) -> None:
        """End it, and wait for its end unless it is its own thread that calls. Raises what ended it before.

        In the child of a fork this and :meth:`join` do nothing: it runs in the parent.
        """
        self._work.cancel()
        if threading.current_thread() is not self._thread:
            self.join()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end; False if ``timeout`` seconds pass first. Raises what ended it."""
        if self._work.is_elsewhere:
            return True
        self._thread.join(timeout)
        if self._thread.is_alive():
            return False
        atexit.unregister(self._end)
        self._work.outcome.result()
        return True

    def wait_until_synced(self, timeout: float | None = None) -> bool:
        """Wait until all that both sides hold at this moment has been moved.

        False if ``timeout`` seconds pass before, if it is cancelled, or if the target refuses some of it. Raises what
        ended the replication, or keeps it from going on until credentials are changed.
        """
        told: Future[Outcome] = Future()
        self._call(partial(self._live.when_synced, told.set_result))
        try:
            outcome = told.result(timeout)
        except FutureTimeout:
            return False
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def retry(self) -> None:
        """Try now, where it waits to try again, and offer refused documents again: something has changed."""
        self._call(self._live.retry)

    def set_auth(self, **auths: Any) -> None:
        """Use other credentials, ``source`` and ``target`` or ``near`` and ``far``; and try now."""
        self._call(partial(self._live.set_auth, **auths))

    def _call(self, function: Callable[[], object]) -> None:
        """Have the loop's thread call a function, or call it here when the loop has ended."""
        if self._work.is_elsewhere:
            raise StoreError("The replication runs in another process.", "This one was forked; replicate here anew.")
        if not self._work.call_soon(function):
            self._thread.join()
            function()

    def _end(self) -> None:
        """At the program's exit nobody is there to be told of errors."""
        self._work.cancel()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is None:
            self.cancel()
        else:
            self._end()
            atexit.unregister(self._end)

    def __repr__(self) -> str:
        return f"<couchette live replication, {self.status.state}>"


class Work:
    """A coroutine that another thread runs; ``outcome`` gets what comes of it."""

    def __init__(self, async_fn: Callable[[], Awaitable[Any]]) -> None:
        self.outcome: Future[Any] = Future()
        self._async_fn = async_fn
        self._lock = threading.Lock()
        self._early: list[Callable[[], object]] | None = []
        """What to call when the loop starts; None when it did."""
        self._run_soon: Callable[[Callable[[], object]], None] | None = None
        """Has the loop call a function; None while there is no loop."""
        self._scope: anyio.CancelScope | None = None
        self._pid = os.getpid()

    @property
    def is_elsewhere(self) -> bool:
        """Whether this process was forked from the one that runs it, whose threads it has not."""
        return os.getpid() != self._pid

    def run(self) -> None:
        """Run it, in the thread that is made for it."""
        try:
            self.outcome.set_result(anyio.run(self._run, backend="trio", backend_options=surroundings.trio_options()))
        except BaseException as exc:
            self.outcome.set_exception(exc)

    async def _run(self) -> Any:
        import trio.lowlevel

        token = trio.lowlevel.current_trio_token()
        with anyio.CancelScope() as self._scope:
            with self._lock:
                self._run_soon = token.run_sync_soon
                early, self._early = self._early or [], None
            for function in early:
                function()
            try:
                return await self._async_fn()
            finally:
                with self._lock:
                    self._run_soon = None

    def call_soon(self, function: Callable[[], object]) -> bool:
        """Have the loop call a function, as soon as it runs; False if it has ended. Any thread may call this."""
        if self.is_elsewhere:  # Its lock may be held for ever, and its loop be woken for nothing.
            return False
        with self._lock:
            if self._early is not None:
                self._early.append(function)
            elif self._run_soon is not None:
                self._run_soon(function)
            else:
                return False
            return True

    def cancel(self) -> None:
        """End it as soon as possible. Any thread may call this, at any time."""
        self.call_soon(self._cancel)

    def _cancel(self) -> None:
        assert self._scope is not None
        self._scope.cancel()
