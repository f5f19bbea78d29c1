"""Pages of documents and of changes as JSON text, put together around the bodies as they are stored.

An answer that lists many documents is most of a server's work. Nobody looks into an ordinary document on its way
there, so its text is made of its body's and of CouchDB's members, and nothing is parsed. What is not ordinary
(attachments, a body that needs exact numbers, branches where the history is asked for) is read as ever.

A page ends after so many rows, or so many bytes, whichever comes first. So who sends one page after the other needs
little memory, and holds no snapshot while it waits for its client.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import apsw
import orjson

from couchette import jsonio
from couchette.document.revtree import RevTree
from couchette.document.stored import with_members
from couchette.limits import LISTING_PAGE_BYTES, LISTING_PAGE_ROWS
from couchette.store.feed import count_after, parse_seq
from couchette.store.listing import Range, offset_of, select
from couchette.store.read import View, add_meta, as_stored
from couchette.store.rows import row_at, winner_row
from couchette.store.schema import read_meta

_STUBS: Final = View()
_PLAIN: Final = "SELECT rev, body FROM docs WHERE id=? AND cur=1 AND deleted=0 AND atts IS NULL"
_LISTED: Final = """
    SELECT seq, id, rev, deleted, CASE typeof(tree) WHEN 'text' THEN tree END FROM docs
    WHERE seq>? AND seq<=? AND cur=1 ORDER BY seq LIMIT ?"""
_LISTED_WITH_DOCS: Final = """
    SELECT seq, id, rev, deleted, tree, atts, body FROM docs WHERE seq>? AND seq<=? AND cur=1 ORDER BY seq LIMIT ?"""


class Shown(NamedTuple):
    """How the documents of changes are shown, as ``include_docs`` and its companions ask for it."""

    view: View = _STUBS
    conflicts: bool = False

    @property
    def usual(self) -> bool:
        """Whether an ordinary document is no more than its body, revision and history."""
        return not (self.conflicts or self.view.attachments or self.view.att_encoding_info)


class ChangesTexts(NamedTuple):
    """A page of changes: a text for each row, and where the next page begins."""

    rows: list[bytes]
    last: int
    """The number of the sequence that the page reaches."""
    last_seq: str
    pending: int
    until: int
    """Where all the pages end: what is written while they are read has later sequences."""
    ended: bool


class DocsTexts(NamedTuple):
    """A page of documents: a text for each row, and the last one's id."""

    rows: list[bytes]
    last: str | None
    ended: bool


def doc_text(conn: apsw.Connection, id: str) -> tuple[str, bytes] | None:
    """The revision and the text of an ordinary document's winner, by a single statement; None where there is more."""
    for rev, body in conn.execute(_PLAIN, (id,)):
        if type(body) is bytes:
            return rev, with_members(body, orjson.dumps({"_id": id, "_rev": rev}))
    return None


def docs_head(conn: apsw.Connection, span: Range, skip: int, update_seq: bool) -> dict[str, Any]:
    """What a listing says before its rows."""
    total = int(conn.execute("SELECT doc_count FROM meta").get)
    head: dict[str, Any] = {"total_rows": total, "offset": offset_of(conn, span, skip, total, True)}
    if update_seq:
        head["update_seq"] = read_meta(conn).seq_text()
    return head


def docs_texts(conn: apsw.Connection, span: Range, skip: int, limit: int | None, include_docs: bool) -> DocsTexts:
    """A page of the rows of :func:`couchette.store.all_docs`."""
    wanted = LISTING_PAGE_ROWS if limit is None else min(limit, LISTING_PAGE_ROWS)
    if span.empty or wanted == 0:
        return DocsTexts([], None, True)
    rows: list[bytes] = []
    left, last = LISTING_PAGE_BYTES, None
    cursor = select(conn, "id, rev, body, atts" if include_docs else "id, rev, NULL, NULL", span, skip, wanted)
    for last, rev, body, atts in cursor:
        named, revised = orjson.dumps(last), orjson.dumps(rev)
        head = b'{"id":%b,"key":%b,"value":{"rev":%b}' % (named, named, revised)
        if not include_docs:
            rows.append(head + b"}")
        elif atts is None and type(body) is bytes and body != b"{}":  # The ordinary one, by a single formatting.
            rows.append(b'%b,"doc":%b,"_id":%b,"_rev":%b}}' % (head, body[:-1], named, revised))
        else:
            rows.append(b'%b,"doc":%b}' % (head, _winner_text(conn, last)))
        left -= len(rows[-1])
        if left <= 0:
            cursor.close()
            return DocsTexts(rows, last, len(rows) == limit)
    return DocsTexts(rows, last, len(rows) < wanted or len(rows) == limit)


def _winner_text(conn: apsw.Connection, id: str) -> bytes:
    row = winner_row(conn, id)
    assert row is not None, "it was just listed"
    return jsonio.dumps(_STUBS.doc(conn, row))


def changes_texts(
    conn: apsw.Connection,
    *,
    since: int | str,
    until: int | None = None,
    limit: int | None = None,
    style: str = "main_only",
    shown: Shown | None = None,
) -> ChangesTexts:
    """A page of the rows of :func:`couchette.store.changes`, ascending; ``shown`` is given for ``include_docs``.

    The first page is read without ``until``, the others with what it says. ``limit`` is what is left of the request's.
    """
    meta = read_meta(conn)
    at = parse_seq(since, meta)
    until = meta.update_seq if until is None else until
    wanted = LISTING_PAGE_ROWS if limit is None else min(limit, LISTING_PAGE_ROWS)
    rows: list[bytes] = []
    left, uuid = LISTING_PAGE_BYTES, meta.uuid.encode()
    cursor = conn.execute(_LISTED if shown is None else _LISTED_WITH_DOCS, (at, until, wanted))
    for row in cursor:
        at, id, rev, deleted, tree = row[:5]
        revs = orjson.dumps(rev)
        if type(tree) is str and style == "all_docs":
            revs = b'},{"rev":'.join([orjson.dumps(leaf.rev) for leaf in RevTree.load(tree).leaves()])
        gone = b',"deleted":true' if deleted else b""
        doc = b"" if shown is None else b',"doc":%b' % _shown_text(conn, row, shown)
        text = b'{"seq":"%d-%b","id":%b,"changes":[{"rev":%b}]%b%b}' % (at, uuid, orjson.dumps(id), revs, gone, doc)
        rows.append(text)
        left -= len(text)
        if left <= 0:
            cursor.close()
            break
    ended = len(rows) == limit or (len(rows) < wanted and left > 0)
    if ended and len(rows) != limit:
        at = max(at, until)
    return ChangesTexts(rows, at, meta.seq_text(at), count_after(conn, meta, at), until, ended)


def _shown_text(conn: apsw.Connection, row: tuple[Any, ...], shown: Shown) -> bytes:
    """The text of a winner as ``shown``; ``row`` is one of ``_LISTED_WITH_DOCS``."""
    seq, id, rev, deleted, tree, atts, body = row
    if shown.usual and atts is None and type(body) is bytes:
        if not shown.view.revs:
            own: dict[str, Any] = {"_id": id, "_rev": rev}
            return with_members(body, orjson.dumps({**own, "_deleted": True} if deleted else own))
        doc = as_stored(id, rev, deleted, tree, atts, body)
        if doc is not None:
            return doc.json()
    winner = row_at(conn, seq)
    read = shown.view.doc(conn, winner)
    add_meta(conn, read, winner, False, shown.conflicts, False)
    return jsonio.dumps(read)
