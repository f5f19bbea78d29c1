"""Bookmarks: where a find stopped, as opaque text that takes it up again.

A bookmark names the index that was read and the place of the last document returned, so that paging goes on where it
was even when documents come and go, or a better index is made meanwhile. A client passes it back and does not look
into it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import orjson

from couchette import jsonio
from couchette.errors import BadRequest

NO_BOOKMARK = "nil"
"""What an answer without rows has. As in CouchDB it is not one to pass back."""

_VERSION = 1
_SORTED = "sorted"


@dataclass(frozen=True)
class Place:
    """The last document returned: after it comes the next page."""

    source: tuple[str, str] | None
    """The design document and name of the index, the first empty for the documents by id; None for a sort in memory."""
    key: bytes
    """What it was sorted by; empty for the documents by id."""
    id: str


def write_bookmark(place: Place) -> str:
    """The text of a bookmark."""
    source = _SORTED if place.source is None else place.source
    packed = orjson.dumps([_VERSION, source, place.key.hex(), place.id])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_bookmark(text: str) -> Place:
    """What a bookmark says. Raises BadRequest for a text that is none."""
    try:
        version, source, key, doc_id = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        place = None if source == _SORTED else (source[0], source[1])
        if version != _VERSION or not all(isinstance(name, str) for name in (doc_id, *(place or ()))):
            raise ValueError(text)
        return Place(place, bytes.fromhex(key), doc_id)
    except (ValueError, TypeError, LookupError, binascii.Error) as exc:
        raise invalid_bookmark(text, "Give the `bookmark` of an earlier answer, or none.") from exc


def invalid_bookmark(text: str, hint: str) -> BadRequest:
    """The error for a bookmark that does not fit."""
    return BadRequest(f"Invalid bookmark value: {jsonio.dumps(text).decode()}", hint, error="invalid_bookmark")
