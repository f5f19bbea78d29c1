"""Calls through `couchette.pouchdb` and the same on `couchette.Database`: what names and result shapes cost."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.clock import rate_of, rate_of_batches
from benchmarks.documents import USUAL
from benchmarks.results import Measured
from couchette import Database, pouchdb

CALLS_MAX = 10_000
PAGE = 100
BATCH = 1000
WITH_DOCS: dict[str, Any] = {"limit": PAGE, "include_docs": True}
RATIO_MIN = 1 / 1.5
OTHER = "the same on couchette.Database"


def measure(folder: Path, count: int) -> Iterator[Measured]:
    """Writes and reads, one document or many a call."""
    face = pouchdb.setup(str(folder / "face")).PouchDB("bench")
    with Database(folder / "plain.couchette") as plain:
        below = rate_of_batches(USUAL.batches(count, BATCH), plain.bulk_docs)
        yield _measured("bulkDocs, 1000", below, rate_of_batches(USUAL.batches(count, BATCH), face.bulkDocs))
        calls = min(count, CALLS_MAX)
        ids = [USUAL.doc_id(number) for number in random.Random(1).sample(range(count), calls)]
        below = rate_of(calls, lambda: [plain.get(id) for id in ids])
        yield _measured("get", below, rate_of(calls, lambda: [face.get(id) for id in ids]))
        below = rate_of(calls, lambda: [plain[id] for id in ids])
        yield _measured("db[id]", below, rate_of(calls, lambda: [face[id] for id in ids]))
        below = rate_of(calls, lambda: [plain.all_docs(start_key=at, **WITH_DOCS) for at in _page_starts(calls)])
        ours = rate_of(calls, lambda: [face.allDocs(startkey=at, **WITH_DOCS) for at in _page_starts(calls)])
        yield _measured("allDocs, pages of 100 with documents", below, ours)
        below = rate_of(calls, lambda: [plain.changes(since=at, limit=PAGE) for at in range(0, calls, PAGE)])
        ours = rate_of(calls, lambda: [face.changes(since=at, limit=PAGE) for at in range(0, calls, PAGE)])
        yield _measured("changes, pages of 100", below, ours)
        docs = [USUAL.doc(count + number) for number in range(calls)]
        below = rate_of(calls, lambda: [plain.put(doc) for doc in docs])
        yield _measured("put", below, rate_of(calls, lambda: [face.put(doc) for doc in docs]))


def _measured(operation: str, below: float, ours: float) -> Measured:
    return Measured(f"pouchdb: {operation}", OTHER, RATIO_MIN, below, ours)


def _page_starts(count: int) -> list[str]:
    return [USUAL.doc_id(at) for at in range(0, count, PAGE)]
