"""Feeds that wait: a longpoll answer, held open until something changes.

An ASGI server does not cancel an application whose client has gone, so a task listens for the
disconnect beside the one that waits. Whatever ends the wait (a change, the timeout, the server's
shutdown), a client that is still there gets a complete answer.
"""

from __future__ import annotations

from contextlib import suppress

import anyio
import anyio.to_thread
from anyio import CancelScope
from starlette.types import Receive, Scope, Send

from couchette.async_database import AsyncDatabase
from couchette.database import Database, Doc
from couchette.errors import DatabaseClosed
from couchette.wire import feed
from couchette.wire.feed import FeedOptions


class Feeds:
    """The waiting feeds of an app, so that it can end them all when it stops."""

    def __init__(self) -> None:
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


class WaitingFeed:
    """The longpoll answer to a request that found no changes yet; an ASGI application.

    Args:
        database: where to look.
        options: of the request.
        feeds: the waiting feeds of the app.
        headers: of the answer.
        page: what ``Database.changes`` gave for the options: no rows, and where to go on.
    """

    def __init__(
        self, database: Database, options: FeedOptions, feeds: Feeds, headers: list[tuple[bytes, bytes]], page: Doc
    ) -> None:
        self._database = database
        self._options = options
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
        await _send(send, feed.HEAD + feed.HEARTBEAT)
        wait = self._feeds.begin()
        try:
            # A database that is destroyed has no more changes: the feed ends there.
            with wait, suppress(DatabaseClosed):
                await self._wait(send)
        finally:
            self._feeds.done(wait)
        results = feed.rows(self._page["results"])
        await _send(send, results + feed.tail(self._page["last_seq"], self._page["pending"]), more=False)

    async def _wait(self, send: Send) -> None:
        """Return when there is a row for this feed, or when its time is over."""
        heartbeat_s = self._options.heartbeat_s
        deadline = None if heartbeat_s else anyio.current_time() + self._options.timeout_s
        while not self._page["results"]:
            pause_s = heartbeat_s if deadline is None else deadline - anyio.current_time()
            if pause_s is not None and pause_s <= 0:
                return
            if await self._changed(pause_s):
                self._page = await anyio.to_thread.run_sync(self._look)
            elif heartbeat_s:
                await _send(send, feed.HEARTBEAT)

    async def _changed(self, pause_s: float | None) -> bool:
        """Whether the database changed within the pause. A feed of no rows (``limit=0``) does not look."""
        if self._options.changes.get("limit") == 0:
            await anyio.sleep(pause_s or 0)
            return False
        return await AsyncDatabase(self._database).wait_changes(self._page["last_seq"], pause_s)

    def _look(self) -> Doc:
        return self._database.changes(**{**self._options.changes, "since": self._page["last_seq"]})


async def _send(send: Send, chunk: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": more})


async def _cancel_on_disconnect(receive: Receive, scope: CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
