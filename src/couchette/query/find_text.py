"""``$text`` in a selector: finding documents by the words in a text index, and by the rest of the selector.

The index tells which documents have the words, best first; each is then matched against what else the selector asks
for, as with any other index. So the index need not know the fields of those conditions. The words are a query in
Lucene's syntax (:mod:`couchette.query.text_syntax`). CouchDB takes plain words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from couchette.errors import BadRequest
from couchette.index.groups import find_group_and_newest
from couchette.index.mango_rows import Connection
from couchette.index.mango_text import DEFAULT_FIELD, MangoTextIndex, TextMapper, found_documents, place_of
from couchette.index.text_expressions import Clauses, Expression
from couchette.index.text_matching import Matcher, expand
from couchette.index.text_scanning import BY_RANK, read_matches
from couchette.pool import Pool
from couchette.query.catching_up import follow
from couchette.query.find import Counts, Match, answer, check_place, matching, page
from couchette.query.find_bookmark import Place, invalid_bookmark, read_bookmark
from couchette.query.find_catalog import read_catalog
from couchette.query.find_options import FindOptions
from couchette.query.find_planner import check_fallback, is_named, unused_warnings
from couchette.query.text_search import TextKeeper
from couchette.query.text_syntax import read_query

_SORT_TYPE: Final = re.compile(r":(?:string|number)$")
"""CouchDB's text indexes are sorted by ``name:string``."""


@dataclass(frozen=True)
class TextPlan:
    """How a find by words is answered."""

    index: MangoTextIndex
    sorts: bool
    """The answer must be sorted in memory; else the best match comes first."""
    warnings: list[str]

    @property
    def source(self) -> tuple[str, str] | None:
        """What its bookmarks name."""
        return None if self.sorts else self.index.sort_key


def make_text_plan(texts: list[MangoTextIndex], options: FindOptions) -> TextPlan:
    """The plan.

    Raises:
        BadRequest: ``no_usable_index`` without a text index, ``multiple_text_indexes`` where ``use_index`` has to
            choose, and ``invalid_index`` where it does not help and ``allow_fallback`` is off.
    """
    usable = [
        one
        for one in texts
        if one.default_analyzer is not None and (one.partial_filter is None or is_named(one, options.use_index))
    ]
    kept = [one for one in usable if is_named(one, options.use_index)] or usable
    if not kept:
        reason = "There is no index available for this selector."
        hint = "$text takes a text index with a default field: create_index(type='text')."
        raise BadRequest(reason, hint, error="no_usable_index")
    if len(kept) > 1:
        reason = "You must specify an index with the `use_index` parameter."
        hint = f"There are {', '.join(f'{one.name!r} of {one.ddoc}' for one in kept)}."
        raise BadRequest(reason, hint, error="multiple_text_indexes")
    [index] = kept
    if options.use_index:
        check_fallback(options, index, kept)
    return TextPlan(index, bool(options.sort), unused_warnings(options, index))


def find_text(pool: Pool, options: FindOptions) -> dict[str, Any]:
    """The documents that have the words and match the selector, as :func:`couchette.query.find.find` answers.

    Raises:
        BadRequest: what :func:`make_text_plan` raises, ``invalid_bookmark``, and words that are no query.
        MissingExtra: queries take the extra ``search``, and so do the analyzers of languages.
    """
    options = replace(options, sort=tuple((_SORT_TYPE.sub("", path), way) for path, way in options.sort))
    place = read_bookmark(options.bookmark) if options.bookmark else None
    plan = make_text_plan(read_catalog(pool).texts, options)
    check_place(options, plan, place)
    after = None if plan.sorts else _after(options, place)
    parts = [read_query(text, plan.index.analyzers, (DEFAULT_FIELD,)) for text in options.text]
    expression = parts[0] if len(parts) == 1 else Clauses(must=tuple(parts))
    update = options.update and options.stale != "ok"
    counts = Counts()
    reading = (plan.index.group.signature, expression, options, plan, place, after, counts)
    found = None if update else pool.read(_read, *reading)
    while found is None:
        build_text_index(pool, plan.index)
        found = pool.read(_read, *reading)  # None if another dropped it meanwhile.
    return answer(options, plan, found, counts)


def build_text_index(pool: Pool, index: MangoTextIndex) -> None:
    """Bring a text index up to date."""
    follow(pool, index.group, TextKeeper(TextMapper(index), index.analyzers))


def _after(options: FindOptions, place: Place | None) -> list[Any] | None:
    """The match that a bookmark tells."""
    if place is None:
        return None
    try:
        return place_of(place.key)
    except ValueError as exc:
        assert options.bookmark is not None
        raise invalid_bookmark(options.bookmark, "Give the `bookmark` of an earlier answer, or none.") from exc


def _read(
    conn: Connection,
    signature: str,
    expression: Expression,
    options: FindOptions,
    plan: TextPlan,
    place: Place | None,
    after: list[Any] | None,
    counts: Counts,
) -> list[Match] | None:
    """What matches, or None where the index is not there."""
    state, newest = find_group_and_newest(conn, signature)
    if state is None:
        return None
    matcher = Matcher(state.num, expand(conn, state.num, expression))
    limit = -1
    if not plan.sorts and not options.selector and options.limit is not None and state.position == newest:
        limit = options.skip + options.limit  # All that is found is returned.
    matches = read_matches(conn, matcher, BY_RANK, after=after, limit=limit)
    rows = found_documents(conn, state.num, matches)
    return page(matching(conn, rows, options, counts), options, plan, place)
