"""CouchDB's built-in reducers, in Python: what they answer, and the words in which they refuse.

A partial result is a JSON value, so that it can be stored in an index. That is the answer itself, but for two:
``_first`` and ``_last`` keep key and id beside the value, and ``_approx_count_distinct`` keeps a sketch
(``distinct.py``); ``finalize`` makes the answer of it. Semantics are those of CouchDB's ``couch_query_servers``.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from couchette import jsonio
from couchette.document.collation import sort_key
from couchette.errors import BadRequest, FunctionFailed
from couchette.functions.distinct import Sketch
from couchette.limits import REDUCE_LIMIT_BYTES

SUM_ERROR: Final = (
    "The _sum function requires that map values be numbers, arrays of numbers, or objects. "
    "Objects cannot be mixed with other data structures. Objects can be arbitrarily nested, provided that "
    "the values for all fields are themselves numbers, arrays of numbers, or objects."
)
RANK_MAX: Final = 100
"""CouchDB's greatest N of ``_top_N`` and ``_bottom_N``."""

_STATS: Final = ("sum", "count", "min", "max", "sumsqr")
_NUMBERS: Final = frozenset({int, float})


class Builtin:
    """A reducer of :class:`~couchette.functions.Reducer` that needs no engine: this one's results are its answers."""

    def reduce(self, keys: list[list[Any]], values: list[Any]) -> Any:
        """The value of some rows."""
        return self.rereduce(values)

    def rereduce(self, values: list[Any]) -> Any:
        """The value of several partial results."""
        raise NotImplementedError

    def finalize(self, value: Any) -> Any:
        """What is shown for a partial result."""
        return value

    def close(self) -> None:
        """Nothing is held."""


class Count(Builtin):
    """``_count``: how many rows."""

    def reduce(self, keys: list[list[Any]], values: list[Any]) -> int:
        """The number of rows."""
        return len(values)

    def rereduce(self, values: list[Any]) -> int:
        """The sum of counts."""
        return sum(values)


class Sum(Builtin):
    """``_sum``: numbers, arrays of numbers by position, objects by member. A wrong value makes the answer an error
    object."""

    def rereduce(self, values: list[Any]) -> Any:
        """The sum of values or sums, or CouchDB's error object."""
        with _doubles("_sum"):
            return self._sum(values)

    def _sum(self, values: list[Any]) -> Any:
        if _NUMBERS.issuperset(map(type, values)):
            return _finite("_sum", functools.reduce(operator.add, values, 0))
        total: Any = 0
        # CouchDB gathers a query's rows last to first, and names the first wrong one that it meets.
        for value in reversed(values):
            if _is_error(value):
                return value
            try:
                total = _add(value, total)
            except _WrongValue as exc:
                return {"error": "builtin_reduce_error", "reason": SUM_ERROR, "caused_by": exc.args[0]}
        return self._checked(values, total)

    def _checked(self, values: list[Any], total: Any) -> Any:
        """The sum, unless it is an array or object that grows with the rows."""
        if type(total) in _NUMBERS:
            return _finite("_sum", total)
        size = len(jsonio.dumps(total))
        if size <= REDUCE_LIMIT_BYTES or 2 * size <= (given := len(jsonio.dumps(values))):
            return total
        return {"error": "builtin_reduce_error", "reason": overflow_reason(given, size)}


class Stats(Builtin):
    """``_stats``: sum, count, min, max and sum of squares of numbers, or by position of arrays; of objects that are
    stats too."""

    def rereduce(self, values: list[Any]) -> Any:
        """The statistics of values or of statistics. Raises FunctionFailed ``invalid_value`` for any other value."""
        first, *rest = values
        with _doubles("_stats"):
            return functools.reduce(_add_stats, rest, _stats(first))


class First(Builtin):
    """``_first``: the value of the row with the least key, and among equals the least id. A partial result is [key,
    id, value]."""

    _choose: Callable[..., Any] = staticmethod(min)

    def reduce(self, keys: list[list[Any]], values: list[Any]) -> Any:
        """The first row."""
        return self.rereduce([[key, doc_id, value] for (key, doc_id), value in zip(keys, values, strict=True)])

    def rereduce(self, values: list[Any]) -> Any:
        """The first of rows."""
        return self._choose(values, key=lambda row: (sort_key(row[0]), row[1].encode()))

    def finalize(self, value: Any) -> Any:
        """The row's value."""
        return value[2]


class Last(First):
    """``_last``: the value of the row with the greatest key, and among equals the greatest id."""

    _choose = staticmethod(max)


class Ranked(Builtin):
    """``_top_N`` and ``_bottom_N``: the N greatest or least values, best first; of values that collate alike one is
    taken."""

    def __init__(self, rank: int, *, descending: bool) -> None:
        self._rank = rank
        self._descending = descending

    def reduce(self, keys: list[list[Any]], values: list[Any]) -> Any:
        """The best values."""
        return self._best(values)

    def rereduce(self, values: list[Any]) -> Any:
        """The best of lists of values."""
        return self._best(value for ranked in values for value in ranked)

    def _best(self, values: Iterable[Any]) -> list[Any]:
        found: dict[bytes, Any] = {}
        for value in values:
            found.setdefault(sort_key(value), value)
        return [found[key] for key in sorted(found, reverse=self._descending)[: self._rank]]


class ApproxCountDistinct(Builtin):
    """``_approx_count_distinct``: about how many different keys; exact to some 2 %, and nearly exact below a few
    hundred."""

    def reduce(self, keys: list[list[Any]], values: list[Any]) -> str:
        """A sketch of the keys."""
        sketch = Sketch()
        for key, _ in keys:
            sketch.add(jsonio.dumps(key))
        return sketch.as_text()

    def rereduce(self, values: list[Any]) -> str:
        """The union of sketches."""
        sketch = Sketch()
        for text in values:
            sketch.merge(Sketch.from_text(text))
        return sketch.as_text()

    def finalize(self, value: Any) -> int:
        """The estimate."""
        return Sketch.from_text(value).estimate()


def builtin(name: str) -> Builtin:
    """The reducer of a name that begins with ``_``.

    Raises BadRequest ``invalid_design_doc`` for any other, as CouchDB does when the design document is written. What
    follows a known name is ignored, as there.
    """
    if ranked := re.match(r"_(top|bottom)_", name):
        return Ranked(_rank(name[ranked.end() :]), descending=ranked[1] == "top")
    for known, kind in _BUILTINS.items():
        if name.startswith(known):
            return kind()
    raise _refused(
        f"`{name}` is not a supported reduce function.", f"There are {', '.join(_BUILTINS)}, _top_N and _bottom_N."
    )


def overflow_reason(given: int, size: int) -> str:
    """CouchDB's sentence for a reduce result that grows with its rows; both sizes in bytes of JSON."""
    return f"Reduce output must shrink more rapidly: input size: {given} output size: {size}"


_BUILTINS: Final[dict[str, type[Builtin]]] = {
    "_sum": Sum,
    "_count": Count,
    "_stats": Stats,
    "_approx_count_distinct": ApproxCountDistinct,
    "_first": First,
    "_last": Last,
}


def _rank(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        raise _refused("invalid rank reducer", f"{text!r} is no number: write _top_3.")
    if not 1 <= int(text) <= RANK_MAX:
        raise _refused(f"rank value must be between 1 and {RANK_MAX}", f"It is {text}.")
    return int(text)


def _refused(reason: str, hint: str) -> BadRequest:
    return BadRequest(reason, hint, error="invalid_design_doc")


# -- _sum -----------------------------------------------------------------------------------------


class _WrongValue(Exception):
    """A value that cannot be added; it is the argument."""


def _add(value: Any, total: Any) -> Any:
    if type(value) in _NUMBERS and type(total) in _NUMBERS:
        return total + value
    if type(value) is dict and (total == 0 or type(total) is dict):
        return _add_objects(value, total) if type(total) is dict else value
    if type(value) is dict or type(total) is dict:
        raise _WrongValue(value)
    if type(value) is list or (type(value) in _NUMBERS and type(total) is list):
        return _add_arrays(total if type(total) is list else [total], value if type(value) is list else [value])
    raise _WrongValue(value)


def _add_objects(value: dict[str, Any], total: dict[str, Any]) -> dict[str, Any]:
    both = {name: _add(value[name], total[name]) if name in total else value[name] for name in value}
    return {**total, **both}


def _add_arrays(total: list[Any], value: list[Any]) -> list[Any]:
    shared = min(len(total), len(value))
    for index in range(shared):
        if type(total[index]) not in _NUMBERS or type(value[index]) not in _NUMBERS:
            raise _WrongValue(total[index:])
    # What only one of them has is taken as it is, a number or not.
    return [total[index] + value[index] for index in range(shared)] + total[shared:] + value[shared:]


def _is_error(value: Any) -> bool:
    return type(value) is dict and value.get("error") == "builtin_reduce_error"


# -- _stats ---------------------------------------------------------------------------------------


def _stats(value: Any) -> Any:
    """A value as statistics of itself; statistics stay what they are."""
    if type(value) is list:
        return [_stats(element) for element in value]
    if type(value) in _NUMBERS:
        return dict(zip(_STATS, (value, 1, value, value, _finite("_stats", value * value)), strict=True))
    if type(value) is dict:
        return {name: _stats_member(value, name) for name in _STATS}
    raise _invalid(f"non-numeric _stats input: {_shown(value)}")


def _stats_member(value: dict[str, Any], name: str) -> Any:
    if name not in value:
        raise _invalid(f"user _stats input missing required field {name} ({_shown(value)})")
    if type(value[name]) not in _NUMBERS:
        raise _invalid(f"non-numeric _stats input received for {name}: {_shown(value[name])}")
    return value[name]


def _add_stats(total: Any, value: Any) -> Any:
    if type(value) is list and type(total) is list and len(value) == len(total):
        return [_add_stats(one, other) for one, other in zip(total, value, strict=True)]
    if type(value) is list or type(total) is list or not (type(value) is dict or type(value) in _NUMBERS):
        raise _invalid(
            f"The _stats function requires that map values be numbers or arrays of numbers, not '{_shown(value)}'"
        )
    added = _stats(value)
    return {
        "sum": _finite("_stats", total["sum"] + added["sum"]),
        "count": total["count"] + added["count"],
        "min": min(total["min"], added["min"]),
        "max": max(total["max"], added["max"]),
        "sumsqr": _finite("_stats", total["sumsqr"] + added["sumsqr"]),
    }


def _invalid(reason: str) -> FunctionFailed:
    return FunctionFailed(reason, error="invalid_value")


def _shown(value: Any) -> str:
    return jsonio.dumps(value).decode()


def _finite(name: str, number: Any) -> Any:
    """The number, unless it left what a double holds: Erlang's arithmetic ends there, and so does JSON."""
    if number - number:
        raise _too_large(name)
    return number


@contextmanager
def _doubles(name: str) -> Iterator[None]:
    """Arithmetic in which an integer meets a double that cannot hold it ends as any other that leaves their range."""
    try:
        yield
    except OverflowError as exc:
        raise _too_large(name) from exc


def _too_large(name: str) -> FunctionFailed:
    return FunctionFailed("badarith", f"{name} left the range of a double.", error="badarith")
