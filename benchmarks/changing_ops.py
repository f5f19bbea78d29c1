"""Updates, deletions, single writes and revs_diff beside raw apsw, in order and shuffled."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import apsw
import orjson

from benchmarks.clock import rate_of_batches
from benchmarks.documents import Doc, make_batches, make_doc
from benchmarks.store_ops import BATCH, Measured, insert_raw, open_raw, raw_batches
from couchette import Database

SINGLES = 3_000
DIFF = 1_000


def measure(folder: Path, count: int) -> Iterator[Measured]:
    """Changing documents that are there."""
    raw = open_raw(folder / "raw-changing.sqlite")
    for rows in raw_batches(count):
        insert_raw(raw, rows)
    with Database(folder / "changing.couchette") as db:
        revs: dict[int, str] = {}
        for number, batch in enumerate(make_batches(count, BATCH)):
            for offset, row in enumerate(db.bulk_docs(batch)):
                revs[number * BATCH + offset] = row["rev"]
        in_order = list(range(count))
        shuffled = random.Random(2).sample(in_order, count)
        for turn, (order, name) in enumerate(((in_order, "in order"), (shuffled, "shuffled")), 1):
            raw_update = rate_of_batches(_raw_updates(order, turn), lambda rows: _update_raw(raw, rows))
            rate = rate_of_batches(_updates(order, revs, turn), lambda docs: _remember(revs, docs, db.bulk_docs(docs)))
            yield f"update, {name}", "update of body by id", None, raw_update, rate
        yield from _singles(raw, db, count)
        yield _revs_diff(raw, db, revs)
        raw_delete = rate_of_batches(_raw_updates(shuffled, 3), lambda rows: _update_raw(raw, rows))
        rate = rate_of_batches(_deletions(shuffled, revs), db.bulk_docs)
        yield "delete, shuffled", "update of body by id", None, raw_delete, rate
    raw.close()


def _slices(order: list[int], size: int = BATCH) -> Iterator[list[int]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _raw_updates(order: list[int], turn: int) -> Iterator[list[tuple[bytes, str]]]:
    # Each turn writes other bytes: SQLite does not write a row that is what it was.
    for numbers in _slices(order):
        docs = [make_doc(number) for number in numbers]
        yield [(orjson.dumps({**doc, "visits": -turn}), doc["_id"]) for doc in docs]


def _update_raw(conn: apsw.Connection, rows: list[tuple[bytes, str]]) -> None:
    with conn:
        conn.executemany("UPDATE t SET body=? WHERE id=?", rows)


def _updates(order: list[int], revs: dict[int, str], turn: int) -> Iterator[list[Doc]]:
    for numbers in _slices(order):
        yield [{**make_doc(number), "visits": -turn, "_rev": revs[number]} for number in numbers]


def _remember(revs: dict[int, str], docs: list[Doc], rows: list[Doc]) -> None:
    for doc, row in zip(docs, rows, strict=True):
        revs[int(doc["_id"][3:])] = row["rev"]


def _deletions(order: list[int], revs: dict[int, str]) -> Iterator[list[Doc]]:
    for numbers in _slices(order):
        yield [{"_id": make_doc(number)["_id"], "_rev": revs[number], "_deleted": True} for number in numbers]


def _singles(raw: apsw.Connection, db: Database, count: int) -> Iterator[Measured]:
    docs = [make_doc(count + number) for number in range(SINGLES)]
    rows = [[(doc["_id"], orjson.dumps(doc))] for doc in docs]
    raw_rate = rate_of_batches(rows, lambda one: insert_raw(raw, one))
    rate = rate_of_batches([[doc] for doc in docs], lambda one: db.put(one[0]))
    yield "put, one a transaction", "insert, one a transaction", None, raw_rate, rate


def _revs_diff(raw: apsw.Connection, db: Database, revs: dict[int, str]) -> Measured:
    items = [(make_doc(number)["_id"], [rev]) for number, rev in list(revs.items())[: 50 * DIFF]]
    batches = [items[start : start + DIFF] for start in range(0, len(items), DIFF)]
    select = "SELECT body FROM t WHERE id=?"
    raw_rate = rate_of_batches(batches, lambda batch: [raw.execute(select, (id,)).fetchone() for id, _ in batch])
    rate = rate_of_batches(batches, lambda batch: db.revs_diff(dict(batch)))
    return "revs_diff, 1000 known ids", "1000 point reads", None, raw_rate, rate
