"""The name that CouchDB gives to a Mango index without one: a hash of its definition.

It is the SHA-1 of the Erlang external term ``{Definition, Options}``, options sorted by name. The same index made here
and on a CouchDB is then the same design document, and replicating it makes no conflict. Erlang writes atoms as UTF-8
since OTP 26, on which CouchDB 3.5 runs; on older ones the names differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from struct import pack
from typing import Any

_NIL = b"j"


class _Atom(str):
    """A text that is an atom in Erlang."""


def index_name(
    definition: Any, *, ddoc: str | None, name: str | None, type: str, w: int, partitioned: bool | None
) -> str:
    """The generated name, 40 hex digits, of an index asked for with these options; None where one was not given."""
    options = {
        "ddoc": _Atom("auto_name") if ddoc is None else ddoc,
        "def": definition,
        "name": _Atom("auto_name") if name is None else name,
        "partitioned": _Atom("db_default") if partitioned is None else partitioned,
        "type": type,
        "w": w,
    }
    pairs = [_tuple(_atom(key), _term(value)) for key, value in options.items()]
    term = b"\x83" + _tuple(_term(definition), _list(pairs))
    return hashlib.sha1(term, usedforsecurity=False).hexdigest()


def _term(value: Any) -> bytes:
    """A JSON value, or an atom, as a term."""
    if isinstance(value, _Atom):
        return _atom(value)
    if value is None or isinstance(value, bool):
        return _atom("null" if value is None else str(value).lower())
    if isinstance(value, str):
        return _binary(value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return pack(">Bd", 70, value)
    if isinstance(value, Mapping):
        return _tuple(_list([_tuple(_binary(key), _term(part)) for key, part in value.items()]))
    if value and len(value) <= 0xFFFF and all(type(part) is int and 0 <= part <= 255 for part in value):
        return pack(">BH", 107, len(value)) + bytes(value)
    return _list([_term(part) for part in value])


def _integer(value: int) -> bytes:
    if 0 <= value <= 255:
        return bytes((97, value))
    if -(2**31) <= value < 2**31:
        return pack(">Bi", 98, value)
    size = (value.bit_length() + 7) // 8
    return pack(">BBB", 110, size, value < 0) + abs(value).to_bytes(size, "little")


def _atom(name: str) -> bytes:
    return bytes((119, len(name))) + name.encode()


def _binary(text: str) -> bytes:
    raw = text.encode()
    return pack(">BI", 109, len(raw)) + raw


def _tuple(*parts: bytes) -> bytes:
    return bytes((104, len(parts))) + b"".join(parts)


def _list(parts: list[bytes]) -> bytes:
    return pack(">BI", 108, len(parts)) + b"".join(parts) + _NIL if parts else _NIL
