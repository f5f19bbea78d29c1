"""Searches: the engine behind ``Database.search``.

An index is brought up to date, as a view is, and everything of an answer is then read in one snapshot: how many
documents match, a page of them, facets, and the documents themselves.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from couchette import functions, index, store
from couchette.errors import BadRequest, CouchetteError, DatabaseClosed, NotFound
from couchette.functions.indexers import PythonIndex
from couchette.index.text_analysis import Analyzers, read_analyzers
from couchette.index.text_expressions import Expression
from couchette.index.text_matching import Matcher, expand
from couchette.index.text_rows import open_text_group, text_rows, text_size, write_text_batch
from couchette.index.text_scanning import (
    Match,
    count_facets,
    count_matches,
    has_boosts,
    read_documents,
    read_matches,
    with_facet,
)
from couchette.pool import Pool
from couchette.query.catching_up import Progress, follow
from couchette.query.compiled import Leases
from couchette.query.options import ViewQuery
from couchette.query.rows import add_docs
from couchette.query.text_definitions import TextIndex, program_index, text_index, text_owner
from couchette.query.text_highlights import words_of
from couchette.query.text_options import SearchQuery, read_bookmark, write_bookmark
from couchette.query.text_syntax import read_query, read_range

logger = logging.getLogger(__name__)

Doc = dict[str, Any]


@dataclass
class TextKeeper:
    """How a text index is kept (:class:`couchette.query.catching_up.Keeper`)."""

    task = "search_indexer"
    indexer: functions.Indexer
    analyzers: Analyzers

    def open(self, conn: Any, group: index.Group) -> index.State:
        return open_text_group(conn, group)

    def rows(self, group: index.Group, batch: index.Batch) -> Any:
        return text_rows(group, batch, self.indexer.map(batch.docs) if batch.docs else [], self.analyzers)

    def write(self, conn: Any, num: int, group: index.Group, batch: index.Batch, rows: Any) -> bool:
        return write_text_batch(conn, num, group, batch, rows)


def _compile(wanted: TextIndex) -> functions.Indexer:
    if isinstance(wanted.function, str):
        return functions.javascript_indexer(wanted.function, lib=wanted.lib)
    return functions.python_indexer(wanted.function)


def _close(indexer: functions.Indexer) -> None:
    indexer.close()


class TextEngine:
    """The text indexes of one database. Safe to use from many threads."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._compiled = Leases[TextIndex, functions.Indexer](_compile, _close)
        self._program: dict[str, TextIndex] = {}
        self._updaters: dict[str, threading.Thread] = {}
        """Per signature: the thread that brings it up to date while nobody waits for it."""

    def register(
        self,
        name: str,
        given: PythonIndex | Sequence[str],
        analyzer: Any,
        fields: Sequence[str] | None,
        version: str,
    ) -> None:
        """Declare an index of the program's own; it is built when it is first searched."""
        if not isinstance(name, str) or not name or "/" in name:
            raise BadRequest("A text index's name must be text without a slash.", f"Got {name!r}.")
        self._program[name] = program_index(name, given, analyzer, fields, version)

    def find(self, name: str | tuple[str, str]) -> TextIndex:
        """An index by the name that the program gave it, or by its design document's and its own. Raises NotFound."""
        if isinstance(name, str) and name in self._program:
            return self._program[name]
        design, slash, of_index = name.partition("/") if isinstance(name, str) else (name[0], "/", name[1])
        if not slash:
            raise NotFound(f"{name} not found.", "Name a declared text index, or 'design/index'.")
        return text_index(self._pool.read(store.get, f"_design/{design}"), of_index)

    # -- Searching --------------------------------------------------------------------------------

    def search(self, name: str | tuple[str, str], query: SearchQuery, *, progress: Progress | None = None) -> Doc:
        """The answer to a search."""
        query.check()
        wanted = self.find(name)
        expression = read_query(query.query, wanted.analyzers, wanted.fields)
        ranges = {
            field: {label: read_range(field, text) for label, text in labels.items()}
            for field, labels in query.ranges.items()
        }
        order = query.order()
        after = None if query.bookmark is None else read_bookmark(query.bookmark, order)
        if query.update is True:
            self._update(wanted, progress)
        search = _Search(wanted, query, order, after, expression, ranges)
        answer = self._pool.read(search.answer)
        if query.update == "lazy":
            self._update_later(wanted)
        return answer

    def _update(self, wanted: TextIndex, progress: Progress | None = None) -> None:
        with self._compiled.lease(wanted) as indexer:
            follow(self._pool, wanted.group, TextKeeper(indexer, wanted.analyzers), progress=progress)

    def _update_later(self, wanted: TextIndex) -> None:
        """Bring an index up to date in a thread of its own, unless one is at it."""
        running = self._updaters.get(wanted.group.signature)
        if running is not None and running.is_alive():
            return
        updater = threading.Thread(target=self._update_quietly, args=(wanted,), name="couchette-search", daemon=True)
        self._updaters[wanted.group.signature] = updater
        updater.start()

    def _update_quietly(self, wanted: TextIndex) -> None:
        try:
            self._update(wanted)
        except DatabaseClosed:
            pass  # It was closed or deleted meanwhile; the next search goes on from there.
        except CouchetteError:
            logger.exception("updating the text index of %s failed", wanted.group.owner)

    # -- Upkeep -----------------------------------------------------------------------------------

    def info(self, name: str | tuple[str, str]) -> Doc:
        """What CouchDB's ``_search_info`` tells, below ``search_index``. Raises NotFound."""
        return self._pool.read(_measure, self.find(name).group.signature)

    def cleanup(self) -> int:
        """Drop what is left of earlier declarations of this program's indexes; return how many there were."""
        current = {wanted.group.signature for wanted in self._program.values()}
        owners = {text_owner(name) for name in self._program}
        listed = self._pool.read(index.list_groups)
        stale = [signature for signature, owner in listed if owner in owners and signature not in current]
        return self._pool.write(index.drop_groups, stale) if stale else 0

    def close(self) -> None:
        """Close what is compiled, as soon as nobody is using it."""
        self._compiled.close()


def analyze(analyzer: Any, text: str) -> list[str]:
    """The terms that an analyzer makes of a text. Raises BadRequest, MissingExtra."""
    if not isinstance(text, str):
        raise BadRequest("The text to analyze must be a string.", f"Got {text!r:.80}.")
    return read_analyzers(analyzer).default.terms(text)


def _measure(conn: Any, signature: str) -> Doc:
    state = index.find_group(conn, signature)
    newest = index.newest(conn)
    return {
        "pending_seq": newest.seq,
        "committed_seq": 0 if state is None else state.position.seq,
        "doc_del_count": 0,
        "doc_count": 0 if state is None else state.counts[0],
        "disk_size": 0 if state is None else text_size(conn, state.num),
    }


@dataclass
class _Search:
    """One search on one snapshot."""

    index: TextIndex
    query: SearchQuery
    order: tuple[Any, ...]
    after: list[Any] | None
    expression: Expression
    ranges: dict[str, dict[str, Expression]]

    def answer(self, conn: Any) -> Doc:
        """The answer: a reading operation."""
        query = self.query
        state = index.find_group(conn, self.index.group.signature)
        if state is None:
            return {"total_rows": 0, "bookmark": query.bookmark or "nil", "rows": []}
        expanded = expand(conn, state.num, self.expression)
        matcher = Matcher(state.num, expanded, boosted=has_boosts(conn, state.num))
        for field, *values in query.drilldown:
            matcher = matcher.also(with_facet(matcher, field, values))
        limit = -1 if query.limit is None else query.limit
        matches = read_matches(conn, matcher, self.order, after=self.after, skip=query.skip, limit=limit)
        rows = self._rows(conn, matcher.table, matches, expanded)
        bookmark = query.bookmark or "nil"
        if matches:
            bookmark = write_bookmark(self.order, [*matches[-1][1], matches[-1][0]])
        answer: Doc = {"total_rows": count_matches(conn, matcher), "bookmark": bookmark, "rows": rows}
        if query.counts:
            answer["counts"] = {field: count_facets(conn, matcher, field) for field in query.counts}
        if query.ranges:
            answer["ranges"] = {
                field: {
                    label: count_matches(conn, matcher.also(matcher.condition(one))) for label, one in labels.items()
                }
                for field, labels in self.ranges.items()
            }
        return answer

    def _rows(self, conn: Any, table: str, matches: Sequence[Match], expression: Expression) -> list[Doc]:
        query = self.query
        known = read_documents(conn, table, [num for num, _ in matches])
        rows: list[Doc] = []
        for num, values in matches:
            doc_id, stored = known[num]
            by = zip(self.order, values, strict=True)
            # FTS5's smaller is better; a search shows it as Lucene does.
            order = [-value if one.field is None and not one.by_number else value for one, value in by]
            fields = stored
            if query.include_fields is not None:
                fields = {name: value for name, value in stored.items() if name in query.include_fields}
            row: Doc = {"id": doc_id, "order": [*order, num], "fields": fields}
            if query.highlighting is not None:
                row["highlights"] = self._highlights(stored, expression)
            rows.append(row)
        if query.include_docs:
            for row in rows:
                row["value"] = None
            add_docs(conn, rows, ViewQuery(include_docs=True, conflicts=query.conflicts))
            for row in rows:
                del row["value"]
        return rows

    def _highlights(self, stored: Doc, expression: Expression) -> dict[str, list[str]]:
        assert self.query.highlighting is not None
        highlights = {}
        for field in self.query.highlighting.fields:
            analyzer = self.index.analyzers.of(field)
            found = self.query.highlighting.fragments(stored.get(field, []), analyzer, words_of(expression, field))
            if found:
                highlights[field] = found
        return highlights
