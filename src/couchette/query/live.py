"""Live queries: the answer to a query, and then what changes in it.

Each is a :class:`~couchette.live.Source` of events for a feed that waits:

* ``{"type": "added", "id", "seq", ...}``: something came into the answer, or belongs to it from the start;
* ``{"type": "changed", ...}``: it is still there, with other content;
* ``{"type": "removed", "id", "seq", ...}``: it left, was deleted or purged;
* ``{"type": "complete", "seq"}``: once, after the last event of the first answer.

Who applies the events to a dictionary holds, after all events of one ``seq``, the answer as of that sequence. For a
selector the dictionary is by ``id``, and events carry ``doc``. For a view it is by ``(id, n)``, the number of the emit
among those of the document, since one document may emit a key twice; events carry ``key`` and ``value``, and a row
whose key changes within what was asked for is ``changed``.

The first answer is one snapshot. After it only documents that changed are looked at: the selector is matched against
each, or their rows are read from the view's index. What is remembered is a rev for each document, or a digest for each
row; by these what did not change is told from what did, whatever happened in between. So nothing is shown twice, and a
change of a losing leaf, which shows nowhere in the answer, is no event. A live query has no order and no limit: who
comes next when one of the first ten leaves could only be told by asking anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final

from couchette import index, store
from couchette.errors import BadRequest
from couchette.index import Batch, Group, Position, Span, State
from couchette.index.scanning import Json, json_value
from couchette.limits import FEED_PAGE_DOCS
from couchette.pool import Pool
from couchette.query.find import find_all
from couchette.query.find_options import read_options
from couchette.query.options import ViewQuery
from couchette.query.views import ViewEngine
from couchette.store.schema import Meta

Doc = dict[str, Any]
Place = tuple[bytes, str, int]
Row = tuple[Json, Json | None]
"""Key and value, as they are stored."""

_WINNERS: Final = Group("")
"""What a selector is matched against: winners that are no design documents."""
_NOWHERE: Final = Position(-1, -1)


class LiveSelector:
    """The documents that match a selector."""

    def __init__(self, pool: Pool, selector: Mapping[str, Any]) -> None:
        """Raises BadRequest for a malformed selector."""
        self._pool = pool
        self._options = replace(read_options({"selector": selector}), limit=None)
        if self._options.text:
            hint = "Whether one document has the words cannot be told without the others; ask find again."
            raise BadRequest("$text is not for live queries.", hint, error="not_supported")
        self._revs: dict[str, str] = {}
        """By id, of the documents in the answer."""
        self._first: list[Doc] = []
        self._position = _NOWHERE

    def start(self) -> None:
        """Find what matches now."""
        self._position, docs = find_all(self._pool, self._options)
        seq = self._pool.read_one(store.read_meta).seq_text(self._position.seq)
        self._revs = {doc["_id"]: doc["_rev"] for doc in docs}
        self._first = [{"type": "added", "id": doc["_id"], "doc": doc, "seq": seq} for doc in docs]
        self._first.append({"type": "complete", "seq": seq})

    def ready(self) -> bool:
        """See :class:`~couchette.live.Source`."""
        return bool(self._first) or self._pool.read_one(index.newest) != self._position

    def read(self, rows_max: int | None) -> Sequence[Doc]:
        """See :class:`~couchette.live.Source`."""
        if self._first:
            first, self._first = self._first, []
            return first
        batch, meta = self._pool.read(_next_batch, self._position)
        if batch is None:
            return []
        self._position = batch.end
        return list(self._events(batch, meta.seq_text(batch.end.seq)))

    def _events(self, batch: Batch, seq: str) -> Iterator[Doc]:
        docs = dict(zip(batch.doc_ids, batch.docs, strict=True))
        for doc_id in batch.ids:
            doc, held = docs.get(doc_id), self._revs.get(doc_id)
            if doc is not None:
                doc.pop("_conflicts", None)
                doc.pop("_deleted_conflicts", None)
            if doc is None or not self._options.accepts(doc):
                if self._revs.pop(doc_id, None) is not None:
                    yield {"type": "removed", "id": doc_id, "seq": seq}
            elif held != doc["_rev"]:
                self._revs[doc_id] = doc["_rev"]
                yield {"type": "added" if held is None else "changed", "id": doc_id, "doc": doc, "seq": seq}


def _next_batch(conn: Any, begin: Position) -> tuple[Batch | None, Meta]:
    return index.read_batch(conn, _WINNERS, begin, FEED_PAGE_DOCS), store.read_meta(conn)


class LiveView:
    """The rows of a stored view, or those in a range of keys.

    Where the design document is changed meanwhile, the rows of the new view are compared with those of the old one, and
    what differs is told. Where it is deleted, reading raises NotFound.
    """

    def __init__(self, pool: Pool, views: ViewEngine, name: str | tuple[str, str], query: ViewQuery) -> None:
        """Raises QueryParseError for options that are wrong."""
        query.check(has_reduce=False)
        self._pool = pool
        self._views = views
        self._name = name
        self._query = query
        self._digests: dict[str, dict[int, bytes]] = {}
        """By id and number, of the rows in the answer."""
        self._first: list[Doc] = []
        self._signature, self._num, self._position = "", 0, _NOWHERE

    def start(self) -> None:
        """Read the rows as they are now."""
        self._first = self._compare_all()
        self._first.append({"type": "complete", "seq": self._seq()})

    def ready(self) -> bool:
        """See :class:`~couchette.live.Source`."""
        return bool(self._first) or self._pool.read_one(index.newest) != self._position

    def read(self, rows_max: int | None) -> Sequence[Doc]:
        """See :class:`~couchette.live.Source`."""
        if self._first:
            first, self._first = self._first, []
            return first
        views, at = self._views.follow(self._name)
        group = views.group
        if group.signature == self._signature:
            spans = self._query.spans(index.key_function(group, at))
            known = self._num, self._position
            found = self._pool.read(_read_changed, group.signature, at, spans, *known)
            if found is not None:
                self._position, rows = found
                return self._compare(rows)
        return self._compare_all()

    def _compare_all(self) -> list[Doc]:
        """What is otherwise than it was told, looking at all rows."""
        found = None
        while found is None:  # Somebody may drop an index that was just built, once.
            views, at = self._views.follow(self._name)
            spans = self._query.spans(index.key_function(views.group, at))
            found = self._pool.read(_read_all, views.group.signature, at, spans)
        state, rows = found
        self._signature, self._num, self._position = views.group.signature, state.num, state.position
        return self._compare({**{doc_id: {} for doc_id in self._digests}, **rows})

    def _compare(self, rows: Mapping[str, Mapping[int, Row]]) -> list[Doc]:
        """What is otherwise in these documents' rows."""
        seq = self._seq()
        return [event for doc_id, new in rows.items() for event in self._events(doc_id, new, seq)]

    def _events(self, doc_id: str, rows: Mapping[int, Row], seq: str) -> Iterator[Doc]:
        held = self._digests.pop(doc_id, {})
        digests = {n: _digest(row) for n, row in rows.items()}
        if digests:
            self._digests[doc_id] = digests
        for n in held.keys() - digests.keys():
            yield {"type": "removed", "id": doc_id, "n": n, "seq": seq}
        for n, (key, value) in rows.items():
            if held.get(n) != digests[n]:
                shown = {"id": doc_id, "n": n, "key": json_value(key), "value": json_value(value), "seq": seq}
                yield {"type": "changed" if n in held else "added", **shown}

    def _seq(self) -> str:
        return self._pool.read_one(store.read_meta).seq_text(self._position.seq)


def _read_all(
    conn: Any, signature: str, at: int, spans: Sequence[Span]
) -> tuple[State, dict[str, dict[int, Row]]] | None:
    """The rows in the spans by document and number; None where there is no such index."""
    state = index.find_group(conn, signature)
    if state is None:
        return None
    rows: dict[str, dict[int, Row]] = {}
    for span in spans:
        found: list[Any] = index.select(conn, state.num, at, span, columns="id, n, key, value").fetchall()
        for doc_id, n, key, value in found:
            rows.setdefault(doc_id, {})[n] = key, index.whole(conn, state.num, value)
    return state, rows


def _read_changed(
    conn: Any, signature: str, at: int, spans: Sequence[Span], num: int, begin: Position
) -> tuple[Position, dict[str, dict[int, Row]]] | None:
    """The next documents that the index followed, each with its rows in the spans; None where it was made anew."""
    state = index.find_group(conn, signature)
    if state is None or state.num != num:
        return None
    ids, end = index.changed_ids(conn, begin, state.position, FEED_PAGE_DOCS)
    rows: dict[str, dict[int, Row]] = {doc_id: {} for doc_id in ids}
    is_inside = _inside(spans)
    found: list[Any] = index.rows_of_ids(conn, num, at, ids).fetchall()
    for k, doc_id, n, key, value in found:
        if is_inside((k, doc_id, n)):
            rows[doc_id][n] = key, index.whole(conn, num, value)
    return end, rows


def _inside(spans: Iterable[Span]) -> Callable[[Place], bool]:
    """Whether a row's place is in one of the spans."""
    listed = list(spans)
    return lambda place: any(
        (span.low is None or span.low <= place) and (span.high is None or place < span.high) for span in listed
    )


def _digest(row: Row) -> bytes:
    """16 bytes that tell a row from any other."""
    digest = blake2b(digest_size=16)
    for text in row:
        stored = b"" if text is None else text.encode() if isinstance(text, str) else text
        digest.update(b"%d:" % len(stored) + stored)
    return digest.digest()
