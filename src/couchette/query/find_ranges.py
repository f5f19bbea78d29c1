"""Which values a field of a matching document may have, as ranges of sort keys; and of these, ranges of an index.

A set of values is a list of intervals ``[low, high)`` of sort keys, apart and ascending. No sort key is the beginning
of another, so the interval of one value is ``[key, key + ff)``, and below every key lies ``00``, above it ``ff``. What
an operator cannot say exactly, it says too widely: whatever is found is matched against the whole selector.

An index's key is the array of its columns' values, whose sort key is ``50``, the columns' keys and ``00``. So while a
column has single values, the next column narrows further: ``a = 1 or a = 2, b > 3`` becomes two ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from couchette.document.collation import sort_key
from couchette.document.normal_selector import Normal
from couchette.index.mango_rows import Interval
from couchette.limits import FIND_RANGES_MAX

Values = list[Interval]

ALL: Final[Values] = [(b"\x00", b"\xff")]
INDEXABLE: Final = frozenset(("$lt", "$lte", "$eq", "$gte", "$gt", "$beginsWith"))
"""The operators by which CouchDB chooses an index: those that are one range each."""

_EXACT: Final = frozenset(("$lt", "$lte", "$eq", "$ne", "$gte", "$gt"))
_KEY_OF_ARRAY: Final = b"\x50"
_ARRAYS: Final[Values] = [(b"\x50", b"\x60")]
_TYPES: Final[Mapping[str, Values]] = {
    "null": [(b"\x10", b"\x20")],
    "boolean": [(b"\x20", b"\x30")],
    "number": [(b"\x30", b"\x40")],
    "string": [(b"\x40", b"\x50")],
    "array": _ARRAYS,
    "object": [(b"\x60", b"\xff")],
}


def intersection(left: Values, right: Values) -> Values:
    """The values in both sets."""
    found: Values = []
    at = start = 0
    while at < len(left) and start < len(right):
        low = max(left[at][0], right[start][0])
        high = min(left[at][1], right[start][1])
        if low < high:
            found.append((low, high))
        if left[at][1] < right[start][1]:
            at += 1
        else:
            start += 1
    return found


def union(sets: Sequence[Values]) -> Values:
    """The values in any of the sets."""
    found: Values = []
    for low, high in sorted(interval for one in sets for interval in one):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def is_point(interval: Interval) -> bool:
    """Whether it is a single value's."""
    return interval[1] == interval[0] + b"\xff"


# -- One column -----------------------------------------------------------------------------------


def values_of(selector: Normal, path: str) -> Values:
    """What the field at the path may be in a document that matches; :data:`ALL` where nothing is known."""
    if not selector:
        return ALL
    [(name, argument)] = selector.items()
    if name == "$and":
        found = ALL
        for part in argument:
            found = intersection(found, values_of(part, path))
        return found
    if name == "$or":
        return union([values_of(part, path) for part in argument])
    if name != path:
        return ALL
    [(operator, value)] = argument.items()
    if path == "_id":
        # Ids are compared by their bytes, not in the order of an index: only equality goes for both.
        return _equal(value) if operator == "$eq" else ALL
    return _OPERATORS[operator](value) if operator in _OPERATORS else ALL


def couchdb_ranges(selector: Normal) -> dict[str, Values]:
    """The fields by which CouchDB chooses an index, in its order, each with its range.

    They are those with an operator that is one range, here or under ``$and``. When a range is empty nothing can match,
    and that field is the only one.
    """
    found: dict[str, Values] = {}
    for path, narrowed in _indexable(selector):
        found[path] = intersection(found.get(path, ALL), narrowed)
    for path in sorted(found):
        if not found[path]:
            return {path: []}
    return {path: found[path] for path in sorted(found)}


def _indexable(selector: Normal) -> list[tuple[str, Values]]:
    if not selector:
        return []
    [(name, argument)] = selector.items()
    if name == "$and":
        return [found for part in argument for found in _indexable(part)]
    if name == "$or":
        return []
    [(operator, _)] = argument.items()
    return [(name, values_of(selector, name))] if operator in INDEXABLE else []


def _equal(value: Any) -> Values:
    key = sort_key(value)
    return [(key, key + b"\xff")]


def _in(values: Any) -> Values:
    """Any of them, and every array, since an array matches by its elements."""
    return union([_ARRAYS, *map(_equal, values)])


def _begins_with(prefix: Any) -> Values:
    """Texts that begin so, as bytes. With an ASCII prefix their primary weights begin with its primary weights: only
    after other letters can what follows change them."""
    if not prefix.isascii():
        return _TYPES["string"]
    low = sort_key(prefix).partition(b"\x01")[0]
    return [(low, low + b"\xff")]


_OPERATORS: Final[Mapping[str, Callable[[Any], Values]]] = {
    "$eq": _equal,
    "$lt": lambda value: [(b"\x00", sort_key(value))],
    "$lte": lambda value: [(b"\x00", sort_key(value) + b"\xff")],
    "$gt": lambda value: [(sort_key(value) + b"\xff", b"\xff")],
    "$gte": lambda value: [(sort_key(value), b"\xff")],
    "$ne": lambda value: [(b"\x00", sort_key(value)), (sort_key(value) + b"\xff", b"\xff")],
    "$in": _in,
    "$beginsWith": _begins_with,
    "$regex": lambda value: _TYPES["string"],
    "$mod": lambda value: _TYPES["number"],
    "$type": lambda value: _TYPES.get(value, []),
    "$size": lambda value: _ARRAYS,
    "$all": lambda value: _ARRAYS,
    "$elemMatch": lambda value: _ARRAYS,
    "$allMatch": lambda value: _ARRAYS,
    "$keyMapMatch": lambda value: _TYPES["object"],
}


# -- An index -------------------------------------------------------------------------------------


class IndexRanges(NamedTuple):
    """Where in an index a match may be."""

    ranges: list[Interval]
    """Of the index's keys, ascending."""
    narrowing: int
    """How many columns narrow them."""
    exact: bool
    """They hold every match and nothing else, so that what is found need not be matched again."""


def index_ranges(selector: Normal, columns: Sequence[str]) -> IndexRanges:
    """The ranges of an index's keys in which a match may be."""
    whole = (_KEY_OF_ARRAY, _KEY_OF_ARRAY + b"\xff")
    # Each range, and whether it is of single values so far, so that the next column narrows it further.
    found: list[tuple[Interval, bool]] = [(whole, True)]
    narrowing = 0
    all_heads = True
    for path in columns:
        values = values_of(selector, path)
        heads = sum(is_head for _, is_head in found)
        if not heads or values == ALL or heads * len(values) > FIND_RANGES_MAX:
            break
        narrowing += 1
        all_heads = heads == len(found)
        parts = [_within(one, values) if is_head else [(one, False)] for one, is_head in found]
        found = [narrower for part in parts for narrower in part]
    exact = all_heads and _is_exact(selector, set(columns[:narrowing]), set(columns))
    return IndexRanges([one for one, _ in found], narrowing, exact)


def _is_exact(selector: Normal, narrowed: set[str], columns: set[str]) -> bool:
    """Whether every condition is one that the narrowing columns say exactly, or that all of the index fulfils."""
    if not selector:
        return True
    [(name, argument)] = selector.items()
    if name == "$and":
        return bool(argument) and all(_is_exact(part, narrowed, columns) for part in argument)
    if name == "$or" or name == "_id":
        return False
    [(operator, value)] = argument.items()
    if operator == "$exists":
        return value is True and name in columns
    return operator in _EXACT and name in narrowed


def _within(head: Interval, values: Values) -> list[tuple[Interval, bool]]:
    """The ranges of a column's values behind a head, each with whether it is a single value's."""
    return [((head[0] + low, head[0] + high), is_point((low, high))) for low, high in values]


# -- Documents by id ------------------------------------------------------------------------------

IdRange = tuple[str | None, bool, str | None, bool]
"""The first id and whether it belongs, the last and whether it does; None is open."""


def id_range(selector: Normal) -> IdRange | None:
    """The ids that CouchDB would read, by the bytes of ``_id``; None when no id is among them."""
    low: str | None = None
    high: str | None = None
    low_in = high_in = True
    for operator, value in _id_conditions(selector):
        if not isinstance(value, str):
            # Every id is a string: null, booleans and numbers sort below all, arrays and objects above.
            below = value is None or isinstance(value, (bool, int, float))
            if operator not in (("$gt", "$gte") if below else ("$lt", "$lte")):
                return None
            continue
        if operator in ("$eq", "$gt", "$gte") and (low is None or (value, operator == "$gt") > (low, not low_in)):
            low, low_in = value, operator != "$gt"
        if operator in ("$eq", "$lt", "$lte") and (high is None or (value, operator != "$lt") < (high, high_in)):
            high, high_in = value, operator != "$lt"
    if low is not None and high is not None and (low > high or (low == high and not (low_in and high_in))):
        return None
    return low, low_in, high, high_in


def _id_conditions(selector: Normal) -> list[tuple[str, Any]]:
    if not selector:
        return []
    [(name, argument)] = selector.items()
    if name == "$and":
        return [found for part in argument for found in _id_conditions(part)]
    if name != "_id":
        return []
    [(operator, value)] = argument.items()
    if operator == "$beginsWith":
        return [("$gte", value), *_below_successor(value)]
    return [(operator, value)] if operator in INDEXABLE else []


def _below_successor(prefix: str) -> list[tuple[str, Any]]:
    """Ids that begin so lie below the prefix with its last character raised."""
    raised = ord(prefix[-1]) + 1 if prefix else 0
    if raised == 0xD800:
        raised = 0xE000  # No text holds a surrogate.
    return [("$lt", prefix[:-1] + chr(raised))] if 0 < raised <= 0x10FFFF else []
