"""How GQL compares, orders and reads values.

Values are JSON, and moments: ``date``, ``datetime`` and ``time`` without a zone, which literals and functions give.
JSON has no moments, so a document's string that is one in ISO 8601 is taken as one where it meets a moment; what has a
zone is turned into UTC. JSON is ordered as CouchDB collates it, and strings are equal if they are the same. Between
values of different kinds no comparison holds but ``!=``, and with null none at all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

from couchette.document.collation import sort_key

Moment = date | time
"""A datetime is a date, too."""

OrderKey = tuple[int, bytes]

_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_EPOCH: Final = datetime(1970, 1, 1)
_BEGINS_A_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")


def order_key(value: Any) -> OrderKey:
    """What a value sorts and groups by: JSON as CouchDB collates it, then moments."""
    if isinstance(value, time):
        return 1, value.isoformat("microseconds").encode()
    if isinstance(value, date):
        return 1, _as_datetime(value).isoformat(timespec="microseconds").encode()
    return 0, sort_key(value)


def compare(name: str, left: Any, right: Any) -> bool:
    """Whether a comparison holds."""
    if left is None or right is None:
        return False
    if isinstance(left, Moment) or isinstance(right, Moment):
        left, right = moment(left), moment(right)
        if left is None or right is None or isinstance(left, time) != isinstance(right, time):
            return name == "!="
        if not isinstance(left, time):
            left, right = _as_datetime(left), _as_datetime(right)
        return _COMPARISONS[name](left, right)
    if _kind(left) is not _kind(right):
        return name == "!="
    if _kind(left) is float or (name in ("=", "!=") and isinstance(left, str)):
        return _COMPARISONS[name](left, right)
    return _COMPARISONS[name](sort_key(left), sort_key(right))


def number(value: Any) -> float | None:
    """The value if it is a number, else None."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def finite(value: float) -> float | None:
    """A result, or None for what JSON cannot hold."""
    return value if isinstance(value, int) or math.isfinite(value) else None


def moment(value: Any) -> Moment | None:
    """The moment that a value is, or that a string shows; None of others."""
    if isinstance(value, Moment):
        return value
    if not isinstance(value, str):
        return None
    try:
        if not _BEGINS_A_DATE.match(value):
            return without_zone(time.fromisoformat(value)) if ":" in value else None
        if len(value) == 10:
            return date.fromisoformat(value)
        return without_zone(datetime.fromisoformat(value))  # type: ignore[no-any-return]
    except (ValueError, OverflowError):  # No moment, or one whose UTC is in no year that dates have.
        return None


def date_of(value: Any) -> date | None:
    """The day of a value: of a moment, a string that shows one, or milliseconds since 1970."""
    if (milliseconds := number(value)) is not None:
        try:
            return (_EPOCH + timedelta(milliseconds=milliseconds)).date()
        except (OverflowError, ValueError):
            return None
    found = moment(value)
    return _as_datetime(found).date() if isinstance(found, date) else None


def _as_datetime(value: date) -> datetime:
    return value if isinstance(value, datetime) else datetime.combine(value, time())


def without_zone(value: Any) -> Any:
    """A datetime in UTC, or a time of day as it is, without a zone. Raises OverflowError beyond the years of dates."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC)
    return value.replace(tzinfo=None)


def _kind(value: Any) -> type:
    return float if number(value) is not None else type(value)
