"""What a find is asked for, read from the JSON body of CouchDB's ``_find`` and checked as CouchDB checks it.

The options and their order are those of https://docs.couchdb.org/en/stable/api/database/find.html; the first wrong one
is what the error names, and unknown members come last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from couchette.document import selector as selectors
from couchette.document.normal_selector import Normal, normal_form
from couchette.document.partition import bounds
from couchette.document.selector import erlang_text, split_path
from couchette.errors import BadRequest
from couchette.limits import FIND_COUNT_MAX, FIND_LIMIT, SELECTOR_NESTING_MAX

Sort = tuple[tuple[str, str], ...]
"""Paths, each with ``asc`` or ``desc``."""


@dataclass(frozen=True)
class FindOptions:
    """A checked request."""

    selector: Normal
    accepts: selectors.Matcher
    use_index: tuple[str, ...] = ()
    """Nothing, a design document, or a design document and a name."""
    bookmark: str | None = None
    limit: int | None = FIND_LIMIT
    skip: int = 0
    sort: Sort = ()
    fields: tuple[str, ...] = ()
    """Empty for whole documents."""
    r: int = 1
    conflicts: bool = False
    stale: str | bool = False
    update: bool = True
    stable: bool = False
    execution_stats: bool = False
    allow_fallback: bool = True
    text: tuple[str, ...] = ()
    """What each ``$text`` asks for; the selector is the rest."""
    judged: bool = False
    """Whether ``accepts`` refuses more than the selector does, so that each document must be asked about."""
    partition: str = ""
    """The partition that the selector was narrowed to."""

    @property
    def descending(self) -> bool:
        """Whether an index would be read backwards."""
        return bool(self.sort) and self.sort[0][1] == "desc"

    @property
    def is_mixed(self) -> bool:
        """Whether it sorts up by one field and down by another, which no index does."""
        return len({direction for _, direction in self.sort}) > 1

    def as_json(self) -> dict[str, Any]:
        """The member ``opts`` of an explanation."""
        return {
            "use_index": list(self.use_index),
            "bookmark": self.bookmark or "nil",
            "limit": self.limit,
            "skip": self.skip,
            "sort": dict(self.sort),
            "fields": list(self.fields),
            "partition": self.partition,
            "r": self.r,
            "conflicts": self.conflicts,
            "stale": self.stale,
            "update": self.update,
            "stable": self.stable,
            "execution_stats": self.execution_stats,
            "allow_fallback": self.allow_fallback,
        }


def read_options(body: Mapping[str, Any], *, partition: str = "") -> FindOptions:
    """The options in a request's body. Raises BadRequest with CouchDB's ``error`` and ``reason``.

    With ``partition`` only that partition's documents match.
    """
    if "selector" not in body:
        raise _missing("selector")
    given = {name: read(body[name]) for name, read in _READERS.items() if name in body}
    selector, text = _without_text(body["selector"], 0)
    accepts = selectors.compile(selector)
    check_members(body, {"selector", *_READERS})
    given.pop("partition", None)
    if partition:
        first, end = bounds(partition)
        selector = {"$and": [selector, {"_id": {"$gte": first, "$lt": end}}]}
        accepts = selectors.compile(selector)
    return FindOptions(normal_form(selector), accepts, text=text, partition=partition, **given)


def _without_text(selector: Any, depth: int) -> tuple[Any, tuple[str, ...]]:
    """A selector without each ``$text`` that is at its top, or in an ``$and`` there; and what those ask for."""
    if not isinstance(selector, Mapping) or depth > SELECTOR_NESTING_MAX:
        return selector, ()
    rest: dict[str, Any] = {}
    found: list[str] = []
    for name, part in selector.items():
        if name == "$text":
            if not isinstance(part, str):
                hint = "It takes a query as text."
                _refuse("bad_arg", f"Bad argument for operator $text: {erlang_text(part)}", hint)
            found.append(part)
        elif name == "$and" and isinstance(part, (list, tuple)):
            inner = [_without_text(one, depth + 1) for one in part]
            kept = [one for one, text in inner if one or not text]
            if kept or not part:
                rest[name] = kept
            found += [one for _, text in inner for one in text]
        else:
            rest[name] = part
    return rest, tuple(found)


def check_members(body: Mapping[str, Any], known: set[str]) -> None:
    """Refuse a member that the request does not have."""
    for name in body:
        if name not in known:
            raise BadRequest(
                f"Invalid key {name} for this request.", f"Known are {sorted(known)}.", error="invalid_key"
            )


def _missing(name: str) -> BadRequest:
    return BadRequest(f"Missing required key: {name}", "It has no default.", error="missing_required_key")


def require_member(body: Mapping[str, Any], name: str) -> Any:
    """A member that must be there."""
    if name not in body:
        raise _missing(name)
    return body[name]


# -- One option each ------------------------------------------------------------------------------


def _refuse(error: str, reason: str, hint: str) -> NoReturn:
    raise BadRequest(reason, hint, error=error)


def read_use_index(value: Any) -> tuple[str, ...]:
    """``"ddoc"``, ``"_design/ddoc"``, ``"ddoc/name"``, ``["ddoc"]`` or ``["ddoc", "name"]``."""
    if value is None:
        return ()
    if isinstance(value, str):
        first, slash, rest = value.partition("/")
        if not slash or first == "_design":
            return (rest,) if slash else (value,)
        return (first, rest)
    if isinstance(value, (list, tuple)) and len(value) <= 2 and all(isinstance(part, str) for part in value):
        return tuple(value)
    _refuse("invalid_index_name", f"Invalid index name: {erlang_text(value)}", "Give 'ddoc', or ['ddoc', 'name'].")


def _bookmark(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    hint = "Give what an earlier answer had under that name."
    _refuse("invalid_bookmark", f"Invalid bookmark value: {erlang_text(value)}", hint)


def _count(value: Any) -> int:
    if type(value) is int and value >= 0:
        return min(value, FIND_COUNT_MAX)
    reason = f"{erlang_text(value)} is not an integer greater than or equal to zero"
    _refuse("invalid_non_neg_integer", reason, "limit and skip are counts of documents.")


def read_positive(value: Any) -> int:
    """An integer above zero: ``r`` or ``w``."""
    if type(value) is int and value > 0:
        return value
    reason = f"{erlang_text(value)} is not an integer greater than zero"
    _refuse("invalid_pos_integer", reason, "r and w are numbers of copies.")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    _refuse("invalid_boolean", f"Invalid boolean value: {erlang_text(value)}", "Give true or false.")


def _stale(value: Any) -> str | bool:
    if value in ("ok", "false", False):
        return "ok" if value == "ok" else False
    _refuse("invalid_ok_or_false_value", f"Invalid value for stale: {erlang_text(value)}", "Give 'ok' or false.")


def _partition(value: Any) -> str:
    if value == "":
        return ""
    _refuse("bad_request", "`partition` is not supported for non-partitioned databases.", f"partition={value!r:.80}.")


def read_sort(value: Any) -> Sort:
    """The fields to sort by: ``["a"]``, ``[{"a": "desc"}]``."""
    if not isinstance(value, (list, tuple)):
        reason = f"Sort must be an array of sort specs, not: {erlang_text(value)}"
        _refuse("invalid_sort_json", reason, "Give ['a', {'b': 'desc'}].")
    sort = tuple(map(_sort_field, value))
    for path, _ in sort:
        split_path(path)
    return sort


def _sort_field(value: Any) -> tuple[str, str]:
    if isinstance(value, str) and value:
        return value, "asc"
    if isinstance(value, Mapping) and len(value) == 1:
        [(path, direction)] = value.items()
        if path and direction in ("asc", "desc"):
            return path, direction
    hint = "A field is 'name' or {'name': 'asc'} or {'name': 'desc'}."
    _refuse("invalid_sort_field", f"Invalid sort field: {erlang_text(value)}", hint)


def refuse_mixed_sort(sort: Sort) -> None:
    """Raise BadRequest when the directions differ."""
    if len({direction for _, direction in sort}) > 1:
        reason = "Sorts currently only support a single direction for all fields."
        _refuse("unsupported_mixed_sort", reason, f"The sort is {dict(sort)!r:.80}.")


def _fields(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        reason = f"Fields must be an array of strings, not: {erlang_text(value)}"
        _refuse("invalid_fields", reason, "An empty one stands for whole documents.")
    for field in value:
        if not isinstance(field, str):
            reason = f"Invalid JSON for field spec: {erlang_text(field)}"
            _refuse("invalid_field", reason, "Give the names of fields.")
        split_path(field)
    return tuple(value)


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "use_index": read_use_index,
    "bookmark": _bookmark,
    "limit": _count,
    "skip": _count,
    "sort": read_sort,
    "fields": _fields,
    "partition": _partition,
    "r": read_positive,
    "conflicts": _boolean,
    "stale": _stale,
    "update": _boolean,
    "stable": _boolean,
    "execution_stats": _boolean,
    "allow_fallback": _boolean,
}
