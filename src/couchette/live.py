"""Changes as they happen: an iterator that waits, its asynchronous twin, and a callback on a thread.

Each reads pages of bounded size from a :class:`Source` and hands out their rows. When there are no more it
subscribes to the notifier, looks at the sequence once again, and only then waits. So no change falls between, and none
is shown twice: a document that changes again is a new change, with a new seq.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

import anyio

from couchette import store, workers
from couchette.document import selector as mango
from couchette.errors import BadRequest, DatabaseClosed, StoreError
from couchette.limits import FEED_PAGE_DOCS
from couchette.pool import Pool

logger = logging.getLogger(__name__)

Doc = dict[str, Any]
Filter = Callable[[Doc], bool]


def accepting(selector: Mapping[str, Any] | None, filter: Filter | None) -> Filter | None:
    """The two kinds of filter as one function; a document must pass both. Raises BadRequest."""
    if selector is None:
        return filter
    matches = mango.compile(selector)
    if filter is None:
        return matches
    return lambda doc: matches(doc) and filter(doc)


def starting_point(pool: Pool, cursor: str | None, since: int | str) -> int | str:
    """Where changes begin: after what the named cursor acknowledged, or at ``since`` if it never did."""
    acknowledged = None if cursor is None else pool.read(store.read_cursor, cursor)
    return since if acknowledged is None else acknowledged


def check_can_wait(pool: Pool) -> None:
    """Raise StoreError inside this thread's transaction: others cannot write then, and what it wrote may be undone."""
    if pool.in_transaction:
        hint = "Leave the block first: what was written in it may still be undone, and others cannot write meanwhile."
        raise StoreError("Changes cannot be waited for inside a transaction.", hint)


class Source(Protocol):
    """What a feed hands out: it reads, and the feed waits."""

    def start(self) -> None:
        """Find where to begin; called once, before all else."""

    def ready(self) -> bool:
        """Whether there is more to read."""

    def read(self, rows_max: int | None) -> Sequence[Doc]:
        """The next rows, of which the feed wants at most so many; perhaps none, since a filter may leave all out."""


class Changes:
    """The changes of a database after a sequence, in pages."""

    def __init__(
        self, pool: Pool, options: Mapping[str, Any], *, since: int | str = 0, cursor: str | None = None
    ) -> None:
        if options.get("descending"):
            raise BadRequest("A live feed cannot be descending.", "It has no newest change to begin with.")
        self._pool = pool
        self._options = options
        self._since, self._cursor = since, cursor
        self._after = 0

    def start(self) -> None:
        """Find the sequence to begin after: that of this moment for ``"now"``."""
        since = starting_point(self._pool, self._cursor, self._since)
        self._after = store.parse_seq(since, self._pool.read(store.read_meta))

    def ready(self) -> bool:
        """See :class:`Source`."""
        return self._pool.read(store.update_seq) > self._after

    def read(self, rows_max: int | None) -> Sequence[Doc]:
        """See :class:`Source`."""
        limit = FEED_PAGE_DOCS if rows_max is None else min(rows_max, FEED_PAGE_DOCS)
        page = self._pool.read(store.changes, since=self._after, limit=limit, scan_max=FEED_PAGE_DOCS, **self._options)
        self._after = int(page["last_seq"].partition("-")[0])
        rows: list[Doc] = page["results"]
        return rows


class _Position:
    """How far a feed has come, and the rows that it read ahead. Nothing here waits."""

    def __init__(self, pool: Pool, source: Source, *, limit: int | None = None, timeout: float | None = None) -> None:
        self._pool = pool
        self._source = source
        self._left = None if limit is None else max(limit, 0)
        self._timeout = timeout
        self._rows: deque[Doc] = deque()
        self._cancelled = False
        self._started = False

    def cancel(self) -> None:
        """End the feed, also one that waits in another thread. May be called from any thread, and again."""
        self._cancelled = True
        self._pool.notifier.publish()

    def _start(self) -> None:
        self._source.start()
        self._started = True

    def _ready(self) -> bool:
        return self._cancelled or self._source.ready()

    def _read(self) -> None:
        self._rows.extend(self._source.read(self._left))

    def _next_row(self) -> Doc | None:
        """A row that was read ahead."""
        if not self._rows:
            return None
        if self._left is not None:
            self._left -= 1
        return self._rows.popleft()

    @property
    def _ended(self) -> bool:
        return self._cancelled or self._left == 0


class Feed(_Position):
    """The changes of a database, or of the answer to a query, as they happen, for one thread to iterate over.

    The iterator blocks until there is a change. It ends when it is cancelled, after ``limit`` changes, or after
    ``timeout`` seconds without one; closing the database raises DatabaseClosed. As a context manager it is
    cancelled at the end of the block. Beginning it, and its next change, raise StoreError inside this thread's
    transaction: a change that is undone after it was shown would hide the one that gets its sequence.
    """

    def __init__(self, pool: Pool, source: Source, *, limit: int | None = None, timeout: float | None = None) -> None:
        check_can_wait(pool)
        super().__init__(pool, source, limit=limit, timeout=timeout)
        self._start()

    def __iter__(self) -> Feed:
        return self

    def __next__(self) -> Doc:
        check_can_wait(self._pool)
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while not self._ended:
            row = self._next_row()
            if row is not None:
                return row
            left = None if deadline is None else deadline - time.monotonic()
            if not self._pool.notifier.wait(self._ready, left):
                break
            if not self._cancelled:
                self._read()
        raise StopIteration

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()


class AsyncFeed(_Position):
    """Async :class:`Feed`. It begins with ``async with`` or its first change: that is when ``"now"`` is.

    Waiting occupies no thread. A cancelled task loses no change: the next call gives it.
    """

    def __aiter__(self) -> AsyncFeed:
        return self

    async def __anext__(self) -> Doc:
        await self._begin()
        deadline = None if self._timeout is None else anyio.current_time() + self._timeout
        while not self._ended:
            row = self._next_row()
            if row is not None:
                return row
            left = None if deadline is None else deadline - anyio.current_time()
            if not await self._pool.notifier.wait_async(self._ready_async, left):
                break
            if not self._cancelled:
                await workers.in_thread(self._read)
        raise StopAsyncIteration

    async def _begin(self) -> None:
        if not self._started:
            await workers.in_thread(self._start)

    async def _ready_async(self) -> bool:
        return await workers.in_thread(self._ready)

    async def __aenter__(self) -> AsyncFeed:
        await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()


class Cancellable(Protocol):
    """Changes to iterate over, until somebody cancels them."""

    def __iter__(self) -> Iterator[Doc]: ...

    def cancel(self) -> None:
        """End them, also for a thread that waits."""


class Listener:
    """A callback that is called with each change, on one background thread.

    When the callback raises, the feed ends: the error is logged, and raised by :meth:`cancel` or :meth:`join`.
    Closing the database ends it quietly.
    """

    def __init__(self, feed: Cancellable, on_change: Callable[[Doc], Any]) -> None:
        self._feed = feed
        self._on_change = on_change
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="couchette-changes", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """End the feed and wait for a callback under way; from within the callback, end it after this change."""
        self._feed.cancel()
        if threading.current_thread() is not self._thread:
            self.join()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the feed's end; False if ``timeout`` seconds pass first. Raises what the callback raised."""
        self._thread.join(timeout)
        error, self._error = self._error, None
        if error is not None:
            raise error
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for change in self._feed:
                self._on_change(change)
        except DatabaseClosed:
            logger.debug("The database was closed, which ends its feed of changes.")
        except BaseException as exc:
            logger.exception("A feed of changes ended, because its callback raised.")
            self._error = exc

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()
