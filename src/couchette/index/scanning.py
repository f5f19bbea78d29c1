"""Reading the rows of an index, in order, from wherever in it.

What the columns hold is told in :mod:`couchette.index.rows`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, Final

import apsw
import orjson

from couchette import jsonio
from couchette.index.spans import Point, Span
from couchette.limits import STATEMENT_CACHE

Json = bytes | str
"""JSON as it is stored: bytes where orjson reads it exactly."""

VALUES: Final = "id, key, value"
"""What a row is shown of; the value may lie elsewhere, see :func:`whole`."""

TEXT: Final = """CAST(concat('{{"id":', json_quote(id), ',"key":', key, ',"value":',
    CASE typeof(value) WHEN 'null' THEN 'null'
    WHEN 'integer' THEN (SELECT w.value FROM value_{num} AS w WHERE w.num=t.value) ELSE value END, '}}') AS BLOB)"""
"""The JSON text of a row. SQLite writes it in half of the time in which Python would."""


def json_value(stored: Json | None) -> Any:
    """The value of what is stored."""
    if stored is None:
        return None
    return orjson.loads(stored) if type(stored) is bytes else jsonio.loads(stored)


def json_values(stored: Sequence[Any]) -> list[Any]:
    """The values of many stored JSON texts, which cost little more together than one alone."""
    try:
        joined = b",".join(stored)
    except TypeError:  # One is NULL, or TEXT that takes an exact decoder.
        return [json_value(text) for text in stored]
    values: list[Any] = orjson.loads(b"[" + joined + b"]")
    return values


def select(
    conn: apsw.Connection,
    num: int,
    view: int,
    span: Span = Span(),  # noqa: B008 (immutable)
    *,
    columns: str = VALUES,
    descending: bool = False,
    skip: int = 0,
    limit: int = -1,
) -> apsw.Cursor:
    """Columns of the rows in a span, in order, as they are stored; or ``TEXT``. A ``limit`` of -1 is none."""
    sql, places = _statement(num, view, columns, _shape(span.low), _shape(span.high), descending), _places(span)
    return conn.execute(sql, (*places, limit, skip))


def rows_of_ids(conn: apsw.Connection, num: int, view: int, ids: Collection[str]) -> apsw.Cursor:
    """The rows that these documents have in a view, whatever their keys: ``(k, id, n, key, value)``, as stored."""
    sql = (
        "SELECT t.k, t.id, t.n, t.key, t.value "
        f"FROM json_each(?) AS w CROSS JOIN view_{num}_{view} AS t ON t.id=w.value ORDER BY t.id, t.n"
    )
    return conn.execute(sql, (jsonio.dumps(list(dict.fromkeys(ids))).decode(),))


def count(conn: apsw.Connection, num: int, view: int, span: Span) -> int:
    """How many rows are in a span; takes time in proportion."""
    where = _where(_shape(span.low), _shape(span.high))
    return int(conn.execute(f"SELECT count(*) FROM view_{num}_{view}{where}", _places(span)).get)


@lru_cache(STATEMENT_CACHE)  # A text that is made anew has to be hashed anew to find its prepared statement.
def _statement(num: int, view: int, columns: str, low: str, high: str, descending: bool) -> str:
    order = "k DESC, id DESC, n DESC" if descending else "k, id, n"
    shown = columns.format(num=num)
    return f"SELECT {shown} FROM view_{num}_{view} AS t{_where(low, high)} ORDER BY {order} LIMIT ? OFFSET ?"


def _shape(point: Point | None) -> str:
    """What a bound compares. Where only keys decide it names only them, which is cheaper."""
    if point is None:
        return ""
    return "k{}?" if point[1] == "" and point[2] == -1 else "(k,id,n){}(?,?,?)"


def _where(low: str, high: str) -> str:
    """The condition that rows lie between two bounds of these shapes."""
    clauses = [shape.format(relation) for shape, relation in ((low, ">="), (high, "<")) if shape]
    return " WHERE " + " AND ".join(clauses) if clauses else ""


def _places(span: Span) -> list[Any]:
    """What the condition of a span compares with."""
    places: list[Any] = []
    for point in span:
        if point is not None:
            places += point[:1] if point[1] == "" and point[2] == -1 else point
    return places


def whole(conn: apsw.Connection, num: int, value: Any) -> Json | None:
    """A value as it is stored, wherever it lies."""
    if type(value) is int:
        stored: Json = conn.execute(f"SELECT value FROM value_{num} WHERE num=?", (value,)).get
        return stored
    return value  # type: ignore[no-any-return]
