"""Finding by a selector beside raw apsw, the same documents in the plainest table with the same index; and making
indexes beside pouchdb-find.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import orjson

from benchmarks.clock import rate_of
from benchmarks.documents import KINDS, Kind
from benchmarks.node_peer import rates_in_node
from benchmarks.raw import open_reader
from benchmarks.results import Measured
from couchette import Database

BATCH = 500
FOUND = 100
TIMES = 200
POUCHDB_DOCS = 10_000
"""What pouchdb-find is given: its rate does not grow with more."""


def measure(folder: Path, count: int, kind: Kind = KINDS[0]) -> Iterator[Measured]:
    """Find with an index and without, and making the index."""
    raw = apsw.Connection(str(folder / "raw.sqlite"))
    raw.pragma("journal_mode", "wal")
    raw.pragma("synchronous", "normal")
    raw.pragma("cache_size", -65536)
    raw.execute("CREATE TABLE t(id TEXT PRIMARY KEY, body BLOB)")
    with Database(folder / "ours.couchette") as db:
        for batch in kind.batches(count, BATCH):
            db.bulk_docs(batch)
            with raw:
                raw.executemany("INSERT INTO t VALUES(?,?)", ((doc.pop("_id"), orjson.dumps(doc)) for doc in batch))
        yield from _unindexed(raw, db, count)
        other = rate_of(count, lambda: _index_raw(raw))
        ours = rate_of(count, lambda: db.create_index("visits"))
        yield Measured("create_index on one field", "orjson.loads, insert of (value, id)", None, other, ours)
        few = (kind.doc(number) for number in range(min(count, POUCHDB_DOCS)))
        other = rates_in_node("pouchdb_queries.js", folder, few, BATCH)["index"]
        yield Measured(
            "create_index, beside PouchDB", f"pouchdb-find 9, leveldb, {POUCHDB_DOCS:,} documents", 10, other, ours
        )
        raw.close()
        with closing(open_reader(str(folder / "raw.sqlite"))) as reader:  # As ours, it did not write what it reads.
            yield from _indexed(reader, db, count)


def _unindexed(raw: Any, db: Database, count: int) -> Iterator[Measured]:
    """Selectors of which few documents match, each read against a full scan that parses all."""
    scan = rate_of(count, lambda: _scan_raw(raw))
    for name, selector in (
        ("a number", {"visits": count // 2}),
        ("a text", {"email": "nobody@example.org"}),
        ("a range", {"balance": {"$lt": 0}}),
    ):
        yield Measured(
            f"find without an index, by {name}",
            "full scan, orjson.loads each",
            0.5,
            scan,
            rate_of(count, lambda wanted=selector: db.find(wanted)),  # type: ignore[misc]
        )


def _indexed(raw: Any, db: Database, count: int) -> Iterator[Measured]:
    starts = range(0, count - FOUND, max((count - FOUND) // TIMES, 1))

    def ours(**options: Any) -> None:
        for start in starts:
            selector = {"visits": {"$gte": start, "$lt": start + FOUND}}
            assert len(db.find(selector, limit=FOUND, **options)["docs"]) == FOUND

    def theirs(select: str) -> None:
        for start in starts:
            found = raw.execute(select, (start, start + FOUND)).fetchall()
            assert len([orjson.loads(body) for _, body in found]) == FOUND

    joined = "SELECT t.id, t.body FROM i JOIN t ON t.id=i.id WHERE value>=? AND value<? ORDER BY value"
    yield Measured(
        f"find by an indexed field, {FOUND} of {count:,}",
        "range of the index, join, orjson.loads",
        0.5,
        rate_of(len(starts), lambda: theirs(joined)),
        rate_of(len(starts), ours),
    )
    yield Measured(
        "the same, only the field of the index",
        "range of the index, join, orjson.loads",
        None,
        rate_of(len(starts), lambda: theirs(joined)),
        rate_of(len(starts), lambda: ours(fields=["_id", "visits"])),
    )


def _scan_raw(raw: Any) -> None:
    for (body,) in raw.execute("SELECT body FROM t"):
        orjson.loads(body)


def _index_raw(raw: Any) -> None:
    with raw:
        raw.execute("CREATE TABLE i(value, id TEXT, PRIMARY KEY(value, id)) WITHOUT ROWID")
        rows = raw.execute("SELECT id, body FROM t").fetchall()
        raw.executemany("INSERT INTO i VALUES(?,?)", ((orjson.loads(body)["visits"], doc_id) for doc_id, body in rows))
