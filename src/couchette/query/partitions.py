"""A view of the documents of one partition.

An index holds all partitions in the order of keys, so the rows in the range are read and those of other partitions are
dropped. It costs in proportion to the range, not to the partition; so does what is reduced, since partial results are
of all partitions. A query that names keys is as fast as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from couchette import index
from couchette.document.partition import is_in
from couchette.functions import overflow
from couchette.query.options import ViewQuery
from couchette.query.rows import add_docs

if TYPE_CHECKING:
    from couchette.functions.protocols import Reducer
    from couchette.pool import Pool
    from couchette.query.views import ViewEngine

Doc = dict[str, Any]


def query_partition(engine: ViewEngine, pool: Pool, view: tuple[str, str], query: ViewQuery, partition: str) -> Doc:
    """The answer of a design document's view to a query, of the documents of one partition.

    ``total_rows`` is that of the whole view. Raises what :meth:`ViewEngine.query` raises.
    """
    views, at = engine.stored(view)
    query.check(has_reduce=views.reduces[at] is not None)
    whole = replace(query, reduce=False, group=False, group_level=None, skip=0, limit=None, include_docs=False)
    (answer,) = engine.query(view, [whole])
    rows = [row for row in answer["rows"] if is_in(row["id"], partition)]
    stop = None if query.limit is None else query.skip + query.limit
    if query.reduces(views.reduces[at] is not None):
        with engine.functions(views) as functions:
            reducer = functions.reducers[at]
            assert reducer is not None
            groups = _groups(rows, query, index.key_function(views.group, at))
            shown = [_reduced(reducer, key, group) for key, group in islice(groups, query.skip, stop)]
        return {name: answer[name] for name in ("update_seq",) if name in answer} | {"rows": shown}
    rows = rows[query.skip : stop]
    if query.include_docs:
        pool.read(add_docs, rows, query)
    return {**answer, "offset": min(query.skip, answer["total_rows"]), "rows": rows}


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
