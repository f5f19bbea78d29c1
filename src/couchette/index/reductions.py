"""Partial results of a reduce function, so that reducing a range costs the logarithm of its rows.

CouchDB keeps reductions in the inner nodes of its B-trees; SQLite has no such place. So we lay a tree of our own over
the rows, whose shape depends on nothing but which rows there are (the idea is that of prolly trees and skip lists). A
hash of a row's document and number says whether the row is a *boundary*, and of which level: one row in 32 is of
level 1 or more, one in 1024 of level 2 or more, and so on. A *node* of level L begins at a boundary of level L or
more and extends to the next; the first one begins before all rows. It holds the reduced value of its rows, computed
from the nodes of level L - 1 that it covers exactly, or at level 1 from the rows. There are no pages to split or
merge, and a changed row touches one node on each level, found by one seek.

Nodes are a cache that may be stale at any time. A write marks those over the rows that it changed, in its own
transaction; the functions then run with no lock held, and their results are stored only if the index has not moved on
meanwhile. :func:`cover` goes below a node that is stale, so an answer never depends on whether that was done, and
queries never write. While an index is first built nothing was computed yet and nothing need be marked: boundaries are
noted as rows come, and all nodes are computed once, at the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import apsw

from couchette.index.scanning import select, whole
from couchette.index.spans import START, Point, Span
from couchette.limits import INDEX_FAN_OUT_BITS, INDEX_STALE_NODES

EMPTY: Final = b""
"""The value of a node without rows; only the first of a level can be so."""
FAILED: Final = b"!"
"""The value of a node whose rows the function refused: who asks meets the error at the rows."""

_MASK: Final = (1 << 64) - 1
_PLACE: Final = "(k,id,n)"


class Rows(NamedTuple):
    """Rows to be reduced, as they are stored: lists of one length."""

    ids: list[str]
    keys: list[Any]
    values: list[Any]


Part = bytes | Rows
"""A partial result as JSON, or rows: what a range is reduced from."""


class Stale(NamedTuple):
    """A node to be computed anew from what it covers."""

    level: int
    start: Point
    rows: Rows | None
    """At level 1."""
    children: list[tuple[Point, bytes | None]]
    """Above: the nodes below it with their values, None where those are stale themselves."""


# -- Boundaries -----------------------------------------------------------------------------------


def level_of(doc_id: str, n: int) -> int:
    """The highest level at which a row is a boundary; 0 for most rows."""
    mixed = int.from_bytes(hashlib.md5(doc_id.encode(), usedforsecurity=False).digest()[:8], "big")
    # The rows of one document differ in their number only, which is spread over all bits (as splitmix64 does it).
    mixed = (mixed + n * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    mixed ^= mixed >> 31
    return (64 - mixed.bit_length()) // INDEX_FAN_OUT_BITS


# -- Following changes ----------------------------------------------------------------------------


def invalidate(
    conn: apsw.Connection,
    table: str,
    added: Collection[Point],
    removed: Collection[Point],
    written: Collection[Point],
    reducing: bool,
) -> None:
    """Note that rows were added, removed or written (added or changed): part of the transaction that did it."""
    for place in removed:
        for level in range(1, level_of(place[1], place[2]) + 1):
            conn.execute(f"DELETE FROM {table} WHERE level=? AND k=? AND id=? AND n=?", (level, *place))
    insert = f"INSERT OR IGNORE INTO {table} VALUES(?,?,?,?,NULL)"
    for place in added:
        for level in range(1, level_of(place[1], place[2]) + 1):
            conn.execute(insert, (level, *START))
            conn.execute(insert, (level, *place))
    if reducing:
        _mark(conn, table, sorted({*removed, *written}))


def _mark(conn: apsw.Connection, table: str, places: Sequence[Point]) -> None:
    """Mark the nodes over these places as stale, on every level.

    A row that is, or was, a boundary changes the node before it too: that extends to another place now.
    """
    top = conn.execute(f"SELECT max(level) FROM {table}").get
    for level in range(1, top + 1):
        starts: set[Point] = set()
        for place in places:
            starts.add(_node_at(conn, table, level, place, "<="))
            if level_of(place[1], place[2]) >= level:
                starts.add(_node_at(conn, table, level, place, "<"))
        update = f"UPDATE {table} SET value=NULL WHERE level=? AND k=? AND id=? AND n=?"
        conn.executemany(update, [(level, *start) for start in starts])


def _node_at(conn: apsw.Connection, table: str, level: int, place: Point, relation: str) -> Point:
    """Where the node begins that a place lies in, or with ``<`` the last node that begins before it."""
    sql = (
        f"SELECT k, id, n FROM {table} WHERE level=? AND {_PLACE}{relation}(?,?,?) "
        "ORDER BY k DESC, id DESC, n DESC LIMIT 1"
    )
    found: Point = conn.execute(sql, (level, *place)).get
    return found


# -- Computing ------------------------------------------------------------------------------------


def read_stale(conn: apsw.Connection, num: int, view: int) -> list[Stale]:
    """The next stale nodes, lowest level first, so that what one needs of the others comes before it."""
    table = f"reduction_{num}_{view}"
    sql = f"SELECT level, k, id, n FROM {table} WHERE value IS NULL ORDER BY level LIMIT ?"
    found: list[Any] = conn.execute(sql, (INDEX_STALE_NODES,)).fetchall()
    stale = []
    for level, k, doc_id, n in found:
        start = (k, doc_id, n)
        span = Span(start, _next_node(conn, table, level, start))
        if level == 1:
            stale.append(Stale(level, start, read_rows(conn, num, view, span), []))
        else:
            stale.append(Stale(level, start, None, _nodes(conn, table, level - 1, span)))
    return stale


def write_values(
    conn: apsw.Connection, num: int, view: int, values: Iterable[tuple[int, Point, bytes]], *, position: Sequence[int]
) -> bool:
    """Store computed nodes, unless the index has moved on from the position at which they were read."""
    sql = "UPDATE index_groups SET reducing=1 WHERE num=? AND seq=? AND purge_seq=?"
    before = conn.total_changes()
    conn.execute(sql, (num, *position))
    if conn.total_changes() == before:
        return False
    update = f"UPDATE reduction_{num}_{view} SET value=? WHERE level=? AND k=? AND id=? AND n=?"
    conn.executemany(update, [(value, level, *start) for level, start, value in values])
    return True


def _next_node(conn: apsw.Connection, table: str, level: int, start: Point) -> Point | None:
    sql = f"SELECT k, id, n FROM {table} WHERE level=? AND {_PLACE}>(?,?,?) ORDER BY k, id, n LIMIT 1"
    for k, doc_id, n in conn.execute(sql, (level, *start)):
        return k, doc_id, n
    return None


def _nodes(conn: apsw.Connection, table: str, level: int, span: Span) -> list[tuple[Point, bytes | None]]:
    """The nodes of a level that begin in a span, with their values."""
    assert span.low is not None
    sql = f"SELECT k, id, n, value FROM {table} WHERE level=? AND {_PLACE}>=(?,?,?)"
    places: tuple[Any, ...] = (level, *span.low)
    if span.high is not None:
        sql += f" AND {_PLACE}<(?,?,?)"
        places += span.high
    return [((k, doc_id, n), value) for k, doc_id, n, value in conn.execute(sql + " ORDER BY k, id, n", places)]


def read_rows(conn: apsw.Connection, num: int, view: int, span: Span) -> Rows:
    """The rows of a span, for a reduce function."""
    found = select(conn, num, view, span).fetchall()
    ids, keys, values = zip(*found, strict=True) if found else ((), (), ())
    return Rows(list(ids), list(keys), [whole(conn, num, value) if type(value) is int else value for value in values])


# -- Reading --------------------------------------------------------------------------------------


def cover(conn: apsw.Connection, num: int, view: int, span: Span) -> Iterator[Part]:
    """What the rows of a span can be reduced from, in order: whole nodes, and the rows at both ends."""
    top = conn.execute(f"SELECT max(level) FROM reduction_{num}_{view}").get
    return _cover(conn, num, view, top, Span(span.low or START, span.high))


def _cover(conn: apsw.Connection, num: int, view: int, level: int, span: Span) -> Iterator[Part]:
    if level == 0:
        rows = read_rows(conn, num, view, span)
        if rows.ids:
            yield rows
        return
    nodes = _nodes(conn, f"reduction_{num}_{view}", level, span)
    if not nodes:
        yield from _cover(conn, num, view, level - 1, span)
        return
    if span.low != nodes[0][0]:
        yield from _cover(conn, num, view, level - 1, Span(span.low, nodes[0][0]))
    for at, (start, value) in enumerate(nodes):
        last = at == len(nodes) - 1
        end = span.high if last else nodes[at + 1][0]
        # The last one extends to the end of the span, and perhaps beyond.
        if value is None or value == FAILED or (last and span.high is not None):
            yield from _cover(conn, num, view, level - 1, Span(start, end))
        elif value != EMPTY:
            yield value
