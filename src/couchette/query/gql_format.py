"""Values as text, by the patterns of GQL's ``format``.

Patterns are those of the Visualization API: for numbers ``#,##0.00``, with a percent sign or text around; for moments
letters such as ``yyyy-MM-dd HH:mm``; for booleans ``yes:no``. Names of months and days are English, and numbers have a
point and commas, whatever the locale.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import MAX_PREC, ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

from couchette import jsonio
from couchette.query.gql_values import Moment, moment, number

_NUMBER: Final = re.compile(r"(?P<before>[^#0,.]*)(?P<whole>[#0,]*)(?:\.(?P<parts>0*#*))?(?P<after>[^#0,.]*)")
_PARTS_MAX: Final = 100
_LETTERS: Final = re.compile(r"'((?:[^']|'')*)'|([a-zA-Z])\2*")
_MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS: Final = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_CONTEXT: Final = Context(prec=MAX_PREC, rounding=ROUND_HALF_EVEN)

Formatter = Callable[[Any], str]


def formatter(pattern: str) -> Formatter:
    """A function that writes a value by a pattern; plainly where the pattern is for another kind. Null is empty.

    Raises ValueError for what is a pattern of no kind of value.
    """
    found = _NUMBER.fullmatch(pattern)
    if found and found["whole"] + (found["parts"] or "") and len(pattern) <= _PARTS_MAX:
        return _number_formatter(found)
    letters = _LETTERS.findall(pattern)
    if letters and all(not letter or letter in _MOMENT_PARTS for _, letter in letters):
        return lambda value: plain_text(value) if (seen := moment(value)) is None else _moment_text(seen, pattern)
    if pattern.count(":") == 1:
        yes, no = pattern.split(":")
        return lambda value: (yes if value else no) if isinstance(value, bool) else plain_text(value)
    raise ValueError(pattern)


def plain_text(value: Any) -> str:
    """A value as it is written without a pattern."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, Moment):
        return value.isoformat()
    return jsonio.dumps(value).decode()


def _number_formatter(pattern: re.Match[str]) -> Formatter:
    whole, parts = pattern["whole"], pattern["parts"] or ""
    before, after = pattern["before"], pattern["after"]
    percent = "%" in before + after
    digits = whole.count("0")
    least, most = parts.count("0"), len(parts)

    def text(value: Any) -> str:
        if number(value) is None:
            return plain_text(value)
        exact = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
        exact = _CONTEXT.multiply(exact, Decimal(100)) if percent else exact
        rounded = f"{_CONTEXT.quantize(abs(exact), Decimal(1).scaleb(-most)):f}"
        units, _, rest = rounded.partition(".")
        units = units.lstrip("0").rjust(digits, "0")
        if "," in whole:
            units = _in_groups(units, len(whole) - whole.rindex(",") - 1 or 3)
        rest = rest[:least] + rest[least:].rstrip("0")
        sign = "-" if exact < 0 and any(digit not in "0,." for digit in units + rest) else ""
        shown = units + ("." + rest if rest else "") or "0"
        return f"{sign}{before}{shown}{after}"

    return text


def _in_groups(units: str, size: int) -> str:
    first = len(units) % size
    groups = [units[at : at + size] for at in range(first, len(units), size)]
    return ",".join([units[:first], *groups] if first else groups)


def _padded(get: Callable[[Any], int]) -> Callable[[Any, int], str]:
    return lambda value, width: str(get(value)).rjust(width, "0")


def _year(value: Any, width: int) -> str:
    return f"{value.year % 100:02}" if width == 2 else str(value.year).rjust(width, "0")


def _month(value: Any, width: int) -> str:
    if width <= 2:
        return str(value.month).rjust(width, "0")
    name: str = _MONTHS[value.month - 1]
    return name if width > 3 else name[:3]


def _day_name(value: Any, width: int) -> str:
    name: str = _DAYS[value.weekday()]
    return name if width > 3 else name[:3]


_MOMENT_PARTS: Final[dict[str, Callable[[Any, int], str]]] = {
    "y": _year,
    "M": _month,
    "d": _padded(lambda value: value.day),
    "E": _day_name,
    "H": _padded(lambda value: value.hour),
    "h": _padded(lambda value: (value.hour + 11) % 12 + 1),
    "m": _padded(lambda value: value.minute),
    "s": _padded(lambda value: value.second),
    "S": lambda value, width: f"{value.microsecond:06}"[:width],
    "a": lambda value, width: "PM" if value.hour >= 12 else "AM",
}
_FIRST: Final = date(1970, 1, 1)


def _moment_text(value: Moment, pattern: str) -> str:
    """By letters; a date is at midnight, and a time of day on the first day of 1970."""
    if isinstance(value, time):
        value = datetime.combine(_FIRST, value)
    elif not isinstance(value, datetime):
        value = datetime.combine(value, time())

    def part(found: re.Match[str]) -> str:
        if found[1] is not None:
            return found[1].replace("''", "'") or "'"
        return _MOMENT_PARTS[found[2]](value, len(found[0]))

    return _LETTERS.sub(part, pattern)
