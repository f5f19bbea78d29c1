"""Bringing an index up to date with the database, through the pool.

It is a loop of short operations: a batch of changes is read, the functions run with no lock held, and one short
transaction stores their rows if the index still stands where the batch began; else somebody else, in another thread or
process, has moved it on, and the loop goes on from there. So any number may catch up one index at once; what they do
twice is lost work only. Then the partial results that went stale are computed in the same manner.

A server that stops, or a database that is closed, ends it between two of these (:mod:`couchette.stopping`): what is
stored stays, and the next one goes on from there.

The index may lie in another database than the documents: that of a temporary view is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from couchette import index, stopping
from couchette.errors import CouchetteError
from couchette.index import reductions
from couchette.index.rows import json_text
from couchette.index.scanning import json_values
from couchette.pool import Pool

if TYPE_CHECKING:
    from couchette.functions.protocols import Mapper, Reducer

Progress = Callable[[int, int], object]
"""Told after each batch which sequence the index has reached, and that of the database. When it raises, the build ends
there; what is done stays done."""


@dataclass(frozen=True, slots=True)
class Functions:
    """What an index is computed with."""

    mapper: Mapper
    reducers: Sequence[Reducer | None] = ()
    """One for each view; None for one without, or whose results are not kept."""


class Keeper(Protocol):
    """What makes the rows of one kind of index, and stores them."""

    task: str
    """What the work is called while it is under way: CouchDB's ``type`` of a task."""

    def open(self, conn: Any, group: index.Group) -> index.State:
        """The state of the index, which is made if it is not there: a writing operation."""

    def rows(self, group: index.Group, batch: index.Batch) -> Any:
        """What a batch comes to. The functions run here, with no lock held."""

    def write(self, conn: Any, num: int, group: index.Group, batch: index.Batch, rows: Any) -> bool:
        """Store that, if the index still stands where the batch began: a writing operation."""


class _ViewKeeper:
    task = "indexer"

    def __init__(self, mapper: Mapper) -> None:
        self._mapper = mapper
        self.open = index.open_group
        self.write = index.write_batch

    def rows(self, group: index.Group, batch: index.Batch) -> Any:
        return index.rows_of(group, batch, self._mapper.map(batch.docs) if batch.docs else [])


def bring_up_to_date(
    pool: Pool,
    group: index.Group,
    functions: Functions,
    *,
    rows_pool: Pool | None = None,
    progress: Progress | None = None,
) -> index.State:
    """Let an index follow the database to where it stood when this was called, or further; return the index's state.

    The index is made if it is not there. ``rows_pool`` holds it, where that is not the database itself. Raises
    FunctionFailed where a function ran out of its bounds.
    """
    home = rows_pool or pool
    state = follow(pool, group, _ViewKeeper(functions.mapper), rows_pool=rows_pool, progress=progress)
    with stopping.heeding(pool.closing):
        for at, reducer in enumerate(functions.reducers):
            if reducer is not None:
                _compute_stale(home, state.num, at, reducer)
    return state


def follow(
    pool: Pool,
    group: index.Group,
    keeper: Keeper,
    *,
    rows_pool: Pool | None = None,
    progress: Progress | None = None,
) -> index.State:
    """As :func:`bring_up_to_date`, for an index of any kind."""
    home = rows_pool or pool
    state, goal = pool.read(index.find_group_and_newest, group.signature)
    if rows_pool is not None:
        state = rows_pool.read(index.find_group, group.signature)
    if state is not None and _has_reached(state.position, goal):
        return state
    begun_at = 0 if state is None else state.position.seq
    with (
        stopping.heeding(pool.closing),
        pool.tasks.running(keeper.task, group.owner, goal.seq - begun_at) as task,
    ):
        while state is None or not _has_reached(state.position, goal):
            stopping.check()
            if state is None:
                state = home.write(keeper.open, group)
            batch = pool.read(index.read_batch, group, state.position)
            if batch is not None:
                home.write(keeper.write, state.num, group, batch, keeper.rows(group, batch))
                task.advance(batch.end.seq - begun_at, batch.newest - begun_at)
                if progress is not None:
                    progress(batch.end.seq, batch.newest)
            state = home.read(index.find_group, group.signature)
    return state


def _has_reached(position: index.Position, goal: index.Position) -> bool:
    return position.seq >= goal.seq and position.purge_seq >= goal.purge_seq


def _compute_stale(pool: Pool, num: int, view: int, reducer: Reducer) -> None:
    """Compute the partial results of a view that are stale, unless the index moves on: then its mover does it."""
    while True:
        position, stale = pool.read(_read_stale, num, view)
        if position is None or not stale:
            return
        values = _computed(stale, reducer)
        stopping.check()  # A function that was not let finish has not failed.
        if not pool.write(index.write_values, num, view, values, position=position):
            return


def _read_stale(conn: Any, num: int, view: int) -> tuple[index.Position | None, list[reductions.Stale]]:
    state = index.state_of(conn, num)
    return (None, []) if state is None else (state.position, index.read_stale(conn, num, view))


def _computed(stale: Sequence[reductions.Stale], reducer: Reducer) -> list[tuple[int, Any, bytes]]:
    """The values of the nodes; those whose children are stale and not among them wait for the next round."""
    known: dict[tuple[int, Any], bytes] = {}
    for node in stale:
        if node.rows is not None:
            known[node.level, node.start] = _reduced(reducer, node.rows)
            continue
        parts = [known.get((node.level - 1, start)) if value is None else value for start, value in node.children]
        if None not in parts:
            known[node.level, node.start] = _rereduced(reducer, [part for part in parts if part is not None])
    return [(level, start, value) for (level, start), value in known.items()]


def _reduced(reducer: Reducer, rows: index.Rows) -> bytes:
    """The value of a node over rows."""
    if not rows.ids:
        return reductions.EMPTY
    try:
        return _stored(reduce_rows(reducer, rows))
    except CouchetteError:
        return reductions.FAILED


def _rereduced(reducer: Reducer, parts: list[bytes]) -> bytes:
    """The value of a node over nodes."""
    if reductions.FAILED in parts:
        return reductions.FAILED
    values = [orjson.loads(part) for part in parts if part != reductions.EMPTY]
    if not values:
        return reductions.EMPTY
    try:
        return _stored(reducer.rereduce(values))
    except CouchetteError:
        return reductions.FAILED


def _stored(value: Any) -> bytes:
    """A partial result as it is kept; integers beyond 64 bits are computed from the rows each time."""
    text = json_text(value)
    return text if type(text) is bytes else reductions.FAILED


def reduce_rows(reducer: Reducer, rows: index.Rows) -> Any:
    """The value of rows as a reduce function gives it."""
    keys = [[key, doc_id] for key, doc_id in zip(json_values(rows.keys), rows.ids, strict=True)]
    return reducer.reduce(keys, json_values(rows.values))
