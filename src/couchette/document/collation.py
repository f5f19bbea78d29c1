"""CouchDB's order of JSON values, as keys that compare as bytes.

null < false < true < numbers < strings < arrays < objects. Numbers go by value, strings by
:mod:`couchette.document.weights`, arrays by element and objects by member as stored (name, then value), the
shorter first when one begins the other. Values equal in this order may differ: 1 and 1.0, "é" composed and not.

A sort key is a tag, then what follows it in the table; every key ends by itself, so keys can be joined.

    10  20  21                  null, false, true
    30  inverted double [rest]  negative number, big-endian
    31  double [rest]           other number; from 2**53 on both have a rest, what an integer has beyond its double
    40  levels 00               string: its three levels with 01 between them
    50  keys.. 00               array
    60  (name key, key).. 00    object

A key is kept in indexes, so each of them records :data:`COLLATOR` and is rebuilt when it changes.
"""

from __future__ import annotations

import math
import struct
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from couchette.document.weights import WEIGHTS, levels, text_key
from couchette.errors import BadRequest

COLLATOR: Final = f"{WEIGHTS}, ucd-{unicodedata.unidata_version}, keys-1"
"""Names the order and the form of the keys: an index made under another name must be rebuilt."""

_NULL: Final = b"\x10"
_FALSE: Final = b"\x20"
_TRUE: Final = b"\x21"
_NEGATIVE: Final = 0x30
_POSITIVE: Final = 0x31
_STRING: Final = b"\x40"
_ARRAY: Final = b"\x50"
_OBJECT: Final = b"\x60"
_END: Final = b"\x00"

_NUMBER: Final = struct.Struct(">Bd")
_REST_SIZE: Final = struct.Struct(">I")
_REST_SIZE_ZERO: Final = 1 << 31

_NUMBERS: Final = (int, float)
_ARRAYS: Final = (list, tuple)
_CONTAINERS: Final = (list, tuple, dict)

# Every integer below is a double exactly.
_EXACT_MAX: Final = 2**53


class _Close:
    """Stands in a list of values for the end of an array or object."""


def sort_key(value: Any) -> bytes:
    """The key of a JSON value: keys compare as bytes just as CouchDB compares the values.

    Raises BadRequest for anything that is not a JSON value.
    """
    if not isinstance(value, _CONTAINERS):
        return _scalar_key(value)
    parts = []
    # What is still to be written, last first. No recursion: documents nest deeper than Python calls may.
    pending: list[Any] = [value]
    while pending:
        item = pending.pop()
        if item is _Close:
            parts.append(_END)
        elif isinstance(item, _ARRAYS):
            parts.append(_ARRAY)
            pending += (_Close, *reversed(item))
        elif isinstance(item, dict):
            parts.append(_OBJECT)
            pending += (_Close, *reversed(_members(item)))
        else:
            parts.append(_scalar_key(item))
    return b"".join(parts)


def _scalar_key(value: Any) -> bytes:
    if isinstance(value, str):
        return _STRING + text_key(value) + _END
    if value is None:
        return _NULL
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if isinstance(value, _NUMBERS):
        return _number_key(value)
    raise _no_json(value)


def _number_key(number: float) -> bytes:
    if -_EXACT_MAX < number < _EXACT_MAX:
        return _double_key(number + 0.0)  # -0.0 becomes 0.0
    if isinstance(number, float) and not math.isfinite(number):
        raise _no_json(number)
    try:
        nearest = float(number)
        rest = int(number) - int(nearest)
    except OverflowError:
        # Beyond all doubles: the rest is the whole.
        nearest, rest = math.copysign(math.inf, number > 0 or -1), int(number)
    return _double_key(nearest) + _rest_key(rest)


def _double_key(number: float) -> bytes:
    if number >= 0:
        return _NUMBER.pack(_POSITIVE, number)
    # The bits of a positive double rise with it, so inverted they rise as the negative one falls.
    return bytes([_NEGATIVE, *(byte ^ 0xFF for byte in _NUMBER.pack(0, -number)[1:])])


def _rest_key(number: int) -> bytes:
    """An integer of any size: its length in bytes, then those; for a negative one each as a complement."""
    size = (number.bit_length() + 7) // 8
    if number < 0:
        return _REST_SIZE.pack(_REST_SIZE_ZERO - size) + (number + (1 << 8 * size)).to_bytes(size, "big")
    return _REST_SIZE.pack(_REST_SIZE_ZERO + size) + number.to_bytes(size, "big")


def _members(value: Mapping[str, Any]) -> list[Any]:
    """Names and values in turn."""
    return [part for member in value.items() for part in member]


# -- Comparison -----------------------------------------------------------------------------------

# A value's rank is the first of these that fits; a bool is an int to Python, so it goes first.
_KINDS: Final[tuple[type | tuple[type, ...], ...]] = (type(None), bool, _NUMBERS, str, _ARRAYS, dict)


def compare(a: Any, b: Any) -> int:
    """Below zero if `a` sorts before `b`, above if after, 0 if they are equal.

    It follows the rules value by value, without keys, so each of the two checks the other.
    """
    pending = [(a, b)]
    while pending:
        a, b = pending.pop()
        if _rank(a) != _rank(b):
            return _rank(a) - _rank(b)
        if isinstance(a, _CONTAINERS):
            a, b = (_members(part) if isinstance(part, dict) else part for part in (a, b))
            pending += ((len(a), len(b)), *reversed([*zip(a, b, strict=False)]))
            continue
        if isinstance(a, str):
            a, b = levels(a), levels(b)
        if a != b:
            return -1 if a < b else 1
    return 0


def _rank(value: Any) -> int:
    rank = next((rank for rank, kind in enumerate(_KINDS) if isinstance(value, kind)), None)
    if rank is None:
        raise _no_json(value)
    return rank


def _no_json(value: object) -> BadRequest:
    hint = f"{value!r:.80} ({type(value).__name__}) is no JSON value, so it has no place in CouchDB's order."
    return BadRequest("invalid UTF-8 JSON", hint)
