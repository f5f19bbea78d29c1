"""Which index serves a find, chosen as CouchDB chooses it.

An index is usable when every document that can match is in it: the selector, or the sort, asks for all of its columns.
Then, in this order:

* an index that ``use_index`` names, which alone may be a partial one;
* the one of most columns, from its first on, with a range in the selector; of these the one with fewest columns, then
  the first by design document and name (mango_cursor_view:choose_best_index);
* the documents by id, which serve everything but a sort.

Where CouchDB refuses a sort, a plan that is not ``strict`` reads what serves the selector and sorts in memory; and it
takes the index of most columns that ``$in`` and ``$or`` narrow, too, which CouchDB does not look at. The documents
that a query finds are the same: one that lacks a field of the sort is in no answer, since it is in no index of that
field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

from couchette.document.normal_selector import Normal, all_fields, constant_fields, required_fields
from couchette.document.selector import split_path
from couchette.errors import BadRequest
from couchette.index.mango import ALL_DOCS, MangoIndex
from couchette.query.find_options import FindOptions, refuse_mixed_sort
from couchette.query.find_ranges import IdRange, IndexRanges, Values, couchdb_ranges, id_range, index_ranges

UNINDEXED: Final = "No matching index found, create an index to optimize query time."
SORTED_IN_MEMORY: Final = "No index serves this sort, so all matching documents were sorted in memory."

_IN_EVERY_DOCUMENT: Final = frozenset(("_id", "_rev"))


class Named(Protocol):
    """An index of any kind."""

    @property
    def ddoc(self) -> str | None: ...

    @property
    def name(self) -> str: ...


class Answered(Protocol):
    """What an answer needs to know of a plan of any kind."""

    @property
    def source(self) -> tuple[str, str] | None:
        """What its bookmarks name: the index, or None for a sort in memory."""

    @property
    def sorts(self) -> bool: ...

    @property
    def warnings(self) -> list[str]: ...


@dataclass(frozen=True)
class Plan:
    """How a find is answered."""

    index: MangoIndex
    reads: IndexRanges
    """What is read of the index; nothing for the documents by id."""
    ids: IdRange | None
    """For the documents by id."""
    is_empty: bool
    """It is known without looking that nothing matches; then CouchDB's answer has nothing but an empty list."""
    sorts: bool
    """The answer must be sorted in memory."""
    covering: bool
    """The index holds all that is asked for, so that no document is read."""
    warnings: list[str]
    choice: Choice
    facts: Facts

    @property
    def candidates(self) -> list[Candidate]:
        """The indexes that were not taken."""
        return _candidates(self.choice, self.index, self.facts.by_couchdb)

    @property
    def source(self) -> tuple[str, str] | None:
        """What its bookmarks name: the index, or None for a sort in memory."""
        return None if self.sorts else self.index.sort_key

    @property
    def is_unindexed(self) -> bool:
        """Whether it reads the documents by id."""
        return self.index.ddoc is None


class Facts:
    """What a selector says, found once."""

    def __init__(self, selector: Normal) -> None:
        self.selector = selector
        self.required = required_fields(selector) | _IN_EVERY_DOCUMENT
        self._reads: dict[tuple[str, ...], IndexRanges] = {}

    @cached_property
    def by_couchdb(self) -> dict[str, Values]:
        """The fields by which CouchDB chooses, each with its range."""
        return couchdb_ranges(self.selector)

    def reads(self, index: MangoIndex) -> IndexRanges:
        """Where in an index a match may be."""
        columns = index.columns
        if columns not in self._reads:
            self._reads[columns] = index_ranges(self.selector, columns)
        return self._reads[columns]


@dataclass(frozen=True)
class Candidate:
    """An index that was not taken, and why: members of ``index_candidates`` of CouchDB's ``_explain``."""

    index: MangoIndex
    usable: bool
    reason: str
    ranking: int


@dataclass(frozen=True)
class Choice:
    """The indexes by the stages in which they left the race."""

    usable: list[MangoIndex]
    """All that are usable, the best first."""
    partial: list[MangoIndex]
    unusable: list[tuple[MangoIndex, str]]
    excluded: list[MangoIndex]
    """Usable, but ``use_index`` names another."""
    unfavored: list[MangoIndex]
    """Usable, but of a kind that is not taken while there are others."""


def make_plan(
    indexes: Sequence[MangoIndex], options: FindOptions, *, strict: bool = True, prefer: tuple[str, str] | None = None
) -> Plan:
    """The plan. ``prefer`` is an index, by design document and name, that is taken whenever it is usable.

    Raises:
        BadRequest: ``no_usable_index`` for a sort that nothing serves, when ``strict``; ``invalid_index`` where
            ``allow_fallback`` is off and ``use_index`` does not help.
    """
    if strict:
        refuse_mixed_sort(options.sort)
    sort = () if options.is_mixed else tuple(path for path, _ in options.sort)
    facts = Facts(options.selector)
    choice = choose(indexes, options, sort, facts, strict=strict)
    sorts = options.is_mixed or not choice.usable
    if sorts:
        if strict:
            reason = "No index exists for this sort, try indexing by the sort fields."
            raise BadRequest(reason, f"The sort is {dict(options.sort)!r:.80}.", error="no_usable_index")
        choice = choose(indexes, options, (), facts, strict=strict)
    usable = [*choice.usable, *choice.excluded, *choice.unfavored]
    index = next((one for one in usable if (one.ddoc or "", one.name) == prefer), usable[0])
    check_fallback(options, index, usable)
    ids = id_range(options.selector) if index.ddoc is None else None
    return Plan(
        index=index,
        reads=IndexRanges([], 0, False) if index.ddoc is None else facts.reads(index),
        ids=ids,
        is_empty=_is_empty(index, ids, facts),
        sorts=sorts,
        covering=covers(index, options),
        warnings=_warnings(options, index, sorts),
        choice=choice,
        facts=facts,
    )


# -- Choosing -------------------------------------------------------------------------------------


def choose(
    indexes: Sequence[MangoIndex], options: FindOptions, sort: tuple[str, ...], facts: Facts, *, strict: bool
) -> Choice:
    """Sort out the indexes for a query with this sort."""
    partial: list[MangoIndex] = []
    usable: list[MangoIndex] = []
    unusable: list[tuple[MangoIndex, str]] = []
    for index in (*indexes, ALL_DOCS):
        if index.partial_filter is not None and not is_named(index, options.use_index):
            partial.append(index)
        elif reason := _objection(index, sort, facts):
            unusable.append((index, reason))
        else:
            usable.append(index)
    kept = [one for one in usable if is_named(one, options.use_index)] or usable
    of_fields = [one for one in kept if one.ddoc is not None]
    if len(of_fields) > 1:
        of_fields.sort(key=lambda one: _preference(one, facts, strict))
    best = of_fields or kept
    return Choice(
        usable=best,
        partial=partial,
        unusable=unusable,
        excluded=[one for one in usable if one not in kept],
        unfavored=[one for one in kept if one not in best],
    )


def _preference(index: MangoIndex, facts: Facts, strict: bool) -> tuple[Any, ...]:
    """What CouchDB compares; before it, where we choose ourselves, how many columns narrow what is read."""
    own = () if strict else (-facts.reads(index).narrowing,)
    return (*own, _distance(index, facts.by_couchdb), len(index.columns), index.sort_key)


def _distance(index: MangoIndex, by_couchdb: dict[str, Values]) -> int:
    """The ranges of the selector that an index cannot use."""
    prefix = 0
    for path in index.columns:
        if path not in by_couchdb:
            break
        prefix += 1
    return len(by_couchdb) - prefix


def _objection(index: MangoIndex, sort: tuple[str, ...], facts: Facts) -> str | None:
    """Why an index cannot serve the query, or None when it can."""
    if index.ddoc is None:
        serves = not sort or (sort == ("_id",) and "_id" in facts.by_couchdb)
        return None if serves else "sort_order_mismatch"
    if not facts.required.union(sort).issuperset(index.columns):
        return "field_mismatch"
    serves = not sort or _is_sorted_by(index, sort, constant_fields(facts.selector))
    return None if serves else "sort_order_mismatch"


def _is_sorted_by(index: MangoIndex, sort: tuple[str, ...], constants: frozenset[str]) -> bool:
    """Whether the sort begins the index's columns, but for columns before it that are constant."""
    for at, path in enumerate(index.columns):
        if path == sort[0]:
            return index.columns[at : at + len(sort)] == sort
        if path not in constants:
            return False
    return False


# -- use_index ------------------------------------------------------------------------------------


def is_named(index: Named, use_index: tuple[str, ...]) -> bool:
    """Whether ``use_index`` means this index."""
    if not use_index or index.ddoc != design_id(use_index[0]):
        return False
    return len(use_index) == 1 or index.name == use_index[1]


def design_id(name: str) -> str:
    """The id of a design document that may be named with its ``_design/`` or without."""
    return name if name.startswith("_design/") else f"_design/{name}"


def check_fallback(options: FindOptions, index: Named, usable: Sequence[Named]) -> None:
    """Raise BadRequest for an index that ``use_index`` does not mean, where ``allow_fallback`` is off."""
    if options.allow_fallback or is_named(index, options.use_index):
        return
    named = options.use_index
    if not named and len(usable) > 1:
        return
    if not named:
        reason = "You must specify an index with the `use_index` parameter."
    else:
        shown = ", ".join((design_id(named[0]), *named[1:]))
        reason = f"{shown} specified by `use_index` could not be found or it is not suitable."
    raise BadRequest(reason, "`allow_fallback` is false.", error="invalid_index")


def _warnings(options: FindOptions, index: MangoIndex, sorts: bool) -> list[str]:
    found = unused_warnings(options, index)
    if index.ddoc is None:
        found.append(UNINDEXED)
    if sorts:
        found.append(SORTED_IN_MEMORY)
    return found


def unused_warnings(options: FindOptions, index: Named) -> list[str]:
    """That ``use_index`` means another index than this one, which is used."""
    found = []
    named = options.use_index
    if named and not is_named(index, named):
        shown = design_id(named[0])
        if len(named) == 1:
            found.append(f"{shown} was not used because it does not contain a valid index for this query.")
        else:
            found.append(f"{shown}, {named[1]} was not used because it is not a valid index for this query.")
    return found


# -- The plan's properties ------------------------------------------------------------------------


def _is_empty(index: MangoIndex, ids: IdRange | None, facts: Facts) -> bool:
    if facts.selector in ({"$and": []}, {"$or": []}):
        return True
    if index.ddoc is None:
        return ids is None
    return not facts.reads(index).ranges and facts.by_couchdb == {index.columns[0]: []}


def covers(index: MangoIndex, options: FindOptions) -> bool:
    """Whether an index holds all fields that are asked for and looked at, none of them within another."""
    if index.ddoc is None or not options.fields or options.conflicts:
        return False
    if len({split_path(path)[0] for path in index.columns}) < len(index.columns):
        return False
    looked_at = {*options.fields, *all_fields(options.selector), *(path for path, _ in options.sort)}
    return looked_at <= {*index.columns, "_id"}


def _candidates(choice: Choice, index: MangoIndex, by_couchdb: dict[str, Values]) -> list[Candidate]:
    """The indexes that were not taken, ranked as CouchDB ranks them."""
    found: list[Candidate] = []
    ranked = [one for one in choice.usable if one.ddoc is not None]
    for ranking, one in enumerate(ranked):
        if _distance(one, by_couchdb) > 0:
            reason = "less_overlap"
        elif len(one.columns) > len(index.columns):
            reason = "too_many_fields"
        else:
            reason = "alphabetically_comes_after"
        found.append(Candidate(one, True, reason, ranking))
    ranking = max(1, len(ranked))
    stages = [
        [(one, True, "unfavored_type") for one in choice.unfavored],
        [(one, True, "excluded_by_user") for one in choice.excluded],
        [(one, False, reason) for one, reason in choice.unusable],
        [(one, False, "is_partial") for one in choice.partial],
    ]
    for stage in stages:
        found += [Candidate(*entry, ranking) for entry in stage]
        ranking += bool(stage)
    return [one for one in found if one.index != index]
