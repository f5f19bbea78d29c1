"""What a put and an update in order cost in SQL alone: the statements of the store, with values made off the clock.

It is the floor below our own work. Where it is beneath a bound already, no Python can reach that bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import orjson

from benchmarks import raw
from benchmarks.clock import rate_of_batches
from benchmarks.documents import Kind
from benchmarks.results import Measured
from couchette import Database
from couchette.store.batch import HEAD, INSERT, INSERT_NEW, RETIRE
from couchette.store.rows import winner_rows
from couchette.store.schema import read_meta, write_counts

SINGLES = 3_000
REV, PARENT = "2-" + "a" * 32, b"b" * 16
Rows = list[tuple[Any, ...]]


def measure(folder: Path, count: int, kind: Kind) -> Iterator[Measured]:
    """The statements beside what raw apsw does in place of them."""
    table = raw.open_table(folder / "raw-statements.sqlite")
    for rows in raw.batches(kind, count):
        raw.insert(table, rows)
    path = folder / "statements.couchette"
    with Database(path) as db:
        for batch in kind.batches(count, raw.BATCH):
            db.bulk_docs(batch)
    conn = apsw.Connection(str(path))
    conn.pragma("synchronous", "normal")
    conn.pragma("cache_size", -65536)
    plain = rate_of_batches(_raw_updates(kind, count), lambda rows: raw.update(table, rows))
    rate = rate_of_batches(_updates(kind, count), lambda rows: _update(conn, rows))
    yield Measured("update, in order: the statements alone", "update of body by id", None, plain, rate)
    singles = [kind.doc(count + number) for number in range(SINGLES)]
    plain = rate_of_batches([[(doc["_id"], orjson.dumps(doc))] for doc in singles], lambda one: raw.insert(table, one))
    puts: list[Rows] = [
        [(2 * count + number, doc["_id"], REV, None, orjson.dumps(doc))] for number, doc in enumerate(singles, 1)
    ]
    rate = rate_of_batches(puts, lambda rows: _put(conn, rows))
    yield Measured("put: the statements alone", "insert, one a transaction", None, plain, rate)
    conn.close()
    table.close()


def _raw_updates(kind: Kind, count: int) -> Iterator[list[tuple[bytes, str]]]:
    for docs in kind.batches(count, raw.BATCH):
        yield [(orjson.dumps({**doc, "visits": -1}), doc["_id"]) for doc in docs]


def _updates(kind: Kind, count: int) -> Iterator[Rows]:
    for batch in kind.batches(count, raw.BATCH):
        docs = sorted(enumerate(batch), key=lambda numbered: numbered[1]["_id"])
        first = batch[0]["visits"]
        yield [
            (count + first + place, doc["_id"], 1, REV, 0, first + number + 1, PARENT, None, orjson.dumps(doc))
            for place, (number, doc) in enumerate(docs, 1)
        ]


def _update(conn: apsw.Connection, rows: Rows) -> None:
    with conn:
        read_meta(conn)
        winner_rows(conn, [row[1] for row in rows], HEAD).fetchall()
        conn.executemany(RETIRE, [(row[5],) for row in rows])
        conn.executemany(INSERT, rows)
        write_counts(conn, rows[-1][0], 0, 0)


def _put(conn: apsw.Connection, rows: Rows) -> None:
    conn.execute("BEGIN IMMEDIATE")
    read_meta(conn)
    conn.execute(f"SELECT {HEAD} FROM docs WHERE id=? AND cur=1", (rows[0][1],)).fetchall()
    conn.executemany(INSERT_NEW, rows)
    write_counts(conn, rows[0][0], 0, 0)
    conn.execute("COMMIT")
