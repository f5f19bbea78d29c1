"""Which indexes there are, and how far each of them has followed the database.

An index is a *group*: all views of one design document, which are built in one pass over the documents and so stand at
one sequence. It is known by its *signature*, a hash of everything that decides its rows: the functions, the options,
and the collation. A design document that changes has another signature and so another group, which is built beside the
old one; nothing is ever rebuilt in place, and :func:`drop_groups` removes what has no user any more. This is CouchDB's
idea (couch_mrview_util:set_view_type and its ``sig``).

A group has a number, never used again, which names its tables: ``view_<number>_<view>`` holds the rows of a view,
``reduction_<number>_<view>`` its partial results (:mod:`couchette.index.reductions`), ``value_<number>`` the values too
large to lie in a row. Those of a text index are others (:mod:`couchette.index.text_rows`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import apsw
import orjson

from couchette import jsonio
from couchette.document.collation import COLLATOR
from couchette.limits import SPATIAL_DIMENSIONS_MAX

TEXT_TABLES: Final = ("_term", "_place", "", "_doc", "_number")
"""Endings of the tables that a text index has instead (:mod:`couchette.index.text_rows`), those first that show
others."""


@dataclass(frozen=True, slots=True)
class IndexedView:
    """How one view of a group is kept."""

    raw: bool = False
    """Its rows are in the order of Erlang's terms (``options.collation: "raw"``), not in that of ICU."""
    reduced: bool = False
    """Partial results of a reduce function are kept beside the rows."""


@dataclass(frozen=True, slots=True)
class Group:
    """What an index is made of. Two groups with one signature have the same rows."""

    signature: str
    views: tuple[IndexedView, ...] = (IndexedView(),)
    owner: str = ""
    """Who it was made for, ``_design/x`` or a program's name for it: shown to people, and followed by clean-ups."""
    include_design: bool = False
    """Design documents are indexed too."""
    local_seq: bool = False
    """Documents are shown to the functions with ``_local_seq``."""


class Position(NamedTuple):
    """How far a group has followed the database."""

    seq: int
    purge_seq: int


class State(NamedTuple):
    """A group as it stands in the file."""

    num: int
    position: Position
    counts: tuple[int, ...]
    """The rows of each view."""
    reducing: bool
    """Partial results were computed before, so that changes must be noted (see :mod:`couchette.index.reductions`)."""


def signature_of(*parts: Any) -> str:
    """The signature of an index that these JSON values decide, and the collation: 32 hex digits."""
    return hashlib.md5(jsonio.dumps([COLLATOR, *parts]), usedforsecurity=False).hexdigest()


_COLUMNS = "num, seq, purge_seq, counts, reducing"
_STATE = f"SELECT {_COLUMNS} FROM index_groups WHERE"
_STATE_AND_NEWEST = (  # A join with the one row of meta takes twice as long.
    f"SELECT {_COLUMNS}, (SELECT update_seq FROM meta), (SELECT purge_seq FROM meta) "
    "FROM index_groups WHERE signature=?"
)


def find_group(conn: apsw.Connection, signature: str) -> State | None:
    """The state of the group with this signature, or None."""
    return _state(conn.execute(f"{_STATE} signature=?", (signature,)))


def state_of(conn: apsw.Connection, num: int) -> State | None:
    """The state of a group by its number; None when it was dropped."""
    return _state(conn.execute(f"{_STATE} num=?", (num,)))


def _state(found: apsw.Cursor) -> State | None:
    for num, seq, purge_seq, counts, reducing in found:
        return State(num, Position(seq, purge_seq), tuple(orjson.loads(counts)), bool(reducing))
    return None


def newest(conn: apsw.Connection) -> Position:
    """Where a group stands that has followed everything."""
    found: tuple[int, int] = conn.execute("SELECT update_seq, purge_seq FROM meta").get
    return Position._make(found)


def find_group_and_newest(conn: apsw.Connection, signature: str) -> tuple[State | None, Position]:
    """The state of a group, and where it would stand if it had followed everything."""
    # In one statement where the group is there: its price is a good part of a query's that reads few rows.
    for num, seq, purge_seq, counts, reducing, *latest in conn.execute(_STATE_AND_NEWEST, (signature,)):
        state = State(num, Position(seq, purge_seq), tuple(orjson.loads(counts)), bool(reducing))
        return state, Position._make(latest)
    return None, newest(conn)


def open_group(conn: apsw.Connection, group: Group) -> State:
    """The state of a group, whose tables are made if they are not there. A writing operation."""
    state = find_group(conn, group.signature)
    if state is not None:
        return state
    counts = orjson.dumps([0] * len(group.views)).decode()
    conn.execute(
        "INSERT INTO index_groups(signature, owner, counts) VALUES(?,?,?)", (group.signature, group.owner, counts)
    )
    num = conn.last_insert_rowid()
    conn.execute(f"CREATE TABLE value_{num}(num INTEGER PRIMARY KEY, value NOT NULL)")
    for at, view in enumerate(group.views):
        conn.execute(f"""
            CREATE TABLE view_{num}_{at}(
                k BLOB NOT NULL, id TEXT NOT NULL, n INT NOT NULL, key NOT NULL, value, PRIMARY KEY(k, id, n)
            ) WITHOUT ROWID""")
        conn.execute(f"CREATE INDEX view_{num}_{at}_id ON view_{num}_{at}(id)")
        if view.reduced:
            conn.execute(f"""
                CREATE TABLE reduction_{num}_{at}(
                    level INT NOT NULL, k BLOB NOT NULL, id TEXT NOT NULL, n INT NOT NULL, value,
                    PRIMARY KEY(level, k, id, n)
                ) WITHOUT ROWID""")
            conn.execute(f"CREATE INDEX reduction_{num}_{at}_stale ON reduction_{num}_{at}(level) WHERE value IS NULL")
            conn.execute(f"INSERT INTO reduction_{num}_{at} VALUES(1, x'', '', -1, NULL)")
    return State(num, Position(0, 0), (0,) * len(group.views), False)


def list_groups(conn: apsw.Connection) -> list[tuple[str, str]]:
    """The signature and the owner of each group."""
    listed: list[Any] = conn.execute("SELECT signature, owner FROM index_groups ORDER BY num").fetchall()
    return listed


def drop_groups(conn: apsw.Connection, signatures: Collection[str]) -> int:
    """Drop the groups with these signatures, and their tables; return how many there were. A writing operation."""
    dropped = 0
    for signature in signatures:
        state = find_group(conn, signature)
        if state is None:
            continue
        for at in range(len(state.counts)):
            conn.execute(f"DROP TABLE IF EXISTS view_{state.num}_{at}")
            conn.execute(f"DROP TABLE IF EXISTS reduction_{state.num}_{at}")
            conn.execute(f"DROP TABLE IF EXISTS spatial_{state.num}_{at}")
            for dims in range(1, SPATIAL_DIMENSIONS_MAX + 1):
                conn.execute(f"DROP TABLE IF EXISTS rtree_{state.num}_{at}_{dims}")
        conn.execute(f"DROP TABLE IF EXISTS value_{state.num}")
        for suffix in TEXT_TABLES:
            conn.execute(f"DROP TABLE IF EXISTS text_{state.num}{suffix}")
        conn.execute("DELETE FROM index_groups WHERE num=?", (state.num,))
        dropped += 1
    return dropped


def size_of(conn: apsw.Connection, state: State) -> int:
    """About how many bytes the rows of a group take: estimated from some of each view's, since to count
    all would read all.
    """
    size = 0
    for at, rows in enumerate(state.counts):
        some = f"SELECT k, id, key, value FROM view_{state.num}_{at} LIMIT 100"
        each = "length(k) + 2 * length(id) + length(key) + ifnull(length(value), 0)"
        size += int(rows * (conn.execute(f"SELECT avg({each}) FROM ({some})").get or 0))
    return size
