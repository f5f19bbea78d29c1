"""``_all_docs``: the documents by id, in the order of the ids' bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import apsw
from orjson import loads

from couchette import jsonio
from couchette.errors import BadRequest, QueryParseError
from couchette.limits import SQLITE_INT_MAX
from couchette.store.read import View, add_meta, winners_of
from couchette.store.rows import COLUMNS, Row, winner_row
from couchette.store.schema import read_meta


class Unset:
    """The type of :data:`UNSET`: no key was given (None is a key)."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()


_STUBS = View()


class Range(NamedTuple):
    """The ids from ``first`` to ``final``, in the order of the listing; None is open."""

    first: str | None
    final: str | None
    inclusive: bool
    descending: bool
    empty: bool
    exclusive: bool = False
    """Whether ``first`` itself is left out."""


def all_docs(
    conn: apsw.Connection,
    *,
    key: Any = UNSET,
    keys: Sequence[Any] | None = None,
    start_key: Any = UNSET,
    end_key: Any = UNSET,
    inclusive_end: bool = True,
    descending: bool = False,
    skip: int = 0,
    limit: int | None = None,
    include_docs: bool = False,
    conflicts: bool = False,
    attachments: bool = False,
    att_encoding_info: bool = False,
    update_seq: bool = False,
    exact_offset: bool = False,
    exclusive: bool = False,
    room: int | None = None,
) -> dict[str, Any]:
    """The documents by id: ``{"total_rows", "offset", "rows": [{"id", "key", "value": {"rev"}, "doc"?}]}``.

    Deleted documents are left out, but ``keys`` shows them (``value.deleted``, ``doc`` None) and has a row
    ``{"key", "error": "not_found"}`` for ids that never were. ``offset`` is how many documents come before
    the first row; counting them takes time in proportion, so with a ``start_key`` it is None unless
    ``exact_offset`` asks for it. As in CouchDB, ``key`` means nothing beside ``keys``. ``exclusive`` leaves out
    ``start_key`` itself. ``room`` ends the rows early, with the one whose document reaches so many bytes.
    See https://docs.couchdb.org/en/stable/api/database/bulk-api.html.
    """
    check_count("skip", skip)
    if limit is not None:
        check_count("limit", limit)
    total = conn.execute("SELECT doc_count FROM meta").get
    plain = not (attachments or att_encoding_info)
    view = _STUBS if plain else View(attachments=attachments, att_encoding_info=att_encoding_info)
    offset: int | None
    if keys is not None:
        if isinstance(keys, (str, bytes)) or not isinstance(keys, Iterable):
            raise BadRequest("`keys` parameter must be an array.", f"Got {keys!r}.")
        if start_key is not UNSET or end_key is not UNSET:
            raise QueryParseError("`keys` is incompatible with `key`, `start_key` and `end_key`", "Give one of them.")
        rows, offset = _by_keys(conn, keys, descending, skip, limit, include_docs, conflicts, view, room), None
    else:
        span = span_of(key, start_key, end_key, inclusive_end, descending)
        if exclusive:
            span = span._replace(exclusive=True)
        wanted = -1 if limit is None else limit
        if span.empty or wanted == 0:
            rows = []
        elif include_docs:
            rows = _with_docs(conn, span, skip, wanted, conflicts, view, room)
        else:
            listed = select(conn, "id, rev", span, skip, wanted)
            rows = [{"id": id, "key": id, "value": {"rev": rev}} for id, rev in listed]
        offset = offset_of(conn, span, skip, total, exact_offset)
    answer: dict[str, Any] = {"total_rows": total, "offset": offset, "rows": rows}
    if update_seq:
        answer["update_seq"] = read_meta(conn).seq_text()
    return answer


def check_count(name: str, value: Any) -> None:
    """Refuse what is no count: ``skip`` or ``limit`` of a listing. Raises QueryParseError."""
    if type(value) is not int:
        raise QueryParseError(f'Invalid value for integer: "{value}"', f"{name} must be an int.")
    if not 0 <= value <= SQLITE_INT_MAX:
        hint = f"{name} must be from 0 to {SQLITE_INT_MAX}."
        raise QueryParseError(f'Invalid value for positive integer: "{value}"', hint)


def span_of(key: Any, start_key: Any, end_key: Any, inclusive: bool, descending: bool) -> Range:
    """What the keys of a listing mean.

    Ids are text, so a key of another type lies before all of them; CouchDB lists as if it were not there.
    """
    for given in (key, start_key, end_key):
        if isinstance(given, str) and not given.isascii():
            jsonio.dumps(given)  # Refuses a lone surrogate.
    if key is not UNSET:
        return Range(key, key, True, descending, False) if isinstance(key, str) else _NOTHING
    if end_key is not UNSET and not isinstance(end_key, str):
        return _NOTHING
    first = start_key if isinstance(start_key, str) else None
    return Range(first, None if end_key is UNSET else end_key, inclusive, descending, False)


_NOTHING = Range(None, None, True, False, True)


def select(conn: apsw.Connection, columns: str, span: Range, skip: int, limit: int) -> Any:
    """A cursor on these columns of the documents in a range, in its order; -1 is no limit."""
    return conn.execute(*selection(columns, span, skip, limit))


def selection(columns: str, span: Range, skip: int, limit: int) -> tuple[str, tuple[str | int, ...]]:
    """The statement of :func:`select` and its values."""
    first, final = span.first, span.final
    sql = _statement(columns, first is not None, final is not None, span.inclusive, span.descending, span.exclusive)
    bounds = () if first is None else (first,)
    return sql, (*bounds, limit, skip) if final is None else (*bounds, final, limit, skip)


@cache  # A text that is made anew has to be hashed anew to find its prepared statement.
def _statement(columns: str, first: bool, final: bool, inclusive: bool, descending: bool, exclusive: bool) -> str:
    low, high, order = ("<=", ">=", "DESC") if descending else (">=", "<=", "ASC")
    clauses = ["cur=1", "deleted=0"]
    if first:
        clauses.append(f"id{low[0] if exclusive else low}?")
    if final:
        clauses.append(f"id{high if inclusive else high[0]}?")
    return f"SELECT {columns} FROM docs WHERE {' AND '.join(clauses)} ORDER BY id {order} LIMIT ? OFFSET ?"


def _with_docs(
    conn: apsw.Connection, span: Range, skip: int, limit: int, conflicts: bool, view: View, room: int | None
) -> list[dict[str, Any]]:
    if conflicts:
        listed = [Row._make(row) for row in _within(select(conn, COLUMNS, span, skip, limit), room)]
        return [_row(conn, row, conflicts, view) for row in listed]
    rows = []
    for id, rev, atts, body in _within(select(conn, "id, rev, atts, body", span, skip, limit), room):
        # The ordinary document is put together right here: a call for each would cost a third more.
        if atts is None and type(body) is bytes:
            doc = loads(body)
            doc["_id"], doc["_rev"] = id, rev
        else:
            row = winner_row(conn, id)
            assert row is not None
            doc = view.doc(conn, row)
        rows.append({"id": id, "key": id, "value": {"rev": rev}, "doc": doc})
    return rows


def _within(cursor: apsw.Cursor, room: int | None) -> list[Any]:
    """The rows of a cursor, whose last column is the body, up to the one that fills the room."""
    if room is None:
        return cursor.fetchall()
    found = []
    for row in cursor:
        found.append(row)
        room -= len(row[-1])
        if room <= 0:
            cursor.close()
            break
    return found


def _row(conn: apsw.Connection, row: Row, conflicts: bool, view: View) -> dict[str, Any]:
    doc = view.doc(conn, row)
    add_meta(conn, doc, row, False, conflicts, False)
    return {"id": row.id, "key": row.id, "value": {"rev": row.rev}, "doc": doc}


def _by_keys(
    conn: apsw.Connection,
    keys: Sequence[Any],
    descending: bool,
    skip: int,
    limit: int | None,
    include_docs: bool,
    conflicts: bool,
    view: View,
    room: int | None,
) -> list[dict[str, Any]]:
    wanted = list(reversed(keys)) if descending else list(keys)
    wanted = wanted[skip:] if limit is None else wanted[skip : skip + limit]
    ids = [key for key in wanted if isinstance(key, str)]
    if not include_docs:
        room = None
    found = winners_of(conn, list(set(ids)) if room is None else ids, room) if ids else {}
    rows = []
    for key in wanted:
        row = found.get(key) if isinstance(key, str) else None
        if row is None:
            rows.append({"key": key, "error": "not_found"})
        elif row.deleted:
            gone: dict[str, Any] = {"id": key, "key": key, "value": {"rev": row.rev, "deleted": True}}
            rows.append({**gone, "doc": None} if include_docs else gone)
        elif include_docs:
            rows.append(_row(conn, row, conflicts, view))
        else:
            rows.append({"id": key, "key": key, "value": {"rev": row.rev}})
        if room is not None and row is not None:
            room -= len(row.body)
            if room <= 0:
                break
    return rows


def offset_of(conn: apsw.Connection, span: Range, skip: int, total: int, exact: bool) -> int | None:
    """How many documents come before a listing's first row; None where only counting could tell, unless ``exact``."""
    if span.empty:
        return 0
    before: int | None = 0
    if span.first is not None:
        if not exact:
            return None
        sign = ">" if span.descending else "<"
        sql = f"SELECT count(*) FROM docs WHERE cur=1 AND deleted=0 AND id{sign}?"
        before = conn.execute(sql, (span.first,)).get
    return min((before or 0) + skip, total)
