"""Paths and names: how CouchDB splits a path, what it escapes, and which database names it takes.

A path is split at ``/`` before it is unescaped, so that ``%2F`` may be part of an id; empty segments
are dropped. A ``+`` in a path means a space, as in a query string: write it as ``%2B``.
"""

from __future__ import annotations

import re
from typing import Final

from couchette.errors import BadRequest, IllegalDatabaseName, IllegalDocId
from couchette.limits import DATABASE_NAME_BYTES_MAX

USERS: Final = "_users"
REPLICATOR: Final = "_replicator"
SYSTEM_DATABASES: Final = frozenset({USERS, REPLICATOR})
"""The names of databases that begin with an underscore."""

_DATABASE_NAME: Final = re.compile(r"[a-z][a-z0-9_$()+/-]*")
_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_UNRESERVED: Final = re.compile(rb"[^A-Za-z0-9._:-]")


def unquote(text: bytes) -> bytes:
    """Undo the escapes of a path segment or a query value; a ``%`` that begins none stays as it is."""
    text = text.replace(b"+", b" ")
    if b"%" not in text:
        return text
    return _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), text)


def quote(text: str) -> str:
    """Escape a name for a path, as CouchDB does in Location: all but letters, digits, ``.``, ``_``, ``-`` and ``:``."""
    return _UNRESERVED.sub(lambda found: b"%%%02X" % ord(found[0]), text.encode()).decode()


def split_path(raw_path: bytes) -> list[bytes]:
    """The segments of a path, still escaped; empty ones are dropped."""
    return [segment for segment in raw_path.split(b"/") if segment]


def decode_id(segment: bytes) -> str:
    """A path segment as document id."""
    try:
        return segment.decode()
    except UnicodeDecodeError as exc:
        raise IllegalDocId("Document id must be valid UTF-8", f"Got {segment!r}.") from exc


def decode_attachment_name(segments: list[bytes]) -> str:
    """The path segments after a document's id as one attachment name."""
    name = b"/".join(segments)
    try:
        return name.decode()
    except UnicodeDecodeError as exc:
        raise BadRequest("Attachment name is not UTF-8 encoded", f"Got {name!r}.") from exc


def check_database_name(name: str) -> str:
    """Return the name, or raise IllegalDatabaseName."""
    if name in SYSTEM_DATABASES:
        return name
    if not _DATABASE_NAME.fullmatch(name):
        raise IllegalDatabaseName(
            f"Name: '{name}'. Only lowercase characters (a-z), digits (0-9), and any of the characters "
            "_, $, (, ), +, -, and / are allowed. Must begin with a letter.",
            "In a URL write `/` as %2F and `+` as %2B.",
        )
    if len(name) > DATABASE_NAME_BYTES_MAX:
        raise IllegalDatabaseName(
            f"Name: '{name}'. Database name is too long",
            f"It has {len(name)} characters, {DATABASE_NAME_BYTES_MAX} are allowed.",
            error="database_name_too_long",
        )
    return name
