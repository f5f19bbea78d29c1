"""Work that is to end before it is done: a server stops, a database is closed.

What takes long heeds it by itself. Whoever may want to end work has a :class:`Stop`, and does the work, or has it done
by threads that inherit the context, within :func:`heeding`. Loops of many steps call :func:`check` between two of them;
who waits for another thread does so by :func:`result_of`. Both raise the stop's error once it is set. So work ends
between two transactions, and what was committed stays.

Nothing is heeded where nobody has said so, and a step of work that heeds nothing costs one look at the context.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from couchette.errors import CouchetteError

T = TypeVar("T")


class Stop:
    """Says to work that heeds it that it is to end; once said, for good. ``error`` makes what it then raises."""

    def __init__(self, error: Callable[[], CouchetteError]) -> None:
        self.is_set = False
        self._error = error
        self._lock = threading.Lock()
        self._waited_for: set[Future[Any]] = set()

    def set(self) -> None:
        """Let the work end; who waits for another thread waits no longer. Any thread may call it, and again."""
        with self._lock:
            self.is_set = True
            given_up, self._waited_for = self._waited_for, set()
        for future in given_up:
            future.cancel()

    def check(self) -> None:
        """Raise the error if it is set."""
        if self.is_set:
            raise self._error()

    def begin(self, future: Future[Any]) -> None:
        """Cancel this future when it is set."""
        with self._lock:
            if not self.is_set:
                self._waited_for.add(future)
                return
        future.cancel()

    def done(self, future: Future[Any]) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self._waited_for.discard(future)


_heeded: Final[ContextVar[tuple[Stop, ...]]] = ContextVar("couchette_stops", default=())


class heeding:
    """A context manager that heeds a stop, beside those that are heeded already, or ``alone``."""

    def __init__(self, stop: Stop, *, alone: bool = False) -> None:
        before = () if alone else _heeded.get()
        self._stops = before if stop in before else (*before, stop)

    def __enter__(self) -> None:
        self._token = _heeded.set(self._stops)

    def __exit__(self, *_raised: object) -> None:
        _heeded.reset(self._token)


def is_wanted() -> bool:
    """Whether a stop that is heeded here is set."""
    return any(stop.is_set for stop in _heeded.get())


def check() -> None:
    """Raise the error of a stop that is heeded here and set."""
    for stop in _heeded.get():
        stop.check()


def result_of(future: Future[T]) -> T:
    """Wait for a future that is made for this; it is cancelled when a stop is set, whose error is then raised."""
    stops = _heeded.get()
    for stop in stops:
        stop.begin(future)
    try:
        return future.result()
    except CancelledError:
        check()
        raise
    finally:
        for stop in stops:
            stop.done(future)
