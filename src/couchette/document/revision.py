"""Revisions: their text ``N-id``, their order, and the ids that CouchDB gives to new ones.

CouchDB makes an edit's id from its content, so the same edit made on two devices is the same revision:
the md5 of the Erlang external term ``[Deleted, ParentNumber, ParentId, Body, Attachments]``, of which
:mod:`couchette.document.terms` tells more. Ids are compared as bytes, where 32 hex digits count as the
16 bytes that they spell.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, repeat
from typing import Any

from couchette import jsonio
from couchette.document.term_columns import Parts, add_columns, rows
from couchette.document.terms import (
    BINARY,
    BYTES,
    FALSE,
    LIST,
    NIL,
    OBJECT,
    TRIPLE,
    TRUE,
    NotJSON,
    add_members,
    binary,
    head,
    integer,
    text,
)
from couchette.errors import InvalidRev
from couchette.limits import ALIKE_DOCS_MIN, SQLITE_INT_MAX

try:
    # OpenSSL looks its algorithm up for every digest, which takes as long as hashing a small document.
    from _md5 import md5 as _md5  # type: ignore[import-not-found]
except ImportError:  # A Python built without its own hashes.
    from hashlib import md5 as _md5

_normal = re.compile(r"(?:0|[1-9][0-9]{0,17})-(?:[0-9a-f]{32}|[0-9a-z]{0,15})").fullmatch
_number = re.compile(r"\+?[0-9]+").fullmatch
_hex = re.compile(r"[0-9a-fA-F]{32}").fullmatch

_FIVE_TERMS = b"\x83" + head(LIST, 5)
_ROOT = BYTES[0] + BYTES[0] + OBJECT  # The number and id of no parent.
_FIRST_EDIT = _FIVE_TERMS + FALSE + _ROOT
_NO_ATTACHMENTS = NIL + NIL


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
    pos, begin = _beginning(parent, deleted)
    parts = [begin]
    suspect: Any = fields
    try:
        add_members(parts, fields)
        if attachments:
            parts.append(head(LIST, len(attachments)))
            for name, content_type, digest in attachments:
                suspect = [name, content_type]
                parts += (TRIPLE, text(name), text(content_type), binary(digest))
    except (NotJSON, UnicodeEncodeError) as exc:
        raise jsonio.refusal(suspect) from exc
    parts.append(_NO_ATTACHMENTS)
    return f"{pos}-{_md5(b''.join(parts), usedforsecurity=False).hexdigest()}"


def new_revs(bodies: Sequence[dict[str, Any]], parents: Sequence[str | None]) -> list[str]:
    """What ``new_rev(fields, parent=parent)`` is for each body and its parent, at two thirds of the cost.

    Raises as ``new_rev`` does, and then gives no revision.
    """
    shapes = list(map(tuple, bodies))
    if not shapes or shapes.count(shapes[0]) == len(shapes):
        return _revs_of_alike(bodies, parents)
    alike: dict[tuple[str, ...], list[int]] = {}
    for index, shape in enumerate(shapes):
        alike.setdefault(shape, []).append(index)
    revs = [""] * len(bodies)
    for indexes in alike.values():
        some = _revs_of_alike([bodies[index] for index in indexes], [parents[index] for index in indexes])
        for index, rev in zip(indexes, some, strict=True):
            revs[index] = rev
    return revs


def _revs_of_alike(bodies: Sequence[dict[str, Any]], parents: Sequence[str | None]) -> list[str]:
    """The revisions of bodies that have the same members in the same order."""
    if len(bodies) >= ALIKE_DOCS_MIN:
        parts: Parts = []
        try:
            add_columns(parts, bodies)
        except (NotJSON, UnicodeEncodeError):
            pass  # Which body it is, and what to say of it, is found one by one.
        else:
            numbers, beginnings = _beginnings(parents)
            terms = rows([*beginnings, *parts, _NO_ATTACHMENTS], len(bodies))
            return [
                number + _md5(term, usedforsecurity=False).hexdigest()
                for number, term in zip(numbers, terms, strict=False)
            ]
    return [new_rev(fields, parent=parent) for fields, parent in zip(bodies, parents, strict=True)]


def _beginnings(parents: Sequence[str | None]) -> tuple[Iterable[str], Parts]:
    """The numbers of edits of these parents, each with its dash, and their terms up to the bodies."""
    if not any(parents):
        return repeat("1-"), [_FIRST_EDIT]
    split = [parent.partition("-") for parent in parents if parent]
    packed = pack_path([id for _, _, id in split]) if len(split) == len(parents) else None
    if packed is None:
        each = [_beginning(parent) for parent in parents]
        return [f"{pos}-" for pos, _ in each], [[begin for _, begin in each]]
    known = {number: _follower(int(number)) for number in {number for number, _, _ in split}}
    edits = [known[number] for number, _, _ in split]
    ids = [packed[start : start + 16] for start in range(0, len(packed), 16)]
    return [f"{pos}-" for pos, _ in edits], [[begin for _, begin in edits], head(BINARY, 16), ids, OBJECT]


def _beginning(parent: str | None, deleted: bool = False) -> tuple[int, bytes]:
    """The number of an edit of this parent, and its term up to the body."""
    if parent is None:
        return 1, _FIVE_TERMS + TRUE + _ROOT if deleted else _FIRST_EDIT
    number, _, id = parent.partition("-")
    pos, begin = _follower(int(number), deleted)
    return pos, begin + binary(_id_bytes(id)) + OBJECT


def _follower(number: int, deleted: bool = False) -> tuple[int, bytes]:
    """The number of an edit of a parent of this number, and its term up to the parent's id."""
    if number >= SQLITE_INT_MAX:
        raise InvalidRev("Invalid rev format", f"Nothing can follow number {number}, which is the greatest.")
    return number + 1, _FIVE_TERMS + (TRUE if deleted else FALSE) + integer(number)


def pack_path(ids: Sequence[str]) -> bytes | None:
    """The 16 raw bytes of each id, in the same order; None when any is not 32 lowercase hex digits."""
    try:
        blob = unhexlify("".join(ids))
    except ValueError:
        return None
    # unhexlify takes capitals too and does not see where an id ends: written again, only the right form is the same.
    return blob if len(blob) == 16 * len(ids) and blob.hex(" ", 16) == " ".join(ids) else None


def pack_paths(paths: Sequence[Sequence[str]]) -> list[bytes] | None:
    """What :func:`pack_path` makes of each, at half the cost; None when that is None for any of them."""
    blob = pack_path(list(chain.from_iterable(paths)))
    if blob is None:
        return None
    ends = list(accumulate([16 * len(path) for path in paths]))
    return [blob[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def unpack_path(blob: bytes) -> list[str]:
    """The ids that :func:`pack_path` packed."""
    text = blob.hex()
    return [text[start : start + 32] for start in range(0, len(text), 32)]


def _id_bytes(id: str) -> bytes:
    """An id as CouchDB holds it: 16 bytes for 32 hex digits, else the bytes of its text."""
    return bytes.fromhex(id) if len(id) == 32 and id.isascii() else id.encode()


def _invalid(rev: Any) -> InvalidRev:
    hint = f"{rev!r} is none: a revision is `N-id`, a number, a dash and an id; an id of 32 bytes must be hex."
    return InvalidRev("Invalid rev format", hint)
