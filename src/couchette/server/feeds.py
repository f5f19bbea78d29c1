"""``_changes`` of every kind as text, made while it is sent: pages of rows, and the documents that they name.

Rows are small, and read in pages; documents are not, so a page's are read in portions of bounded size, and large
attachments in pieces. Nothing is held in between. What changed again between a row and its document is left out: it has
a later change, which the next feed tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from couchette import jsonio, store
from couchette.database import Database
from couchette.query.changes_pages import number
from couchette.server.contents import document_parts, gathered
from couchette.wire.feed import Framing

Doc = dict[str, Any]


def feed_chunks(
    db: Database,
    pages: Iterable[Doc],
    framing: Framing,
    *,
    seq_interval: int | None = None,
    include_docs: bool = False,
    conflicts: bool = False,
    attachments: bool = False,
    att_encoding_info: bool = False,
    revs: bool = False,
) -> Iterator[bytes]:
    """The text of a feed whose rows come in ``pages``, in chunks of bounded size.

    ``attachments`` gives the documents their content as base64. ``revs`` gives them their ``_revisions``.
    """
    view = store.View(revs, attachments, att_encoding_info=att_encoding_info)
    shown = store.Shown(view, conflicts) if include_docs else None
    return gathered(_parts(db, pages, framing, seq_interval or 1, shown))


def _parts(
    db: Database,
    pages: Iterable[Doc],
    framing: Framing,
    seq_interval: int,
    shown: store.Shown | None,
) -> Iterator[bytes]:
    yield framing.head
    between, place = b"", 0
    for page in pages:
        rows = page["results"]
        if rows and shown is None:
            yield between + framing.between.join(map(framing.row, _thinned(rows, place, seq_interval)))
            between = framing.between
            place += len(rows)
        elif shown is not None:
            for row, doc in _with_docs(db, rows, shown):
                [row] = _thinned([row], place, seq_interval)
                yield between + framing.before + jsonio.dumps(row)[:-1] + b',"doc":'
                yield from doc
                yield b"}" + framing.after(row["seq"])
                between = framing.between
                place += 1
        last_seq, pending = page["last_seq"], page["pending"]
    yield framing.end(last_seq, pending)


def _thinned(rows: list[Doc], place: int, seq_interval: int) -> list[Doc]:
    """Rows, the first in this place of all, of which only every so many keep their seq."""
    if seq_interval == 1:
        return rows
    return [{**row, "seq": None} if at % seq_interval else row for at, row in enumerate(rows, place)]


def _with_docs(db: Database, rows: Sequence[Doc], shown: store.Shown) -> Iterator[tuple[Doc, Iterable[bytes]]]:
    """The rows whose documents did not change again, with the text of these."""
    at = 0
    while at < len(rows):
        seqs = (number(row["seq"]) for row in islice(rows, at, None))
        docs = db._pool.read(store.docs_at, seqs, shown)
        for place, doc in enumerate(docs, at):
            if doc is not None:
                yield rows[place], _text(db, doc)
        at += len(docs)


def _text(db: Database, doc: bytes | Doc) -> Iterable[bytes]:
    """A document's text; null for one that this user may not read, of which another leaf was listed."""
    may_read = db._may_read
    if may_read is not None and not may_read(jsonio.loads(doc) if isinstance(doc, bytes) else doc):
        return (b"null",)
    return (doc,) if isinstance(doc, bytes) else document_parts(db, doc)
