"""Feeds that wait: an answer that is held open until something changes, or for good.

An ASGI server does not cancel an application whose client has gone, so a task listens for the
disconnect beside the one that waits. Whatever ends the wait (a change, the timeout, the server's
shutdown), a client that is still there gets a complete answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
from anyio import CancelScope
from starlette.types import Receive, Scope, Send

from couchette import jsonio, workers
from couchette.database import Doc
from couchette.environment import Environment
from couchette.errors import CouchetteError, DatabaseClosed
from couchette.limits import FEED_PAGE_DOCS
from couchette.server import answers
from couchette.wire import feed
from couchette.wire.feed import FeedOptions, Framing

WaitChanges = Callable[[str, float | None], Awaitable[bool]]


class Feeds:
    """The waiting feeds of an app, so that it can end them all when it stops."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._waits: set[CancelScope] = set()
        self._ended = False

    def end(self) -> None:
        """Let every waiting feed finish its answer now, and later ones at once. Call it in the event loop."""
        self._ended = True
        for wait in self._waits:
            wait.cancel()

    def begin(self) -> CancelScope:
        """A scope to wait in."""
        wait = CancelScope()
        self._waits.add(wait)
        if self._ended:
            wait.cancel()
        return wait

    def done(self, wait: CancelScope) -> None:
        """Forget a scope whose wait is over."""
        self._waits.discard(wait)


class WaitingFeed(ABC):
    """The answer to a request for changes that waits for more of them; an ASGI application.

    Args:
        wait_changes: waits for a change after a sequence, for so many seconds; False if there is none.
        read: reads a page of its changes, with the options of ``Database.changes``.
        options: of the request.
        feeds: the waiting feeds of the app.
        headers: of the answer.
        page: what ``read`` gave for the options: the first rows, and where to go on.
    """

    def __init__(
        self,
        wait_changes: WaitChanges,
        read: Callable[..., Doc],
        options: FeedOptions,
        feeds: Feeds,
        headers: list[tuple[bytes, bytes]],
        page: Doc,
    ) -> None:
        self._wait_changes = wait_changes
        self._read = read
        self._options = options
        self._wanted = dict(options.changes)
        self._feeds = feeds
        self._headers = headers
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; return early when the client goes away."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_on_disconnect, receive, tasks.cancel_scope)
            await self._answer(send)
            tasks.cancel_scope.cancel()

    async def _answer(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await self._begin(send)
        wait = self._feeds.begin()
        failure = b""
        try:
            # A database that is destroyed has no more changes: the feed ends there.
            with wait, suppress(DatabaseClosed):
                await self._wait(send)
        except CouchetteError as exc:
            # A filter failed. The status is sent already, so the error is the last line, as in CouchDB.
            failure = b"\n" + jsonio.dumps(answers.told(exc, self._feeds.environment).as_json()) + b"\n"
        finally:
            self._feeds.done(wait)
        await _send(send, failure or self._end(), more=False)

    @abstractmethod
    async def _begin(self, send: Send) -> None:
        """Send what can be sent before anything is waited for."""

    @abstractmethod
    async def _wait(self, send: Send) -> None:
        """Wait for what the feed is there for. It may be cancelled at any moment."""

    @abstractmethod
    def _end(self) -> bytes:
        """What completes the answer, however the wait ended."""

    async def _wait_for_rows(self, send: Send, heartbeat: bytes) -> bool:
        """Wait until the page has rows for this feed; False when its time is over."""
        heartbeat_s = self._options.heartbeat_s
        deadline = None if heartbeat_s else anyio.current_time() + self._options.timeout_s
        while not self._page["results"]:
            pause_s = heartbeat_s if deadline is None else deadline - anyio.current_time()
            if pause_s is not None and pause_s <= 0:
                return False
            if await self._changed(pause_s):
                await self._look()
            elif heartbeat_s:
                await _send(send, heartbeat)
        return True

    async def _changed(self, pause_s: float | None) -> bool:
        """Whether the database changed within the pause. A feed of no rows (``limit=0``) does not look."""
        if self._wanted.get("limit") == 0:
            await anyio.sleep(pause_s or 0)
            return False
        return await self._wait_changes(self._page["last_seq"], pause_s)

    async def _look(self) -> None:
        """Read what comes after the page."""
        wanted = {**self._wanted, "since": self._page["last_seq"]}
        # A filter may be slow; the pages of others are not to wait for it.
        hop = workers.in_side_thread if self._options.filter is not None else workers.in_thread
        self._page = await hop(self._read, **wanted)


class LongpollFeed(WaitingFeed):
    """A longpoll answer to a request that found no changes yet: it ends with the first one."""

    async def _begin(self, send: Send) -> None:
        await _send(send, feed.HEAD + feed.HEARTBEAT)

    async def _wait(self, send: Send) -> None:
        await self._wait_for_rows(send, feed.HEARTBEAT)

    def _end(self) -> bytes:
        return feed.rows(self._page["results"]) + feed.tail(self._page["last_seq"], self._page["pending"])


class EndlessFeed(WaitingFeed):
    """A continuous or eventsource answer: it ends when it is silent too long, or at its limit.

    Rows are read and sent in pages of bounded size. The end names the seq up to which they were sent, so a
    client that goes on there misses nothing, wherever the feed was cut.
    """

    def __init__(self, *given: Any, framing: Framing) -> None:
        super().__init__(*given)
        self._framing = framing
        self._left: int | None = self._wanted.get("limit")
        self._sent = self._page

    async def _begin(self, send: Send) -> None:
        await self._send_page(send)

    async def _wait(self, send: Send) -> None:
        # Descending feeds begin with the newest change, so there is nothing to wait for.
        while self._left != 0 and not self._wanted.get("descending"):
            await self._look()
            if not self._page["results"]:
                await _send(send, self._framing.waiting)
                if not await self._wait_for_rows(send, self._framing.heartbeat):
                    return
            await self._send_page(send)

    async def _look(self) -> None:
        self._wanted["limit"] = page_limit(self._left)
        await super()._look()
        if not self._page["results"]:
            self._sent = self._page

    async def _send_page(self, send: Send) -> None:
        results = self._page["results"]
        await _send(send, b"".join(map(self._framing.row, results)))
        self._sent = self._page
        if self._left is not None:
            self._left -= len(results)

    def _end(self) -> bytes:
        return self._framing.end(self._sent["last_seq"], self._sent["pending"])


def page_limit(left: int | None) -> int:
    """How many rows an endless feed reads at once, when it may send so many more."""
    return FEED_PAGE_DOCS if left is None else min(left, FEED_PAGE_DOCS)


async def _send(send: Send, chunk: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": more})


async def _cancel_on_disconnect(receive: Receive, scope: CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
