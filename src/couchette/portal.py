"""An event loop for callers that have none: the one thread on which the network of synchronous remote objects runs.

It starts with the first of them that is used and ends when the last one is closed, or with the program. Sharing it
keeps connections open between calls, and lets what is known of a server (:mod:`couchette.remote.hosts`) hold for all.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Final, Generic, ParamSpec, TypeVar

import trio

from couchette import surroundings
from couchette.errors import DatabaseClosed
from couchette.limits import SHUTDOWN_GRACE_S

P = ParamSpec("P")
T = TypeVar("T")
Close = Callable[[], Awaitable[None]]


class Loop:
    """A trio loop on a background thread, from when this is made until :meth:`stop`."""

    def __init__(self) -> None:
        self.closers: set[Close] = set()
        """What to call when the program ends, on the loop: it closes what uses it still."""
        self._started: Future[tuple[trio.lowlevel.TrioToken, trio.Nursery]] = Future()
        self._stopping = False
        # Each call brings its caller's context along; the loop itself belongs to none of them.
        args = (self._run, surroundings.trio_options())
        # A program that forgets to close its databases must be able to end; its exit then closes them first.
        self._thread = threading.Thread(target=Context().run, args=args, name="couchette-remote", daemon=True)
        self._thread.start()
        self._token, self._tasks = self._started.result()
        atexit.register(self._end)

    def run(self, async_fn: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``async_fn`` on the loop and wait for its result. An interrupt of the caller cancels it.

        Raises DatabaseClosed when the loop is stopped before it has a result.
        """
        assert threading.current_thread() is not self._thread, "this would wait for itself"
        call = _Call(partial(async_fn, *args, **kwargs))
        self._soon(partial(copy_context().run, self._begin, call))
        try:
            return call.outcome.result()
        except BaseException:
            if not call.outcome.done():
                self._soon(call.cancel)
            raise

    def stop(self) -> None:
        """Cancel what runs, and wait for the loop's end."""
        atexit.unregister(self._end)
        self._soon(self._stop)
        self._thread.join()

    def _end(self) -> None:
        self.run(self._close_all)
        self.stop()

    async def _close_all(self) -> None:
        for close in tuple(self.closers):
            with trio.move_on_after(SHUTDOWN_GRACE_S):
                await close()

    def _soon(self, function: Callable[[], object]) -> None:
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            raise _closed() from None

    def _begin(self, call: _Call[Any]) -> None:
        if self._stopping:
            call.outcome.set_exception(_closed())
        else:
            self._tasks.start_soon(call.run)

    def _stop(self) -> None:
        self._stopping = True
        self._tasks.cancel_scope.cancel()

    def _run(self, options: dict[str, Any]) -> None:
        try:
            trio.run(self._serve, **options)
        except BaseException as exc:
            if self._started.done():
                raise
            self._started.set_exception(exc)

    async def _serve(self) -> None:
        async with trio.open_nursery() as tasks:
            self._started.set_result((trio.lowlevel.current_trio_token(), tasks))
            await trio.sleep_forever()


class _Call(Generic[T]):
    """One call, which the loop runs while its caller waits for the outcome."""

    def __init__(self, call: Callable[[], Awaitable[T]]) -> None:
        self.outcome: Future[T] = Future()
        self._call = call
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        """Run it. What it raises is its caller's, also what would end the loop for all others, such as SystemExit."""
        try:
            with self._scope:
                self.outcome.set_result(await self._call())
        except trio.Cancelled:
            raise
        except BaseException as exc:
            self.outcome.set_exception(exc)
        finally:
            if not self.outcome.done():
                self.outcome.set_exception(_closed())

    def cancel(self) -> None:
        """End it as soon as possible. For the loop's thread."""
        self._scope.cancel()


def _closed() -> DatabaseClosed:
    return DatabaseClosed("The remote object is closed.", "Open it again.")


_lock: Final = threading.Lock()
_shared: dict[Any, tuple[Loop, int]] = {}
"""The loops and how many use each, by their clock: a simulation's programs have another one."""


class Share:
    """A share in the loop that all callers have in common; it is taken when it is first used.

    ``close`` is called on the loop if the program ends before the share is given back. Its methods raise
    DatabaseClosed after that.
    """

    def __init__(self, close: Close | None = None) -> None:
        self._close = close
        self._clock = surroundings.current().clock
        self._loop: Loop | None = None
        self._released = False

    def run(self, async_fn: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """See :meth:`Loop.run`."""
        return (self._loop or self._take()).run(async_fn, *args, **kwargs)

    def _take(self) -> Loop:
        with _lock:
            if self._released:
                raise _closed()
            if self._loop is None:
                loop, users = _shared.get(self._clock) or (Loop(), 0)
                _shared[self._clock] = loop, users + 1
                self._loop = loop
                if self._close is not None:
                    loop.closers.add(self._close)
            return self._loop

    def release(self) -> None:
        """Give it back; the last one stops the loop. Calling it again does nothing."""
        with _lock:
            self._released = True
            loop, self._loop = self._loop, None
            if loop is None:
                return
            if self._close is not None:
                loop.closers.discard(self._close)
            users = _shared.pop(self._clock)[1] - 1
            if users:
                _shared[self._clock] = loop, users
        if not users:
            loop.stop()
