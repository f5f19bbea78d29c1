"""The rows of an index: what the functions emitted becomes rows, which replace those that were there.

A row is ``(k, id, n, key, value)``. ``k`` are the bytes that the key sorts by; ``key`` and ``value`` are JSON, since a
key cannot be had back from the bytes (1 and 1.0 sort as one). They are BLOB where orjson reads them exactly and TEXT
where it takes an exact decoder, as the bodies of documents are; ``value`` is NULL for null, and an INTEGER where it is
too large for a table in the order of its keys and lies in ``value_<number>`` instead.

Writing is by difference: a document that emits what it emitted before costs no write, and its partial results stay.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import apsw
import orjson

from couchette import jsonio
from couchette.document.collation import sort_key
from couchette.document.raw_collation import raw_key
from couchette.errors import CouchetteError
from couchette.index import reductions
from couchette.index.batches import Batch
from couchette.index.groups import Group, State, state_of
from couchette.index.scanning import Json
from couchette.limits import INDEX_VALUE_BYTES

logger = logging.getLogger(__name__)

IndexRow = tuple[bytes, str, int, Json, Json | None]
Emitted = Sequence[Sequence[Sequence[tuple[Any, Any]]]]
"""Per document, per view: the pairs of key and value."""

_LITERALS: Final = {True: b"true", False: b"false"}


def json_text(value: Any) -> Json:
    """A value as it is stored. Raises BadRequest for what is no JSON."""
    kind = type(value)
    if kind is int and -(1 << 63) <= value < 1 << 63:
        return b"%d" % value
    if kind is bool:
        return _LITERALS[value]
    text, exact = jsonio.dumps_noting_exactness(value)
    return text if exact else text.decode()


def key_function(group: Group, view: int) -> Callable[[Any], bytes]:
    """What gives the bytes that a view's keys sort by."""
    return raw_key if group.views[view].raw else sort_key


def rows_of(group: Group, batch: Batch, emitted: Emitted) -> list[list[IndexRow]]:
    """The rows of each view, of what the functions emitted for the documents of a batch.

    A document whose keys or values are no JSON, which only Python's functions can emit, has no rows in that view, and
    this is logged.
    """
    views: list[list[IndexRow]] = []
    for at in range(len(group.views)):
        to_bytes = key_function(group, at)
        rows: list[IndexRow] = []
        for doc_id, of_views in zip(batch.doc_ids, emitted, strict=True):
            pairs = of_views[at]
            try:
                of_doc = [(to_bytes(key), key, value) for key, value in pairs]
                if len(of_doc) > 1 and len({k for k, _, _ in of_doc}) < len(of_doc):
                    # CouchDB and PouchDB list what a document emits under one key by value.
                    of_doc.sort(key=lambda row: raw_key(row[2]))
                rows += [
                    (k, doc_id, n, json_text(key), None if value is None else json_text(value))
                    for n, (k, key, value) in enumerate(of_doc)
                ]
            except CouchetteError as exc:
                logger.warning("document %r is not in view %d of %s: %s", doc_id, at, group.owner or "a query", exc)
        views.append(rows)
    return views


def write_batch(conn: apsw.Connection, num: int, group: Group, batch: Batch, views: Sequence[list[IndexRow]]) -> bool:
    """Let an index follow a batch. False, and nothing is written, where it does not stand at the batch's beginning:
    somebody else moved it on, or it was dropped.
    """
    state = state_of(conn, num)
    if state is None or state.position != batch.begin:
        return False
    counts = []
    for at, rows in enumerate(views):
        counts.append(state.counts[at] + _replace(conn, state, group, at, batch, rows))
    sql = "UPDATE index_groups SET seq=?, purge_seq=?, counts=? WHERE num=?"
    conn.execute(sql, (*batch.end, orjson.dumps(counts).decode(), num))
    return True


def _replace(conn: apsw.Connection, state: State, group: Group, at: int, batch: Batch, rows: Sequence[IndexRow]) -> int:
    """Put rows in the place of all that the batch's documents had in a view; by how many rows it grows."""
    table = f"view_{state.num}_{at}"
    old = {} if batch.begin.seq == 0 else _held(conn, table, batch.ids)
    new: Iterable[IndexRow] = rows
    gone: list[tuple[bytes, str, int]] = []
    if old:
        kept = {row[:3] for row in rows}
        gone = [place for place in old if place not in kept]
        new = [row for row in rows if old.get(row[:3]) != row[3:]]
    _drop_large(conn, state.num, [old[place][1] for place in gone])
    _drop_large(conn, state.num, [old[row[:3]][1] for row in new if row[:3] in old] if old else [])
    conn.executemany(f"DELETE FROM {table} WHERE k=? AND id=? AND n=?", gone)
    conn.executemany(f"INSERT OR REPLACE INTO {table} VALUES(?,?,?,?,?)", _with_large_aside(conn, state.num, new))
    if group.views[at].reduced:
        written = [row[:3] for row in new]
        added = [place for place in written if place not in old] if old else written
        reductions.invalidate(conn, f"reduction_{state.num}_{at}", added, gone, written, state.reducing)
    return len(rows) - len(old)


def _held(conn: apsw.Connection, table: str, ids: list[str]) -> dict[tuple[bytes, str, int], tuple[Any, Any]]:
    """The rows that these documents have: key and value by place."""
    sql = f"SELECT t.k, t.id, t.n, t.key, t.value FROM json_each(?) AS w CROSS JOIN {table} AS t ON t.id=w.value"
    found = conn.execute(sql, (jsonio.dumps(list(dict.fromkeys(ids))).decode(),))
    return {(k, doc_id, n): (key, value) for k, doc_id, n, key, value in found}


def _with_large_aside(conn: apsw.Connection, num: int, rows: Iterable[IndexRow]) -> Iterator[tuple[Any, ...]]:
    """The rows, with large values moved into a table of their own and its key in their place."""
    for row in rows:
        value = row[4]
        if value is not None and len(value) > INDEX_VALUE_BYTES:
            conn.execute(f"INSERT INTO value_{num}(value) VALUES(?)", (value,))
            yield (*row[:4], conn.last_insert_rowid())
        else:
            yield row


def _drop_large(conn: apsw.Connection, num: int, values: Iterable[Any]) -> None:
    conn.executemany(f"DELETE FROM value_{num} WHERE num=?", [(value,) for value in values if type(value) is int])
