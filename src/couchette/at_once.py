"""Doing at once what need not wait: a read of what is at hand, in the thread of an event loop.

A hop to a worker thread takes longer than reading a document does. So a server may try the read in the loop's own
thread. Whoever would then wait for a lock or for another process, open a file, derive a password or write says so by
:func:`would_wait`, which raises; the whole is done anew in a worker thread, so it must be something that only reads.

SQLite itself may wait, for a slow disk, and Python for a thread that computes. That cannot be told before, but the
clock tells it: where reads are slow, :class:`AtOnce` rests after each for so long that what others wait is at most a
hundredth of the time. A single slow one among quick ones, when the processor was taken away, means nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

from couchette.limits import AT_ONCE_AVERAGED, AT_ONCE_REST, AT_ONCE_S

T = TypeVar("T")


class MustWait(BaseException):
    """It cannot be done at once. Not an error, which somebody could take for one of the work itself."""


class _Thread(threading.local):
    is_in_haste = False


_thread = _Thread()


def would_wait() -> None:
    """Raise MustWait if this thread is to do at once what it does; to be called by who is about to wait or to write."""
    if _thread.is_in_haste:
        raise MustWait


def acquire(lock: threading.RLock) -> None:
    """Wait for a lock, or raise MustWait where that is not to be."""
    if not lock.acquire(blocking=not _thread.is_in_haste):
        raise MustWait


class AtOnce:
    """Does what can be done at once, as long as it turns out to be quick."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._average = 0.0
        self._from = clock()

    def call(self, function: Callable[[], T]) -> T:
        """Call a function that only reads, in this thread. Raises MustWait where it did not come to its end."""
        begin = self._clock()
        if begin < self._from:
            raise MustWait
        _thread.is_in_haste = True
        try:
            return function()
        finally:
            _thread.is_in_haste = False
            end = self._clock()
            self._average += (end - begin - self._average) / AT_ONCE_AVERAGED
            if self._average > AT_ONCE_S:
                self._from = end + AT_ONCE_REST * (end - begin)
