"""Writing new documents and reading them, beside raw apsw."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks import raw
from benchmarks.clock import rate_of, rate_of_batches
from benchmarks.documents import Kind, with_history
from benchmarks.results import Measured
from couchette import Database

READS_MAX = 50_000


def measure(folder: Path, count: int, kind: Kind) -> Iterator[Measured]:
    """Bulk inserts of both sorts, get, pages and changes."""
    table = raw.open_table(folder / "raw.sqlite")
    plain_insert = rate_of_batches(raw.batches(kind, count), lambda rows: raw.insert(table, rows))
    with Database(folder / "ours.couchette") as db:
        rate = rate_of_batches(kind.batches(count, raw.BATCH), db.bulk_docs)
        yield Measured("bulk insert, new edits", "insert of (id, body)", 0.25, plain_insert, rate)
        numbers = random.Random(1).sample(range(count), min(count, READS_MAX))
        wanted = [kind.doc_id(number) for number in numbers]
        # Neither side reads with the connection that wrote, whose cache is warm.
        table.close()
        table = raw.open_reader(str(folder / "raw.sqlite"))
        plain_get = rate_of(len(wanted), lambda: [raw.get(table, id) for id in wanted])
        rate = rate_of(len(wanted), lambda: [db.get(id) for id in wanted])
        yield Measured("get", "select by id, orjson.loads", 0.85, plain_get, rate)
        plain_pages = rate_of(count, lambda: raw.pages(table))
        pages = "all_docs, pages of 100 with documents"
        yield Measured(pages, "range of 100, orjson.loads each", 0.70, plain_pages, rate_of(count, lambda: _pages(db)))
        scan = raw.open_reader(db.path)
        columns = "SELECT seq, id, rev, deleted FROM docs WHERE seq>0"
        plain_scan = rate_of(count, lambda: scan.execute(columns).fetchall())
        scan.close()
        rate = rate_of(count, lambda: _changes(db))
        yield Measured("changes, pages of 1000", "rowid scan of the same columns", 0.25, plain_scan, rate)
    table.close()
    table = raw.open_table(folder / "again.sqlite")
    plain_insert = rate_of_batches(raw.batches(kind, count), lambda rows: raw.insert(table, rows))
    table.close()
    with Database(folder / "replica.couchette") as db:
        batches = ([with_history(doc) for doc in batch] for batch in kind.batches(count, raw.BATCH))
        rate = rate_of_batches(batches, lambda docs: db.bulk_docs(docs, new_edits=False))
        yield Measured("bulk insert, replicated (3 revs)", "insert of (id, body)", 0.45, plain_insert, rate)


def _pages(db: Database) -> int:
    """Walk the documents in pages."""
    total = 0
    rows = db.all_docs(include_docs=True, limit=raw.PAGE)["rows"]
    while rows:
        total += len(rows)
        rows = db.all_docs(include_docs=True, limit=raw.PAGE, start_key=rows[-1]["id"], skip=1)["rows"]
    return total


def _changes(db: Database) -> int:
    """Read the changes feed to its end."""
    total = 0
    page = db.changes(limit=1000)
    while page["results"]:
        total += len(page["results"])
        page = db.changes(since=page["last_seq"], limit=1000)
    return total
