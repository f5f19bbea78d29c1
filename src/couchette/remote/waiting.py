"""A live feed of a database on a server: it waits for changes, and is taken up again where it broke off."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import anyio

from couchette import limits
from couchette.errors import DatabaseClosed, is_passing
from couchette.remote.hosts import pause_s
from couchette.remote.live import LiveFeed
from couchette.wire.checkpoint import Seq

if TYPE_CHECKING:
    from couchette.remote.feeds import RemoteFeeds, Wish

Doc = dict[str, Any]


class AsyncRemoteFeed:
    """The changes of a database on a server as they happen, to be iterated over with ``async for``.

    It waits for changes, and ends when it is cancelled, after ``limit`` changes, or after ``timeout`` seconds without
    one; closing the database raises DatabaseClosed. It begins with ``async with`` or its first change: that is when
    ``"now"`` is. A cancelled task loses no change: the next call gives it. For one task at a time.
    """

    def __init__(
        self, database: RemoteFeeds, wish: Wish, *, since: Seq, limit: int | None = None, timeout: float | None = None
    ) -> None:
        self._database = database
        self._wish = wish
        self._since = since
        self._left = None if limit is None else max(limit, 0)
        self._timeout = timeout
        self._rows: deque[Doc] = deque()
        self._pages: AsyncGenerator[Doc, None] | None = None
        self._live: LiveFeed | None = None
        self._wait: anyio.CancelScope | None = None
        self._lock: anyio.Lock | None = None
        self._begun = False
        self._failure: DatabaseClosed | None = None
        self.ended = False
        """Whether there is nothing more to come."""

    def cancel(self) -> None:
        """End the feed, also while a task waits for its next change. To be called in its event loop."""
        self.ended = True
        if self._wait is not None:
            self._wait.cancel()

    async def aclose(self) -> None:
        """End the feed and its connection."""
        self.cancel()
        with anyio.CancelScope(shield=True):
            async with self._reading:
                await self._hang_up()
        self._database._feeds.discard(self)

    async def fail(self, failure: DatabaseClosed) -> None:
        """End it by an error, which its reader is told."""
        if not self.ended:
            self._failure = failure
        await self.aclose()

    def end(self) -> None:
        """What there is to say at the end. Raises DatabaseClosed where that is why it ended."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def next_row(self) -> Doc | None:
        """The next change; None at the end."""
        async with self._reading:
            if not self._begun and not self.ended:
                await self._begin()
            deadline = None if self._timeout is None else anyio.current_time() + self._timeout
            while not (self.ended or self._left == 0):
                if self._rows:
                    if self._left is not None:
                        self._left -= 1
                    return self._rows.popleft()
                if not await self._wait_for_rows(deadline):
                    break
            self.ended = True
            await self._hang_up()
        self._database._feeds.discard(self)
        self.end()
        return None

    def __aiter__(self) -> AsyncRemoteFeed:
        return self

    async def __anext__(self) -> Doc:
        row = await self.next_row()
        if row is None:
            raise StopAsyncIteration
        return row

    async def begin(self) -> None:
        """Find where to begin: this moment, for ``"now"``."""
        async with self._reading:
            if not self._begun:
                await self._begin()

    async def __aenter__(self) -> AsyncRemoteFeed:
        await self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def _reading(self) -> anyio.Lock:
        """Held by who reads. It is made where it is used: a lock belongs to the loop that it is made in."""
        if self._lock is None:
            self._lock = anyio.Lock()
        return self._lock

    # -- Its connection -------------------------------------------------------------------------------

    async def _begin(self) -> None:
        client = await self._database._opened()
        if self._since == "now":
            self._since = await self._database._newest_seq()
        self._live = LiveFeed(client)
        self._database._feeds.add(self)
        self._begun = True

    async def _wait_for_rows(self, deadline: float | None) -> bool:
        """Wait for the next page; whether there was one before the deadline, or the end."""
        remaining = None if deadline is None else deadline - anyio.current_time()
        with anyio.move_on_after(remaining) as self._wait:
            if not self.ended:
                await self._read_page()
        stopped, self._wait = self._wait.cancelled_caught, None
        return not stopped

    async def _read_page(self) -> None:
        """Read the next page; a line that breaks is taken up again, as long as a try now and then succeeds."""
        failures = 0
        while True:
            begun_at = anyio.current_time()
            try:
                if self._pages is None:
                    assert self._live is not None
                    self._pages = self._live.answers(self._since, limits.FEED_PAGE_DOCS, self._wish.asked())
                page = await anext(self._pages)
                rows = [await self._database._judge(self._wish, row) for row in page["results"]]
                self._rows.extend(row for row in rows if row is not None)
                self._since = page["last_seq"]
                return
            except BaseException as exc:
                # It begins anew after the last page that was handed on.
                await self._hang_up()
                # A feed that stood for a while was a good one, although it brought nothing.
                failures = 1 if anyio.current_time() - begun_at > limits.FEED_HEARTBEAT_S else failures + 1
                if not is_passing(exc) or failures > limits.HTTP_RETRIES:
                    raise
                await anyio.sleep(pause_s(failures))

    async def _hang_up(self) -> None:
        pages, self._pages = self._pages, None
        if pages is not None:
            with anyio.CancelScope(shield=True):
                await pages.aclose()
