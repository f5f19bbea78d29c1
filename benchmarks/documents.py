"""The documents that the benchmarks write: some 300 bytes of JSON, sequential ids, no two alike."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

Doc = dict[str, Any]
CITIES = ("Zürich", "São Paulo", "Москва", "東京", "Reykjavík", "Lagos", "Montréal")


def make_batches(count: int, size: int) -> Iterator[list[Doc]]:
    """``count`` documents in lists of ``size``, each list made when it is asked for."""
    for start in range(0, count, size):
        yield [make_doc(number) for number in range(start, min(start + size, count))]


def make_doc(number: int) -> Doc:
    """Fourteen members: text in several scripts, numbers, a list, an object."""
    noise = hashlib.sha256(str(number).encode()).hexdigest()
    return {
        "_id": f"doc{number:08d}",
        "type": "person",
        "name": f"Person {noise[:8]}",
        "email": f"{noise[8:16]}@example.org",
        "city": CITIES[number % len(CITIES)],
        "age": number % 90,
        "balance": number / 100,
        "active": number % 3 == 0,
        "manager": f"Person {noise[48:56]}" if number % 4 else None,
        "tags": ["red", "green", noise[16:20]],
        "address": {"street": f"{noise[20:30]} street", "number": number % 200},
        "created": f"2026-11-{number % 28 + 1:02d}T12:00:00Z",
        "visits": number,
        "note": noise[30:52],
    }


def with_history(doc: Doc) -> Doc:
    """The document as replication brings it: its third revision, with the two before."""
    ids = [hashlib.md5(f"{doc['_id']} {number}".encode(), usedforsecurity=False).hexdigest() for number in (3, 2, 1)]
    return {**doc, "_rev": f"3-{ids[0]}", "_revisions": {"start": 3, "ids": ids}}
