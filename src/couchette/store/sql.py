"""Reading with SQL: the views of the file that keep their shape, and running a query that can change nothing.

The views are part of the file, so that any program that reads SQLite finds them; ``docs/guide/sql.md`` describes them.
Their names and columns stay, whatever becomes of the tables below: a migration that changes those makes the views anew.

A query runs on a connection that others use too, under an authorizer that knows four things: to select, to read a
column, to call a function, and to recurse. Whatever else SQL can do (write, attach, set, begin) is not among them, so
nothing is forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, overload

import apsw

from couchette.errors import CouchetteError, Forbidden, QueryParseError, TooLarge
from couchette.limits import SQL_STEPS

Value = None | int | float | str | bytes
Parameters = Sequence[Value] | Mapping[str, Value]

VIEWS: Final = {
    # The winners that are not deleted; the body as JSON text, without the members that begin with an underscore.
    "couch_docs": "SELECT id, rev, seq, CAST(body AS TEXT) AS doc FROM docs WHERE cur=1 AND deleted=0",
    # The last change of every document.
    "couch_changes": "SELECT seq, id, rev, deleted FROM docs WHERE cur=1",
    "couch_attachments": """
        SELECT docs.id AS id, rev, json_extract(a.value, '$[1]') AS name, json_extract(a.value, '$[2]') AS content_type,
            json_extract(a.value, '$[5]') AS length, json_extract(a.value, '$[4]') AS digest,
            json_extract(a.value, '$[3]') AS revpos
        FROM docs, json_each(docs.atts) AS a WHERE cur=1 AND deleted=0 AND atts IS NOT NULL""",
    # The live leaves beside the winner. A leaf is a revision that is nobody's parent.
    "couch_conflicts": """
        SELECT d.id AS id, d.rev AS winner, r.value AS rev, CAST(leaf.body AS TEXT) AS doc
        FROM docs AS d, json_each(d.tree, '$.revs') AS r
            JOIN docs AS leaf ON leaf.seq=json_extract(d.tree, '$.seqs[' || r.key || ']')
        WHERE d.cur=1 AND typeof(d.tree)='text' AND r.value<>d.rev
            AND NOT EXISTS(SELECT 1 FROM json_each(d.tree, '$.deleted') AS gone WHERE gone.value=r.key)
            AND NOT EXISTS(SELECT 1 FROM json_tree(d.tree, '$.parents') AS p WHERE p.type='integer' AND p.value=r.key)
        """,
    "couch_local": "SELECT id, '0-' || rev AS rev, CAST(body AS TEXT) AS doc FROM local",
}
"""By name, what each selects."""

_ALLOWED: Final = frozenset((apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE))
_ONLY_READING: Final = ("SQL can only read here.", "Write with put and bulk_docs.")


def make_views(conn: apsw.Connection) -> None:
    """Make the views, or make them anew: part of a migration."""
    for name, select in VIEWS.items():
        conn.execute(f"DROP VIEW IF EXISTS {name}")
        conn.execute(f"CREATE VIEW {name} AS {select}")


@dataclass(frozen=True)
class SqlRows(Sequence[dict[str, Value]]):
    """The rows of an answer, as a sequence of dictionaries by column; ``rows`` has the same as tuples."""

    columns: tuple[str, ...]
    rows: list[tuple[Value, ...]]

    @overload
    def __getitem__(self, at: int) -> dict[str, Value]: ...
    @overload
    def __getitem__(self, at: slice) -> list[dict[str, Value]]: ...
    def __getitem__(self, at: int | slice) -> dict[str, Value] | list[dict[str, Value]]:
        if isinstance(at, slice):
            return [dict(zip(self.columns, row, strict=True)) for row in self.rows[at]]
        return dict(zip(self.columns, self.rows[at], strict=True))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Value]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)


def run_sql(
    conn: apsw.Connection,
    sql: str,
    params: Parameters = (),
    *,
    rows_max: int,
    timeout: float,
    cancelled: Callable[[], bool] | None = None,
) -> SqlRows:
    """The answer to one SQL query. See :meth:`couchette.Database.sql`."""
    if not isinstance(sql, str):
        raise QueryParseError("A query is SQL text.", f"Got {sql!r:.80}.")
    watch = _Watch(timeout, cancelled)
    cursor = conn.cursor()
    columns: list[tuple[str, ...]] = []
    """Those of each statement: they can be asked for before it begins, and no more when it is over."""

    def begins(cursor: apsw.Cursor, statement: str, bindings: Any) -> bool:
        if not cursor.is_readonly:  # The authorizer is not asked about VACUUM until it runs.
            raise Forbidden(*_ONLY_READING)
        columns.append(tuple(name for name, *_ in cursor.get_description()))
        return len(columns) == 1

    conn.set_authorizer(_authorize)
    conn.set_progress_handler(watch.must_stop, SQL_STEPS)
    cursor.exec_trace = begins
    try:
        rows = _read(cursor.execute(sql, params), rows_max)
    except apsw.InterruptError as exc:
        raise watch.error() from exc
    except apsw.AuthError as exc:
        raise Forbidden(*_ONLY_READING) from exc
    except apsw.ExecTraceAbort as exc:
        raise QueryParseError("There is more than one statement.", "Give them one by one.") from exc
    except (apsw.BindingsError, KeyError, TypeError, OverflowError) as exc:
        raise QueryParseError("The parameters do not fit the query.", f"{exc}.") from exc
    except UnicodeEncodeError as exc:
        raise QueryParseError("The query and its parameters must be Unicode text.", f"{exc}.") from exc
    except apsw.TooBigError as exc:
        raise TooLarge("A value is too large.", f"SQLite: {exc}.") from exc
    except apsw.SQLError as exc:
        raise QueryParseError(
            str(exc).removeprefix("SQLError: "), _place(sql, getattr(exc, "error_offset", -1))
        ) from exc
    finally:
        cursor.close(force=True)
        conn.set_progress_handler(None)
        conn.set_authorizer(None)
    if not any(columns):
        raise QueryParseError("There is no statement.", f"The query is {sql!r:.80}.")
    return SqlRows(columns[0], rows)


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action not in _ALLOWED or (action == apsw.SQLITE_FUNCTION and second == "load_extension"):
        return apsw.SQLITE_DENY
    return apsw.SQLITE_OK


def _read(cursor: apsw.Cursor, rows_max: int) -> list[tuple[Value, ...]]:
    rows: list[tuple[Value, ...]] = []
    for row in cursor:
        if len(rows) == rows_max:
            raise TooLarge(f"The query has more than {rows_max} rows.", "Add LIMIT to it, or give a greater rows_max.")
        rows.append(row)
    return rows


class _Watch:
    """Whether a query must end before its end."""

    def __init__(self, timeout: float, cancelled: Callable[[], bool] | None) -> None:
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._cancelled = cancelled
        self._was_cancelled = False

    def must_stop(self) -> bool:
        self._was_cancelled = self._cancelled is not None and self._cancelled()
        return self._was_cancelled or time.monotonic() > self._deadline

    def error(self) -> CouchetteError:
        if self._was_cancelled:
            return CouchetteError("The query was cancelled.", "It had no effect.", error="cancelled")
        reason = "The request could not be processed in a reasonable amount of time."
        return CouchetteError(reason, f"It took more than {self._timeout:g} s; give a longer timeout.", error="timeout")


def _place(sql: str, offset: int) -> str:
    """Where in the query an error is, which SQLite tells as a number of bytes."""
    if offset < 0:
        return f"The query is {sql!r:.200}."
    before = sql.encode()[:offset].decode(errors="replace")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"It is in line {line}, column {column}: {sql[len(before) :].strip()[:40]!r}."
