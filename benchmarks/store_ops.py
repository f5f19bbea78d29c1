"""The store's operations beside raw apsw: the same bytes in the plainest table that could hold them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import orjson

from benchmarks.documents import Doc, make_docs, with_history
from couchette import Database

BATCH = 500
PAGE = 100
Timed = Callable[[int, Callable[[], object]], float]
Measured = tuple[str, str, float, float, float]


def measure(folder: Path, count: int, timed: Timed) -> Iterator[Measured]:
    """Yield (operation, what raw does, target, raw rate, our rate)."""
    docs = make_docs(count)
    blobs = [(doc["_id"], orjson.dumps({k: v for k, v in doc.items() if k != "_id"})) for doc in docs]
    raw = open_raw(folder / "raw.sqlite")
    raw_insert = timed(count, lambda: insert_raw(raw, blobs))
    with Database(folder / "ours.couchette") as db:
        yield "bulk insert, new edits", "insert of (id, body)", 0.20, raw_insert, timed(count, lambda: insert(db, docs))
        yield from _reads(raw, db, [doc["_id"] for doc in docs], timed)
    raw.close()
    replicated = [with_history(doc) for doc in docs]
    raw = open_raw(folder / "again.sqlite")
    raw_insert = timed(count, lambda: insert_raw(raw, blobs))
    raw.close()
    with Database(folder / "replica.couchette") as db:
        rate = timed(count, lambda: insert(db, replicated, new_edits=False))
        yield "bulk insert, replicated (3 revs)", "insert of (id, body)", 0.40, raw_insert, rate


def _reads(raw: apsw.Connection, db: Database, ids: list[str], timed: Timed) -> Iterator[Measured]:
    count = len(ids)
    wanted = random.Random(1).sample(ids, min(count, 50_000))
    yield (
        "get",
        "select by id, orjson.loads",
        0.70,
        timed(len(wanted), lambda: get_raw(raw, wanted)),
        timed(len(wanted), lambda: [db.get(id) for id in wanted]),
    )
    yield (
        "all_docs, pages of 100 with documents",
        "range of 100, orjson.loads each",
        0.60,
        timed(count, lambda: pages_raw(raw)),
        timed(count, lambda: pages(db)),
    )
    scan = open_raw_scan(db.path)
    yield (
        "changes, pages of 1000",
        "rowid scan of seq, id, rev, deleted",
        0.20,
        timed(count, lambda: scan.execute("SELECT seq, id, rev, deleted FROM docs WHERE seq>0").fetchall()),
        timed(count, lambda: changes(db)),
    )
    scan.close()


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
    """Insert in transactions of BATCH rows."""
    for start in range(0, len(rows), BATCH):
        with conn:
            conn.executemany("INSERT INTO t VALUES(?,?)", rows[start : start + BATCH])


def insert(db: Database, docs: list[Doc], *, new_edits: bool = True) -> None:
    """Write in batches of BATCH documents."""
    for start in range(0, len(docs), BATCH):
        db.bulk_docs(docs[start : start + BATCH], new_edits=new_edits)


def get_raw(conn: apsw.Connection, ids: list[str]) -> list[Doc]:
    """Read documents one by one."""
    select = "SELECT body FROM t WHERE id=?"
    return [orjson.loads(conn.execute(select, (id,)).fetchone()[0]) for id in ids]


def pages_raw(conn: apsw.Connection) -> int:
    """Walk the table in pages."""
    total, last = 0, ""
    while rows := conn.execute("SELECT id, body FROM t WHERE id>? ORDER BY id LIMIT ?", (last, PAGE)).fetchall():
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
