"""Updates, deletions, single writes and revs_diff beside raw apsw, in order and shuffled."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import apsw
import orjson

from benchmarks import raw
from benchmarks.clock import rate_of_batches
from benchmarks.documents import Doc, Kind
from benchmarks.results import Measured
from couchette import Database

SINGLES = 3_000
DIFF = 1_000
UPDATE = "update of body by id"


def measure(folder: Path, count: int, kind: Kind) -> Iterator[Measured]:
    """Changing documents that are there."""
    table = raw.open_table(folder / "raw-changing.sqlite")
    for rows in raw.batches(kind, count):
        raw.insert(table, rows)
    with Database(folder / "changing.couchette") as db:
        revs = [row["rev"] for batch in kind.batches(count, raw.BATCH) for row in db.bulk_docs(batch)]
        in_order = list(range(count))
        shuffled = random.Random(2).sample(in_order, count)
        for turn, (order, name) in enumerate(((in_order, "in order"), (shuffled, "shuffled")), 1):
            plain = rate_of_batches(_raw_updates(kind, order, turn), lambda rows: raw.update(table, rows))
            rate = rate_of_batches(_updates(kind, order, revs, turn), lambda docs: _update(db, docs, revs))
            yield Measured(f"update, {name}", UPDATE, 0.40, plain, rate)
        yield _singles(table, db, count, kind)
        yield _revs_diff(str(folder / "raw-changing.sqlite"), db, revs, kind)
        plain = rate_of_batches(_raw_updates(kind, shuffled, 3), lambda rows: raw.update(table, rows))
        rate = rate_of_batches(_deletions(kind, shuffled, revs), db.bulk_docs)
        yield Measured("delete, shuffled", UPDATE, 0.40, plain, rate)
    table.close()


def _slices(order: list[int], size: int = raw.BATCH) -> Iterator[list[int]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _raw_updates(kind: Kind, order: list[int], turn: int) -> Iterator[list[tuple[bytes, str]]]:
    # Each turn writes other bytes: SQLite does not write a row that is what it was.
    for numbers in _slices(order):
        docs = [kind.doc(number) for number in numbers]
        yield [(orjson.dumps({**doc, "visits": -turn}), doc["_id"]) for doc in docs]


def _updates(kind: Kind, order: list[int], revs: list[str], turn: int) -> Iterator[list[Doc]]:
    for numbers in _slices(order):
        yield [{**kind.doc(number), "visits": -turn, "age": number, "_rev": revs[number]} for number in numbers]


def _update(db: Database, docs: list[Doc], revs: list[str]) -> None:
    for doc, row in zip(docs, db.bulk_docs(docs), strict=True):
        revs[doc["age"]] = row["rev"]


def _deletions(kind: Kind, order: list[int], revs: list[str]) -> Iterator[list[Doc]]:
    for numbers in _slices(order):
        yield [{"_id": kind.doc_id(number), "_rev": revs[number], "_deleted": True} for number in numbers]


def _singles(table: apsw.Connection, db: Database, count: int, kind: Kind) -> Measured:
    docs = [kind.doc(count + number) for number in range(SINGLES)]
    rows = [[(doc["_id"], orjson.dumps(doc))] for doc in docs]
    plain = rate_of_batches(rows, lambda one: raw.insert(table, one))
    rate = rate_of_batches([[doc] for doc in docs], lambda one: db.put(one[0]))
    return Measured("put, one a transaction", "insert, one a transaction", 0.5, plain, rate)


def _revs_diff(path: str, db: Database, revs: list[str], kind: Kind) -> Measured:
    items = [(kind.doc_id(number), [rev]) for number, rev in enumerate(revs[: 50 * DIFF])]
    batches = [dict(items[start : start + DIFF]) for start in range(0, len(items), DIFF)]
    select = "SELECT body FROM t WHERE id=?"
    # As for get, neither side reads with the connection that wrote.
    reader = raw.open_reader(path)
    plain = rate_of_batches(batches, lambda batch: [reader.execute(select, (id,)).fetchone() for id in batch])
    reader.close()
    rate = rate_of_batches(batches, db.revs_diff)
    return Measured("revs_diff, 1000 known ids", "1000 point reads", 1.6, plain, rate)
