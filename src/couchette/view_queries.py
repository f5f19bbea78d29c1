"""The facades' methods for views: queries of stored, registered and temporary ones, and their upkeep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from couchette import workers
from couchette.store import UNSET

if TYPE_CHECKING:
    from couchette.database import Database
    from couchette.pool import Pool
    from couchette.query.spatial import SpatialEngine
    from couchette.query.text_search import TextEngine
    from couchette.query.views import ViewEngine

Doc = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., Any])


_MAKING: Final = threading.Lock()
"""Held while a database's engine is made, which is done once, when the first view is asked for."""


class ViewQueries:
    """What :class:`~couchette.Database` can do with map/reduce views."""

    _pool: Pool
    _texts: TextEngine
    _spatial: SpatialEngine
    _view_engine: ViewEngine | None = None

    def query(
        self,
        view: str | tuple[str, str] | Callable[[Doc], Any] | Mapping[str, Any],
        *,
        reduce: bool | str | Callable[..., Any] | None = None,
        key: Any = UNSET,
        keys: Sequence[Any] | None = None,
        start_key: Any = UNSET,
        end_key: Any = UNSET,
        start_key_doc_id: str | None = None,
        end_key_doc_id: str | None = None,
        inclusive_end: bool = True,
        descending: bool = False,
        skip: int = 0,
        limit: int | None = None,
        group: bool = False,
        group_level: int | None = None,
        include_docs: bool = False,
        conflicts: bool = False,
        attachments: bool = False,
        att_encoding_info: bool = False,
        update: bool | Literal["lazy"] = True,
        update_seq: bool = False,
        sorted: bool = True,
        exact_offset: bool = False,
        queries: Sequence[Mapping[str, Any]] | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Doc:
        """The rows of a view, or what they reduce to, in CouchDB's order of keys.

        Return ``{"total_rows", "offset", "rows": [{"id", "key", "value", "doc"?}]}``, and of a view that is reduced
        ``{"rows": [{"key", "value"}]}``. ``offset`` is None where the rows begin at a key, unless ``exact_offset`` has
        those before it counted.

        Args:
            view: ``"design/view"`` of a design document, or the two names as a pair; the name of a view declared
                with :meth:`view`; or for this query only, a function of a document that returns or yields pairs of key
                and value, JavaScript source, or ``{"map", "reduce"?}``. A stored view is brought up to date first; one
                for a query is computed anew.
            reduce: False for the rows of a view that has a reduce function. For a function or source given here, how
                to reduce it: ``"_sum"`` and the like, JavaScript, or a function of keys, values and rereduce.
            key: only rows of this key.
            keys: only rows of these keys, in their order.
            start_key: begin here, at the document ``start_key_doc_id`` among rows of this key.
            end_key: end here, ``end_key_doc_id`` likewise; before it unless ``inclusive_end``.
            descending: from the last row to the first; ``start_key`` is then the higher.
            skip, limit: leave out so many rows or groups, and give at most so many.
            group: a value for each key instead of one for all; ``group_level`` for each beginning of an array.
            include_docs: add each row's document, or the one that its value names with ``_id``; ``conflicts``,
                ``attachments`` and ``att_encoding_info`` say what to show of it.
            update: False answers from the index as it is; ``"lazy"`` too, and then brings it up to date.
            update_seq: add the sequence that the index has reached.
            sorted: as in CouchDB; the rows are sorted in any case.
            queries: several sets of these options; the answer is ``{"results": [answer, ...]}``.
            progress: called while an index is built, with the sequence reached and that of the database. When it
                raises, the build ends, and the next query goes on from there.

        Raises:
            NotFound: there is no such design document or view.
            QueryParseError: options that are wrong or do not go together.
            FunctionFailed, CompilationFailed: a function does not compile, or ran out of its bounds.
        """
        from couchette.query.options import ViewQuery, is_reducer, view_query

        given: Any = reduce if is_reducer(reduce) else None
        query = ViewQuery(
            key=key,
            keys=keys,
            start_key=start_key,
            end_key=end_key,
            start_key_doc_id=start_key_doc_id,
            end_key_doc_id=end_key_doc_id,
            inclusive_end=inclusive_end,
            descending=descending,
            skip=skip,
            limit=limit,
            reduce=None if given is not None else reduce,  # type: ignore[arg-type]
            group=group,
            group_level=group_level,
            include_docs=include_docs,
            conflicts=conflicts,
            attachments=attachments,
            att_encoding_info=att_encoding_info,
            update=update,
            update_seq=update_seq,
            sorted=sorted,
            exact_offset=exact_offset,
        )
        if queries is None:
            return self._views.query(view, [query], reduce=given, progress=progress)[0]
        several = [view_query(query, one) for one in queries]
        return {"results": self._views.query(view, several, reduce=given, progress=progress)}

    def view(
        self, name: str, *, reduce: str | Callable[..., Any] | None = None, version: str = ""
    ) -> Callable[[Function], Function]:
        """Declare a Python view under a name: a decorator for a function of a document, as :meth:`query` takes.

        Its index is kept in the file, is built when the view is first queried, and follows the documents after that. It
        is made anew when the source of the functions changes, or ``version``, which is there for changes elsewhere.

        >>> @db.view("by_type", reduce="_count")
        ... def by_type(doc):
        ...     yield doc["type"], None

        Raises:
            BadRequest: the name has a slash.
        """

        def declare(function: Function) -> Function:
            self._views.register(name, function, reduce, version)
            return function

        return declare

    def view_info(self, name: str) -> Doc:
        """The state of a design document's index: its ``signature``, ``update_seq``, ``sizes`` and more.

        ``name`` is the design document's, without ``_design/``. It is what CouchDB's ``_design/x/_info`` shows.

        Raises:
            NotFound: there is no such design document.
        """
        return {"name": name, "view_index": self._views.info(f"_design/{name}")}

    def view_cleanup(self) -> Doc:
        """Drop the indexes that no design document has any more; return ``{"ok": True, "dropped": n}``.

        Those declared with :meth:`view`, :meth:`text_index` or :meth:`spatial_view` go when this program declares the
        name with another function; of names that it does not declare they stay, since another program may.
        """
        return {"ok": True, "dropped": self._views.cleanup() + self._texts.cleanup() + self._spatial.cleanup()}

    @property
    def _views(self) -> ViewEngine:
        with _MAKING:
            if self._view_engine is None:
                from couchette.query.views import ViewEngine

                self._view_engine = ViewEngine(self._pool)
                self._pool.on_close(self._view_engine.close)
            return self._view_engine


class AsyncViewQueries:
    """The same for :class:`~couchette.AsyncDatabase`."""

    database: Database

    async def query(
        self,
        view: str | tuple[str, str] | Callable[[Doc], Any] | Mapping[str, Any],
        *,
        reduce: bool | str | Callable[..., Any] | None = None,
        key: Any = UNSET,
        keys: Sequence[Any] | None = None,
        start_key: Any = UNSET,
        end_key: Any = UNSET,
        start_key_doc_id: str | None = None,
        end_key_doc_id: str | None = None,
        inclusive_end: bool = True,
        descending: bool = False,
        skip: int = 0,
        limit: int | None = None,
        group: bool = False,
        group_level: int | None = None,
        include_docs: bool = False,
        conflicts: bool = False,
        attachments: bool = False,
        att_encoding_info: bool = False,
        update: bool | Literal["lazy"] = True,
        update_seq: bool = False,
        sorted: bool = True,
        exact_offset: bool = False,
        queries: Sequence[Mapping[str, Any]] | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Doc:
        """Async :meth:`Database.query`. ``progress`` is called in the worker thread."""
        return await workers.in_thread(
            self.database.query,
            view,
            reduce=reduce,
            key=key,
            keys=keys,
            start_key=start_key,
            end_key=end_key,
            start_key_doc_id=start_key_doc_id,
            end_key_doc_id=end_key_doc_id,
            inclusive_end=inclusive_end,
            descending=descending,
            skip=skip,
            limit=limit,
            group=group,
            group_level=group_level,
            include_docs=include_docs,
            conflicts=conflicts,
            attachments=attachments,
            att_encoding_info=att_encoding_info,
            update=update,
            update_seq=update_seq,
            sorted=sorted,
            exact_offset=exact_offset,
            queries=queries,
            progress=progress,
        )

    def view(
        self, name: str, *, reduce: str | Callable[..., Any] | None = None, version: str = ""
    ) -> Callable[[Function], Function]:
        """As :meth:`Database.view`; it touches no file, so it is not awaited."""
        return self.database.view(name, reduce=reduce, version=version)

    async def view_info(self, name: str) -> Doc:
        """Async :meth:`Database.view_info`."""
        return await workers.in_thread(self.database.view_info, name)

    async def view_cleanup(self) -> Doc:
        """Async :meth:`Database.view_cleanup`."""
        return await workers.in_thread(self.database.view_cleanup)
