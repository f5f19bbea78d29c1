"""Finding documents by a Mango selector: CouchDB's ``_find``.

The planner chooses what to read (:mod:`couchette.query.find_planner`); this module reads it, in one snapshot, matches
each document against the whole selector, and stops at the limit. Nothing is held but the documents to return, and in a
sort in memory no more than the best of them. Without an index the documents are read by id, and what cannot match is
discarded by its stored text (:mod:`couchette.query.find_prefilter`).
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from orjson import loads

from couchette.document.collation import sort_key
from couchette.document.selector import NOT_THERE, field_getter
from couchette.index.groups import Position, newest
from couchette.index.mango import FieldMapper, MangoIndex
from couchette.index.mango_rows import Connection, Found, covered_rows, document_rows, group_number, index_rows
from couchette.index.scanning import json_value, json_values
from couchette.limits import FIND_ALL_TRIES, FIND_PARSED_ROWS, FIND_SCAN_RATIO
from couchette.pool import Pool
from couchette.query.catching_up import Functions, bring_up_to_date
from couchette.query.find_bookmark import NO_BOOKMARK, Place, invalid_bookmark, read_bookmark, write_bookmark
from couchette.query.find_catalog import Catalog, read_catalog
from couchette.query.find_fields import projection, rebuilder
from couchette.query.find_options import FindOptions
from couchette.query.find_planner import Answered, Plan, make_plan
from couchette.query.find_prefilter import prefilter
from couchette.store.read import View, add_meta
from couchette.store.rows import winner_row

Doc = dict[str, Any]
Match = tuple[bytes, Doc]
"""What a document sorts by, and the document."""

_STUBS = View()
_MANY_EXAMINED = (
    "The number of documents examined is high in proportion to the number of results returned. "
    "Consider adding a more specific index to improve this."
)


@dataclass
class Counts:
    """What a find looked at, for its statistics."""

    keys: int = 0
    docs: int = 0
    """Documents examined, design documents among them where they are read by id."""
    design: int = 0
    """Design documents that matched: CouchDB counts them as results when it judges the proportion."""
    started: float = field(default_factory=time.perf_counter)

    def as_json(self, returned: int) -> Doc:
        """The member ``execution_stats``."""
        return {
            "total_keys_examined": self.keys,
            "total_docs_examined": self.docs,
            "total_quorum_docs_examined": 0,
            "results_returned": returned,
            "execution_time_ms": round((time.perf_counter() - self.started) * 1000, 3),
        }


def find(pool: Pool, options: FindOptions, *, strict: bool = True) -> Doc:
    """The documents that match: ``{"docs", "bookmark", "execution_stats"?, "warning"?}``.

    ``strict`` answers as CouchDB does: it refuses a sort that no index serves, and where nothing can match, the answer
    has ``docs`` alone. An index that is behind is brought up to date first, unless the options say otherwise.

    Raises:
        BadRequest: CouchDB's ``no_usable_index``, ``invalid_index`` or ``invalid_bookmark``.
    """
    if options.text:
        from couchette.query.find_text import find_text  # It builds on this module.

        return find_text(pool, options)
    place = read_bookmark(options.bookmark) if options.bookmark else None
    catalog = read_catalog(pool)
    plan = make_plan(catalog.indexes, options, strict=strict, prefer=place.source if place else None)
    if plan.is_empty:
        return {"docs": []} if strict else answer(options, replace(plan, warnings=[]), [], Counts())
    if options.judged:
        plan = replace(plan, reads=plan.reads._replace(exact=False))
    check_place(options, plan, place)
    counts = Counts()
    if plan.is_unindexed:
        found = pool.read(_read_documents, options, plan, place, counts)
    else:
        found = _read_indexed(pool, catalog, options, plan, place, counts)
    return answer(options, plan, found, counts)


def find_all(pool: Pool, options: FindOptions) -> tuple[Position, list[Doc]]:
    """Every document that matches, and where the database stood: one snapshot, whatever index serves.

    Where others write so fast that the index never is up to date, the documents are read by id.
    """
    catalog = read_catalog(pool)
    for _ in range(FIND_ALL_TRIES):
        plan = make_plan(catalog.indexes, options, strict=False)
        if plan.is_unindexed:
            break
        signature = catalog.group(plan.index)[0].signature
        position, found = pool.read(_with_position, _read_index, signature, options, plan, None, Counts(), True)
        if found is not None:
            return position, [doc for _, doc in found]
        build_index(pool, catalog, plan.index)
    plan = make_plan([], options, strict=False)
    position, found = pool.read(_with_position, _read_documents, options, plan, None, Counts())
    return position, [doc for _, doc in found]


def _with_position(conn: Connection, read: Callable[..., Any], *args: Any) -> tuple[Position, Any]:
    return newest(conn), read(conn, *args)


def check_place(options: FindOptions, plan: Answered, place: Place | None) -> None:
    """Raise BadRequest for a bookmark of another plan."""
    if place is not None and place.source != plan.source:
        assert options.bookmark is not None
        raise invalid_bookmark(options.bookmark, "The index that it was made with does not serve this query.")


def answer(options: FindOptions, plan: Answered, found: list[Match], counts: Counts) -> Doc:
    """The answer to a find, of what was found."""
    bookmark = options.bookmark or NO_BOOKMARK
    if found:
        key, last = found[-1]
        bookmark = write_bookmark(Place(plan.source, key, last["_id"]))
    project = projection(options.fields)
    docs = [doc for _, doc in found] if project is None else [project(doc) for _, doc in found]
    given: Doc = {"docs": docs, "bookmark": bookmark}
    if options.execution_stats:
        given["execution_stats"] = counts.as_json(len(docs))
    warnings = plan.warnings
    if counts.docs > FIND_SCAN_RATIO * max(len(docs) + counts.design, 1):
        warnings = [*warnings, _MANY_EXAMINED]
    if warnings:
        given["warning"] = "\n".join(warnings)
    return given


# -- Through an index -----------------------------------------------------------------------------


def _read_indexed(
    pool: Pool, catalog: Catalog, options: FindOptions, plan: Plan, place: Place | None, counts: Counts
) -> list[Match]:
    """Read through an index; where it is behind, bring it up to date and read again."""
    group, _ = catalog.group(plan.index)
    update = options.update and options.stale != "ok"
    found = pool.read(_read_index, group.signature, options, plan, place, counts, update)
    while found is None:
        build_index(pool, catalog, plan.index)
        # It is read as it is now, even if the next write came already; it may be gone only if another drops it.
        found = pool.read(_read_index, group.signature, options, plan, place, counts, False)
    return found


def build_index(pool: Pool, catalog: Catalog, index: MangoIndex) -> None:
    """Bring an index, and the others of its design document, up to date."""
    group, family = catalog.group(index)
    bring_up_to_date(pool, group, Functions(FieldMapper(family)))


def _read_index(
    conn: Connection,
    signature: str,
    options: FindOptions,
    plan: Plan,
    place: Place | None,
    counts: Counts,
    update: bool,
) -> list[Match] | None:
    """What matches, or None where the index is not there, or is behind and must not be."""
    state = group_number(conn, signature)
    if state is None or (update and not state[1]):
        return None
    num, is_current = state
    exact = plan.reads.exact and is_current and not plan.sorts
    after = None if place is None or plan.sorts else (place.key, place.id)
    descending = options.descending and not plan.sorts
    stop = _stop(options)
    limit = stop if stop is not None and exact else -1
    view, ranges = plan.index.view, plan.reads.ranges
    if plan.covering:
        held = covered_rows(conn, num, view, ranges, after=after, descending=descending, limit=limit)
        found = page(_covered(held, options, plan, counts), options, plan, place)
    else:
        rows = index_rows(conn, num, view, ranges, after=after, descending=descending, limit=limit)
        if exact and options.limit != 0:
            found = _taken(conn, islice(rows, options.skip, stop), options)
            counts.docs = options.skip + len(found)
        else:
            found = page(matching(conn, rows, options, counts), options, plan, place)
        counts.keys = counts.docs
    return found


def _taken(conn: Connection, rows: Iterator[Found], options: FindOptions) -> list[Match]:
    """The documents of rows that are all known to match."""
    conflicts = options.conflicts
    found: list[Match] = []
    # Bodies cost less to parse together than one by one; some at a time, since they are held twice meanwhile.
    while some := list(islice(rows, FIND_PARSED_ROWS)):
        keys, ids, bodies, atts, revs = zip(*some, strict=True)
        docs: list[Doc] = json_values(bodies)
        for doc, doc_id, rev in zip(docs, ids, revs, strict=True):
            doc["_id"], doc["_rev"] = doc_id, rev
        if conflicts or any(atts):
            more = zip(docs, atts, ids, strict=True)
            docs = [_whole(conn, doc_id, conflicts) if conflicts or stubs else doc for doc, stubs, doc_id in more]
        found += zip(keys, docs, strict=True)
    return found


def _covered(
    rows: Iterator[tuple[bytes, str, Any]], options: FindOptions, plan: Plan, counts: Counts
) -> Iterator[Match]:
    rebuild, accepts = rebuilder(plan.index.columns), None if plan.reads.exact else options.accepts
    for k, doc_id, key in rows:
        counts.keys += 1
        doc = rebuild(doc_id, json_value(key))
        if accepts is None or accepts(doc):
            yield k, doc


def matching(conn: Connection, rows: Iterator[Found], options: FindOptions, counts: Counts) -> Iterator[Match]:
    """The documents among rows of an index that match."""
    accepts, conflicts = options.accepts, options.conflicts
    for k, doc_id, body, atts, rev in rows:
        counts.docs += 1
        if atts is None and type(body) is bytes and not conflicts:
            doc = loads(body)
            doc["_id"], doc["_rev"] = doc_id, rev
        else:
            doc = _whole(conn, doc_id, conflicts)
        if accepts(doc):
            yield k, doc


def _whole(conn: Connection, doc_id: str, conflicts: bool) -> Doc:
    row = winner_row(conn, doc_id)
    assert row is not None
    doc = _STUBS.doc(conn, row)
    add_meta(conn, doc, row, False, conflicts, False)
    return doc


# -- By id ----------------------------------------------------------------------------------------


def _read_documents(
    conn: Connection, options: FindOptions, plan: Plan, place: Place | None, counts: Counts
) -> list[Match]:
    """What matches among all documents, or those in a range of ids."""
    if plan.ids is None:  # Only where it is sorted in memory: else the plan is empty.
        return []
    low, low_in, high, high_in = plan.ids
    first = None if low is None else (low, low_in)
    final = None if high is None else (high, high_in)
    descending = options.descending and not plan.sorts
    if place is not None and not plan.sorts:
        if descending:
            final = min(((place.id, False), *([final] if final else [])))
        else:
            first = max(((place.id, False), *([first] if first else [])), key=lambda bound: (bound[0], not bound[1]))
    rows = document_rows(conn, first, final, descending=descending)
    return page(_scanned(conn, rows, options, counts), options, plan, place)


def _scanned(conn: Connection, rows: Any, options: FindOptions, counts: Counts) -> Iterator[Match]:
    """The documents among all that match; those that cannot are not parsed."""
    accepts, conflicts = options.accepts, options.conflicts
    may_match = prefilter(options.selector)
    try:
        for doc_id, body, atts, rev in rows:
            counts.docs += 1
            if atts is None and type(body) is bytes:
                if may_match is not None and not may_match(body):
                    continue
                doc = loads(body)
                doc["_id"], doc["_rev"] = doc_id, rev
            else:
                doc = _whole(conn, doc_id, False)
            if not accepts(doc):
                continue
            if doc_id.startswith("_design/"):
                counts.design += 1
                continue
            yield b"", _whole(conn, doc_id, True) if conflicts else doc
    finally:
        rows.close()  # A statement under way would keep the connection's snapshot alive.


# -- A page ---------------------------------------------------------------------------------------


def page(matches: Iterator[Match], options: FindOptions, plan: Answered, place: Place | None) -> list[Match]:
    """The matches to return: after those to skip, up to the limit."""
    stop = _stop(options)
    if options.limit == 0:
        return []
    if not plan.sorts:
        return list(islice(matches, options.skip, stop))
    keyed = _sorted_keys(matches, options)
    if place is not None:
        keyed = (entry for entry in keyed if entry[:2] > (place.key, place.id))
    best = sorted(keyed, key=_by_place) if stop is None else heapq.nsmallest(stop, keyed, key=_by_place)
    return [(key, doc) for key, _, doc in best[options.skip :]]


def _stop(options: FindOptions) -> int | None:
    """How many matches are looked for, those to skip among them."""
    return None if options.limit is None else options.skip + options.limit


def _by_place(entry: tuple[bytes, str, Doc]) -> tuple[bytes, str]:
    return entry[:2]


def _sorted_keys(matches: Iterator[Match], options: FindOptions) -> Iterator[tuple[bytes, str, Doc]]:
    """The matches that have all fields of the sort, each with the bytes that it sorts by."""
    fields = [(field_getter(path), _bytes_of(direction)) for path, direction in options.sort]
    for _, doc in matches:
        values = [get(doc) for get, _ in fields]
        if NOT_THERE not in values:
            yield b"".join([encode(value) for value, (_, encode) in zip(values, fields, strict=True)]), doc["_id"], doc


_INVERTED = bytes(255 - byte for byte in range(256))


def _bytes_of(direction: str) -> Callable[[Any], bytes]:
    """What gives the bytes of a value. No sort key begins another, so they can be joined; inverted they sort the other
    way."""
    return sort_key if direction == "asc" else lambda value: sort_key(value).translate(_INVERTED)
