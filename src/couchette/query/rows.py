"""The answer of a view that is not reduced: its rows, with the documents that they name.

CouchDB's shape: ``{"total_rows", "offset", "rows": [{"id", "key", "value", "doc"?}]}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from couchette import index
from couchette.errors import InvalidRev
from couchette.index import Span
from couchette.index.scanning import TEXT, VALUES, json_values
from couchette.query.options import ViewQuery
from couchette.store.read import View, add_meta, winners_of
from couchette.store.rows import Row, stored_row

Doc = dict[str, Any]


class Wanted(NamedTuple):
    """Rows of a view that are still to be read."""

    spans: Sequence[Span]
    """One after the other."""
    descending: bool
    skip: int = 0
    limit: int = -1
    """-1 is none."""


def map_rows(
    conn: Any,
    state: index.State,
    view: int,
    query: ViewQuery,
    spans: Sequence[Span],
    offsets: index.Offsets,
    as_text: bool,
    room: int | None = None,
) -> tuple[Doc, Wanted | None]:
    """The answer to a query, without documents. A reading operation on the index.

    ``room`` ends the rows early, with the one that reaches so many bytes; what is left stands beside the answer. With
    ``as_text``, which takes a room, the rows are JSON texts.

    ``offset`` is how many rows of the view come before the first one. Where the query begins at a key, they may have to
    be counted, and it is None unless the query asks for it.
    """
    wanted = Wanted(spans, query.descending, query.skip, -1 if query.limit is None else query.limit)
    rows, beginning, left = read_rows(conn, state.num, view, wanted, as_text, room)
    total = state.counts[view]
    offset = None if beginning is None else _offset(conn, state, view, query, beginning, offsets)
    if offset is not None:
        offset = min(offset + query.skip, total)
    return {"total_rows": total, "offset": 0 if beginning is None else offset, "rows": rows}, left


def read_rows(
    conn: Any, num: int, view: int, wanted: Wanted, as_text: bool, room: int | None
) -> tuple[list[Any], Span | None, Wanted | None]:
    """Rows, the span that the first of them lies in, and what is left where ``room`` ended them, as of
    :func:`map_rows`. Where there are none it is the first span.
    """
    spans, descending, skip, limit = wanted
    rows: list[Any] = []
    beginning = spans[0] if spans else None
    columns = TEXT if as_text else VALUES
    for at, span in enumerate(spans):
        if limit == 0:
            break
        cursor = index.select(conn, num, view, span, columns=columns, descending=descending, skip=skip, limit=limit)
        found: list[Any]
        if room is None:
            found = cursor.fetchall()
        else:
            found, room = (_texts_within if as_text else _values_within)(conn, num, cursor, room)
        if found:
            beginning = beginning if rows else span
            rows += found if as_text else _row_values(conn, num, found)
            limit = limit - len(found) if limit > 0 else limit
            if room is not None and room <= 0:
                rest = _behind(conn, num, view, span, descending, skip + len(found) - 1)
                return rows, beginning, Wanted((rest, *spans[at + 1 :]), descending, 0, limit)
            skip = 0
        elif skip:
            skip -= index.count(conn, num, view, span)
    return rows, beginning, None


def _texts_within(conn: Any, num: int, cursor: Any, room: int) -> tuple[list[bytes], int]:
    """The rows of a cursor on ``TEXT`` up to the one that fills the room, and what is left of it."""
    found = []
    for (text,) in cursor:
        found.append(text)
        room -= len(text)
        if room <= 0:
            cursor.close()
            break
    return found, room


def _values_within(conn: Any, num: int, cursor: Any, room: int) -> tuple[list[Any], int]:
    """The same of ``VALUES``, with those that lie elsewhere."""
    found = []
    for doc_id, key, value in cursor:
        stored = index.whole(conn, num, value)
        found.append((doc_id, key, stored))
        room -= len(doc_id) + len(key) + (0 if stored is None else len(stored))
        if room <= 0:
            cursor.close()
            break
    return found, room


def _behind(conn: Any, num: int, view: int, span: Span, descending: bool, at: int) -> Span:
    """What is left of a span after its row of this number."""
    k, doc_id, n = index.select(conn, num, view, span, columns="k, id, n", descending=descending, skip=at, limit=1).get
    return Span(span.low, (k, doc_id, n)) if descending else Span((k, doc_id, n + 1), span.high)


def _row_values(conn: Any, num: int, found: list[Any]) -> list[Doc]:
    """Rows as they are shown, of ``VALUES``."""
    ids, keys, values = zip(*found, strict=True)
    if int in map(type, values):
        values = tuple(index.whole(conn, num, value) for value in values)
    listed = zip(ids, json_values(keys), json_values(values), strict=True)
    return [{"id": doc_id, "key": key, "value": value} for doc_id, key, value in listed]


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


def add_docs(conn: Any, rows: Sequence[Doc], query: ViewQuery, room: int | None = None) -> int:
    """Give each row ``doc``, the document that it names: a reading operation on the database.

    That is the row's own, or the one that its value links to with ``_id``; ``_rev`` in the value asks for that
    revision. It is None for one that is not there, or deleted. ``room`` ends it early, with the row whose document
    reaches so many bytes as it is stored. Return how many rows have theirs.
    """
    view = View(attachments=query.attachments, att_encoding_info=query.att_encoding_info)
    named = [_named(row) for row in rows]
    ids = [doc_id for doc_id, _ in named if isinstance(doc_id, str)]
    winners = winners_of(conn, list(set(ids)) if room is None else ids, room) if ids else {}
    for at, (row, (doc_id, rev)) in enumerate(zip(rows, named, strict=True), 1):
        winner = winners.get(doc_id) if isinstance(doc_id, str) else None
        stored = winner
        if winner is not None and isinstance(rev, str):
            stored = _revision(conn, winner, rev)
        if winner is None or stored is None or (stored.deleted and rev is None):
            row["doc"] = None
        else:
            doc = _doc(conn, stored, view)
            if query.conflicts and doc_id == row["id"] and rev is None:
                add_meta(conn, doc, winner, False, True, False)
            row["doc"] = doc
        if room is not None and winner is not None:
            # Never less than the winner has, by which they were read.
            room -= len(winner.body) + (0 if stored is None else len(stored.body))
            if room <= 0:
                return at
    return len(rows)


def _named(row: Doc) -> tuple[Any, Any]:
    """The id and rev of the document that a row names; rev is None for the winner."""
    value = row["value"]
    if not isinstance(value, dict):
        return row["id"], None
    return value.get("_id", row["id"]), value.get("_rev")


def _revision(conn: Any, winner: Row, rev: str) -> Row | None:
    """A revision of a document; what a function emitted may be none."""
    try:
        return stored_row(conn, winner, rev)
    except InvalidRev:
        return None


def _doc(conn: Any, row: Row, view: View) -> Doc:
    if row.atts is None and type(row.body) is bytes and not row.deleted:
        doc: Doc = orjson.loads(row.body)
        doc["_id"], doc["_rev"] = row.id, row.rev
        return doc
    return view.doc(conn, row)
