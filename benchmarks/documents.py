"""The documents that the benchmarks write: no two alike, short or long, with sequential or random ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

Doc = dict[str, Any]
CITIES = ("Zürich", "São Paulo", "Москва", "東京", "Reykjavík", "Lagos", "Montréal")
NOTES = 20
"""Paragraphs of a long document, which bring it to 2 KB."""


class Kind(NamedTuple):
    """What sort of documents to write."""

    name: str
    long: bool = False
    random_ids: bool = False

    def doc_id(self, number: int) -> str:
        """The id of a document: in the order of the numbers, or all over the index."""
        return hashlib.md5(b"%d" % number).hexdigest() if self.random_ids else f"doc{number:08d}"

    def doc(self, number: int) -> Doc:
        """Fourteen members: text in several scripts, numbers, a list, an object; a long one has notes, too."""
        noise = hashlib.sha256(str(number).encode()).hexdigest()
        doc: Doc = {
            "_id": self.doc_id(number),
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
        if self.long:
            doc["notes"] = [f"{paragraph}: {noise[paragraph:]} and so on" for paragraph in range(NOTES)]
        return doc

    def batches(self, count: int, size: int) -> Iterator[list[Doc]]:
        """``count`` documents in lists of ``size``, each list made when it is asked for."""
        for start in range(0, count, size):
            yield [self.doc(number) for number in range(start, min(start + size, count))]


USUAL = Kind("300 bytes, ids in order")
KINDS = (
    USUAL,
    Kind("300 bytes, random ids", random_ids=True),
    Kind("2 KB, ids in order", long=True),
    Kind("2 KB, random ids", long=True, random_ids=True),
)


def with_history(doc: Doc) -> Doc:
    """The document as replication brings it: its third revision, with the two before."""
    ids = [hashlib.md5(f"{doc['_id']} {number}".encode(), usedforsecurity=False).hexdigest() for number in (3, 2, 1)]
    return {**doc, "_rev": f"3-{ids[0]}", "_revisions": {"start": 3, "ids": ids}}
