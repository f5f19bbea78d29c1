"""How many rows of a view come before a point: CouchDB's ``offset``, without counting all of them each time.

The rows of an index are others only where its position is another. So for the position at which it stands the places of
some rows are noted, as many rows apart from each other: the *milestones*, found by walking on from the last one as far
as somebody asks. An offset is then a bisection, and a count from the milestone before the point. They are kept in
memory, and where their places are large there are fewer of them.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import Final, NamedTuple

import apsw

from couchette import at_once
from couchette.index.groups import Position, State
from couchette.index.scanning import count, select
from couchette.index.spans import START, Point, Span
from couchette.limits import (
    AT_ONCE_WALKED_ROWS,
    INDEX_MILESTONE_ROWS,
    INDEX_MILESTONE_VIEWS,
    INDEX_MILESTONES_BYTES,
)

_PLACE_BYTES: Final = 200
"""What a place takes beside its bytes, about: a tuple and what it holds."""


class _Milestones(NamedTuple):
    """Those of a view at one position, which never change: what is found out later makes others of them."""

    position: Position
    step: int
    """From how many rows on one follows the other."""
    places: list[Point]
    """The first is before all rows."""


class Offsets:
    """What is known of the views of one database. Safe to use from many threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], _Milestones] = {}
        """By the number of the group and that of the view in it."""
        self._lock = threading.Lock()

    def rows_before(self, conn: apsw.Connection, state: State, view: int, point: Point) -> int:
        """How many rows come before a point. A reading operation, on the snapshot that ``state`` was read in."""
        if state.counts[view] <= INDEX_MILESTONE_ROWS or not conn.readonly("main"):
            # A connection that can write may see what is never committed, and then positions are given out again.
            return count(conn, state.num, view, Span(None, point))
        known = self._known.get((state.num, view))
        if known is None or known.position != state.position:
            known = _Milestones(state.position, INDEX_MILESTONE_ROWS, [START])
        if known.places[-1] < point and len(known.places) * known.step < state.counts[view]:
            known = _walked(conn, state, view, known, point)
            self._keep((state.num, view), known)
        at = bisect_right(known.places, point) - 1
        return at * known.step + count(conn, state.num, view, Span(known.places[at], point))

    def _keep(self, key: tuple[int, int], known: _Milestones) -> None:
        with self._lock:
            self._known.pop(key, None)
            self._known[key] = known
            if len(self._known) > INDEX_MILESTONE_VIEWS:
                del self._known[next(iter(self._known))]


def _walked(conn: apsw.Connection, state: State, view: int, known: _Milestones, point: Point) -> _Milestones:
    """The same with all milestones up to a point, and the one after it."""
    step, places = known.step, list(known.places)
    size, near = sum(map(_size, places)), len(places) * step + AT_ONCE_WALKED_ROWS
    while places[-1] < point and len(places) * step < state.counts[view]:
        if len(places) * step > near:
            at_once.would_wait()  # It may be a long way.
        place = select(conn, state.num, view, Span(places[-1]), columns="k, id, n", skip=step, limit=1).get
        places.append(place)
        size += _size(place)
        if size > INDEX_MILESTONES_BYTES:
            step, places = 2 * step, places[::2]
            size = sum(map(_size, places))
    return _Milestones(known.position, step, places)


def _size(place: Point) -> int:
    return _PLACE_BYTES + len(place[0]) + len(place[1])
