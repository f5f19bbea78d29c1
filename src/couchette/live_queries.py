"""The facades' live queries: an answer, and then what changes in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from couchette.errors import BadRequest
from couchette.live import AsyncFeed, Feed, Listener, Source
from couchette.store import UNSET

if TYPE_CHECKING:
    from couchette.database import Database
    from couchette.pool import Pool
    from couchette.query.views import ViewEngine

Doc = dict[str, Any]
LiveQuery = str | tuple[str, str] | Mapping[str, Any]


class LiveQueries:
    """What :class:`~couchette.Database` can tell as it changes."""

    _pool: Pool
    if TYPE_CHECKING:

        @property
        def _views(self) -> ViewEngine: ...

    def live(
        self,
        query: LiveQuery,
        *,
        key: Any = UNSET,
        keys: Sequence[Any] | None = None,
        start_key: Any = UNSET,
        end_key: Any = UNSET,
        start_key_doc_id: str | None = None,
        end_key_doc_id: str | None = None,
        inclusive_end: bool = True,
        timeout: float | None = None,
        on_change: Callable[[Doc], Any] | None = None,
    ) -> Any:
        """The answer to a query, and then its changes: a :class:`~couchette.live.Feed` to iterate over.

        The first events are the answer of this moment, each ``added``; then comes ``{"type": "complete", "seq"}``,
        and after it the feed waits for changes. Of a selector events are ``{"type": "added" | "changed", "id", "doc",
        "seq"}`` and ``{"type": "removed", "id", "seq"}``; of a view they have ``n``, the number of the emit among
        those of its document, with ``key`` and ``value`` in the place of ``doc``. Who keeps what was added under its
        ``id`` (or ``id`` and ``n``) has, after the events of one ``seq``, the answer as of that sequence. Only
        documents that changed are looked at. There is no sort and no limit.

        Args:
            query: a Mango selector as :meth:`find` takes; or a stored view, ``"design/view"``, the two names as a pair,
                or the name of one declared with :meth:`view`. A view's rows are told whether it has a reduce or not.
            key: only rows of this key. This and the next options are of views, as in :meth:`query`.
            keys: only rows of these keys.
            start_key, end_key, start_key_doc_id, end_key_doc_id, inclusive_end: only rows in this range.
            timeout: seconds without an event after which the feed ends; None waits for ever.
            on_change: called with each event, on a thread of its own; a :class:`~couchette.live.Listener` is returned.

        Raises:
            NotFound: there is no such view; while iterating, it was deleted.
            BadRequest: a malformed selector, or options that do not belong to it.
            FunctionFailed: the view's function ran out of its bounds; also while iterating.
        """
        options = _given(
            key=key,
            keys=keys,
            start_key=start_key,
            end_key=end_key,
            start_key_doc_id=start_key_doc_id,
            end_key_doc_id=end_key_doc_id,
            inclusive_end=inclusive_end,
        )
        feed = Feed(self._pool, _source(self, query, options), timeout=timeout)
        return feed if on_change is None else Listener(feed, on_change)


class AsyncLiveQueries:
    """The same for :class:`~couchette.AsyncDatabase`."""

    database: Database

    def live(
        self,
        query: LiveQuery,
        *,
        key: Any = UNSET,
        keys: Sequence[Any] | None = None,
        start_key: Any = UNSET,
        end_key: Any = UNSET,
        start_key_doc_id: str | None = None,
        end_key_doc_id: str | None = None,
        inclusive_end: bool = True,
        timeout: float | None = None,
        on_change: Callable[[Doc], Any] | None = None,
    ) -> Any:
        """Async :meth:`Database.live`: ``async for event in db.live(...)``, best within ``async with``.

        It is an :class:`~couchette.live.AsyncFeed`, whose answer is that of its first event or of ``async with``. With
        ``on_change``, an ordinary function that runs in a thread, it takes the first answer here and blocks for it.
        """
        options = _given(
            key=key,
            keys=keys,
            start_key=start_key,
            end_key=end_key,
            start_key_doc_id=start_key_doc_id,
            end_key_doc_id=end_key_doc_id,
            inclusive_end=inclusive_end,
        )
        if on_change is not None:
            return self.database.live(query, **options, timeout=timeout, on_change=on_change)
        return AsyncFeed(self.database._pool, _source(self.database, query, options), timeout=timeout)


def _given(**options: Any) -> dict[str, Any]:
    """The options that are not at their defaults."""
    defaults = {"key": UNSET, "start_key": UNSET, "end_key": UNSET, "inclusive_end": True}
    return {name: value for name, value in options.items() if value is not defaults.get(name)}


def _source(db: LiveQueries, query: LiveQuery, options: Mapping[str, Any]) -> Source:
    from couchette.query.live import LiveSelector, LiveView
    from couchette.query.options import ViewQuery

    if isinstance(query, Mapping):
        if options:
            raise BadRequest(f"`{next(iter(options))}` is an option of a view.", "Put the condition into the selector.")
        return LiveSelector(db._pool, query)
    if isinstance(query, (str, tuple)):
        return LiveView(db._pool, db._views, query, ViewQuery(reduce=False, **options))
    raise BadRequest(
        "A live query takes a selector or the name of a view.",
        f"Got {query!r:.80}; declare a function with `@db.view(name)`.",
    )
