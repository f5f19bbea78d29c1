"""Views beside what they are made of, quickjs-ng alone and raw apsw with the same rows in the same table, and beside
PouchDB's.

Growth of memory is the process's peak, so it is taken in a process of its own,
``python -m benchmarks.view_ops FOLDER``, and with a small page cache: few documents would not fill SQLite's usual one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import apsw
import orjson
import quickjs

from benchmarks import raw
from benchmarks.clock import rate_of
from benchmarks.documents import USUAL, Kind
from benchmarks.node_peer import rates_in_node
from benchmarks.replication_children import peak_mib
from benchmarks.results import Figure, Measured
from couchette import Database, connecting
from couchette.document.collation import sort_key

PAGE = 100
TIMES = 200
POUCHDB_DOCS = 10_000
"""What PouchDB is given: its rate does not grow with more."""
FEW, MANY = 20_000, 100_000
GROWTH_MAX_MIB = 8
SMALL_CACHE_KIB = 1024
JAVASCRIPT = "function (doc) { emit([doc.city, doc.visits], doc.age); }"
BATCH_IN_JAVASCRIPT = f"""
var emitted, emit = function (key, value) {{ emitted.push([key, value]); }}, map = {JAVASCRIPT};
function mapAll(text) {{
    return JSON.stringify(JSON.parse(text).map(function (doc) {{ emitted = []; map(doc); return emitted; }}));
}}"""
ROWS = "CREATE TABLE v(k BLOB, id TEXT, n INT, key, value, PRIMARY KEY(k, id, n)) WITHOUT ROWID"


def measure(folder: Path, count: int, kind: Kind = USUAL) -> Iterator[Measured | Figure]:
    """Building in both languages, a range, reducing, following one change, and memory."""
    with Database(folder / "ours.couchette") as db:
        for batch in kind.batches(count, raw.BATCH):
            db.bulk_docs(batch)
        view = {"map": JAVASCRIPT, "reduce": "_sum"}
        db.put({"_id": "_design/plain", "views": {"rows": {"map": JAVASCRIPT}}})
        db.put({"_id": "_design/sums", "views": {"rows": view}})
        db.view("python")(_emit)
        other = rate_of(count, lambda: _map_alone(kind, count))
        ours = rate_of(count, lambda: db.query("plain/rows", limit=1))
        yield Measured("view build, one JavaScript emit", "quickjs-ng, batches of 500", 0.25, other, ours)
        few = (kind.doc(number) for number in range(min(count, POUCHDB_DOCS)))
        other = rates_in_node("pouchdb_queries.js", folder, few, raw.BATCH)["view"]
        yield Measured("view build, beside PouchDB", f"PouchDB 9, leveldb, {POUCHDB_DOCS:,} documents", 20, other, ours)
        table = apsw.Connection(str(folder / "raw.sqlite"))
        table.pragma("journal_mode", "wal")
        table.pragma("synchronous", "normal")
        table.execute(ROWS)
        other = rate_of(count, lambda: _insert_rows(table, kind, count))
        ours = rate_of(count, lambda: db.query("python", limit=1))
        yield Measured("view build, one Python emit", "orjson.loads, insert of the rows", 0.25, other, ours)
        table.close()
        table = raw.open_reader(str(folder / "raw.sqlite"))  # As ours, it did not write what it reads.
        starts = [[USUAL.doc(number)["city"], number] for number in range(0, count, max(count // TIMES, 1))]
        other = rate_of(len(starts), lambda: [_range(table, start) for start in starts])
        ours = rate_of(len(starts), lambda: [db.query("plain/rows", start_key=key, limit=PAGE) for key in starts])
        yield Measured("range of 100 rows", "the same in raw SQL", 0.6, other, ours)
        table.close()
        yield from _reduced(db, count)
        yield _updated(db, kind, count)
    command = [sys.executable, "-m", "benchmarks.view_ops", str(folder)]
    grown = float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    yield Figure(f"growth of memory, view of {FEW:,} to {MANY:,} documents", "MiB", GROWTH_MAX_MIB, grown)


def _emit(doc: dict[str, Any]) -> list[tuple[Any, Any]]:
    return [([doc["city"], doc["visits"]], doc["age"])]


def _map_alone(kind: Kind, count: int) -> None:
    """Map all documents with no more around JavaScript than JSON."""
    context = quickjs.Context()
    context.eval(BATCH_IN_JAVASCRIPT)
    map_all = context.get("mapAll")
    for batch in kind.batches(count, raw.BATCH):
        orjson.loads(map_all(orjson.dumps(batch).decode()))


def _insert_rows(table: apsw.Connection, kind: Kind, count: int) -> None:
    """Parse the documents, and insert their rows in batches."""
    for batch in raw.batches(kind, count):
        docs = [(id, orjson.loads(body)) for id, body in batch]
        rows = [(id, [doc["city"], doc["visits"]], doc["age"]) for id, doc in docs]
        with table:
            table.executemany(
                "INSERT INTO v VALUES(?,?,0,?,?)",
                ((sort_key(key), id, orjson.dumps(key), orjson.dumps(value)) for id, key, value in rows),
            )


def _range(table: apsw.Connection, start: Any) -> list[Any]:
    sql = "SELECT id, key, value FROM v WHERE k>=? ORDER BY k, id, n LIMIT ?"
    rows: list[Any] = table.execute(sql, (sort_key(start), PAGE)).fetchall()
    return [(id, orjson.loads(key), orjson.loads(value)) for id, key, value in rows]


def _reduced(db: Database, count: int) -> Iterator[Measured]:
    """Half of the rows, and a thousandth of them."""
    db.query("sums/rows")
    keys = [row["key"] for row in db.query("sums/rows", reduce=False)["rows"]]
    first, half, little = keys[count // 4], keys[3 * count // 4], keys[count // 4 + count // 1000]
    other = rate_of(TIMES, lambda: [db.query("sums/rows", start_key=first, end_key=little) for _ in range(TIMES)])
    ours = rate_of(TIMES, lambda: [db.query("sums/rows", start_key=first, end_key=half) for _ in range(TIMES)])
    yield Measured("_sum over half of the rows", "over a thousandth of them", 1 / 3, other, ours)


def _updated(db: Database, kind: Kind, count: int) -> Measured:
    """One changed document, and the query that follows it, each by itself."""
    docs = [db.get(kind.doc_id(number)) for number in range(0, count, max(count // TIMES, 1))]
    puts = updates = 0.0
    for doc in docs:
        doc["age"] += 1
        puts += 1 / rate_of(1, lambda changed=doc: db.put(changed))  # type: ignore[misc]
        updates += 1 / rate_of(1, lambda: db.query("sums/rows", limit=1))
    put, update = len(docs) / puts, len(docs) / updates
    return Measured("view update after one change", "put of one document", 0.05, put, update)


def growth_mib(folder: Path) -> float:
    """By how much the process's peak grows from the build of an index of few documents to one of many."""
    peaks = []
    for count in (FEW, MANY):
        with patch.object(connecting, "CACHE_KIB", SMALL_CACHE_KIB), Database(folder / f"grown{count}.couchette") as db:
            for batch in USUAL.batches(count, raw.BATCH):
                db.bulk_docs(batch)
            db.put({"_id": "_design/plain", "views": {"rows": {"map": JAVASCRIPT}}})
            db.query("plain/rows", limit=1)
        peaks.append(peak_mib())
    return peaks[1] - peaks[0]


if __name__ == "__main__":
    print(growth_mib(Path(sys.argv[1])))
