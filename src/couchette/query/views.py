"""Queries of views: the engine behind ``Database.query``.

It knows three kinds of views: those of design documents, those that the program registered, and temporary ones. All are
groups of the same index and go the same way: bring the group up to date, read rows or what groups of them are reduced
from in one snapshot, reduce, and add documents. The index of a temporary view lies in a database in memory, which ends
with the query.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from couchette import index, store
from couchette.document.collation import COLLATOR
from couchette.errors import BadRequest, CouchetteError, DatabaseClosed, NotFound
from couchette.index import State
from couchette.pool import Pool
from couchette.query.catching_up import Functions, Progress, bring_up_to_date
from couchette.query.compiled import Compiled, close, compile_views
from couchette.query.definitions import (
    PythonMap,
    Reduce,
    Views,
    design_views,
    owner_of,
    program_view,
    temporary_view,
)
from couchette.query.find_catalog import read_catalog
from couchette.query.options import ViewQuery
from couchette.query.reduced import read_groups, reduced_rows
from couchette.query.rows import Wanted, add_docs, map_rows, read_rows
from couchette.query.spatial_definitions import spatial_signatures
from couchette.query.text_definitions import text_signatures

logger = logging.getLogger(__name__)

Doc = dict[str, Any]
View = str | tuple[str, str] | PythonMap | Mapping[str, Any]

_JAVASCRIPT: Final = re.compile(r"[\s(]*(//[^\n]*\n|/\*.*?\*/|\s)*(async\s+)?function\b|[^/]*=>", re.DOTALL)
_REV: Final = "SELECT rev FROM docs WHERE id=? AND cur=1 AND deleted=0"


def is_javascript(view: str) -> bool:
    """Whether a text is the source of a function, rather than the name of a view."""
    return _JAVASCRIPT.match(view) is not None


class ViewEngine:
    """The views of one database. Safe to use from many threads."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._compiled = Compiled()
        self._offsets = index.Offsets()
        self._program: dict[str, Views] = {}
        self._designs: dict[str, tuple[str, Views]] = {}
        """Per design document: its rev, and what it declares."""
        self._updaters: dict[str, threading.Thread] = {}
        """Per signature: the thread that brings it up to date while nobody waits for it."""

    # -- Declaring --------------------------------------------------------------------------------

    def register(self, name: str, map: PythonMap, reduce: Reduce, version: str) -> None:
        """Declare a view of the program's own; it is indexed when it is first asked for."""
        if not isinstance(name, str) or not name or "/" in name:
            raise BadRequest("A view's name must be text without a slash.", f"Got {name!r}.")
        self._program[name] = program_view(name, map, reduce, version)

    def design(self, doc_id: str) -> Views:
        """The views of a design document. Raises NotFound."""
        rev = self._pool.read_one(_winning_rev, doc_id)
        known = self._designs.get(doc_id)
        if known is not None and known[0] == rev:
            return known[1]
        doc = self._pool.read(store.get, doc_id)
        views = design_views(doc)
        self._designs[doc_id] = (doc["_rev"], views)
        return views

    def follow(self, name: str | tuple[str, str], progress: Progress | None = None) -> tuple[Views, int]:
        """A stored view and its number in its group, whose index has followed the database. Raises NotFound."""
        if isinstance(name, str) and is_javascript(name):
            raise BadRequest("Only stored views can be followed.", "Put the function into a design document.")
        views, at = self.stored(name)
        with self._compiled.lease(views) as functions:
            bring_up_to_date(self._pool, views.group, functions, progress=progress)
        return views, at

    # -- Queries ----------------------------------------------------------------------------------

    def query(
        self, view: View, queries: Sequence[ViewQuery], *, reduce: Reduce = None, progress: Progress | None = None
    ) -> list[Doc]:
        """The answers of a view to some queries, from one state of its index."""
        if isinstance(view, tuple) or (isinstance(view, str) and not is_javascript(view)):
            if reduce is not None:
                raise BadRequest("A stored view has its own reduce function.", f"Leave out `reduce={reduce!r}`.")
            return self._query_stored(*self.stored(view), queries, progress)
        if isinstance(view, Mapping):
            map, reduce = view.get("map"), view.get("reduce", reduce)
            options = view.get("options")
        else:
            map, options = view, None
        if not (callable(map) or isinstance(map, str)):
            raise BadRequest("A view needs a map function.", f"Got {view!r}.")
        return self._query_temporary(temporary_view(map, reduce or None, options), queries, progress)

    def check(self, name: str | tuple[str, str], queries: Sequence[ViewQuery]) -> None:
        """Raise what queries of a stored view are refused for before rows are read: NotFound, QueryParseError."""
        views, at = self.stored(name)
        for query in queries:
            query.check(has_reduce=views.reduces[at] is not None)
            query.spans(index.key_function(views.group, at))

    def pages(
        self, name: str | tuple[str, str], query: ViewQuery, room: int, *, as_text: bool = False
    ) -> Iterator[Doc]:
        """The answer of a stored view without documents, some rows at a time, each time about ``room`` bytes of them.

        The first is the answer with the first rows; the others are ``{"rows"}`` alone, as the index is when they are
        read. With ``as_text`` the rows are JSON texts. Values of a view that is reduced come at once, and as they are.
        """
        views, at = self.stored(name)
        query.check(has_reduce=views.reduces[at] is not None)
        if query.reduces(views.reduces[at] is not None):
            yield self._query_stored(views, at, [query], None)[0]
            return
        found = self._page(self._pool, views, at, query, as_text, query.update is True, room)
        if found is None:
            with self._compiled.lease(views) as functions:
                bring_up_to_date(self._pool, views.group, functions)
            found = self._page(self._pool, views, at, query, as_text, False, room)
            assert found is not None
        if query.update == "lazy":
            self._update_later(views)
        answer, left = found
        yield answer
        while left is not None:
            rows, _, left = self._pool.read(_read_more, views.group.signature, at, left, as_text, room)
            yield {"rows": rows}

    def stored(self, name: str | tuple[str, str]) -> tuple[Views, int]:
        """A view by the name that the program gave it, or by its design document's and its own.

        Those are a pair, or text with a slash between them; text without one stands for both, as in PouchDB. Raises
        NotFound.
        """
        if isinstance(name, str) and name in self._program:
            return self._program[name], 0
        design, slash, view = name.partition("/") if isinstance(name, str) else (name[0], "/", name[1])
        views = self.design(f"_design/{design}")
        return views, views.number(view if slash else design)

    def functions(self, views: Views) -> AbstractContextManager[Functions]:
        """The functions of a stored view's group, for as long as the context lasts."""
        return self._compiled.lease(views)

    def _query_stored(
        self, views: Views, at: int, queries: Sequence[ViewQuery], progress: Progress | None
    ) -> list[Doc]:
        for query in queries:
            query.check(has_reduce=views.reduces[at] is not None)
        answers = self._from_current(views, at, queries)
        if answers is None:
            with self._compiled.lease(views) as functions:
                if any(query.update is True for query in queries):
                    bring_up_to_date(self._pool, views.group, functions, progress=progress)
                answers = [self._answer(self._pool, views, at, query, functions) for query in queries]
        if any(query.update == "lazy" for query in queries):
            self._update_later(views)
        return answers

    def _from_current(self, views: Views, at: int, queries: Sequence[ViewQuery]) -> list[Doc] | None:
        """The answers of an index that has nothing to follow and is not reduced: no function is needed for them."""
        answers: list[Doc] = []
        for query in queries:
            if query.reduces(views.reduces[at] is not None):
                return None
            answer = self._rows(self._pool, views, at, query, only_current=query.update is True)
            if answer is None:
                return None
            answers.append(answer)
        return answers

    def _query_temporary(self, views: Views, queries: Sequence[ViewQuery], progress: Progress | None) -> list[Doc]:
        for query in queries:
            query.check(has_reduce=views.reduces[0] is not None)
        functions = compile_views(views)
        rows_pool = Pool(":memory:")
        try:
            bring_up_to_date(self._pool, views.group, functions, rows_pool=rows_pool, progress=progress)
            return [self._answer(rows_pool, views, 0, query, functions) for query in queries]
        finally:
            rows_pool.close()
            close(functions)

    def _answer(self, rows_pool: Pool, views: Views, at: int, query: ViewQuery, functions: Functions) -> Doc:
        reducer = functions.reducers[at]
        if query.reduces(reducer is not None):
            assert reducer is not None
            to_bytes = index.key_function(views.group, at)
            spans = query.spans(to_bytes)
            state, groups = rows_pool.read(_read_groups, views.group.signature, at, query, spans, to_bytes)
            answer: Doc = {"rows": reduced_rows(reducer, groups)}
            return self._with_seq(answer, query, state)
        shown = self._rows(rows_pool, views, at, query)
        assert shown is not None
        return shown

    def _rows(
        self,
        rows_pool: Pool,
        views: Views,
        at: int,
        query: ViewQuery,
        *,
        only_current: bool = False,
    ) -> Doc | None:
        """The rows that a query asks for; None where they are to be current, and the index has something to follow."""
        found = self._page(rows_pool, views, at, query, False, only_current, None)
        if found is None:
            return None
        answer, _ = found
        if query.include_docs:
            self._pool.read(add_docs, answer["rows"], query)
        return answer

    def _page(
        self,
        rows_pool: Pool,
        views: Views,
        at: int,
        query: ViewQuery,
        as_text: bool,
        only_current: bool,
        room: int | None,
    ) -> tuple[Doc, Wanted | None] | None:
        """The same without documents, and what is left where ``room`` ended the rows."""
        signature, spans = views.group.signature, query.spans(index.key_function(views.group, at))
        found = rows_pool.read(_read_rows, signature, only_current, at, query, spans, self._offsets, as_text, room)
        if found is None:
            return None
        state, answer, left = found
        return self._with_seq(answer, query, state), left

    def _with_seq(self, answer: Doc, query: ViewQuery, state: State | None) -> Doc:
        """The answer with the sequence that the index has reached, where that is asked for."""
        if query.update_seq:
            seq = state.position.seq if state is not None else 0
            answer["update_seq"] = self._pool.read(store.read_meta).seq_text(seq)
        return answer

    # -- Upkeep -----------------------------------------------------------------------------------

    def _update_later(self, views: Views) -> None:
        """Bring an index up to date in a thread of its own, unless one is at it."""
        signature = views.group.signature
        running = self._updaters.get(signature)
        if running is not None and running.is_alive():
            return
        updater = threading.Thread(target=self._update, args=(views,), name=f"couchette-{signature}", daemon=True)
        self._updaters[signature] = updater
        updater.start()

    def _update(self, views: Views) -> None:
        try:
            with self._compiled.lease(views) as functions:
                bring_up_to_date(self._pool, views.group, functions)
        except DatabaseClosed:
            pass  # It was closed or deleted meanwhile; the next query goes on from there.
        except CouchetteError:
            logger.exception("updating the index of %s failed", views.group.owner)

    def info(self, doc_id: str) -> Doc:
        """What CouchDB's ``_design/x/_info`` tells, below ``view_index``. Raises NotFound."""
        views = self.design(doc_id)
        signature = views.group.signature
        state, newest, meta, size = self._pool.read(_measure, signature)
        updater = self._updaters.get(signature)
        position = state.position if state is not None else index.Position(0, 0)
        pending = newest.seq - position.seq
        return {
            "signature": signature,
            "language": views.language,
            "update_seq": meta.seq_text(position.seq),
            "purge_seq": position.purge_seq,
            "updates_pending": {"minimum": pending, "preferred": 0, "total": pending},
            "updater_running": updater is not None and updater.is_alive(),
            "compact_running": False,
            "waiting_commit": False,
            "waiting_clients": 0,
            "sizes": {"file": size, "active": size, "external": size},
            "collator_versions": [COLLATOR],
        }

    def cleanup(self) -> int:
        """Drop every index that no design document and no view of the program has; return how many there were.

        That of a program's view goes when this program declares the name otherwise: other names may be other programs'.
        """
        current = {views.group.signature for views in self._program.values()} | read_catalog(self._pool).signatures()
        for row in self._pool.read(store.all_docs, start_key="_design/", end_key="_design0", include_docs=True)["rows"]:
            current.update(_signatures(row["doc"]))
            current.update(spatial_signatures(row["doc"]))
        ours = {owner_of(name) for name in self._program}
        stale = [
            signature
            for signature, owner in self._pool.read(index.list_groups)
            if signature not in current and (owner in ours or not owner.startswith(owner_of("")))
        ]
        return self._pool.write(index.drop_groups, stale) if stale else 0

    def close(self) -> None:
        """Close what is compiled, as soon as nobody is using it."""
        self._compiled.close()


def _signatures(doc: Mapping[str, Any]) -> list[str]:
    try:
        return [design_views(doc).group.signature, *text_signatures(doc)]
    except CouchetteError:
        return []  # In a language that we do not run, so it has no index.


def _winning_rev(conn: Any, doc_id: str) -> str | None:
    rev: str | None = conn.execute(_REV, (doc_id,)).get
    return rev


def _read_groups(conn: Any, signature: str, *what: Any) -> Any:
    state = index.find_group(conn, signature)
    return state, [] if state is None else read_groups(conn, state, *what)


def _read_rows(
    conn: Any, signature: str, only_current: bool, *what: Any
) -> tuple[State | None, Doc, Wanted | None] | None:
    if only_current:
        state, newest = index.find_group_and_newest(conn, signature)
        if state is None or state.position != newest:
            return None
    else:
        state = index.find_group(conn, signature)
    if state is None:
        return None, {"total_rows": 0, "offset": 0, "rows": []}, None
    return state, *map_rows(conn, state, *what)


def _read_more(conn: Any, signature: str, *what: Any) -> Any:
    state = index.find_group(conn, signature)
    if state is None:
        raise NotFound("deleted", "The view's index was dropped while its rows were read; ask again.")
    return read_rows(conn, state.num, *what)


def _measure(conn: Any, signature: str) -> Any:
    state = index.find_group(conn, signature)
    size = 0 if state is None else index.size_of(conn, state)
    return state, index.newest(conn), store.read_meta(conn), size
