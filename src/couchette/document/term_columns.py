"""Erlang terms of many bodies of one shape, made by columns.

:func:`couchette.document.terms.add_members` decides for each value what it is. Documents written together are mostly
of one shape, so here they are turned by a quarter: all values of one member form a column, what they are is looked
up once, and encoding them is a few ``map`` calls that run in C. Each part of a term is then either the same for all
bodies, and glued to its neighbours once, or a column; joining a row of the columns gives a body's term. Databases
that store columns compute with vectors of values for the same reason (Boncz, Zukowski and Nes: MonetDB/X100, 2005).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat
from math import isfinite
from operator import itemgetter
from typing import Any

from couchette.document.terms import (
    BINARY,
    BINARY_HEADS,
    BYTES,
    DOUBLE,
    FALSE,
    INT32,
    LIST,
    NIL,
    NULL,
    OBJECT,
    TRUE,
    NotJSON,
    add_members,
    binary,
    double,
    head,
    int32,
    integer,
    member_head,
)
from couchette.limits import ALIKE_NESTING_MAX

Parts = list[bytes | list[bytes]]
"""A term cut up: what all bodies share, and columns of what differs."""

_byte = BYTES.__getitem__
_short_head = BINARY_HEADS.__getitem__
_boolean = {True: TRUE, False: FALSE}.__getitem__
_WRAPPING = len(head(LIST, 1) + member_head(""))
"""Bytes before the term of the only member of an object, whose name is empty."""


def add_columns(parts: Parts, bodies: Sequence[dict[str, Any]], depth: int = 0) -> None:
    """Append the lists of the members of objects that have the same keys in the same order.

    Raises NotJSON or UnicodeEncodeError where ``add_members`` would for one of them, and NotJSON where
    containers nest too deeply to be worth it.
    """
    if depth > ALIKE_NESTING_MAX:
        raise NotJSON
    keys = list(bodies[0])
    if keys:
        parts.append(head(LIST, len(keys)))
        for key in keys:
            parts.append(member_head(key))
            _add_column(parts, list(map(itemgetter(key), bodies)), depth)
    parts.append(NIL)


def rows(parts: Parts, count: int) -> Iterator[bytes]:
    """The terms of ``count`` bodies."""
    columns: list[Iterable[bytes]] = []
    shared: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            shared.append(part)
        else:
            columns.append(repeat(b"".join(shared)))
            columns.append(part)
            shared = []
    columns.append(repeat(b"".join(shared)))
    return islice(map(b"".join, zip(*columns)), count)  # noqa: B905 (what repeats has no end)


def _add_column(parts: Parts, values: Sequence[Any], depth: int) -> None:
    """Append the terms of the values that bodies have at one place."""
    kinds = set(map(type, values))
    kind = kinds.pop()
    if kinds:
        parts.append(list(map(_term, values, repeat(depth))))
    elif kind is str:
        if values[0] == values[-1] and values.count(values[0]) == len(values):
            parts.append(binary(values[0].encode()))
        else:
            _add_texts(parts, list(map(str.encode, values)))
    elif kind is int:
        low, high = min(values), max(values)
        if low >= 0 and high < 256:
            parts.append(list(map(_byte, values)))
        elif low >= 256 and high < 0x80000000:
            parts.append(list(map(int32, repeat(INT32), values)))
        else:
            parts.append(list(map(integer, values)))
    elif kind is float:
        if not all(map(isfinite, values)):
            raise NotJSON
        parts.append(list(map(double, repeat(DOUBLE), values)))
    elif kind is bool:
        parts.append(list(map(_boolean, values)))
    elif values[0] is None:
        parts.append(NULL)
    elif kind is dict and len(set(map(tuple, values))) == 1:
        parts.append(OBJECT)
        add_columns(parts, values, depth + 1)
    elif kind is list and len(set(map(len, values))) == 1:
        _add_arrays(parts, values, depth + 1)
    else:
        parts.append(list(map(_term, values, repeat(depth))))


def _add_texts(parts: Parts, texts: list[bytes]) -> None:
    sizes = set(map(len, texts))
    if len(sizes) == 1:
        parts.append(head(BINARY, sizes.pop()))
    elif max(sizes) < len(BINARY_HEADS):
        parts.append(list(map(_short_head, map(len, texts))))
    else:
        parts.append(list(map(head, repeat(BINARY), map(len, texts))))
    parts.append(texts)


def _add_arrays(parts: Parts, arrays: Sequence[list[Any]], depth: int) -> None:
    """Append the terms of arrays of one length."""
    if depth > ALIKE_NESTING_MAX:
        raise NotJSON
    columns = [list(map(itemgetter(index), arrays)) for index in range(len(arrays[0]))]
    if columns and int in set(map(type, columns[0])):
        parts.append(
            list(map(_term, arrays, repeat(depth - 1)))
        )  # It may be an array of bytes, which has another term.
        return
    if columns:
        parts.append(head(LIST, len(columns)))
        for column in columns:
            _add_column(parts, column, depth)
    parts.append(NIL)


def _term(value: Any, depth: int) -> bytes:
    """The term of one value, which is a member of an object that ``depth`` containers are around."""
    if value is None:
        return NULL
    if type(value) is str:
        data = value.encode()
        return (BINARY_HEADS[len(data)] if len(data) < 256 else head(BINARY, len(data))) + data
    parts: list[bytes] = []
    add_members(parts, {"": value}, depth)
    return b"".join(parts)[_WRAPPING:-1]
