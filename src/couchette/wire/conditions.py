"""Conditional and partial requests: what ETag, Accept, Accept-Encoding and Range headers decide.

CouchDB keeps its own rules here, older than the RFCs' wording: ``If-None-Match: *`` never matches, a
quality in Accept is not looked at, and nine ranges are answered one by one while ten give the whole.
"""

from __future__ import annotations

import re
from typing import Final

from couchette.errors import RangeNotSatisfiable

RANGES_MAX: Final = 9
"""CouchDB answers more ranges than these with the whole content."""

_RANGE: Final = re.compile(r"([0-9]*)-(-?[0-9]+)?", re.ASCII)
_RANGE_CHARS_MAX: Final = 40
"""A longer range names no byte of any content, and is not worth reading."""


def matches_etag(if_none_match: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names this (quoted) ETag, weakly or not."""
    if if_none_match is None:
        return False
    return any(item.strip().removeprefix("W/") == etag for item in if_none_match.split(","))


def accepted_types(accept: str | None) -> list[str]:
    """The media types of an Accept header, without parameters; ``*/*`` when there is no header."""
    if accept is None:
        return ["*/*"]
    return [kind for item in accept.split(",") if (kind := item.partition(";")[0].strip().lower())]


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether an Accept-Encoding header allows gzip. Without the header it is not sent."""
    for item in (accept_encoding or "").split(","):
        coding, _, parameter = item.partition(";")
        if coding.strip().lower() in ("gzip", "x-gzip", "*"):
            name, _, quality = parameter.replace(" ", "").partition("=")
            return not (name == "q" and re.fullmatch(r"0(\.0*)?", quality))
    return False


def read_ranges(header: str | None, length: int) -> list[tuple[int, int]] | None:
    """The first and last byte of each range that a Range header asks for.

    None means that the whole content is to be sent: no header, one that cannot be read, ``0-``, or
    too many ranges. Raises RangeNotSatisfiable when any of the ranges lies outside the content.
    """
    unit, equals, listed = (header or "").partition("=")
    if unit.strip().lower() != "bytes" or not equals:
        return None
    ranges = []
    for item in filter(None, (part.strip() for part in listed.split(","))):
        found = _RANGE.fullmatch(item)
        if found is None or item in ("-", "0-") or len(item) > _RANGE_CHARS_MAX:
            return None
        first, last = found[1], found[2]
        ranges.append(_suffix(int(last), length) if not first else _span(int(first), last, length))
    return ranges if len(ranges) <= RANGES_MAX else None


def _span(first: int, last_text: str | None, length: int) -> tuple[int, int]:
    """The bytes of ``first-last`` or ``first-``, cut at the end of the content."""
    last = min(int(last_text or length), length - 1)
    return _checked(first, last, length)


def _suffix(count: int, length: int) -> tuple[int, int]:
    """The last ``count`` bytes. Asked for more than there are, CouchDB leaves out the first one."""
    if count > length:
        count = length - 1
    return _checked(length - count, length - 1, length)


def _checked(first: int, last: int, length: int) -> tuple[int, int]:
    if not 0 <= first <= last < length:
        raise RangeNotSatisfiable("Requested range not satisfiable", f"The content has {length} bytes.")
    return first, last
