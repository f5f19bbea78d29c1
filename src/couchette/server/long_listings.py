"""``_all_docs`` by keys, with conflicts or with attachments, as text that is made while it is sent.

Ordinary listings are put together of the text that is stored (:mod:`couchette.server.listings`). These are read as the
facade gives them, some rows at a time, and large attachments in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from couchette import jsonio
from couchette.database import Database
from couchette.limits import FEED_PAGE_DOCS
from couchette.server.contents import document_parts, gathered

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
    for row in _by_keys(db, **shown) if "keys" in options else _in_range(db, **shown):
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


def _by_keys(
    db: Database, *, keys: list[Any], descending: bool = False, skip: int = 0, limit: int | None = None, **shown: Any
) -> Iterator[Doc]:
    wanted = (keys[::-1] if descending else keys)[skip : None if limit is None else skip + limit]
    for first in range(0, len(wanted), FEED_PAGE_DOCS):
        yield from db.all_docs(keys=wanted[first : first + FEED_PAGE_DOCS], **shown)["rows"]


def _in_range(db: Database, *, skip: int = 0, limit: int | None = None, **options: Any) -> Iterator[Doc]:
    left, last = limit, None
    while left != 0:
        wanted = FEED_PAGE_DOCS if left is None else min(left, FEED_PAGE_DOCS)
        # The last row is read again, unless it is not there any more.
        rows = db.all_docs(**options, skip=skip, limit=wanted if last is None else wanted + 1)["rows"]
        rows = rows[1:] if rows and rows[0]["key"] == last else rows[:wanted]
        yield from rows
        if len(rows) < wanted:
            return
        last = rows[-1]["key"]
        options["start_key"] = last
        skip, left = 0, None if left is None else left - wanted
