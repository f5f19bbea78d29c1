"""The operators and functions of GQL, as the Visualization API's query language has them, and the seed of it in
PouchDB's plug-in.

https://developers.google.com/chart/interactive/docs/querylanguage describes them. ``month`` counts from 0 and
``dayOfWeek`` from 1, which is Sunday. What cannot be computed of a document's values is null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any, Final

from couchette.query.gql_values import compare, date_of, finite, moment, number, order_key

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A function of one row's values."""

    name: str
    arity: int
    function: Function


def _arithmetic(compute: Callable[[float, float], float]) -> Function:
    def apply(left: Any, right: Any) -> float | None:
        one, other = number(left), number(right)
        if one is None or other is None:
            return None
        try:
            return finite(compute(one, other))
        except (ZeroDivisionError, OverflowError):
            return None

    return apply


def _comparison(name: str) -> Function:
    return lambda left, right: compare(name, left, right)


def _of_strings(test: Callable[[str, str], bool]) -> Function:
    return lambda left, right: isinstance(left, str) and isinstance(right, str) and test(left, right)


@lru_cache(maxsize=64)
def _like(pattern: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(char) or re.escape(char) for char in pattern), re.DOTALL)


OPERATORS: Final[dict[str, Function]] = {
    "+": _arithmetic(lambda a, b: a + b),
    "-": _arithmetic(lambda a, b: a - b),
    "*": _arithmetic(lambda a, b: a * b),
    "/": _arithmetic(lambda a, b: a / b),
    "negate": lambda value: None if number(value) is None else -value,
    **{name: _comparison(name) for name in ("=", "!=", "<", "<=", ">", ">=")},
    "not": lambda value: value is not True,
    "is null": lambda value: value is None,
    "is not null": lambda value: value is not None,
    "contains": _of_strings(lambda text, part: part in text),
    "starts with": _of_strings(str.startswith),
    "ends with": _of_strings(str.endswith),
    "matches": _of_strings(lambda text, pattern: re.fullmatch(pattern, text) is not None),
    "like": _of_strings(lambda text, pattern: _like(pattern).fullmatch(text) is not None),
}


def _part(kinds: type | tuple[type, ...], get: Callable[[Any], int]) -> Function:
    """A function of a moment of these kinds; a date without a time of day has none of its parts."""

    def part(value: Any) -> int | None:
        found = moment(value)
        return get(found) if isinstance(found, kinds) else None

    return part


_TIMES: Final = (datetime, time)


def _date_diff(left: Any, right: Any) -> int | None:
    one, other = date_of(left), date_of(right)
    return None if one is None or other is None else (one - other).days


def _of_string(change: Callable[[str], str]) -> Function:
    return lambda value: change(value) if isinstance(value, str) else None


SCALARS: Final[dict[str, Scalar]] = {
    scalar.name.lower(): scalar
    for scalar in (
        Scalar("year", 1, _part(date, lambda found: found.year)),
        Scalar("month", 1, _part(date, lambda found: found.month - 1)),
        Scalar("day", 1, _part(date, lambda found: found.day)),
        Scalar("hour", 1, _part(_TIMES, lambda found: found.hour)),
        Scalar("minute", 1, _part(_TIMES, lambda found: found.minute)),
        Scalar("second", 1, _part(_TIMES, lambda found: found.second)),
        Scalar("millisecond", 1, _part(_TIMES, lambda found: found.microsecond // 1000)),
        Scalar("quarter", 1, _part(date, lambda found: (found.month + 2) // 3)),
        Scalar("dayOfWeek", 1, _part(date, lambda found: found.isoweekday() % 7 + 1)),
        Scalar("dateDiff", 2, _date_diff),
        Scalar("toDate", 1, date_of),
        Scalar("upper", 1, _of_string(str.upper)),
        Scalar("lower", 1, _of_string(str.lower)),
    )
}
NOW: Final = "now"
"""The function that gives the same moment to the whole query, in UTC."""


def _sum(values: Sequence[Any]) -> float | None:
    numbers = [value for value in map(number, values) if value is not None]
    if not numbers:
        return None
    if all(isinstance(value, int) for value in numbers):
        return sum(numbers)
    try:
        return finite(math.fsum(numbers))
    except OverflowError:
        return None


def _avg(values: Sequence[Any]) -> float | None:
    total = _sum(values)
    if total is None:
        return None
    try:
        return total / sum(number(value) is not None for value in values)
    except OverflowError:
        return None


AGGREGATES: Final[dict[str, Callable[[Sequence[Any]], Any]]] = {
    "avg": _avg,
    "count": len,
    "max": lambda values: max(values, key=order_key, default=None),
    "min": lambda values: min(values, key=order_key, default=None),
    "sum": _sum,
}
"""Each of the values of a group that are not null; sums and means leave out what is no number."""
