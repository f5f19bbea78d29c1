"""``_all_docs`` by keys, with conflicts or with attachments, as text that is made while it is sent.

Ordinary listings are put together of the text that is stored (:mod:`couchette.server.listings`). These are read some
rows at a time (:mod:`couchette.server.listed`), and large attachments in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from couchette import jsonio
from couchette.database import Database
from couchette.server.contents import document_parts, gathered
from couchette.server.listed import listed
from couchette.server.readable import ReadableDatabase

Doc = dict[str, Any]


def listing_chunks(db: Database, options: Doc) -> Iterator[bytes]:
    """The text of the answer that ``Database.all_docs`` gives for these options, in chunks of bounded size."""
    return gathered(chain(listing_parts(db, options), (b"\n",)))


def listing_parts(db: Database, options: Doc) -> Iterator[bytes]:
    """The same in parts, and without the newline at the end."""
    head = db.all_docs(**{**options, "limit": 0}, exact_offset=True)
    del head["rows"]
    yield jsonio.dumps(head)[:-1] + b',"rows":['
    shown = {**options, "attachments": False, "update_seq": False}
    between = b""
    for row in _rows(db, shown):
        yield between
        yield from row_parts(db, row) if options.get("attachments") else (jsonio.dumps(row),)
        between = b","
    yield b"]}"


def row_parts(db: Database, row: Doc) -> Iterator[bytes]:
    """The text of a row whose document was read with stubs, with its attachments."""
    if row.get("doc") is None:
        yield jsonio.dumps(row)
        return
    doc = row.pop("doc")
    yield jsonio.dumps(row)[:-1] + b',"doc":'
    yield from document_parts(db, doc, end=b"}")


def _rows(db: Database, options: Doc) -> Iterator[Doc]:
    return db.listed(**options) if isinstance(db, ReadableDatabase) else listed(db._pool, **options)
