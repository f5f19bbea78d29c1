"""Explaining a find: what CouchDB's ``_explain`` answers, and the same in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from couchette.document.normal_selector import Normal, all_fields, conditions, constant_fields, required_fields
from couchette.errors import BadRequest
from couchette.index.mango import ALL_DOCS, MangoIndex
from couchette.pool import Pool
from couchette.query.find_catalog import Catalog, read_catalog
from couchette.query.find_options import FindOptions
from couchette.query.find_planner import Candidate, Facts, Plan, choose, covers, make_plan
from couchette.query.find_ranges import INDEXABLE
from couchette.query.find_text import make_text_plan

Doc = dict[str, Any]

_MAX = "<MAX>"
_GENERATED = re.compile("[0-9a-f]{40}").fullmatch


def explain(pool: Pool, options: FindOptions, name: str, *, strict: bool = True) -> Doc:
    """What a find with these options would do, in the shape of CouchDB's ``_explain``.

    Without ``strict`` there are two members more: ``explanation``, sentences that say what is read and why, and
    ``suggested_index``, the definition of an index that would serve the query better, or None.
    """
    catalog = read_catalog(pool)
    if options.text:
        return _explain_text(catalog, options, name, strict)
    indexes = catalog.indexes
    try:
        plan = make_plan(indexes, options, strict=strict)
    except BadRequest as exc:
        if exc.error != "no_usable_index":
            raise
        return _shape(options, name, None, _refused(indexes, options))
    answer = _shape(options, name, plan, plan.candidates)
    if not strict:
        suggested = None if plan.is_empty else suggested_index(options, plan)
        answer["suggested_index"] = suggested
        answer["explanation"] = _in_words(options, plan, suggested)
    return answer


def _explain_text(catalog: Catalog, options: FindOptions, name: str, strict: bool) -> Doc:
    plan = make_text_plan(catalog.texts, options)
    others = [Candidate(one, False, "needs_text_search", 1) for one in (*catalog.indexes, ALL_DOCS)]
    words = [{"$default": {"$text": text}} for text in options.text]
    parts = [*words, options.selector] if options.selector else words
    answer = {
        **_shape(options, name, None, others),
        "index": plan.index.as_json(),
        "selector": parts[0] if len(parts) == 1 else {"$and": parts},
        "query": " AND ".join(f"({text})" for text in options.text),
        "sort": list(dict(options.sort)) or "relevance",
    }
    if not strict:
        said = [f"The text index {plan.index.name!r} of {plan.index.ddoc} is searched for {_listed(options.text)}."]
        if options.selector:
            said.append("Each document found is matched against the rest of the selector.")
        said.append("What matches is sorted in memory." if plan.sorts else "The best match comes first.")
        answer |= {"suggested_index": None, "explanation": " ".join(said)}
    return answer


def _refused(indexes: Sequence[MangoIndex], options: FindOptions) -> list[Candidate]:
    """Why no index serves a sort."""
    choice = choose(indexes, options, tuple(path for path, _ in options.sort), Facts(options.selector), strict=True)
    partial = [Candidate(one, False, "is_partial", 2) for one in choice.partial]
    return [Candidate(one, False, reason, 1) for one, reason in choice.unusable] + partial


def _shape(options: FindOptions, name: str, plan: Plan | None, candidates: list[Candidate]) -> Doc:
    selector = options.selector
    indexable = sorted({path for path, operator, _ in conditions(selector) if operator in INDEXABLE})
    answer: Doc = {
        "dbname": name,
        "index": None if plan is None else plan.index.as_json(),
        "partitioned": bool(options.partition),
        "selector": selector,
        "opts": options.as_json(),
        "limit": options.limit,
        "skip": options.skip,
        "fields": list(options.fields),
        "index_candidates": [_candidate(one, options) for one in candidates],
        "selector_hints": [
            {
                "type": "json",
                "indexable_fields": indexable,
                "unindexable_fields": sorted(all_fields(selector) - {*indexable}),
            }
        ],
    }
    if plan is not None:
        answer["mrargs"] = _view_arguments(options, plan)
        answer["covering"] = plan.covering
    return answer


def _candidate(candidate: Candidate, options: FindOptions) -> Doc:
    analysis: Doc = {
        "usable": candidate.usable,
        "reasons": [{"name": candidate.reason}],
        "ranking": candidate.ranking,
        "covering": None if candidate.index.ddoc is None else covers(candidate.index, options),
    }
    return {"index": candidate.index.as_json(), "analysis": analysis}


def _view_arguments(options: FindOptions, plan: Plan) -> Doc:
    """The arguments of the view query that CouchDB would make, of which keys are the widest of our ranges."""
    first, final = _keys(options.selector, plan)
    if options.descending:
        first, final = final, first
    return {
        "include_docs": not plan.covering,
        "view_type": "map",
        "reduce": False,
        "partition": options.partition or None,
        "start_key": first,
        "end_key": final,
        "direction": "rev" if options.descending else "fwd",
        "stable": options.stable or options.stale == "ok",
        "update": options.update and options.stale != "ok",
        "conflicts": options.conflicts or "undefined",
    }


def _keys(selector: Normal, plan: Plan) -> tuple[Any, Any]:
    if plan.is_empty:
        return None, None
    if plan.is_unindexed:
        assert plan.ids is not None
        low, _, high, _ = plan.ids
        return low, _MAX if high is None else high
    low_keys: list[Any] = []
    high_keys: list[Any] = []
    open_low = False
    for path in plan.index.columns[: plan.reads.narrowing]:
        lower, upper = _bounds(selector, path)
        open_low |= not lower
        if not open_low:
            low_keys += lower
        if not upper:
            break
        high_keys += upper
    return low_keys, high_keys if len(high_keys) == len(plan.index.columns) else [*high_keys, _MAX]


def _bounds(selector: Normal, path: str) -> tuple[list[Any], list[Any]]:
    """A lower and an upper bound that the selector sets for a field, each in a list, empty where there is none."""
    low: list[Any] = []
    high: list[Any] = []
    for found, operator, value in conditions(selector):
        if found == path and operator in ("$eq", "$gt", "$gte"):
            low = [value]
        if found == path and operator in ("$eq", "$lt", "$lte"):
            high = [value]
    return low, high


# -- In words -------------------------------------------------------------------------------------


def suggested_index(options: FindOptions, plan: Plan) -> Doc | None:
    """The definition of an index that would narrow the query to what it returns, or None when the plan does already.

    First the fields with one value, then those of the sort, then one with a range.
    """
    selector = options.selector
    constant = sorted(constant_fields(selector) - {"_id"})
    sort = [path for path, _ in options.sort if path not in constant]
    ranged = sorted({path for path, operator, _ in conditions(selector) if operator in INDEXABLE | {"$in"}} - {"_id"})
    fields = [*constant, *sort]
    if not sort:
        fields += [path for path in ranged if path not in constant][:1]
    if not fields:
        fields = sorted(required_fields(selector) - {"_id"})[:1]
    columns = plan.index.columns
    better = plan.is_unindexed or plan.sorts or plan.reads.narrowing < min(len(columns), len(fields))
    if not fields or columns[: len(fields)] == tuple(fields) or options.is_mixed or not better:
        return None
    if "_id" in constant_fields(selector):
        return None
    return {"fields": fields}


def _in_words(options: FindOptions, plan: Plan, suggested: Doc | None) -> str:
    if plan.is_empty:
        return "Nothing is read: no document can match."
    said = [_reads(plan)]
    if plan.covering:
        said.append("It holds all fields that are asked for, so no document is read.")
    elif not plan.is_unindexed:
        said.append("Each document found is matched against the whole selector.")
    if plan.sorts:
        said.append("No index is in the order of the sort, so what matches is sorted in memory.")
    elif options.sort:
        said.append("It is in the order of the sort.")
    said += [f"{_shown(one.index)} was not taken: {_REASONS[one.reason]}." for one in plan.candidates if one.index.ddoc]
    if suggested is not None:
        said.append(f"An index on {_listed(suggested['fields'])} would help: create_index({suggested['fields']!r}).")
    return " ".join(said)


def _reads(plan: Plan) -> str:
    if plan.is_unindexed:
        assert plan.ids is not None
        return (
            "All documents are read by id." if plan.ids[0::2] == (None, None) else "A range of documents is read by id."
        )
    if not plan.reads.narrowing:
        return f"{_shown(plan.index)} is read from end to end."
    ranges = "One range is" if len(plan.reads.ranges) == 1 else f"{len(plan.reads.ranges)} ranges are"
    narrowed = _listed(plan.index.columns[: plan.reads.narrowing])
    return f"{_shown(plan.index)} is used for {narrowed}. {ranges} read."


def _shown(index: MangoIndex) -> str:
    named = (
        "" if index.ddoc == f"_design/{index.name}" and _GENERATED(index.name) else f" {index.name!r} of {index.ddoc}"
    )
    return f"The index{named} on {_listed(index.columns)}"


def _listed(fields: Sequence[str]) -> str:
    return ", ".join(repr(path) for path in fields)


_REASONS = {
    "less_overlap": "it has fewer of the selector's fields",
    "too_many_fields": "it has more fields than are needed",
    "alphabetically_comes_after": "it serves no better",
    "unfavored_type": "it is of another kind",
    "excluded_by_user": "`use_index` names another",
    "field_mismatch": "documents may match that lack one of its fields, and so are not in it",
    "sort_order_mismatch": "it is not in the order of the sort",
    "is_partial": "it is partial, and only `use_index` chooses such a one",
}
