"""The answer of a view that is not reduced: its rows, with the documents that they name.

CouchDB's shape: ``{"total_rows", "offset", "rows": [{"id", "key", "value", "doc"?}]}``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from couchette import index, jsonio
from couchette.index import Span
from couchette.index.scanning import json_texts, json_values
from couchette.query.options import ViewQuery
from couchette.store.read import View, add_meta
from couchette.store.rows import Row, stored_row, winner_rows

Doc = dict[str, Any]
RowsShown = Callable[[Any, int, list[Any]], list[Any]]
"""What makes rows of a view, or texts of some rows each, of the columns that are stored."""


def map_rows(
    conn: Any,
    state: index.State,
    view: int,
    query: ViewQuery,
    spans: Sequence[Span],
    offsets: index.Offsets,
    shown: RowsShown,
) -> Doc:
    """The answer to a query, without documents, its rows ``shown`` as :func:`row_values` or :func:`rows_text` do it.
    A reading operation on the index.

    ``offset`` is how many rows of the view come before the first one. Where the query begins at a key, they may have to
    be counted, and it is None unless the query asks for it.
    """
    rows: list[Any] = []
    skip = query.skip
    limit = -1 if query.limit is None else query.limit
    beginning = spans[0] if spans else None
    for span in spans:
        if limit == 0:
            break
        found: list[Any] = index.select(
            conn, state.num, view, span, descending=query.descending, skip=skip, limit=limit
        ).fetchall()
        if found:
            beginning = beginning if rows else span
            rows += shown(conn, state.num, found)
            skip, limit = 0, limit - len(found) if limit > 0 else limit
        elif skip:
            skip -= index.count(conn, state.num, view, span)
    total = state.counts[view]
    offset = None if beginning is None else _offset(conn, state, view, query, beginning, offsets)
    if offset is not None:
        offset = min(offset + query.skip, total)
    return {"total_rows": total, "offset": 0 if beginning is None else offset, "rows": rows}


def row_values(conn: Any, num: int, found: list[Any]) -> list[Doc]:
    """Rows as they are shown, of their columns ``id, key, value``."""
    ids, keys, values = _columns(conn, num, found)
    listed = zip(ids, json_values(keys), json_values(values), strict=True)
    return [{"id": doc_id, "key": key, "value": value} for doc_id, key, value in listed]


def rows_text(conn: Any, num: int, found: list[Any]) -> list[bytes]:
    """The JSON text of the same, put together of what is stored; a comma is between two rows."""
    ids, keys, values = _columns(conn, num, found)
    parts: list[bytes] = []
    for doc_id, key, value in zip(jsonio.escaped(ids), json_texts(keys), json_texts(values), strict=True):
        parts += (b'},{"id":"', doc_id, b'","key":', key, b',"value":', value)
    return [b"".join(parts)[2:] + b"}"]


def _columns(conn: Any, num: int, found: list[Any]) -> tuple[Sequence[str], Sequence[Any], Sequence[Any]]:
    ids, keys, values = zip(*found, strict=True)
    if int in map(type, values):
        values = tuple(index.whole(conn, num, value) for value in values)
    return ids, keys, values


def _offset(
    conn: Any, state: index.State, view: int, query: ViewQuery, span: Span, offsets: index.Offsets
) -> int | None:
    """How many rows come before a span, in the direction of the query."""
    begins_at = span.high if query.descending else span.low
    if begins_at is None:
        return 0
    if not query.exact_offset:
        return None
    before = offsets.rows_before(conn, state, view, begins_at)
    return state.counts[view] - before if query.descending else before


# -- Documents ------------------------------------------------------------------------------------


def add_docs(conn: Any, rows: Sequence[Doc], query: ViewQuery) -> None:
    """Give each row ``doc``, the document that it names: a reading operation on the database.

    That is the row's own, or the one that its value links to with ``_id``; ``_rev`` in the value asks for that
    revision. It is None for one that is not there, or deleted.
    """
    view = View(attachments=query.attachments, att_encoding_info=query.att_encoding_info)
    named = [_named(row) for row in rows]
    ids = {doc_id for doc_id, _ in named if isinstance(doc_id, str)}
    winners = {row[1]: Row._make(row) for row in winner_rows(conn, ids)} if ids else {}
    for row, (doc_id, rev) in zip(rows, named, strict=True):
        winner = winners.get(doc_id) if isinstance(doc_id, str) else None
        stored = winner
        if winner is not None and isinstance(rev, str):
            stored = stored_row(conn, winner, rev)
        if winner is None or stored is None or (stored.deleted and rev is None):
            row["doc"] = None
            continue
        doc = _doc(conn, stored, view)
        if query.conflicts and doc_id == row["id"] and rev is None:
            add_meta(conn, doc, winner, False, True, False)
        row["doc"] = doc


def _named(row: Doc) -> tuple[Any, Any]:
    """The id and rev of the document that a row names; rev is None for the winner."""
    value = row["value"]
    if not isinstance(value, dict):
        return row["id"], None
    return value.get("_id", row["id"]), value.get("_rev")


def _doc(conn: Any, row: Row, view: View) -> Doc:
    if row.atts is None and type(row.body) is bytes and not row.deleted:
        doc: Doc = orjson.loads(row.body)
        doc["_id"], doc["_rev"] = row.id, row.rev
        return doc
    return view.doc(conn, row)
