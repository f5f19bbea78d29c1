"""Ranges of index rows, as half-open intervals between points.

A row's place is ``(k, id, n)``: the bytes that its key sorts by, the document's id, and the number of the emit among
those of the document. Every range that can be asked for, with or without docids, inclusive or not, is an interval
between two such points, of which the first belongs to it and the last does not; so there are no cases to tell apart.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from couchette.limits import SQLITE_INT_MAX

Point = tuple[bytes, str, int]

START: Final[Point] = (b"", "", -1)
"""A point before all rows: no key sorts by empty bytes."""


class Span(NamedTuple):
    """The rows from ``low`` on and before ``high``; None is open."""

    low: Point | None = None
    high: Point | None = None


def before(k: bytes, doc_id: str | None = None) -> Point:
    """The point before all rows of a key, or before those of one document with that key."""
    return (k, "", -1) if doc_id is None else (k, doc_id, -1)


def after(k: bytes, doc_id: str | None = None) -> Point:
    """The point after all rows of a key, or after those of one document with that key."""
    return (k + b"\x00", "", -1) if doc_id is None else (k, doc_id, SQLITE_INT_MAX)


def span_of_key(k: bytes) -> Span:
    """All rows of a key."""
    return Span(before(k), after(k))


def span_of_prefix(prefix: bytes) -> Span:
    """All rows whose sorting bytes begin so. No byte of a key's first place is 0xff, so that follows them all."""
    return Span((prefix, "", -1), (prefix + b"\xff", "", -1))
