"""Callbacks, in their order and on the program's thread: the queue between our threads and its loop.

Whoever has something to tell posts it here from any thread. If the program has a loop (:mod:`couchette.pouchdb.loops`),
that is woken up and calls what waits; if it has none, the program does so with :meth:`Dispatcher.run_pending`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from inspect import ismethod
from typing import Any, Final
from weakref import WeakMethod, ref

from couchette.pouchdb.errors import EnvironmentError
from couchette.pouchdb.loops import Loop, current_loop

logger = logging.getLogger("couchette.pouchdb")

CALLS_KEPT: Final = 64
"""How many calls are remembered for who asks whether they were made: some more than a program makes in one go."""


class Dispatcher:
    """The callbacks of one environment that are still to be called, and the work from which more may come."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._loop: Loop | None = None
        self._woken = False
        self._watched: list[_Watch] = []
        self._called: deque[Callable[[], object]] = deque(maxlen=CALLS_KEPT)
        self._under_way = 0
        self.attach()

    # -- The loop ---------------------------------------------------------------------------------

    def attach(self) -> None:
        """Use the loop that runs here from now on, unless there is one in use that has not ended."""
        with self._changed:
            if self._loop is not None and self._loop.is_alive():
                return
            self._loop = current_loop()
            self._woken = False
            loop = self._to_wake()
        self._wake(loop)

    @property
    def loop_name(self) -> str | None:
        """``asyncio``, ``trio``, ``qt``, or None."""
        return None if self._loop is None else self._loop.name

    def _to_wake(self) -> Loop | None:
        """The loop, where it has to be woken up. For a caller that holds the lock."""
        if self._woken or not self._waiting:
            return None
        self._woken = self._loop is not None
        return self._loop

    def _wake(self, loop: Loop | None) -> None:
        if loop is not None and not loop.wake(self._run_in_loop):
            # It has ended. What waits is called by the next loop, or by the program.
            with self._changed:
                if self._loop is loop:
                    self._loop, self._woken = None, False

    def _run_in_loop(self) -> None:
        with self._changed:
            self._woken = False
        self.run_pending()

    # -- The queue --------------------------------------------------------------------------------

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have the program's thread call a function, after those that were posted before. Any thread may call this."""
        with self._changed:
            self._waiting.append((function, args))
            self._changed.notify_all()
            loop = self._to_wake()
        self._wake(loop)

    def run_pending(self, timeout: float | None = 0.0) -> int:
        """Call what waits now, in the calling thread; return how many functions were called.

        Where nothing waits, block until something does, at most for ``timeout`` seconds; for None as long as it
        takes. What a function raises is logged, and the next one is called.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting, timeout)
            count = len(self._waiting)
        try:
            for _ in range(count):
                with self._changed:
                    if not self._waiting:
                        break
                    function, args = self._waiting.popleft()
                self.call_safely(function, *args)
        finally:
            # A loop has other work too: what came meanwhile has its turn after that.
            with self._changed:
                loop = self._to_wake()
            self._wake(loop)
        return count

    # -- Calling ----------------------------------------------------------------------------------

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function of the program, and note that it was called."""
        for watch in self._watched:
            watch.called = watch.called or function in watch.functions
        self._called.append(_weakly(function))
        return function(*args)

    def call_safely(self, function: Callable[..., Any], *args: Any) -> None:
        """The same for a function to whose errors nobody listens: they are logged."""
        try:
            self.call(function, *args)
        except Exception:
            logger.exception("A callback raised.")

    def wait_until_called(self, functions: Sequence[Callable[..., Any]], timeout: float | None = None) -> None:
        """Call what waits, and what comes, until one of these functions was called.

        One that was called since it was waited for last need not be called again. When nothing is under way that could
        call one, that is logged, and the wait is over. Raises EnvironmentError after ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        watch = _Watch(functions)
        watch.called = any(called() in functions for called in self._called)
        self._watched.append(watch)
        try:
            while not watch.called:
                with self._changed:
                    left = None if deadline is None else deadline - time.monotonic()
                    ready = self._changed.wait_for(lambda: self._waiting or not self._under_way, left)
                    if not ready:
                        raise EnvironmentError(f"{functions!r} was not called in {timeout} seconds.")
                    if not self._waiting:
                        logger.warning("%r was not called, and nothing is under way that would call it.", functions)
                        return
                    function, args = self._waiting.popleft()
                self.call_safely(function, *args)
        finally:
            self._watched.remove(watch)
            kept = [called for called in self._called if called() not in functions]
            self._called.clear()
            self._called.extend(kept)

    # -- Work -------------------------------------------------------------------------------------

    def began(self) -> None:
        """Some work is under way, which may post something."""
        with self._changed:
            self._under_way += 1

    def ended(self) -> None:
        """It has ended, and posted what it had."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    @property
    def under_way(self) -> int:
        """How much work has not ended."""
        return self._under_way

    @property
    def pending(self) -> int:
        """How many functions wait to be called."""
        return len(self._waiting)


class _Watch:
    """Functions for the next call of one of which somebody waits."""

    def __init__(self, functions: Sequence[Callable[..., Any]]) -> None:
        self.functions = functions
        self.called = False


def _weakly(function: Callable[..., Any]) -> Callable[[], object]:
    """A reference that keeps nothing alive, where there is one."""
    try:
        return WeakMethod(function) if ismethod(function) else ref(function)
    except TypeError:
        return lambda: function
