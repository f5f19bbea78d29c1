"""What must not cost more where a database is large or a document's history is long."""

from __future__ import annotations

import gc
import hashlib
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import apsw

from benchmarks import raw
from benchmarks.clock import rate_of, rate_of_batches
from benchmarks.documents import USUAL, Doc
from benchmarks.results import Figure, Measured
from couchette import Database

CONFLICTS = 1_000
REVISIONS = 10_000
READS = 2_000
UPDATES = 100
OPENINGS = 21


def measure(folder: Path, count: int) -> Iterator[Measured | Figure]:
    """Documents with many conflicts or revisions; ten thousand documents against ``count``; opening a large file."""
    yield from _histories(folder)
    yield from _growth(folder, count)


def _histories(folder: Path) -> Iterator[Measured]:
    with Database(folder / "histories.couchette", revs_limit=REVISIONS) as db:
        doc = {**USUAL.doc(1), "_id": "plain"}
        db.put(doc)
        leaves = [{**doc, "_id": "conflicted", "_rev": f"2-{_hex(number)}"} for number in range(CONFLICTS)]
        db.bulk_docs(leaves, new_edits=False)
        ids = [_hex(number) for number in range(REVISIONS)]
        long = {**doc, "_id": "long", "_revisions": {"start": REVISIONS, "ids": ids}}
        db.bulk_docs([long], new_edits=False)
        plain = rate_of(READS, partial(_read, db, "plain"))
        for id, name in (("conflicted", f"{CONFLICTS:,} conflicts"), ("long", f"{REVISIONS:,} revisions")):
            rate = rate_of(READS, partial(_read, db, id))
            yield Measured(f"get of a document with {name}", "get of a plain document", 0.1, plain, rate)
        yield from _updated(db)


def _updated(db: Database) -> Iterator[Measured]:
    """Updates of the same documents: not bounded, but a document that cannot be written any more is lost."""
    rates = {id: rate_of(UPDATES, partial(_change, db, id)) for id in ("plain", "conflicted", "long")}
    for id in ("conflicted", "long"):
        yield Measured(f"get and put of the {id} document", "of the plain one", None, rates["plain"], rates[id])


def _read(db: Database, id: str) -> None:
    for _ in range(READS):
        db.get(id)


def _change(db: Database, id: str) -> None:
    for turn in range(UPDATES):
        db.put({**db.get(id), "visits": turn})


def _growth(folder: Path, count: int) -> Iterator[Measured | Figure]:
    """Each operation's rate in a large database, beside its rate in one of ten thousand documents."""
    small, _ = _rates(folder / "small.couchette", 10_000)
    large, path = _rates(folder / "large.couchette", count)
    for name, rate in large.items():
        yield Measured(f"{name}, {count:,} documents", "the same with 10,000", 1 / 1.5, small[name], rate)
    Database(path).close()  # The write-ahead log is in the file now, as it is when a program ends well.
    ours, plain = _opening(path, _open_ours), _opening(path, _open_plain)
    yield Figure(f"opening {count:,} documents, beyond apsw", "ms", 5, (ours - plain) * 1000)


def _rates(path: Path, count: int) -> tuple[dict[str, float], Path]:
    last = count - 10_000

    def tail(start: int, size: int) -> Iterator[list[Doc]]:
        return (
            [USUAL.doc(number) for number in range(at, at + raw.BATCH)] for at in range(start, start + size, raw.BATCH)
        )

    rates: dict[str, float] = {}
    with Database(path) as db:
        for batch in tail(0, last):
            db.bulk_docs(batch)
        rates["bulk insert"] = rate_of_batches(tail(last, 10_000), db.bulk_docs)
        ids = [USUAL.doc_id(number) for number in range(last, count)]
        for id in ids:  # What is measured is the look-up, not the disk.
            db.get(id)
        rates["get"] = rate_of(len(ids), lambda: [db.get(id) for id in ids])
        start = ids[0]
        rates["page of 100"] = rate_of(100, lambda: [db.all_docs(start_key=start, limit=100) for _ in range(100)])
        since = db.info()["update_seq"]
        docs = [{**db.get(id), "visits": -1} for id in ids[:2_000]]
        rates["update"] = rate_of_batches(
            [docs[at : at + raw.BATCH] for at in range(0, 2_000, raw.BATCH)], db.bulk_docs
        )
        rates["changes"] = rate_of(100, lambda: [db.changes(since=since, limit=100) for _ in range(100)])
    return rates, path


def _opening(path: Path, open_once: Callable[[Path], None]) -> float:
    """Seconds to open, read one document and close; the median."""
    taken = []
    for _ in range(OPENINGS):
        gc.collect()
        start = time.perf_counter()
        open_once(path)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _open_ours(path: Path) -> None:
    with Database(path) as db:
        db.get(USUAL.doc_id(5_000))


def _open_plain(path: Path) -> None:
    conn = apsw.Connection(str(path))
    conn.execute("SELECT body FROM docs WHERE id=? AND cur=1", (USUAL.doc_id(5_000),)).fetchall()
    conn.close()


def _hex(number: int) -> str:
    return hashlib.md5(b"%d" % number).hexdigest()
