"""The facades' methods for full-text search: declaring text indexes, and searching them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from couchette import workers
from couchette.limits import SEARCH_LIMIT

if TYPE_CHECKING:
    from couchette.database import Database
    from couchette.pool import Pool
    from couchette.query.text_search import TextEngine

Doc = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., Any])

_MAKING: Final = threading.Lock()
"""Held while a database's engine is made, which is done once, when the first index is declared or searched."""


class TextQueries:
    """What :class:`~couchette.Database` can do with full text."""

    _pool: Pool
    _text_engine: TextEngine | None = None

    def search(
        self,
        index: str | tuple[str, str],
        query: str,
        *,
        limit: int | None = SEARCH_LIMIT,
        skip: int = 0,
        bookmark: str | None = None,
        sort: str | Sequence[str] | None = None,
        include_docs: bool = False,
        conflicts: bool = False,
        include_fields: Sequence[str] | None = None,
        highlight_fields: Sequence[str] | None = None,
        highlight_pre_tag: str = "<em>",
        highlight_post_tag: str = "</em>",
        highlight_number: int = 1,
        highlight_size: int = 100,
        counts: Sequence[str] = (),
        ranges: Mapping[str, Mapping[str, str]] | None = None,
        drilldown: Sequence[Sequence[Any]] = (),
        update: bool | Literal["lazy"] = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> Doc:
        """The documents that a query in Lucene's syntax finds in a text index, best first.

        Return ``{"total_rows", "bookmark", "rows": [{"id", "order", "fields", "doc"?, "highlights"?}], "counts"?,
        "ranges"?}``, as CouchDB does. ``total_rows`` are all that match; ``order`` is what the row was sorted by, its
        score first where nothing else was asked for; ``fields`` are those that were indexed with ``store``.

        Args:
            index: ``"design/index"`` of a design document, or the two names as a pair; or the name of an index declared
                with :meth:`text_index`. It is brought up to date first.
            query: such as ``quick fox``, ``title:"brown fox"~3``, ``+fox -dog``, ``(fox OR dog) AND price:[5 TO 10}``,
                ``qui* te?t fuzzy~1 fox^2``, ``*:*``. See docs/guide/search.md.
            limit: at most so many rows; None for all.
            skip: leave out so many rows first.
            bookmark: go on after the answer that had this one; with the same query and sort.
            sort: names of fields, ``-name`` for descending, ``<score>`` and ``<doc>``; None for the best first.
            include_docs: add each row's document; ``conflicts`` says to show its conflicts.
            include_fields: only these of the stored fields.
            highlight_fields: mark up what was found in these stored fields, in the best ``highlight_number`` fragments
                of about ``highlight_size`` characters.
            counts: how many matches have which value of these fields, which were indexed with ``facet``.
            ranges: ``{field: {label: "[0 TO 100]"}}``: how many matches are in these ranges.
            drilldown: ``[[field, value, ...], ...]``: only matches with one of the values of each of these facets.
            update: False answers from the index as it is; ``"lazy"`` too, and then brings it up to date.
            progress: called while an index is built, with the sequence reached and that of the database. When it
                raises, the build ends, and the next search goes on from there.

        Raises:
            BadRequest: a query or option that cannot be read; the reason shows the place.
            NotFound: there is no such index.
            MissingExtra: what searching needs is not installed.
            FunctionFailed, CompilationFailed: a function does not compile, or ran out of its bounds.
        """
        from couchette.query.text_highlights import Highlighting
        from couchette.query.text_options import SearchQuery, check_names

        highlighting = None
        if highlight_fields is not None:
            check_names("highlight_fields", highlight_fields)
            tags = (highlight_pre_tag, highlight_post_tag)
            highlighting = Highlighting(tuple(highlight_fields), *tags, highlight_number, highlight_size)
        asked = SearchQuery(
            query=query,
            limit=limit,
            skip=skip,
            bookmark=bookmark,
            sort=sort,
            include_docs=include_docs,
            conflicts=conflicts,
            include_fields=include_fields,
            highlighting=highlighting,
            counts=counts,
            ranges=ranges or {},
            drilldown=drilldown,
            update=update,
        )
        return self._texts.search(index, asked, progress=progress)

    def text_index(
        self,
        name: str,
        fields: Sequence[str] | None = None,
        *,
        analyzer: str | Mapping[str, Any] | None = None,
        default_fields: Sequence[str] | None = None,
        version: str = "",
    ) -> Callable[[Function], Function]:
        """Declare a text index under a name: of some ``fields``, or as a decorator for a function of a document.

        Its index is kept in the file, is built when it is first searched, and follows the documents after that. It is
        made anew when the source of the function changes, the fields, the analyzer, or ``version``, which is there for
        changes elsewhere.

        >>> db.text_index("books", ["title", "author.name"], analyzer="english")
        >>> @db.text_index("pages")
        ... def pages(doc):
        ...     yield "default", doc["text"], {"store": True}
        ...     yield "year", doc["year"], {"facet": True}

        Args:
            fields: paths of members; they are stored, can be counted, and are what a query without a field looks in. An
                array stands for its elements.
            analyzer: how texts become terms: ``"standard"``, ``"keyword"``, ``"simple"``, ``"whitespace"``,
                ``"email"``, the name of a language, or
                ``{"name": "perfield", "default": analyzer, "fields": {field: analyzer}}``.
            default_fields: what a query without a field looks in; of a function's index it is ``["default"]``.

        Raises:
            BadRequest: the name has a slash, or there is no such analyzer.
        """
        if fields is not None:
            self._texts.register(name, fields, analyzer, default_fields, version)

        def declare(function: Function) -> Function:
            self._texts.register(name, function, analyzer, default_fields, version)
            return function

        return declare

    def search_info(self, index: str | tuple[str, str]) -> Doc:
        """The state of a text index: its ``doc_count``, ``disk_size``, ``committed_seq`` and ``pending_seq``.

        Raises:
            NotFound: there is no such index.
        """
        name = index if isinstance(index, str) else "/".join(index)
        return {"name": f"_design/{name}" if "/" in name else name, "search_index": self._texts.info(index)}

    def search_analyze(self, analyzer: str | Mapping[str, Any], text: str) -> Doc:
        """The terms that an analyzer makes of a text: ``{"tokens": [...]}``, as CouchDB's ``_search_analyze``.

        Raises:
            BadRequest: there is no such analyzer.
        """
        from couchette.query.text_search import analyze

        return {"tokens": analyze(analyzer, text)}

    @property
    def _texts(self) -> TextEngine:
        with _MAKING:
            if self._text_engine is None:
                from couchette.query.text_search import TextEngine

                self._text_engine = TextEngine(self._pool)
                self._pool.on_close(self._text_engine.close)
            return self._text_engine


class AsyncTextQueries:
    """The same for :class:`~couchette.AsyncDatabase`."""

    database: Database

    async def search(
        self,
        index: str | tuple[str, str],
        query: str,
        *,
        limit: int | None = SEARCH_LIMIT,
        skip: int = 0,
        bookmark: str | None = None,
        sort: str | Sequence[str] | None = None,
        include_docs: bool = False,
        conflicts: bool = False,
        include_fields: Sequence[str] | None = None,
        highlight_fields: Sequence[str] | None = None,
        highlight_pre_tag: str = "<em>",
        highlight_post_tag: str = "</em>",
        highlight_number: int = 1,
        highlight_size: int = 100,
        counts: Sequence[str] = (),
        ranges: Mapping[str, Mapping[str, str]] | None = None,
        drilldown: Sequence[Sequence[Any]] = (),
        update: bool | Literal["lazy"] = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> Doc:
        """Async :meth:`Database.search`. ``progress`` is called in the worker thread."""
        return await workers.in_thread(
            self.database.search,
            index,
            query,
            limit=limit,
            skip=skip,
            bookmark=bookmark,
            sort=sort,
            include_docs=include_docs,
            conflicts=conflicts,
            include_fields=include_fields,
            highlight_fields=highlight_fields,
            highlight_pre_tag=highlight_pre_tag,
            highlight_post_tag=highlight_post_tag,
            highlight_number=highlight_number,
            highlight_size=highlight_size,
            counts=counts,
            ranges=ranges,
            drilldown=drilldown,
            update=update,
            progress=progress,
        )

    def text_index(
        self,
        name: str,
        fields: Sequence[str] | None = None,
        *,
        analyzer: str | Mapping[str, Any] | None = None,
        default_fields: Sequence[str] | None = None,
        version: str = "",
    ) -> Callable[[Function], Function]:
        """As :meth:`Database.text_index`; it touches no file, so it is not awaited."""
        return self.database.text_index(name, fields, analyzer=analyzer, default_fields=default_fields, version=version)

    async def search_info(self, index: str | tuple[str, str]) -> Doc:
        """Async :meth:`Database.search_info`."""
        return await workers.in_thread(self.database.search_info, index)

    async def search_analyze(self, analyzer: str | Mapping[str, Any], text: str) -> Doc:
        """Async :meth:`Database.search_analyze`."""
        return await workers.in_thread(self.database.search_analyze, analyzer, text)
