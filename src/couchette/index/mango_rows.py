"""Reading documents through a Mango index, or by id: the rows that a find looks at, in order.

A document has at most one row in a Mango index, whose ``k`` is the sort key of the array of its columns' values. Rows
come with the document's winner, in one statement for each range; where the winner has moved on since the index
followed it, the caller sees that it no longer matches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import apsw

Connection = apsw.Connection

DESIGN_FIRST: Final = "_design/"
DESIGN_END: Final = "_design0"
"""Between these are the ids of all design documents, and no others."""

Found = tuple[bytes, str, bytes | str, str | None, str]
"""``(k, id, body, atts, rev)``: the body is all of the document where it is bytes and ``atts`` is None."""

Interval = tuple[bytes, bytes]
"""The keys from the first on and before the second."""

_KEYS: Final = "SELECT t.k, t.id, t.key FROM view_{}_{} AS t"
_DOCUMENTS: Final = (
    "SELECT t.k, t.id, docs.body, docs.atts, docs.rev FROM view_{}_{} AS t "
    "CROSS JOIN docs ON docs.id=t.id AND docs.cur=1 AND docs.deleted=0"
)

_GROUP: Final = (
    "SELECT num, (seq,purge_seq)=(SELECT update_seq, purge_seq FROM meta) FROM index_groups WHERE signature=?"
)


def index_rows(
    conn: apsw.Connection,
    num: int,
    view: int,
    ranges: Sequence[Interval],
    *,
    after: tuple[bytes, str] | None = None,
    descending: bool = False,
    limit: int = -1,
) -> Iterator[Found]:
    """The documents in these ranges of keys, which ascend; with ``descending`` the last first, from ``after`` on.

    ``limit`` is of each range: a caller who needs no more may say so.
    """
    return _read(conn, _DOCUMENTS.format(num, view), ranges, after, descending, limit)


def covered_rows(
    conn: apsw.Connection,
    num: int,
    view: int,
    ranges: Sequence[Interval],
    *,
    after: tuple[bytes, str] | None = None,
    descending: bool = False,
    limit: int = -1,
) -> Iterator[tuple[bytes, str, Any]]:
    """As :func:`index_rows`, but of the index alone: ``(k, id, key)``, the key as it is stored."""
    return _read(conn, _KEYS.format(num, view), ranges, after, descending, limit)


def _read(
    conn: apsw.Connection,
    source: str,
    ranges: Sequence[Interval],
    after: tuple[bytes, str] | None,
    descending: bool,
    limit: int,
) -> Iterator[Any]:
    """The rows of each range in turn."""
    if limit >= 0 and len(ranges) == 1:
        # One statement with a limit is read at once, which takes less than going in and out of it for each row.
        rows = [conn.execute(sql, (*values, limit)) for sql, values in _selects(source, ranges, after, descending)]
        return iter(rows[0].fetchall() if rows else ())
    return _read_on(conn, source, ranges, after, descending, limit)


def _read_on(
    conn: apsw.Connection,
    source: str,
    ranges: Sequence[Interval],
    after: tuple[bytes, str] | None,
    descending: bool,
    limit: int,
) -> Iterator[Any]:
    for sql, values in _selects(source, ranges, after, descending):
        cursor = conn.execute(sql, (*values, limit))
        try:
            yield from cursor
        finally:
            cursor.close()  # A statement under way would keep the connection's snapshot alive.


def _selects(
    source: str, ranges: Sequence[Interval], after: tuple[bytes, str] | None, descending: bool
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """A statement and its values for each range that is not before the place to go on from."""
    order = "ORDER BY t.k DESC, t.id DESC LIMIT ?" if descending else "ORDER BY t.k, t.id LIMIT ?"
    for low, high in reversed(ranges) if descending else ranges:
        if after is None or (after[0] >= high if descending else after[0] < low):
            yield f"{source} WHERE t.k>=? AND t.k<? {order}", (low, high)
        elif descending and after[0] >= low:
            yield f"{source} WHERE t.k>=? AND (t.k,t.id)<(?,?) {order}", (low, *after)
        elif not descending and after[0] < high:
            yield f"{source} WHERE (t.k,t.id)>(?,?) AND t.k<? {order}", (*after, high)


def document_rows(
    conn: apsw.Connection,
    first: tuple[str, bool] | None = None,
    final: tuple[str, bool] | None = None,
    *,
    descending: bool = False,
) -> apsw.Cursor:
    """The documents by id between two ids, each with whether it belongs itself: ``(id, body, atts, rev)``."""
    clauses, values = ["cur=1", "deleted=0"], []
    for bound, sign in ((first, ">"), (final, "<")):
        if bound is not None:
            clauses.append(f"id{sign}{'=' if bound[1] else ''}?")
            values.append(bound[0])
    order = "DESC" if descending else "ASC"
    sql = f"SELECT id, body, atts, rev FROM docs WHERE {' AND '.join(clauses)} ORDER BY id {order}"
    return conn.execute(sql, values)


def group_number(conn: apsw.Connection, signature: str) -> tuple[int, bool] | None:
    """The number of the group with this signature, and whether it has followed everything; None where there is none."""
    for num, is_current in conn.execute(_GROUP, (signature,)):
        return int(num), bool(is_current)
    return None


def design_places(conn: apsw.Connection) -> tuple[tuple[int, str], ...]:
    """The design documents, as sequence and id: as long as these are the same, so are the documents."""
    sql = "SELECT seq, id FROM docs WHERE cur=1 AND deleted=0 AND id>=? AND id<? ORDER BY id"
    found: list[Any] = conn.execute(sql, (DESIGN_FIRST, DESIGN_END)).fetchall()
    return tuple(found)
