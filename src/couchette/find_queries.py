"""The facades' methods for Mango: find documents by a selector, and the indexes that serve it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from couchette import workers
from couchette.limits import FIND_LIMIT
from couchette.wire.requests import index_body

if TYPE_CHECKING:
    from couchette.database import Database
    from couchette.pool import Pool
    from couchette.query.find_options import FindOptions

Doc = dict[str, Any]
SortSpec = Sequence[str | Mapping[str, str]] | str
IndexRef = str | Sequence[str]


class FindQueries:
    """What :class:`~couchette.Database` can find by a selector."""

    _pool: Pool

    def find(
        self,
        selector: Mapping[str, Any],
        *,
        fields: Sequence[str] | None = None,
        sort: SortSpec | None = None,
        limit: int | None = FIND_LIMIT,
        skip: int = 0,
        bookmark: str | None = None,
        use_index: IndexRef | None = None,
        allow_fallback: bool = True,
        conflicts: bool = False,
        update: bool = True,
        execution_stats: bool = False,
        strict: bool = False,
    ) -> Doc:
        """The documents that match a Mango selector: ``{"docs", "bookmark", "execution_stats"?, "warning"?}``.

        Without a ``sort`` they are in the order of the index that was read, or by id. Documents that lack a field
        of the sort are not found. https://docs.couchdb.org/en/stable/api/database/find.html describes selectors.

        Args:
            fields: only these parts of the documents, such as ``["_id", "address.city"]``.
            sort: names of fields, or ``{name: "desc"}``.
            limit: at most so many documents; None for all.
            skip: leave out so many matches first.
            bookmark: go on after the answer that had this one; with the same selector and sort.
            use_index: a design document, or it and a name, to be used where it can be.
            allow_fallback: whether another index may serve where ``use_index`` cannot, or no index at all.
            conflicts: add ``_conflicts`` to documents that have some.
            update: bring an index that is behind up to date first.
            execution_stats: add what was looked at, and how long it took.
            strict: refuse a sort that no index serves, as CouchDB does, rather than sort in memory.

        ``warning`` says that no index served, or the sort was made in memory; :meth:`explain` says which would.

        Raises:
            BadRequest: a malformed selector or option; ``error`` is CouchDB's word.
        """
        from couchette.query.find import find

        options = _options(
            selector, fields, sort, limit, skip, bookmark, use_index, allow_fallback, conflicts, update, execution_stats
        )
        return find(self._pool, options, strict=strict)

    def explain(
        self,
        selector: Mapping[str, Any],
        *,
        fields: Sequence[str] | None = None,
        sort: SortSpec | None = None,
        limit: int | None = FIND_LIMIT,
        skip: int = 0,
        bookmark: str | None = None,
        use_index: IndexRef | None = None,
        allow_fallback: bool = True,
        conflicts: bool = False,
        update: bool = True,
        execution_stats: bool = False,
        strict: bool = False,
    ) -> Doc:
        """What :meth:`find` with the same arguments would do, in the shape of CouchDB's ``_explain``; nothing is read.

        Unless ``strict``, ``explanation`` says it in words, and ``suggested_index`` is the definition of an index that
        would serve better, or None.
        """
        from couchette.query.find_explain import explain

        options = _options(
            selector, fields, sort, limit, skip, bookmark, use_index, allow_fallback, conflicts, update, execution_stats
        )
        return explain(self._pool, options, self.name, strict=strict)  # type: ignore[attr-defined]

    def create_index(
        self,
        fields: SortSpec | None = None,
        *,
        name: str | None = None,
        ddoc: str | None = None,
        partial_filter_selector: Mapping[str, Any] | None = None,
        type: str = "json",
        default_field: Mapping[str, Any] | bool | None = None,
        default_analyzer: str | Mapping[str, Any] | None = None,
        index_array_lengths: bool | None = None,
        build: bool = True,
    ) -> Doc:
        """Make a Mango index; return ``{"result": "created" | "exists", "id", "name"}``.

        It is kept in a design document, and so replicated, under the names that CouchDB gives where none are given.
        Each find brings it up to date.

        Args:
            fields: the fields, the first of which narrows most; a document that lacks one is not in the index.
            ddoc: the design document, which may hold several; those are built together.
            partial_filter_selector: only documents that match this are in it; ``use_index`` has to name it then.
            type: ``"json"``, or ``"text"`` for an index that ``$text`` in a selector looks in. Its fields are names of
                texts, or ``{"name", "type"}`` with the type ``"string"``, ``"number"`` or ``"boolean"``; without any it
                has all of a document.
            default_field: of a text index, ``{"enabled", "analyzer"}`` of what ``$text`` looks in where a query names
                no field: all texts, by the analyzer ``"standard"``.
            default_analyzer: of a text index, the analyzer of the fields by themselves, ``"keyword"``.
            index_array_lengths: of a text index, kept for CouchDB; it makes no difference here.
            build: do it now, rather than with the first find.

        Raises:
            BadRequest: a malformed definition, or a design document in another language.
            CouchetteError: status 503 for ``type="nouveau"``.
        """
        from couchette.query.find_indexes import create_index

        body = index_body(
            fields,
            name=name,
            ddoc=ddoc,
            type=type,
            partial_filter_selector=partial_filter_selector,
            default_field=default_field,
            default_analyzer=default_analyzer,
            index_array_lengths=index_array_lengths,
        )
        return create_index(self._pool, body, build=build)

    def get_indexes(self) -> Doc:
        """All Mango indexes: ``{"total_rows", "indexes": [{"ddoc", "name", "type", "def"}]}``."""
        from couchette.query.find_indexes import get_indexes

        return get_indexes(self._pool)

    def delete_index(self, ddoc: str, name: str, type: str = "json") -> Doc:
        """Remove an index and its rows, and its design document with the last one; return ``{"ok": True}``.

        Raises:
            NotFound: there is no such index.
        """
        from couchette.query.find_indexes import delete_index

        return delete_index(self._pool, ddoc, name, type)


class AsyncFindQueries:
    """What :class:`~couchette.AsyncDatabase` can find by a selector."""

    database: Database

    async def find(
        self,
        selector: Mapping[str, Any],
        *,
        fields: Sequence[str] | None = None,
        sort: SortSpec | None = None,
        limit: int | None = FIND_LIMIT,
        skip: int = 0,
        bookmark: str | None = None,
        use_index: IndexRef | None = None,
        allow_fallback: bool = True,
        conflicts: bool = False,
        update: bool = True,
        execution_stats: bool = False,
        strict: bool = False,
    ) -> Doc:
        """Async :meth:`Database.find`."""
        return await workers.in_thread(
            self.database.find,
            selector,
            fields=fields,
            sort=sort,
            limit=limit,
            skip=skip,
            bookmark=bookmark,
            use_index=use_index,
            allow_fallback=allow_fallback,
            conflicts=conflicts,
            update=update,
            execution_stats=execution_stats,
            strict=strict,
        )

    async def explain(
        self,
        selector: Mapping[str, Any],
        *,
        fields: Sequence[str] | None = None,
        sort: SortSpec | None = None,
        limit: int | None = FIND_LIMIT,
        skip: int = 0,
        bookmark: str | None = None,
        use_index: IndexRef | None = None,
        allow_fallback: bool = True,
        conflicts: bool = False,
        update: bool = True,
        execution_stats: bool = False,
        strict: bool = False,
    ) -> Doc:
        """Async :meth:`Database.explain`."""
        return await workers.in_thread(
            self.database.explain,
            selector,
            fields=fields,
            sort=sort,
            limit=limit,
            skip=skip,
            bookmark=bookmark,
            use_index=use_index,
            allow_fallback=allow_fallback,
            conflicts=conflicts,
            update=update,
            execution_stats=execution_stats,
            strict=strict,
        )

    async def create_index(
        self,
        fields: SortSpec | None = None,
        *,
        name: str | None = None,
        ddoc: str | None = None,
        partial_filter_selector: Mapping[str, Any] | None = None,
        type: str = "json",
        default_field: Mapping[str, Any] | bool | None = None,
        default_analyzer: str | Mapping[str, Any] | None = None,
        index_array_lengths: bool | None = None,
        build: bool = True,
    ) -> Doc:
        """Async :meth:`Database.create_index`."""
        return await workers.in_thread(
            self.database.create_index,
            fields,
            name=name,
            ddoc=ddoc,
            partial_filter_selector=partial_filter_selector,
            type=type,
            default_field=default_field,
            default_analyzer=default_analyzer,
            index_array_lengths=index_array_lengths,
            build=build,
        )

    async def get_indexes(self) -> Doc:
        """Async :meth:`Database.get_indexes`."""
        return await workers.in_thread(self.database.get_indexes)

    async def delete_index(self, ddoc: str, name: str, type: str = "json") -> Doc:
        """Async :meth:`Database.delete_index`."""
        return await workers.in_thread(self.database.delete_index, ddoc, name, type)


def _options(
    selector: Mapping[str, Any],
    fields: Sequence[str] | None,
    sort: SortSpec | None,
    limit: int | None,
    skip: int,
    bookmark: str | None,
    use_index: IndexRef | None,
    allow_fallback: bool,
    conflicts: bool,
    update: bool,
    execution_stats: bool,
) -> FindOptions:
    """The methods' arguments as options. One name of a sort need not be in a list."""
    from couchette.query.find_options import read_options

    given: Doc = {
        "fields": fields,
        "sort": None if sort is None else _listed(sort),
        "limit": limit,
        "skip": skip,
        "bookmark": bookmark,
        "use_index": use_index,
        "allow_fallback": allow_fallback,
        "conflicts": conflicts,
        "update": update,
        "execution_stats": execution_stats,
    }
    given = {name: value for name, value in given.items() if value is not None}
    options = read_options({"selector": selector, **given})
    return replace(options, limit=None) if limit is None else options


def _listed(spec: SortSpec) -> Sequence[Any]:
    return [spec] if isinstance(spec, (str, Mapping)) else spec
