"""Full text beside FTS5 itself: the same texts in a table of one column, with FTS5's own tokenizer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw

from benchmarks.clock import rate_of
from benchmarks.documents import Doc
from benchmarks.results import Measured
from couchette import Database

BATCH = 500
PAGE = 25
TIMES = 5
WORDS = 2000
WORDS_EACH = 30
PAIRS = [(3, 5), (10, 20), (40, 90), (200, 300), (500, 800)]
"""Pairs of words, the frequent and the rare ones: the n-th word is about an n-th as frequent as the first."""


def measure(folder: Path, count: int) -> Iterator[Measured]:
    """Building an index, two terms of which any or both must be there, and following one change."""
    raw = apsw.Connection(str(folder / "raw.sqlite"))
    raw.pragma("journal_mode", "wal")
    raw.pragma("synchronous", "normal")
    raw.pragma("cache_size", -65536)
    raw.execute("CREATE TABLE docs(num INTEGER PRIMARY KEY, id TEXT)")
    raw.execute("CREATE VIRTUAL TABLE t USING fts5(text, content='', contentless_delete=1)")
    with Database(folder / "ours.couchette") as db:
        for start in range(0, count, BATCH):
            db.bulk_docs([_doc(number) for number in range(start, min(start + BATCH, count))])
        db.text_index("texts")(_fields)
        yield Measured(
            "text index, one field in Python",
            "insert of the same texts",
            None,
            rate_of(count, lambda: _insert(raw, count)),
            rate_of(count, lambda: db.search("texts", "*:*", limit=0)),
        )
        for joint in ("OR", "AND"):
            queries = [f"w{one} {joint} w{other}" for one, other in PAIRS] * TIMES
            yield Measured(
                f"search for two terms, {joint}, of {count:,}",
                "MATCH, ORDER BY rank, ids",
                0.6,
                rate_of(len(queries), lambda asked=queries: [_search_raw(raw, query) for query in asked]),  # type: ignore[misc]
                rate_of(len(queries), lambda asked=queries: [_search(db, query) for query in asked]),  # type: ignore[misc]
            )
        yield _updated(db, count)
    raw.close()


def _doc(number: int) -> Doc:
    return {"_id": f"doc{number:08d}", "text": _text(number)}


def _text(number: int) -> str:
    """Words of which the n-th is about an n-th as frequent as the first."""
    noise = b"".join(hashlib.sha256(b"%d %d" % (number, part)).digest() for part in range(2))
    shares = (int.from_bytes(noise[2 * at : 2 * at + 2]) / 65536 for at in range(WORDS_EACH))
    return " ".join(f"w{int(WORDS**share)}" for share in shares)


def _fields(doc: dict[str, Any]) -> dict[str, Any]:
    return {"default": doc["text"]}


def _insert(raw: apsw.Connection, count: int) -> None:
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        with raw:
            raw.executemany("INSERT INTO docs VALUES(?,?)", ((number, f"doc{number:08d}") for number in numbers))
            raw.executemany("INSERT INTO t(rowid, text) VALUES(?,?)", ((number, _text(number)) for number in numbers))


def _search_raw(raw: Any, query: str) -> list[Any]:
    sql = "SELECT rowid, rank FROM t WHERE t MATCH ? ORDER BY rank LIMIT ?"
    found = raw.execute(sql, (query, PAGE)).fetchall()
    return [(raw.execute("SELECT id FROM docs WHERE num=?", (num,)).get, rank) for num, rank in found]


def _search(db: Database, query: str) -> list[Any]:
    return [(row["id"], row["order"]) for row in db.search("texts", query, limit=PAGE)["rows"]]


def _updated(db: Database, count: int) -> Measured:
    """One changed document, and the search that follows it, each by itself."""
    docs = [db.get(f"doc{number:08d}") for number in range(0, count, max(count // 50, 1))]
    puts = searches = 0.0
    for doc in docs:
        doc["text"] += " more"
        puts += 1 / rate_of(1, lambda changed=doc: db.put(changed))  # type: ignore[misc]
        searches += 1 / rate_of(1, lambda: db.search("texts", "w1999", limit=1))
    return Measured("text index after one change", "put of one document", 0.05, len(docs) / puts, len(docs) / searches)
