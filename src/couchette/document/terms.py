"""Erlang's external term format, as far as CouchDB's revision ids hash it.

There an object is ``{[{Key, Value}, ...]}`` in key order, text a binary, an array a list, and every term begins
with a tag byte (https://www.erlang.org/doc/apps/erts/erl_ext_dist.html).

:func:`add_members` is the hot loop of every write, so it is one loop that makes no Python call for the
ordinary types: encoded keys come from a cache, short heads and small integers from tables, and what it makes is
joined once. An array is walked as members whose key encodes to nothing: a single loop
with its own stack serves all containers, and no nesting reaches Python's recursion limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from struct import Struct
from typing import Any

from couchette.limits import JSON_NESTING_MAX, REV_KEY_CHARS_CACHED, REV_KEYS_CACHED

# Erlang's external term format: each packer writes a tag and a big-endian number.
head = Struct(">BI").pack
int32 = Struct(">Bi").pack
double = Struct(">Bd").pack
_string = Struct(">BH").pack
LIST, BINARY, _STRING, INT32, DOUBLE, _SMALL_BIG, _LARGE_BIG = 108, 109, 107, 98, 70, 110, 111
NIL = b"j"
TRUE, FALSE, NULL = b"d\x00\x04true", b"d\x00\x05false", b"d\x00\x04null"
OBJECT, PAIR, TRIPLE = b"h\x01", b"h\x02", b"h\x03"
BYTES = [bytes((ord("a"), byte)) for byte in range(256)]
BINARY_HEADS = [head(BINARY, size) for size in range(256)]
LIST_HEADS = [head(LIST, size) for size in range(256)]
_STRING_MAX = 0xFFFF

_CONTAINERS = frozenset({dict, list, tuple})
_OUTER_MAX = JSON_NESTING_MAX - 2  # Containers between the document and the deepest one.

_ELEMENT = object()  # Stands for the key of an array's elements.
_elements = repeat(_ELEMENT)
_keys: dict[Any, bytes] = {_ELEMENT: b""}


class NotJSON(Exception):
    """A value that has no term."""


def add_members(parts: list[bytes], fields: dict[str, Any], depth: int = 0) -> None:
    """Append the list of an object's members, with everything inside it; ``depth`` containers are around it.

    Raises NotJSON, or UnicodeEncodeError for a lone surrogate, when it has appended a part of it.
    """
    append = parts.append
    outer_max = _OUTER_MAX - depth
    if not fields:
        append(NIL)
        return
    append(LIST_HEADS[len(fields)] if len(fields) < 256 else head(LIST, len(fields)))
    members: Iterator[tuple[Any, Any]] = iter(fields.items())
    stack: list[Iterator[tuple[Any, Any]]] = []  # What is left of the containers around this one.
    while True:
        for key, value in members:
            try:
                append(_keys[key])
            except KeyError:
                append(member_head(key))
            # The exact type decides: True is an int, and a subclass need not be what its base would write.
            kind = type(value)
            if kind is str:
                data = value.encode()
                try:
                    append(BINARY_HEADS[len(data)])
                except IndexError:
                    append(head(BINARY, len(data)))
                append(data)
            elif kind is int:
                if 0 <= value < 256:
                    append(BYTES[value])
                else:
                    append(int32(INT32, value) if -0x80000000 <= value < 0x80000000 else _bignum(value))
            elif kind is float:
                if value - value:  # NaN for NaN and the infinities, else 0.0.
                    raise NotJSON
                append(double(DOUBLE, value))
            elif kind is bool:
                append(TRUE if value else FALSE)
            elif value is None:
                append(NULL)
            elif kind not in _CONTAINERS or len(stack) > outer_max:
                raise NotJSON
            else:
                if kind is dict:
                    append(OBJECT)
                    inner = iter(value.items())
                else:
                    if value and type(value[0]) is int and (string := _byte_string(value)) is not None:
                        append(string)
                        continue
                    inner = zip(_elements, value)  # noqa: B905 (naming `strict` costs as much as the zip)
                if value:
                    append(LIST_HEADS[len(value)] if len(value) < 256 else head(LIST, len(value)))
                    stack.append(members)
                    members = inner
                    break
                append(NIL)
        else:
            append(NIL)
            if not stack:
                return
            members = stack.pop()


def member_head(key: Any) -> bytes:
    """The beginning of a member's term, up to its value; kept for the next document. Raises NotJSON."""
    if type(key) is not str:
        raise NotJSON
    begin = PAIR + text(key)
    if len(key) <= REV_KEY_CHARS_CACHED:
        if len(_keys) > REV_KEYS_CACHED:
            for old in list(_keys):
                if old is not _ELEMENT:
                    _keys.pop(old, None)
        _keys[key] = begin
    return begin


def _byte_string(array: Sequence[Any]) -> bytes | None:
    """The term of an array of bytes, which Erlang takes for a string; None for any other array."""
    if len(array) > _STRING_MAX or set(map(type, array)) != {int}:
        return None
    try:
        return _string(_STRING, len(array)) + bytes(array)
    except ValueError:
        return None


def integer(value: int) -> bytes:
    if 0 <= value < 256:
        return BYTES[value]
    return int32(INT32, value) if -0x80000000 <= value < 0x80000000 else _bignum(value)


def _bignum(value: int) -> bytes:
    size = (value.bit_length() + 7) // 8
    begin = bytes((_SMALL_BIG, size)) if size < 256 else head(_LARGE_BIG, size)
    return begin + (b"\x01" if value < 0 else b"\x00") + abs(value).to_bytes(size, "little")


def text(value: str) -> bytes:
    """The term of a text. Raises UnicodeEncodeError for a lone surrogate."""
    return binary(value.encode())


def binary(data: bytes) -> bytes:
    return head(BINARY, len(data)) + data
