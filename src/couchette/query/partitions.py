"""A view of the documents of one partition.

An index holds all partitions in the order of keys, so the rows in the range are read and those of other partitions are
dropped. It costs in proportion to the range, not to the partition; so does what is reduced, since partial results are
of all partitions. A query that names keys is as fast as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any

from couchette import index
from couchette.document.partition import is_in
from couchette.functions import overflow
from couchette.query.options import ViewQuery

if TYPE_CHECKING:
    from couchette.functions.protocols import Reducer
    from couchette.query.views import ViewEngine

Doc = dict[str, Any]


def partition_pages(
    engine: ViewEngine, view: tuple[str, str], query: ViewQuery, partition: str, room: int
) -> Iterator[Doc]:
    """The answer of a design document's view to a query, of the documents of one partition, as
    :meth:`ViewEngine.pages` gives it.

    ``total_rows`` is that of the whole view. Raises what :meth:`ViewEngine.query` raises.
    """
    views, at = engine.stored(view)
    query.check(has_reduce=views.reduces[at] is not None)
    whole = replace(query, reduce=False, group=False, group_level=None, skip=0, limit=None, include_docs=False)
    pages = engine.pages(view, whole, room)
    if query.reduces(views.reduces[at] is not None):
        with engine.functions(views) as functions:
            reducer = functions.reducers[at]
            assert reducer is not None
            answer = next(pages)
            rows = [row for page in chain((answer,), pages) for row in page["rows"] if is_in(row["id"], partition)]
            stop = None if query.limit is None else query.skip + query.limit
            groups = _groups(rows, query, index.key_function(views.group, at))
            shown = [_reduced(reducer, key, group) for key, group in islice(groups, query.skip, stop)]
        yield {name: answer[name] for name in ("update_seq",) if name in answer} | {"rows": shown}
        return
    skip, left = query.skip, query.limit
    for page in pages:
        inside = [row for row in page["rows"] if is_in(row["id"], partition)]
        rows = inside[skip : None if left is None else skip + left]
        if "offset" in page:
            page["offset"] = min(query.skip, page["total_rows"])
        yield {**page, "rows": rows}
        skip = max(skip - len(inside), 0)
        left = None if left is None else left - len(rows)
        if left == 0:
            return


def _groups(rows: Sequence[Doc], query: ViewQuery, to_bytes: Callable[[Any], bytes]) -> Iterator[tuple[Any, list[Doc]]]:
    """The rows by what their keys are grouped by, with the key that is shown of each group."""
    if query.level == 0:
        if rows:
            yield None, list(rows)[:: -1 if query.descending else 1]
        return

    def shown(row: Doc) -> Any:
        key = row["key"]
        return key if query.level is None or not isinstance(key, list) else key[: query.level]

    for _, group in groupby(rows, key=lambda row: to_bytes(shown(row))):
        members = list(group)
        if query.descending:
            members.reverse()
        yield shown(members[0]), members


def _reduced(reducer: Reducer, key: Any, rows: Sequence[Doc]) -> Doc:
    """A group's row. As in CouchDB the function is called at last to rereduce."""
    keys = [[row["key"], row["id"]] for row in rows]
    value = reducer.rereduce([reducer.reduce(keys, [row["value"] for row in rows])])
    reason = overflow(value)
    if reason is not None:
        return {"key": key, "error": "reduce_overflow_error", "reason": reason}
    return {"key": key, "value": reducer.finalize(value)}
