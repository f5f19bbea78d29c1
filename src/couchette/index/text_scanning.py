"""Reading what matches: how many documents, a page of them in some order, and how they spread over facets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import orjson

from couchette import jsonio
from couchette.index.text_matching import Matcher, Select
from couchette.index.text_terms import prefix_of


@dataclass(frozen=True)
class Sorting:
    """One of the things that matches are sorted by: a field, or with none the rank, where the best come first.

    Documents without the field come last, whatever the direction.
    """

    field: str | None = None
    descending: bool = False
    by_number: bool = False
    """By the number of the document instead: in the order in which they changed."""


BY_RANK = (Sorting(),)
Match = tuple[int, list[Any]]
"""The number of a document, and what it was sorted by."""


def count_matches(conn: apsw.Connection, matcher: Matcher) -> int:
    """How many documents match."""
    numbers = matcher.numbers()
    return int(conn.execute(f"SELECT count(*) FROM ({numbers.sql})", numbers.values).get)


def read_matches(
    conn: apsw.Connection,
    matcher: Matcher,
    order: Sequence[Sorting],
    *,
    after: Sequence[Any] | None = None,
    skip: int = 0,
    limit: int = -1,
) -> list[Match]:
    """Matches in order, equals by their number; ``after`` is what the last one of an earlier page was sorted by, and
    its number.
    """
    fields = [one.field for one in order if one.field is not None]
    ranked = matcher.ranked()
    inner = _with_fields(matcher.table, ranked, fields)
    columns = _columns(order)
    where = Select("1") if after is None else _after(columns, _placed(order, after))
    by = ", ".join(f"{column} {'DESC' if descending else 'ASC'}" for column, descending in columns)
    shown = "".join(f", {column}" for column in _shown(order))
    sql = f"SELECT num{shown} FROM ({inner.sql}) WHERE {where.sql} ORDER BY {by} LIMIT ? OFFSET ?"
    found: list[Any] = conn.execute(sql, (*inner.values, *where.values, limit, skip)).fetchall()
    return [(num, list(values)) for num, *values in found]


def _with_fields(table: str, ranked: Select, fields: Sequence[str]) -> Select:
    """Matches with the values of some fields in the columns ``v0``, ``v1``..."""
    if not fields:
        return ranked
    values = ", ".join(f"json_extract(d.sorted, ?) AS v{at}" for at in range(len(fields)))
    sql = (
        f"SELECT m.num AS num, m.score AS score, {values} FROM ({ranked.sql}) AS m JOIN {table}_doc AS d ON d.num=m.num"
    )
    return Select(sql, (*map(path_of, fields), *ranked.values))


def path_of(field: str) -> str:
    """Where a field is in the JSON columns of a document."""
    return f'$."{prefix_of(field)}"'


def _shown(order: Sequence[Sorting]) -> list[str]:
    """The column of each sorting."""
    names, at = [], 0
    for one in order:
        names.append(f"v{at}" if one.field is not None else "num" if one.by_number else "score")
        at += one.field is not None
    return names


def _columns(order: Sequence[Sorting]) -> list[tuple[str, bool]]:
    """What rows are sorted by, each with whether it descends."""
    columns: list[tuple[str, bool]] = []
    for one, column in zip(order, _shown(order), strict=True):
        if one.field is not None:
            columns.append((f"{column} IS NULL", False))
        columns.append((column, one.descending))
    return [*columns, ("num", False)]


def _placed(order: Sequence[Sorting], after: Sequence[Any]) -> list[Any]:
    """The values of these columns in the row that a page comes after."""
    places: list[Any] = []
    for one, value in zip(order, after, strict=False):
        places += [value] if one.field is None else [int(value is None), value]
    return [*places, after[-1]]


def _after(columns: Sequence[tuple[str, bool]], values: Sequence[Any]) -> Select:
    """The condition that a row comes after some values: one column is beyond its own, and those before it are equal."""
    cases: list[str] = []
    given: list[Any] = []
    for at, (column, descending) in enumerate(columns):
        if values[at] is None:
            continue  # All that has no value is equal in it.
        same = [f"({name}) IS ?" for name, _ in columns[:at]]
        cases.append(" AND ".join([*same, f"({column}) {'<' if descending else '>'} ?"]))
        given += [*values[:at], values[at]]
    return Select("(" + " OR ".join(f"({case})" for case in cases) + ")", tuple(given))


def read_documents(conn: apsw.Connection, table: str, nums: Collection[int]) -> dict[int, tuple[str, dict[str, Any]]]:
    """The id and the stored fields of documents, by their numbers."""
    sql = f"SELECT d.num, d.id, d.stored FROM json_each(?) AS w CROSS JOIN {table}_doc AS d ON d.num=w.value"
    rows: Any = conn.execute(sql, (orjson.dumps(list(nums)).decode(),))
    return {num: (doc_id, {} if stored is None else jsonio.loads(stored)) for num, doc_id, stored in rows}


def has_boosts(conn: apsw.Connection, num: int) -> bool:
    """Whether a document of an index boosts a field."""
    return bool(conn.execute(f"SELECT EXISTS(SELECT 1 FROM text_{num}_doc WHERE boosts IS NOT NULL)").get)


# -- Facets ---------------------------------------------------------------------------------------


def count_facets(conn: apsw.Connection, matcher: Matcher, field: str) -> dict[str, int]:
    """How many matches have each value of a field that was indexed with ``facet``."""
    numbers = matcher.numbers()
    sql = f"""SELECT j.value, count(DISTINCT d.num) FROM ({numbers.sql}) AS m
        JOIN {matcher.table}_doc AS d ON d.num=m.num
        JOIN json_each(d.facets, ?) AS j GROUP BY j.value ORDER BY j.value"""
    return {str(value): count for value, count in conn.execute(sql, (*numbers.values, path_of(field)))}


def with_facet(matcher: Matcher, field: str, values: Sequence[Any]) -> Select:
    """The condition that a document has one of some values of a facet."""
    sql = f"""@row IN (SELECT d.num FROM {matcher.table}_doc AS d JOIN json_each(d.facets, ?) AS j
        WHERE CAST(j.value AS TEXT) IN (SELECT CAST(value AS TEXT) FROM json_each(?)))"""
    texts = [str(value).lower() if isinstance(value, bool) else value for value in values]  # As they are indexed.
    return Select(sql, (path_of(field), jsonio.dumps(texts).decode()))
