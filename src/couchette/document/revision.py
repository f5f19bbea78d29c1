"""Revisions: their text ``N-id``, their order, and the ids that CouchDB gives to new ones.

CouchDB makes an edit's id from its content, so the same edit made on two devices is the same revision:
the md5 of the Erlang external term ``[Deleted, ParentNumber, ParentId, Body, Attachments]``. There an
object is ``{[{Key, Value}, ...]}`` in key order, text a binary, an array a list, and every term begins
with a tag byte. Ids are compared as bytes, where 32 hex digits count as the 16 bytes that they spell.

``new_rev`` is the hot loop of every bulk insert, so it is one loop that makes no Python call for the
ordinary types: encoded keys come from a cache, short heads and small integers from tables, and md5
reads one join of the parts. An array is walked as members whose key encodes to nothing: a single loop
with its own stack serves all containers, and no nesting reaches Python's recursion limit.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Iterator, Sequence
from itertools import repeat
from struct import Struct
from typing import Any

from couchette import jsonio
from couchette.errors import InvalidRev
from couchette.limits import JSON_NESTING_MAX, REV_KEY_CHARS_CACHED, REV_KEYS_CACHED, SQLITE_INT_MAX

try:
    # OpenSSL looks its algorithm up for every digest, which takes as long as hashing a small document.
    from _md5 import md5 as _md5  # type: ignore[import-not-found]
except ImportError:  # A Python built without its own hashes.
    from hashlib import md5 as _md5

_normal = re.compile(r"(?:0|[1-9][0-9]{0,17})-(?:[0-9a-f]{32}|[0-9a-z]{0,15})").fullmatch
_number = re.compile(r"\+?[0-9]+").fullmatch
_hex = re.compile(r"[0-9a-fA-F]{32}").fullmatch

# Erlang's external term format: each packer writes a tag and a big-endian number.
_count = Struct(">BI").pack
_int32 = Struct(">Bi").pack
_double = Struct(">Bd").pack
_string = Struct(">BH").pack
_LIST, _BINARY, _STRING, _INT32, _DOUBLE, _SMALL_BIG, _LARGE_BIG = 108, 109, 107, 98, 70, 110, 111
_NIL = b"j"
_TRUE, _FALSE, _NULL = b"d\x00\x04true", b"d\x00\x05false", b"d\x00\x04null"
_OBJECT, _PAIR, _TRIPLE = b"h\x01", b"h\x02", b"h\x03"
_BYTES = [bytes((ord("a"), byte)) for byte in range(256)]
_BINARY_HEADS = [_count(_BINARY, size) for size in range(256)]
_LIST_HEADS = [_count(_LIST, size) for size in range(256)]
_FIVE_TERMS = b"\x83" + _count(_LIST, 5)
_FIRST_EDIT = _FIVE_TERMS + _FALSE + _BYTES[0] + _BYTES[0] + _OBJECT
_STRING_MAX = 0xFFFF

_CONTAINERS = frozenset({dict, list, tuple})
_OUTER_MAX = JSON_NESTING_MAX - 2  # Containers between the document and the deepest one.

_ELEMENT = object()  # Stands for the key of an array's elements.
_elements = repeat(_ELEMENT)
_keys: dict[Any, bytes] = {_ELEMENT: b""}


class _NotJSON(Exception):
    """A value that has no term."""


def parse_rev(text: str) -> tuple[int, str]:
    """Number and id of a revision text, normalised as CouchDB does. Raises InvalidRev.

    An id of 32 bytes must be hex and comes back in lowercase; one of 16 bytes is taken for the bytes
    themselves and comes back as their hex; any other is kept. ``01-abc`` is ``(1, "abc")``.
    """
    if type(text) is not str:
        raise _invalid(text)
    number, dash, id = text.partition("-")
    if not dash or not _number(number):
        raise _invalid(text)
    try:
        size, pos = len(id.encode()), int(number)
    except ValueError as exc:  # A lone surrogate, or more digits than Python converts.
        raise _invalid(text) from exc
    if size == 32:
        if not _hex(id):
            raise _invalid(text)
        return pos, id.lower()
    return pos, id.encode().hex() if size == 16 else id


def normal_rev(text: str) -> str:
    """The one form of a revision text in which we store and compare it. Raises InvalidRev."""
    if type(text) is str and _normal(text):
        return text
    pos, id = parse_rev(text)
    return f"{pos}-{id}"


def rev_key(rev: str) -> tuple[int, bytes]:
    """Sort key of a normal revision: its number, then its id as the bytes that CouchDB compares."""
    number, _, id = rev.partition("-")
    return int(number), _id_bytes(id)


def new_rev(
    fields: dict[str, Any],
    *,
    parent: str | None = None,
    deleted: bool = False,
    attachments: Sequence[tuple[str, str, bytes]] = (),
) -> str:
    """The revision that CouchDB gives to this edit.

    ``fields`` are the document's members as stored: without CouchDB's own, in the order received.
    ``parent`` is a normal revision. ``attachments`` are (name, content type, md5 of the stored bytes)
    in CouchDB's order of hashing, the reverse of the ``_attachments`` object. Raises BadRequest, with
    the path to the culprit, for values that JSON cannot hold, even those that ``jsonio.dumps`` lets pass.
    """
    pos = 1
    if parent is None and not deleted:
        parts = [_FIRST_EDIT]
    elif parent is None:
        parts = [_FIVE_TERMS, _TRUE, _BYTES[0], _BYTES[0], _OBJECT]
    else:
        number, _, id = parent.partition("-")
        pos += int(number)
        if pos > SQLITE_INT_MAX:
            raise InvalidRev("Invalid rev format", f"Nothing can follow revision {parent}: its number is the greatest.")
        parts = [_FIVE_TERMS, _TRUE if deleted else _FALSE, _integer(pos - 1), _binary(_id_bytes(id)), _OBJECT]
    suspect: Any = fields
    try:
        _add_members(parts, fields)
        if attachments:
            parts.append(_count(_LIST, len(attachments)))
            for name, content_type, digest in attachments:
                suspect = [name, content_type]
                parts += (_TRIPLE, _text(name), _text(content_type), _binary(digest))
    except (_NotJSON, UnicodeEncodeError) as exc:
        raise jsonio.refusal(suspect) from exc
    parts += (_NIL, _NIL)
    digest = _md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return "1-" + digest if pos == 1 else f"{pos}-{digest}"


def pack_path(ids: Sequence[str]) -> bytes | None:
    """The 16 raw bytes of each id, in the same order; None when any is not 32 lowercase hex digits."""
    try:
        blob = unhexlify("".join(ids))
    except ValueError:
        return None
    # unhexlify takes capitals too and does not see where an id ends: written again, only the right form is the same.
    return blob if len(blob) == 16 * len(ids) and blob.hex(" ", 16) == " ".join(ids) else None


def unpack_path(blob: bytes) -> list[str]:
    """The ids that :func:`pack_path` packed."""
    text = blob.hex()
    return [text[start : start + 32] for start in range(0, len(text), 32)]


def _add_members(parts: list[bytes], fields: dict[str, Any]) -> None:
    """Append the list of an object's members, with everything inside it."""
    append = parts.append
    if not fields:
        append(_NIL)
        return
    append(_LIST_HEADS[len(fields)] if len(fields) < 256 else _count(_LIST, len(fields)))
    members: Iterator[tuple[Any, Any]] = iter(fields.items())
    stack: list[Iterator[tuple[Any, Any]]] = []  # What is left of the containers around this one.
    while True:
        for key, value in members:
            try:
                append(_keys[key])
            except KeyError:
                append(_new_key(key))
            # The exact type decides: True is an int, and a subclass need not be what its base would write.
            kind = type(value)
            if kind is str:
                text = value.encode()
                try:
                    append(_BINARY_HEADS[len(text)])
                except IndexError:
                    append(_count(_BINARY, len(text)))
                append(text)
            elif kind is int:
                if 0 <= value < 256:
                    append(_BYTES[value])
                else:
                    append(_int32(_INT32, value) if -0x80000000 <= value < 0x80000000 else _bignum(value))
            elif kind is float:
                if value - value:  # NaN for NaN and the infinities, else 0.0.
                    raise _NotJSON
                append(_double(_DOUBLE, value))
            elif kind is bool:
                append(_TRUE if value else _FALSE)
            elif value is None:
                append(_NULL)
            elif kind not in _CONTAINERS or len(stack) > _OUTER_MAX:
                raise _NotJSON
            else:
                if kind is dict:
                    append(_OBJECT)
                    inner = iter(value.items())
                else:
                    if value and type(value[0]) is int and (string := _byte_string(value)) is not None:
                        append(string)
                        continue
                    inner = zip(_elements, value)  # noqa: B905 (naming `strict` costs as much as the zip)
                if value:
                    append(_LIST_HEADS[len(value)] if len(value) < 256 else _count(_LIST, len(value)))
                    stack.append(members)
                    members = inner
                    break
                append(_NIL)
        else:
            append(_NIL)
            if not stack:
                return
            members = stack.pop()


def _new_key(key: Any) -> bytes:
    """The beginning of a member's term, up to its value; kept for the next document."""
    if type(key) is not str:
        raise _NotJSON
    head = _PAIR + _text(key)
    if len(key) <= REV_KEY_CHARS_CACHED:
        if len(_keys) > REV_KEYS_CACHED:
            for old in list(_keys):
                if old is not _ELEMENT:
                    _keys.pop(old, None)
        _keys[key] = head
    return head


def _byte_string(array: Sequence[Any]) -> bytes | None:
    """The term of an array of bytes, which Erlang takes for a string; None for any other array."""
    if len(array) > _STRING_MAX or set(map(type, array)) != {int}:
        return None
    try:
        return _string(_STRING, len(array)) + bytes(array)
    except ValueError:
        return None


def _integer(value: int) -> bytes:
    if 0 <= value < 256:
        return _BYTES[value]
    return _int32(_INT32, value) if -0x80000000 <= value < 0x80000000 else _bignum(value)


def _bignum(value: int) -> bytes:
    size = (value.bit_length() + 7) // 8
    head = bytes((_SMALL_BIG, size)) if size < 256 else _count(_LARGE_BIG, size)
    return head + (b"\x01" if value < 0 else b"\x00") + abs(value).to_bytes(size, "little")


def _text(text: str) -> bytes:
    """The term of a text. Raises UnicodeEncodeError for a lone surrogate."""
    return _binary(text.encode())


def _binary(data: bytes) -> bytes:
    return _count(_BINARY, len(data)) + data


def _id_bytes(id: str) -> bytes:
    """An id as CouchDB holds it: 16 bytes for 32 hex digits, else the bytes of its text."""
    return bytes.fromhex(id) if len(id) == 32 and id.isascii() else id.encode()


def _invalid(rev: Any) -> InvalidRev:
    hint = f"{rev!r} is none: a revision is `N-id`, a number, a dash and an id; an id of 32 bytes must be hex."
    return InvalidRev("Invalid rev format", hint)
