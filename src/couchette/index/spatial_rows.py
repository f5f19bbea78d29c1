"""The tables of a spatial index: how it follows the documents, and what in it meets some ranges.

A view's rows are in ``spatial_<num>_<view>``: a row's number ``rid``, its document and the number of its emit, how many
dimensions it has, and as JSON all that is shown of it. Those of D dimensions are found by the R*Tree
``rtree_<num>_<view>_<D>``, which is made when the first one comes: a tree has one number of dimensions, and points in a
plane would fill twice the pages of a tree that has room for five.

An R*Tree keeps numbers of 32 bits, rounded outwards. What it finds to lie within the ranges with all of that lies
within them; the rest is looked at again, with exact numbers and the geometry itself
(:mod:`couchette.document.geometry`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from math import inf
from operator import itemgetter
from typing import Any

import apsw
import orjson

from couchette import jsonio
from couchette.document.geometry import Range, meets, read_key
from couchette.errors import CouchetteError
from couchette.index.batches import Batch
from couchette.index.groups import Group, Position, State, find_group, state_of
from couchette.index.rows import Emitted, json_text
from couchette.index.scanning import Json, json_value, json_values
from couchette.limits import SPATIAL_DIMENSIONS_MAX, SPATIAL_PORTION_ROWS

logger = logging.getLogger(__name__)

Open = tuple[float | None, float | None]
"""A range of a query; None is an open end."""
Ranges = Sequence[Open]
"""One for each dimension, from the first on; those beyond are open."""
SpatialRow = tuple[str, int, tuple[Range, ...], Json]
"""Document, number of the emit, ranges, and what is shown."""
Doc = dict[str, Any]


# -- Following ------------------------------------------------------------------------------------


def open_spatial_group(conn: apsw.Connection, group: Group) -> State:
    """The state of a spatial index, whose tables are made if they are not there. A writing operation."""
    state = find_group(conn, group.signature)
    if state is not None:
        return state
    counts = orjson.dumps([0] * len(group.views)).decode()
    conn.execute(
        "INSERT INTO index_groups(signature, owner, counts) VALUES(?,?,?)", (group.signature, group.owner, counts)
    )
    num = conn.last_insert_rowid()
    for at in range(len(group.views)):
        conn.execute(f"""
            CREATE TABLE spatial_{num}_{at}(
                rid INTEGER PRIMARY KEY, id TEXT NOT NULL, n INT NOT NULL, dims INT NOT NULL, row NOT NULL
            )""")
        conn.execute(f"CREATE UNIQUE INDEX spatial_{num}_{at}_id ON spatial_{num}_{at}(id, n)")
    return State(num, Position(0, 0), (0,) * len(group.views), False)


def spatial_rows(group: Group, batch: Batch, emitted: Emitted) -> list[list[SpatialRow]]:
    """The rows of each view, of what the functions emitted for the documents of a batch.

    A document of which a key is no spatial one has no rows in that view, and this is logged.
    """
    views: list[list[SpatialRow]] = []
    for at in range(len(group.views)):
        rows: list[SpatialRow] = []
        for doc_id, of_views in zip(batch.doc_ids, emitted, strict=True):
            try:
                rows += [_row(doc_id, n, key, value) for n, (key, value) in enumerate(of_views[at])]
            except CouchetteError as exc:
                logger.warning("document %r is not in view %d of %s: %s", doc_id, at, group.owner or "a query", exc)
        views.append(rows)
    return views


def _row(doc_id: str, n: int, key: Any, value: Any) -> SpatialRow:
    ranges, geometry = read_key(key)
    shown: dict[str, Any] = {"key": ranges}
    if geometry is not None:
        (west, east), (south, north) = ranges[:2]
        shown |= {"bbox": [west, south, east, north], "geometry": geometry}
    return doc_id, n, tuple(ranges), json_text({**shown, "value": value})


def write_spatial_batch(
    conn: apsw.Connection, num: int, group: Group, batch: Batch, views: Sequence[list[SpatialRow]]
) -> bool:
    """Let a spatial index follow a batch. False, and nothing is written, where it does not stand at its beginning."""
    state = state_of(conn, num)
    if state is None or state.position != batch.begin:
        return False
    counts = [count + _replace(conn, num, at, batch, views[at]) for at, count in enumerate(state.counts)]
    sql = "UPDATE index_groups SET seq=?, purge_seq=?, counts=? WHERE num=?"
    conn.execute(sql, (*batch.end, orjson.dumps(counts).decode(), num))
    return True


def _replace(conn: apsw.Connection, num: int, at: int, batch: Batch, rows: Sequence[SpatialRow]) -> int:
    """Put rows in the place of all that the batch's documents had in a view; by how many rows it grows."""
    table, tree = f"spatial_{num}_{at}", f"rtree_{num}_{at}"
    old = {} if batch.begin.seq == 0 else _held(conn, table, batch.ids)
    kept = {(doc_id, n) for doc_id, n, _, text in rows if (doc_id, n) in old and old[doc_id, n][2] == text}
    gone = [(dims, rid) for place, (rid, dims, _) in old.items() if place not in kept]
    for dims, rid in gone:
        conn.execute(f"DELETE FROM {tree}_{dims} WHERE rid=?", (rid,))
    conn.executemany(f"DELETE FROM {table} WHERE rid=?", [(rid,) for _, rid in gone])
    trees = set(_trees(conn, num, at))
    for doc_id, n, ranges, text in rows:
        if (doc_id, n) in kept:
            continue
        dims = len(ranges)
        if dims not in trees:
            trees.add(dims)
            columns = ", ".join(f"a{axis}, b{axis}" for axis in range(dims))
            conn.execute(f"CREATE VIRTUAL TABLE {tree}_{dims} USING rtree(rid, {columns})")
        conn.execute(f"INSERT INTO {table}(id, n, dims, row) VALUES(?,?,?,?)", (doc_id, n, dims, text))
        marks = ",?" * (2 * dims)
        bounds = [bound for both in ranges for bound in both]
        conn.execute(f"INSERT INTO {tree}_{dims} VALUES(?{marks})", (conn.last_insert_rowid(), *bounds))
    return len(rows) - len(old)


def _held(conn: apsw.Connection, table: str, ids: list[str]) -> dict[tuple[str, int], tuple[int, int, Json]]:
    """The rows that these documents have: number, dimensions and text by document and emit."""
    sql = f"SELECT t.id, t.n, t.rid, t.dims, t.row FROM json_each(?) AS w CROSS JOIN {table} AS t ON t.id=w.value"
    found: Any = conn.execute(sql, (jsonio.dumps(list(dict.fromkeys(ids))).decode(),))
    return {(doc_id, n): (rid, dims, text) for doc_id, n, rid, dims, text in found}


def _trees(conn: apsw.Connection, num: int, at: int) -> list[int]:
    """For which numbers of dimensions a view has a tree."""
    names = {f"rtree_{num}_{at}_{dims}": dims for dims in range(1, SPATIAL_DIMENSIONS_MAX + 1)}
    marks = ",".join("?" * len(names))
    found: Any = conn.execute(f"SELECT name FROM sqlite_schema WHERE name IN ({marks})", tuple(names))
    return [names[name] for (name,) in found]


# -- Finding --------------------------------------------------------------------------------------


def find_spatial(
    conn: apsw.Connection, num: int, at: int, boxes: Sequence[Ranges], *, skip: int = 0, limit: int | None = None
) -> list[Doc]:
    """The rows that meet one of the boxes, by document and number, as they are shown.

    A row has to have as many dimensions as a box names. Every row meets a box that names none.
    """
    candidates = _candidates(conn, num, at, boxes)
    stop = None if limit is None else skip + limit
    rows: list[Doc] = []
    # What a limit leaves out need not be read.
    for start in range(0, len(candidates), SPATIAL_PORTION_ROWS):
        if stop is not None and len(rows) >= stop:
            break
        portion = candidates[start : start + SPATIAL_PORTION_ROWS]
        shown = [
            {"id": row[0], **one} for row, one in zip(portion, json_values([row[2] for row in portion]), strict=True)
        ]
        rows += _meeting(shown, boxes)
    return rows[skip:stop]


def count_spatial(conn: apsw.Connection, num: int, at: int, boxes: Sequence[Ranges]) -> int:
    """How many rows meet one of the boxes. Those that an R*Tree knows to lie inside are not read."""
    inside = _conditions(boxes[0])[0] if len(boxes) == 1 else "0"
    found = _candidates(conn, num, at, boxes, f"CASE WHEN {inside} THEN NULL ELSE s.row END")
    return sum(1 for _, _, text in found if text is None or _meets_any(json_value(text), boxes))


def _candidates(
    conn: apsw.Connection, num: int, at: int, boxes: Sequence[Ranges], shown: str = "s.row"
) -> list[tuple[str, int, Json]]:
    """The rows that the R*Trees find, each once, by document and number."""
    table = f"spatial_{num}_{at}"
    found: list[tuple[str, int, Json]] = []
    for box in boxes:
        if not box:
            everything: Any = conn.execute(f"SELECT s.id, s.n, {shown} FROM {table} AS s ORDER BY id, n").fetchall()
            return list(everything)
        _, where, values = _conditions(box)
        for dims in _trees(conn, num, at):
            if dims >= len(box):
                tree = f"rtree_{num}_{at}_{dims} AS t CROSS JOIN {table} AS s ON s.rid=t.rid"
                rows: Any = conn.execute(f"SELECT s.id, s.n, {shown} FROM {tree} WHERE {where}", values).fetchall()
                found += rows
    if len(boxes) > 1:
        found = list({row[:2]: row for row in found}.values())
    # Twice by one column takes a third of the time of once by both.
    found.sort(key=itemgetter(1))
    found.sort(key=itemgetter(0))
    return found


def _conditions(box: Ranges) -> tuple[str, str, dict[str, float]]:
    """In SQL: that a row lies within the ranges for certain, that it may meet them, and the values in these."""
    inside, where, values = ["1"], ["1"], {}
    for axis, (low, high) in enumerate(box):
        if low is not None:
            inside.append(f"t.a{axis}>=:low{axis}")
            where.append(f"t.b{axis}>=:low{axis}")
            values[f"low{axis}"] = low
        if high is not None:
            inside.append(f"t.b{axis}<=:high{axis}")
            where.append(f"t.a{axis}<=:high{axis}")
            values[f"high{axis}"] = high
    return " AND ".join(inside), " AND ".join(where), values


def _meeting(rows: list[Doc], boxes: Sequence[Ranges]) -> list[Doc]:
    """Those of the rows that meet one of the boxes exactly."""
    if len(boxes) != 1 or len(boxes[0]) != 2:
        return [row for row in rows if _meets_any(row, boxes)]
    # One box in a plane, and nearly all lie inside: to see that here takes a third of the time of calls.
    [box] = boxes
    (west, east), (south, north) = [(-inf if low is None else low, inf if high is None else high) for low, high in box]
    return [
        row
        for row in rows
        if (west <= (key := row["key"])[0][0] and key[0][1] <= east and south <= key[1][0] and key[1][1] <= north)
        or _meets(row, box)
    ]


def _meets_any(row: Doc, boxes: Iterable[Ranges]) -> bool:
    """Whether a row meets one of the boxes exactly."""
    return any(_meets(row, box) for box in boxes)


def _meets(row: Doc, box: Ranges) -> bool:
    ranges: list[Range] = row["key"]
    if len(ranges) < len(box):
        return False
    within = True
    closed = ranges.copy()  # Where the box is open it reaches as far as the row does.
    for axis, (low, high) in enumerate(box):
        own_low, own_high = ranges[axis]
        low = own_low if low is None else low
        high = own_high if high is None else high
        if own_low > high or own_high < low:
            return False
        within = within and low <= own_low and own_high <= high
        closed[axis] = low, high
    if within or "geometry" not in row:
        return True
    (west, east), (south, north) = closed[:2]
    return meets(row["geometry"], (west, south, east, north))
