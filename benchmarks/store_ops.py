"""The store's operations beside raw apsw: the same bytes in the plainest table that could hold them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import orjson

from benchmarks.clock import rate_of, rate_of_batches
from benchmarks.documents import Doc, make_batches, make_doc, with_history
from couchette import Database

BATCH = 500
PAGE = 100
Measured = tuple[str, str, float | None, float, float]
"""Operation, what raw apsw does, the least ratio where one is set, the raw rate, our rate."""


def measure(folder: Path, count: int) -> Iterator[Measured]:
    """Writing new documents, and reading them."""
    raw = open_raw(folder / "raw.sqlite")
    raw_insert = rate_of_batches(raw_batches(count), lambda rows: insert_raw(raw, rows))
    with Database(folder / "ours.couchette") as db:
        rate = rate_of_batches(make_batches(count, BATCH), db.bulk_docs)
        yield "bulk insert, new edits", "insert of (id, body)", 0.20, raw_insert, rate
        yield from _reads(raw, db, count)
    raw.close()
    raw = open_raw(folder / "again.sqlite")
    raw_insert = rate_of_batches(raw_batches(count), lambda rows: insert_raw(raw, rows))
    raw.close()
    with Database(folder / "replica.couchette") as db:
        batches = ([with_history(doc) for doc in batch] for batch in make_batches(count, BATCH))
        rate = rate_of_batches(batches, lambda docs: db.bulk_docs(docs, new_edits=False))
        yield "bulk insert, replicated (3 revs)", "insert of (id, body)", 0.40, raw_insert, rate


def _reads(raw: apsw.Connection, db: Database, count: int) -> Iterator[Measured]:
    numbers = random.Random(1).sample(range(count), min(count, 50_000))
    wanted = [make_doc(number)["_id"] for number in numbers]
    yield (
        "get",
        "select by id, orjson.loads",
        0.70,
        rate_of(len(wanted), lambda: [get_raw(raw, id) for id in wanted]),
        rate_of(len(wanted), lambda: [db.get(id) for id in wanted]),
    )
    yield (
        "all_docs, pages of 100 with documents",
        "range of 100, orjson.loads each",
        0.60,
        rate_of(count, lambda: pages_raw(raw)),
        rate_of(count, lambda: pages(db)),
    )
    scan = open_raw_scan(db.path)
    yield (
        "changes, pages of 1000",
        "rowid scan of seq, id, rev, deleted",
        0.20,
        rate_of(count, lambda: scan.execute("SELECT seq, id, rev, deleted FROM docs WHERE seq>0").fetchall()),
        rate_of(count, lambda: changes(db)),
    )
    scan.close()


def raw_batches(count: int) -> Iterator[list[tuple[str, bytes]]]:
    """The documents as rows of id and body, in batches."""
    for batch in make_batches(count, BATCH):
        yield [(doc.pop("_id"), orjson.dumps(doc)) for doc in batch]


def open_raw(path: Path) -> apsw.Connection:
    """A file with the settings of ours and one table of id and body."""
    conn = apsw.Connection(str(path))
    conn.pragma("journal_mode", "wal")
    conn.pragma("synchronous", "normal")
    conn.pragma("cache_size", -65536)
    conn.execute("CREATE TABLE t(id TEXT PRIMARY KEY, body BLOB)")
    return conn


def open_raw_scan(path: str) -> apsw.Connection:
    """Our file, as raw apsw reads it."""
    conn = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    conn.pragma("cache_size", -65536)
    return conn


def insert_raw(conn: apsw.Connection, rows: list[tuple[str, bytes]]) -> None:
    """Insert in one transaction."""
    with conn:
        conn.executemany("INSERT INTO t VALUES(?,?)", rows)


def get_raw(conn: apsw.Connection, id: str) -> Doc:
    """Read one document."""
    body: Any = conn.execute("SELECT body FROM t WHERE id=?", (id,)).get
    doc: Doc = orjson.loads(body)
    return doc


def pages_raw(conn: Any) -> int:
    """Walk the table in pages."""
    total = 0
    last = ""
    select = "SELECT id, body FROM t WHERE id>? ORDER BY id LIMIT ?"
    while rows := conn.execute(select, (last, PAGE)).fetchall():
        total += len([orjson.loads(body) for _, body in rows])
        last = rows[-1][0]
    return total


def pages(db: Database) -> int:
    """Walk the documents in pages."""
    total = 0
    rows = db.all_docs(include_docs=True, limit=PAGE)["rows"]
    while rows:
        total += len(rows)
        rows = db.all_docs(include_docs=True, limit=PAGE, start_key=rows[-1]["id"], skip=1)["rows"]
    return total


def changes(db: Database) -> int:
    """Read the changes feed to its end."""
    total = 0
    page = db.changes(limit=1000)
    while page["results"]:
        total += len(page["results"])
        page = db.changes(since=page["last_seq"], limit=1000)
    return total
