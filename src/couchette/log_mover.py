"""Moving the write-ahead log to the file beside a long write, so that the write need not wait for the disk.

SQLite moves the log in the commit that finds it long (``limits.WAL_PAGES``), and waits for the disk twice. To a
stream of large portions that is a third of its time. So who writes one says how much, and each
``limits.LOG_MOVED_BYTES`` of it are moved by another thread while the next portions are written.

The log can only begin anew when all of it is moved, and that the commits see to as ever; there is less left for them
to do. They cannot while another thread moves. So between two moves there is a commit with nothing beside it, and the
log stays as short as it would be.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from couchette.limits import LOG_MOVED_BYTES


class LogMover:
    """Calls ``move`` in a thread of its own, one call at a time, as often as what is written makes worth it."""

    def __init__(self, move: Callable[[], None]) -> None:
        self._move = move
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._moving: Future[None] | None = None
        self._waiting_bytes = 0
        self._closed = False

    def wrote(self, size: int) -> None:
        """Note ``size`` bytes that were just committed; maybe begin a move. Blocks for nothing.

        Raises what a move raised that this call finds ended.
        """
        with self._lock:
            self._waiting_bytes += size
            moving = self._moving
            if moving is not None:
                if moving.done():
                    # The next commit has the log for itself, and then the next move may begin.
                    self._moving = None
                    moving.result()
            elif self._waiting_bytes >= LOG_MOVED_BYTES and not self._closed:
                self._waiting_bytes = 0
                self._thread = self._thread or ThreadPoolExecutor(1, "couchette-log")
                self._moving = self._thread.submit(self._move)

    @property
    def moving(self) -> bool:
        """Whether a move is under way, as far as can be told without waiting."""
        return self._lock.locked() or (self._moving is not None and not self._moving.done())

    def close(self) -> None:
        """Wait for a move under way; no other begins."""
        with self._lock:
            self._closed = True
            if self._thread is not None:
                self._thread.shutdown()
