"""The facades' changes feed: pages of it, feeds that wait, and cursors that remember how far their consumer came."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from couchette import store, workers
from couchette.errors import BadRequest
from couchette.live import AsyncFeed, Changes, Feed, Filter, Listener, accepting, check_can_wait, starting_point

if TYPE_CHECKING:
    from couchette.database import Database
    from couchette.pool import Pool

Doc = dict[str, Any]


class ChangeFeeds:
    """What :class:`~couchette.Database` tells of its changes."""

    _pool: Pool

    def changes(
        self,
        *,
        since: int | str = 0,
        limit: int | None = None,
        descending: bool = False,
        style: Literal["main_only", "all_docs"] = "main_only",
        include_docs: bool = False,
        conflicts: bool = False,
        attachments: bool = False,
        att_encoding_info: bool = False,
        doc_ids: Sequence[str] | None = None,
        seq_interval: int | None = None,
        selector: Mapping[str, Any] | None = None,
        filter: Filter | None = None,
        cursor: str | None = None,
        live: bool = False,
        timeout: float | None = None,
        on_change: Callable[[Doc], Any] | None = None,
    ) -> Any:
        """What changed after ``since``, each document once, in the order of its last change.

        Return ``{"results": [{"seq", "id", "changes": [{"rev"}], "deleted"?, "doc"?}], "last_seq", "pending"}``.
        With ``live`` return a :class:`~couchette.live.Feed` instead: an iterator over such rows that waits for
        more; or with ``on_change`` a :class:`~couchette.live.Listener` that calls it from a thread of its own.

        Args:
            since: 0, ``"now"``, or a seq of an earlier answer.
            limit: at most so many rows.
            style: ``"all_docs"`` lists the revs of all leaves, not only the winner's.
            doc_ids: only these documents.
            selector: only documents that match this Mango selector.
            filter: only documents for which this function is true. It is given the winner, or each leaf with
                ``style="all_docs"``; deleted ones too, with ``_deleted``.
            cursor: begin after what :meth:`ack` recorded under this name; at ``since`` if there is nothing yet.
            timeout: seconds without a change after which a live feed ends; None waits for ever.

        ``pending`` is an upper bound when many changes remain.

        Raises:
            BadRequest: a ``since`` that is no seq, a malformed selector, or options that do not go together.
            StoreError: a live feed inside this thread's transaction.
        """
        options: dict[str, Any] = {
            "style": style,
            "include_docs": include_docs,
            "conflicts": conflicts,
            "attachments": attachments,
            "att_encoding_info": att_encoding_info,
            "doc_ids": doc_ids,
            "seq_interval": seq_interval,
            "descending": descending,
            "accepts": accepting(selector, filter),
        }
        if live:
            source = Changes(self._pool, options, since=since, cursor=cursor)
            feed = Feed(self._pool, source, limit=limit, timeout=timeout)
            return feed if on_change is None else Listener(feed, on_change)
        if timeout is not None or on_change is not None:
            raise BadRequest("`timeout` and `on_change` are options of a live feed.", "Give `live=True` too.")
        since = starting_point(self._pool, cursor, since)
        return self._pool.read(store.changes, since=since, limit=limit, **options)

    def ack(self, cursor: str, change: Mapping[str, Any] | int | str) -> str:
        """Record that a consumer is done with a change, given as a row or its seq, and all before it; return the seq.

        ``changes(cursor=...)`` goes on after it. In one :meth:`transaction` with what the consumer writes, both
        are committed or neither is. A cursor is the document ``_local/cursor:<name>``.
        """
        return self._pool.write(store.write_cursor, cursor, change)

    def wait_changes(self, since: int | str = "now", timeout: float | None = None) -> bool:
        """Block until something changes after ``since``; False if ``timeout`` seconds pass first.

        Writes of other processes are seen within ``limits.FOREIGN_WRITES_POLL_S``. Raises StoreError inside this
        thread's transaction.
        """
        check_can_wait(self._pool)
        after = self._seq_number(since)
        return self._pool.notifier.wait(lambda: self._pool.read(store.update_seq) > after, timeout)

    def _seq_number(self, since: int | str) -> int:
        return store.parse_seq(since, self._pool.read(store.read_meta))


class AsyncChangeFeeds:
    """What :class:`~couchette.AsyncDatabase` tells of its changes."""

    database: Database
    if TYPE_CHECKING:

        @property
        def _pool(self) -> Pool: ...

    def changes(
        self,
        *,
        since: int | str = 0,
        limit: int | None = None,
        descending: bool = False,
        style: Literal["main_only", "all_docs"] = "main_only",
        include_docs: bool = False,
        conflicts: bool = False,
        attachments: bool = False,
        att_encoding_info: bool = False,
        doc_ids: Sequence[str] | None = None,
        seq_interval: int | None = None,
        selector: Mapping[str, Any] | None = None,
        filter: Filter | None = None,
        cursor: str | None = None,
        live: bool = False,
        timeout: float | None = None,
        on_change: Callable[[Doc], Any] | None = None,
    ) -> Any:
        """Async :meth:`Database.changes`: await it; but with ``live``, ``async for change in db.changes(live=True)``.

        The live feed is an :class:`~couchette.live.AsyncFeed`, best used with ``async with``.
        ``filter`` and ``on_change`` are ordinary functions and run in worker threads.
        """
        options: dict[str, Any] = {
            "style": style,
            "include_docs": include_docs,
            "conflicts": conflicts,
            "attachments": attachments,
            "att_encoding_info": att_encoding_info,
            "doc_ids": doc_ids,
            "seq_interval": seq_interval,
            "descending": descending,
        }
        if live and on_change is None:
            options["accepts"] = accepting(selector, filter)
            source = Changes(self._pool, options, since=since, cursor=cursor)
            return AsyncFeed(self._pool, source, limit=limit, timeout=timeout)
        where: dict[str, Any] = {"since": since, "cursor": cursor, "limit": limit, "timeout": timeout}
        call = partial(self.database.changes, **options, **where, selector=selector, filter=filter)
        if live:
            return call(live=True, on_change=on_change)
        return workers.in_thread(call, on_change=on_change)

    async def ack(self, cursor: str, change: Mapping[str, Any] | int | str) -> str:
        """Async :meth:`Database.ack`; to commit it with other writes, call the one in :meth:`transaction`."""
        return await workers.in_thread(self.database.ack, cursor, change)

    async def wait_changes(self, since: int | str = "now", timeout: float | None = None) -> bool:
        """Async :meth:`Database.wait_changes`; occupies no thread while it waits."""
        pool = self._pool
        after = await workers.in_thread(self.database._seq_number, since)

        async def ready() -> bool:
            return await workers.in_thread(pool.read, store.update_seq) > after

        return await pool.notifier.wait_async(ready, timeout)
