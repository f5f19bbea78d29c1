"""Pages of documents and of changes as JSON text, put together around the bodies as they are stored.

An answer that lists many documents is most of a server's work. Nobody looks into an ordinary document on its way
there, so its text is made of its body's and of CouchDB's members, and nothing is parsed. Where all of a block is
ordinary, SQLite makes the text; what is not (attachments, a large body, branches where the history is asked for) is
looked at row by row here.

A page ends after so many rows, or so many bytes, whichever comes first. So who sends one page after the other needs
little memory, and holds no snapshot while it waits for its client.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

import apsw
import orjson

from couchette import jsonio
from couchette.document.revtree import RevTree
from couchette.document.stored import with_members
from couchette.errors import TooLarge
from couchette.limits import LISTING_BODY_BYTES, LISTING_PAGE_BYTES, LISTING_PAGE_ROWS
from couchette.store.content import Unpacking
from couchette.store.feed import count_after, parse_seq
from couchette.store.listing import Range, offset_of, select, selection
from couchette.store.read import View, add_meta, as_stored
from couchette.store.rows import attachments_of, row_at, winner_row
from couchette.store.schema import Meta, read_meta
from couchette.store.text_blocks import Block, Page, Row, block_of, made_by_sqlite, page

_STUBS: Final = View()
_PLAIN: Final = "SELECT rev, body FROM docs WHERE id=? AND cur=1 AND deleted=0 AND atts IS NULL"
_NAMED: Final = "rev, id"
_SHOWN: Final = "rev, id, atts, body"
_LISTED: Final = """
    SELECT rev, seq, deleted, CASE typeof(tree) WHEN 'text' THEN tree END, id FROM docs
    WHERE seq>? AND seq<=? AND cur=1 ORDER BY seq LIMIT ?"""
_LISTED_WITH_DOCS: Final = """
    SELECT rev, seq, deleted, tree, id, atts, body FROM docs WHERE seq>? AND seq<=? AND cur=1 ORDER BY seq LIMIT ?"""
# The last column is what can be large.
_AT: Final = "SELECT rev, seq, deleted, tree, id, atts, body FROM docs WHERE seq=? AND cur=1"


_DOC_ROW: Final = (b',{"id":"', b'","key":"', b'","value":{"rev":"', b'"},"doc":', b',"_id":"', b'","_rev":"')
"""What stands before the id, twice, the rev, the body without the brace that ends it, the id, and the rev."""


class Shown(NamedTuple):
    """How the documents of changes are shown, as ``include_docs`` and its companions ask for it."""

    view: View = _STUBS
    conflicts: bool = False

    @property
    def usual(self) -> bool:
        """Whether an ordinary document is no more than its body, revision and history."""
        return not (self.conflicts or self.view.attachments or self.view.att_encoding_info)


class ChangesTexts(NamedTuple):
    """A page of changes: texts of some of its rows each, and where the next page begins."""

    texts: list[bytes]
    rows: int
    last: int
    """The number of the sequence that the page reaches."""
    last_seq: str
    pending: int
    """Counted on the last page only."""
    until: int
    """Where all the pages end: what is written while they are read has later sequences."""
    ended: bool


class DocsTexts(NamedTuple):
    """A page of documents: texts of some of its rows each, and the last one's id."""

    texts: list[bytes]
    rows: int
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
        return DocsTexts([], 0, None, True)
    found = _docs_page(conn, span, skip, wanted, include_docs)
    ended = found.rows == limit or (found.rows < wanted and not found.full)
    return DocsTexts(found.texts, found.rows, found.last[1] if found.last else None, ended)


def _docs_page(conn: apsw.Connection, span: Range, skip: int, wanted: int, include_docs: bool) -> Page:
    def next_block(last: Row, limit: int, left: int) -> Block | None:
        asked = (span._replace(first=last[1], exclusive=True), 0, limit) if last else (span, skip, limit)
        if not include_docs:
            return block_of(select(conn, _NAMED, *asked), left, _names_text)
        return _ordinary_docs(conn, *asked) or _any_docs(conn, *asked, left)

    return page(next_block, wanted)


_PARTS: Final = f"""id, json_quote(id) AS name, json_quote(rev) AS own, body,
    atts IS NULL AND length(body) BETWEEN 3 AND {LISTING_BODY_BYTES} AS ordinary"""
_TEXT: Final = """'{"id":'||name||',"key":'||name||',"value":{"rev":'||own||'},"doc":'||substr(body,1,length(body)-1)
    ||',"_id":'||name||',"_rev":'||own||'}}'"""


def _ordinary_docs(conn: apsw.Connection, span: Range, skip: int, limit: int) -> Block | None:
    """A block of ordinary documents of which none is large; None where there is another.

    SQLite makes the text, in one step: in three quarters of the time, and without the interpreter's lock.
    """
    selected, values = selection(_PARTS, span, skip, limit)
    sql = f"""
        SELECT count(*), count(*) FILTER (WHERE ordinary), {"min" if span.descending else "max"}(id),
            CAST(group_concat({_TEXT}) FILTER (WHERE ordinary) AS BLOB) FROM ({selected})"""
    return made_by_sqlite(conn, sql, values)


def _any_docs(conn: apsw.Connection, span: Range, skip: int, limit: int, left: int) -> Block | None:
    """A block of any documents, which is cut where it has so many bytes."""
    return block_of(select(conn, _SHOWN, span, skip, limit), left, partial(_docs_text, conn))


def _names_text(block: list[tuple[str, str]]) -> bytes:
    """The text of some rows of a listing; a comma is between them."""
    names, revs = jsonio.escaped([row[1] for row in block]), jsonio.escaped([row[0] for row in block])
    parts: list[bytes] = []
    for name, rev in zip(names, revs, strict=True):
        parts += (b'"}},{"id":"', name, b'","key":"', name, b'","value":{"rev":"', rev)
    return b"".join(parts)[4:] + b'"}}'


def _docs_text(conn: apsw.Connection, block: list[tuple[str, str, str | None, bytes | str]]) -> bytes:
    """The same with the documents."""
    begin, key, value, doc, own, own_rev = _DOC_ROW
    names, revs = jsonio.escaped([row[1] for row in block]), jsonio.escaped([row[0] for row in block])
    parts: list[bytes] = []
    for name, rev, (_, id, atts, body) in zip(names, revs, block, strict=True):
        if atts is None and type(body) is bytes and body != b"{}":
            parts += (begin, name, key, name, value, rev, doc, body[:-1], own, name, own_rev, rev, b'"}}')
        else:
            parts += (begin, name, key, name, value, rev, doc, _winner_text(conn, id), b"}")
    parts[0] = parts[0][1:]
    return b"".join(parts)


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
    between: bytes = b",",
) -> ChangesTexts:
    """A page of the rows of :func:`couchette.store.changes`, ascending; ``shown`` is given for ``include_docs``.

    The first page is read without ``until``, the others with what it says. ``limit`` is what is left of the request's.
    """
    meta = read_meta(conn)
    at = parse_seq(since, meta)
    until = meta.update_seq if until is None else until
    wanted = LISTING_PAGE_ROWS if limit is None else min(limit, LISTING_PAGE_ROWS)
    found = _changes_page(conn, meta, at, until, wanted, style, shown, between)
    if found.last:
        at = found.last[1]
    ended = found.rows == limit or (found.rows < wanted and not found.full)
    if ended and found.rows != limit:
        at = max(at, until)
    pending = count_after(conn, meta, at) if ended else 0
    return ChangesTexts(found.texts, found.rows, at, meta.seq_text(at), pending, until, ended)


def _changes_page(
    conn: apsw.Connection,
    meta: Meta,
    since: int,
    until: int,
    wanted: int,
    style: str,
    shown: Shown | None,
    between: bytes,
) -> Page:
    uuid = meta.uuid.encode()

    def next_block(last: Row, limit: int, left: int) -> Block | None:
        asked = last[1] if last else since, until, limit
        ordinary = (meta.uuid, between.decode(), style, *asked)
        if shown is None and (block := made_by_sqlite(conn, _CHANGES, ordinary)) is not None:
            return block
        cursor = conn.execute(_LISTED if shown is None else _LISTED_WITH_DOCS, asked)
        return block_of(cursor, left, lambda rows: _changes_text(conn, rows, uuid, style, shown, between))

    return page(next_block, wanted)


_CHANGES: Final = """
    SELECT count(*), count(*) FILTER (WHERE ordinary), max(seq),
        CAST(group_concat('{"seq":"'||seq||'-'||?||'","id":'||name||',"changes":[{"rev":'||own||'}]'
            ||CASE deleted WHEN 0 THEN '}' ELSE ',"deleted":true}' END, ?) FILTER (WHERE ordinary) AS BLOB)
    FROM (SELECT seq, json_quote(id) AS name, json_quote(rev) AS own, deleted,
            ?<>'all_docs' OR typeof(tree)<>'text' AS ordinary
        FROM docs WHERE seq>? AND seq<=? AND cur=1 ORDER BY seq LIMIT ?)"""
"""A block of changes of one revision each; the others are not ordinary."""


def _changes_text(
    conn: apsw.Connection, block: list[tuple[Any, ...]], uuid: bytes, style: str, shown: Shown | None, between: bytes
) -> bytes:
    """The text of some changes, with ``between`` between them."""
    begin, named, listed = between + b'{"seq":"', b'-%b","id":"' % uuid, b'","changes":[{"rev":"'
    numbers = orjson.dumps([row[1] for row in block])[1:-1].split(b",")
    names, revs = jsonio.escaped([row[4] for row in block]), jsonio.escaped([row[0] for row in block])
    parts: list[bytes] = []
    for number, name, rev, row in zip(numbers, names, revs, block, strict=True):
        if type(row[3]) is str and style == "all_docs":
            rev = b'"},{"rev":"'.join(jsonio.escaped([leaf.rev for leaf in RevTree.load(row[3]).leaves()]))
        parts += (begin, number, named, name, listed, rev, b'"}],"deleted":true' if row[2] else b'"}]')
        parts += (b"}",) if shown is None else (b',"doc":', _shown_text(conn, row, shown), b"}")
    parts[0] = parts[0].removeprefix(between)
    return b"".join(parts)


def _shown_text(conn: apsw.Connection, row: tuple[Any, ...], shown: Shown) -> bytes:
    """The text of a winner as ``shown``; ``row`` is one of ``_LISTED_WITH_DOCS``."""
    rev, seq, deleted, tree, id, atts, body = row
    if shown.usual and atts is None and type(body) is bytes:
        if not shown.view.revs:
            own: dict[str, Any] = {"_id": id, "_rev": rev}
            return with_members(body, orjson.dumps({**own, "_deleted": True} if deleted else own))
        doc = as_stored(id, rev, deleted, tree, atts, body)
        if doc is not None:
            return doc.json()
    return jsonio.dumps(_shown_doc(conn, seq, shown))


def _shown_doc(conn: apsw.Connection, seq: int, shown: Shown) -> dict[str, Any]:
    winner = row_at(conn, seq)
    read = shown.view.doc(conn, winner)
    add_meta(conn, read, winner, False, shown.conflicts, False)
    return read


def docs_at(conn: apsw.Connection, seqs: Iterable[int], shown: Shown) -> list[bytes | dict[str, Any] | None]:
    """The documents of the first of these changes, as many as make a page by their size, and one at least.

    They are texts. One with large attachments that are to be shown is a document with stubs, and one that changed again
    since is None.
    """
    docs: list[bytes | dict[str, Any] | None] = []
    left = LISTING_PAGE_BYTES
    for seq in seqs:
        row: Any = conn.execute(_AT, (seq,)).fetchone()
        if row is None:
            docs.append(None)
            continue
        with_contents = shown.view.attachments and row[5] is not None
        doc = _with_contents(conn, seq, shown) if with_contents else _shown_text(conn, row, shown)
        docs.append(doc)
        left -= len(doc) if isinstance(doc, bytes) else len(row[6])
        if left <= 0:
            break
    return docs


def _with_contents(conn: apsw.Connection, seq: int, shown: Shown) -> bytes | dict[str, Any]:
    """A document's text with its attachments, where these make no page by themselves; else the document with stubs."""
    if sum(attachment.length for attachment, _ in attachments_of(row_at(conn, seq))) <= LISTING_PAGE_BYTES:
        with suppress(TooLarge):  # They are longer than they say.
            view = replace(shown.view, unpacking=Unpacking(LISTING_PAGE_BYTES))
            return jsonio.dumps(_shown_doc(conn, seq, shown._replace(view=view)))
    return _shown_doc(conn, seq, shown._replace(view=replace(shown.view, attachments=False)))
