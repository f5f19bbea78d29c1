"""The plainest thing that could hold the same bytes: one table of id and body, through apsw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import orjson

from benchmarks.documents import Doc, Kind

BATCH = 500
PAGE = 100


def batches(kind: Kind, count: int) -> Iterator[list[tuple[str, bytes]]]:
    """The documents as rows of id and body, in batches."""
    for batch in kind.batches(count, BATCH):
        yield [(doc.pop("_id"), orjson.dumps(doc)) for doc in batch]


def open_table(path: Path) -> apsw.Connection:
    """A file with the settings of ours and one table of id and body."""
    conn = apsw.Connection(str(path))
    conn.pragma("journal_mode", "wal")
    conn.pragma("synchronous", "normal")
    conn.pragma("cache_size", -65536)
    conn.execute("CREATE TABLE t(id TEXT PRIMARY KEY, body BLOB)")
    return conn


def open_reader(path: str) -> apsw.Connection:
    """A connection that only reads, with the cache of ours."""
    conn = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    conn.pragma("cache_size", -65536)
    return conn


def insert(conn: apsw.Connection, rows: list[tuple[str, bytes]]) -> None:
    """Insert in one transaction."""
    with conn:
        conn.executemany("INSERT INTO t VALUES(?,?)", rows)


def update(conn: apsw.Connection, rows: list[tuple[bytes, str]]) -> None:
    """Update in one transaction."""
    with conn:
        conn.executemany("UPDATE t SET body=? WHERE id=?", rows)


def get(conn: apsw.Connection, id: str) -> Doc:
    """Read one document."""
    body: Any = conn.execute("SELECT body FROM t WHERE id=?", (id,)).get
    doc: Doc = orjson.loads(body)
    return doc


def pages(conn: Any) -> int:
    """Walk the table in pages."""
    total = 0
    last = ""
    select = "SELECT id, body FROM t WHERE id>? ORDER BY id LIMIT ?"
    while rows := conn.execute(select, (last, PAGE)).fetchall():
        total += len([orjson.loads(body) for _, body in rows])
        last = rows[-1][0]
    return total
