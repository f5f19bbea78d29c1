"""Others that a program might take instead, at the same work: PouchDB in Node on leveldb, TinyDB, shelve.

None of them does what we do in full: TinyDB and shelve know no revisions, and shelve and PouchDB do not say
when a write is on the disk. So the ratios tell what a user would notice, not who is the better engineer.
"""

from __future__ import annotations

import shelve
from collections.abc import Callable, Iterator
from pathlib import Path

import tinydb

from benchmarks import raw
from benchmarks.clock import rate_of, rate_of_batches
from benchmarks.documents import USUAL, Doc
from benchmarks.node_peer import Rates, rates_in_node
from benchmarks.results import Measured
from couchette import Database

SINGLES = 500
SLOW_READS = 10
"""Reads and single writes of TinyDB: each goes through the whole file."""
NAMES = {
    "insert": "bulk insert",
    "get": "get",
    "pages": "all documents, in pages of 100",
    "changes": "changes, pages of 1000",
    "update": "bulk update",
    "put": "put of one",
}


def measure(folder: Path, count: int) -> Iterator[Measured]:
    """The same documents and batches, in turn."""
    ours = _couchette(folder / "ours.couchette", count)
    peers: dict[str, Callable[[Path, int], Rates]] = {
        "PouchDB 9, leveldb": _pouchdb,
        "TinyDB": _tinydb,
        "shelve": _shelve,
    }
    for peer, rates_of in peers.items():
        for key, rate in rates_of(folder, count).items():
            yield Measured(f"{NAMES[key]}: {peer}", peer, None, rate, ours[key])


def _wanted(count: int) -> list[str]:
    return [USUAL.doc_id(number) for number in range(0, count, 7)][::-1]


def _singles(count: int) -> list[Doc]:
    return [USUAL.doc(number) for number in range(count, count + SINGLES)]


def _couchette(path: Path, count: int) -> Rates:
    rates: Rates = {}
    revs: dict[str, str] = {}

    def write(docs: list[Doc]) -> None:
        revs.update((row["id"], row["rev"]) for row in db.bulk_docs(docs))

    with Database(path) as db:
        rates["insert"] = rate_of_batches(USUAL.batches(count, raw.BATCH), write)
        wanted = _wanted(count)
        rates["get"] = rate_of(len(wanted), lambda: [db.get(id) for id in wanted])
        rates["pages"] = rate_of(count, lambda: _pages(db))
        rates["changes"] = rate_of(count, lambda: _changes(db))
        updates = (
            [{**doc, "visits": -1, "_rev": revs[doc["_id"]]} for doc in docs]
            for docs in USUAL.batches(count, raw.BATCH)
        )
        rates["update"] = rate_of_batches(updates, write)
        rates["put"] = rate_of_batches([[doc] for doc in _singles(count)], lambda one: db.put(one[0]))
    return rates


def _pages(db: Database) -> None:
    rows = db.all_docs(include_docs=True, limit=raw.PAGE)["rows"]
    while rows:
        rows = db.all_docs(include_docs=True, limit=raw.PAGE, start_key=rows[-1]["id"], skip=1)["rows"]


def _changes(db: Database) -> None:
    page = db.changes(limit=1000)
    while page["results"]:
        page = db.changes(since=page["last_seq"], limit=1000)


def _pouchdb(folder: Path, count: int) -> Rates:
    docs = (USUAL.doc(number) for number in range(count + SINGLES))
    return rates_in_node("pouchdb.js", folder, docs, raw.BATCH, SINGLES)


def _tinydb(folder: Path, count: int) -> Rates:
    rates: Rates = {}
    with tinydb.TinyDB(folder / "tiny.json") as db:
        rates["insert"] = rate_of_batches(USUAL.batches(count, raw.BATCH), db.insert_multiple)
        query = tinydb.Query()
        wanted = _wanted(count)[:SLOW_READS]
        rates["get"] = rate_of(len(wanted), lambda: [db.get(query["_id"] == id) for id in wanted])
        rates["put"] = rate_of_batches([[doc] for doc in _singles(count)[:SLOW_READS]], lambda one: db.insert(one[0]))
    return rates


def _shelve(folder: Path, count: int) -> Rates:
    rates: Rates = {}

    def write(docs: list[Doc]) -> None:
        for doc in docs:
            shelf[doc["_id"]] = doc
        shelf.sync()

    with shelve.open(str(folder / "shelf")) as shelf:
        rates["insert"] = rate_of_batches(USUAL.batches(count, raw.BATCH), write)
        wanted = _wanted(count)
        rates["get"] = rate_of(len(wanted), lambda: [shelf[id] for id in wanted])
        updates = ([{**doc, "visits": -1} for doc in docs] for docs in USUAL.batches(count, raw.BATCH))
        rates["update"] = rate_of_batches(updates, write)
        rates["put"] = rate_of_batches([[doc] for doc in _singles(count)], write)
    return rates
