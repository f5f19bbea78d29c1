"""Spatial queries beside raw apsw: the same points in the plainest R*Tree, and the rows that are shown in a table."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import orjson

from benchmarks import raw
from benchmarks.clock import rate_of
from benchmarks.results import Measured
from couchette import Database

FOUND = 100
TIMES = 200
PLANE = 1000.0


def measure(folder: Path, count: int) -> Iterator[Measured]:
    """Building the index of points, and finding about a hundred of them in boxes."""
    drawn = random.Random(count)
    docs = [
        {"_id": f"{number:08}", "at": [drawn.uniform(0, PLANE), drawn.uniform(0, PLANE)]} for number in range(count)
    ]
    side = PLANE * (FOUND / count) ** 0.5
    corners = [(drawn.uniform(0, PLANE - side), drawn.uniform(0, PLANE - side)) for _ in range(TIMES)]
    boxes = [(west, south, west + side, south + side) for west, south in corners]
    plain = apsw.Connection(str(folder / "raw.sqlite"))
    plain.pragma("journal_mode", "wal")
    plain.pragma("synchronous", "normal")
    plain.pragma("cache_size", -65536)
    with Database(folder / "ours.couchette") as db:
        for start in range(0, count, raw.BATCH):
            db.bulk_docs(docs[start : start + raw.BATCH])
        db.spatial_view("points")(_emit)
        other = rate_of(count, lambda: _build(plain, docs))
        ours = rate_of(count, lambda: db.spatial("points", limit=0))
        yield Measured("spatial index build, one Python emit", "inserts into R*Tree and table", None, other, ours)
        other = rate_of(TIMES, lambda: [_find(plain, box) for box in boxes])
        ours = rate_of(TIMES, lambda: [db.spatial("points", bbox=box) for box in boxes])
        yield Measured(f"bbox of {FOUND} in {count:,} points", "R*Tree, join, orjson.loads each row", 0.5, other, ours)
    plain.close()


def _emit(doc: dict[str, Any]) -> list[tuple[Any, Any]]:
    return [(_point(doc), None)]


def _point(doc: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Point", "coordinates": doc["at"]}


def _row(doc: dict[str, Any]) -> bytes:
    """What is shown of a point."""
    x, y = doc["at"]
    return orjson.dumps({"key": [[x, x], [y, y]], "bbox": [x, y, x, y], "geometry": _point(doc), "value": None})


def _build(plain: apsw.Connection, docs: list[dict[str, Any]]) -> None:
    with plain:
        plain.execute("CREATE VIRTUAL TABLE r USING rtree(rid, a0, b0, a1, b1)")
        plain.execute("CREATE TABLE g(rid INTEGER PRIMARY KEY, id TEXT, row BLOB)")
        rows = [(number, doc["_id"], _row(doc)) for number, doc in enumerate(docs)]
        plain.executemany("INSERT INTO g VALUES(?,?,?)", rows)
        plain.executemany(
            "INSERT INTO r VALUES(?,?,?,?,?)",
            ((number, doc["at"][0], doc["at"][0], doc["at"][1], doc["at"][1]) for number, doc in enumerate(docs)),
        )


def _find(plain: apsw.Connection, box: tuple[float, ...]) -> list[tuple[str, Any]]:
    west, south, east, north = box
    sql = "SELECT g.id, g.row FROM r CROSS JOIN g ON g.rid=r.rid WHERE b0>=? AND a0<=? AND b1>=? AND a1<=?"
    found: Any = plain.execute(sql, (west, east, south, north))
    return [(doc_id, orjson.loads(row)) for doc_id, row in found]
