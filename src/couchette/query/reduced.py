"""The answer of a view that is reduced: one value, or one for each group of keys.

What a group is reduced from is read from the index in one snapshot: partial results and the rows at both ends. The
function then runs with no snapshot held. As in CouchDB, whose shards' results are put together even where there is one,
the function is called at last to rereduce.

Groups are found in one pass over the rows while they are small; within a large one that would cost its rows, so the
pass ends there, the partial results take over, and another one begins after the group. So the cost is in proportion to
what is shown, whether groups are many or large.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from couchette import index
from couchette.functions import overflow
from couchette.index import Span, span_of_key, span_of_prefix
from couchette.index.reductions import Part, Rows
from couchette.limits import INDEX_GROUP_ROWS
from couchette.query.catching_up import reduce_rows
from couchette.query.options import ViewQuery

if TYPE_CHECKING:
    from couchette.functions.protocols import Reducer

Doc = dict[str, Any]


class Grouped(NamedTuple):
    """A group as it is shown, and what it is reduced from."""

    key: Any
    parts: list[Part]


def read_groups(
    conn: Any,
    state: index.State,
    view: int,
    query: ViewQuery,
    spans: Sequence[Span],
    to_bytes: Callable[[Any], bytes],
) -> list[Grouped]:
    """The groups that a query asks for: a reading operation on the index."""
    wanted = query.limit
    if query.level == 0:
        groups: Iterator[Grouped] = (
            Grouped(None, parts) for span in spans if (parts := list(index.cover(conn, state.num, view, span)))
        )
    else:
        groups = (
            group
            for span in spans
            for group in _Walk(conn, state.num, view, query.level, query.descending, to_bytes).groups(span)
        )
    found: list[Grouped] = []
    for at, group in enumerate(groups):
        if wanted is not None and len(found) >= wanted:
            break
        if at >= query.skip:
            found.append(group)
    return found


class _Walk:
    """One walk over the groups of a view."""

    def __init__(
        self,
        conn: Any,
        num: int,
        view: int,
        level: int | None,
        descending: bool,
        to_bytes: Callable[[Any], bytes],
    ) -> None:
        self.conn, self.num, self.view = conn, num, view
        self.level, self.descending, self.to_bytes = level, descending, to_bytes

    def groups(self, span: Span) -> Iterator[Grouped]:
        """The groups in a span, each with its rows that are in the span."""
        rest: Span | None = span
        while rest is not None:
            rest = yield from self._pass(rest)

    def _pass(self, span: Span) -> Generator[Grouped, None, Span | None]:
        """The groups of a span up to the first large one; returns the span that is left after that."""
        columns = "k, id, key, value"
        cursor = index.select(self.conn, self.num, self.view, span, columns=columns, descending=self.descending)
        key: Any = None
        extent: Span | None = None
        rows: list[Any] = []
        try:
            for row in cursor:
                if extent is not None and _is_within(row[0], extent):
                    rows.append(row)
                    if len(rows) > INDEX_GROUP_ROWS:
                        break
                    continue
                if extent is not None:
                    yield Grouped(key, [self._as_part(rows)])
                key, extent = self._group_of(row[0], index.json_value(row[2]))
                rows = [row]
            else:
                if extent is not None:
                    yield Grouped(key, [self._as_part(rows)])
                return None
        finally:
            cursor.close()
        assert extent is not None
        inside = Span(_later(extent.low, span.low), _earlier(extent.high, span.high))
        yield Grouped(key, list(index.cover(self.conn, self.num, self.view, inside)))
        return Span(span.low, extent.low) if self.descending else Span(extent.high, span.high)

    def _group_of(self, k: bytes, key: Any) -> tuple[Any, Span]:
        """The key shown for the group of a row, and where its rows are: equal keys, or arrays that begin alike."""
        if self.level is None or not isinstance(key, list) or len(key) < self.level:
            return key, span_of_key(k)
        shown = key[: self.level]
        # An array's bytes end with one that closes it.
        return shown, span_of_prefix(self.to_bytes(shown)[:-1])

    def _as_part(self, rows: list[Any]) -> Rows:
        """Rows of a group as a reduce function takes them, ascending."""
        if self.descending:
            rows.reverse()
        values = [index.whole(self.conn, self.num, row[3]) for row in rows]
        return Rows([row[1] for row in rows], [row[2] for row in rows], values)


def _is_within(k: bytes, extent: Span) -> bool:
    assert extent.low is not None
    assert extent.high is not None
    return extent.low[0] <= k < extent.high[0]


def _later(point: index.Point | None, other: index.Point | None) -> index.Point | None:
    return max(point, other) if point is not None and other is not None else point or other


def _earlier(point: index.Point | None, other: index.Point | None) -> index.Point | None:
    return min(point, other) if point is not None and other is not None else point or other


def reduced_rows(reducer: Reducer, groups: Sequence[Grouped]) -> list[Doc]:
    """The rows of the answer: ``{"key", "value"}``, or ``{"key", "error", "reason"}`` of a group whose value overflows.

    Raises what else the function raises.
    """
    rows: list[Doc] = []
    for key, parts in groups:
        values = [orjson.loads(part) if isinstance(part, bytes) else reduce_rows(reducer, part) for part in parts]
        value = reducer.rereduce(values)
        reason = overflow(value)
        if reason is None:
            rows.append({"key": key, "value": reducer.finalize(value)})
        else:
            rows.append({"key": key, "error": "reduce_overflow_error", "reason": reason})
    return rows
