"""Rows of ``docs`` and what is read from them: the document, its tree, its older bodies.

A document is spoken for by the row of its winner (``cur=1``). Its ``tree`` is packed while the history
is linear: NULL or the ancestors' ids, 16 bytes each, newest first; then older bodies hang on the ``prev``
chain. Only a document that has branched (or whose ids are not 32 hex digits) keeps a general tree as
JSON text, which names the row of each stored body.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import apsw
import orjson

from couchette import jsonio
from couchette.document.attachment import Attachment
from couchette.document.revision import normal_rev, unpack_path
from couchette.document.revtree import RevTree

COLUMNS = "seq, docs.id, rev, deleted, prev, tree, atts, body"


class Row(NamedTuple):
    """One stored body, in the order of ``COLUMNS``."""

    seq: int
    id: str
    rev: str
    deleted: int
    prev: int | None
    tree: bytes | str | None
    atts: str | None
    body: bytes | str


def winner_row(conn: apsw.Connection, doc_id: str) -> Row | None:
    """The row that speaks for the document, or None if there never was one."""
    for row in conn.execute(f"SELECT {COLUMNS} FROM docs WHERE id=? AND cur=1", (doc_id,)):
        return Row._make(row)
    return None


def winner_rows(conn: apsw.Connection, ids: Iterable[str], columns: str = COLUMNS) -> apsw.Cursor:
    """The rows of those of the ids that exist, in the order of ``ids``; one row for each mention."""
    named = jsonio.dumps(list(ids)).decode()
    return conn.execute(
        f"SELECT {columns} FROM json_each(?) AS wanted CROSS JOIN docs ON docs.id=wanted.value AND docs.cur=1", (named,)
    )


def known_or_not(conn: apsw.Connection, ids: Iterable[str], columns: str) -> apsw.Cursor:
    """A row for each of the ids, in their order: of its winner, or of NULL for a document that never was."""
    named = jsonio.dumps(list(ids)).decode()
    return conn.execute(
        f"SELECT {columns} FROM json_each(?) AS wanted LEFT JOIN docs ON docs.id=wanted.value AND docs.cur=1", (named,)
    )


def row_at(conn: apsw.Connection, seq: int) -> Row:
    """The row of a stored body; it must exist."""
    return Row._make(conn.execute(f"SELECT {COLUMNS} FROM docs WHERE seq=?", (seq,)).get)


def linear_path(row: Row) -> list[str]:
    """The revs of a linear history, newest first."""
    assert not isinstance(row.tree, str)
    if row.tree is None:
        return [row.rev]
    number = int(row.rev.partition("-")[0])
    return [row.rev, *(f"{number - depth}-{one}" for depth, one in enumerate(unpack_path(row.tree), 1))]


def path_of(row: Row) -> list[str]:
    """The winner's history, newest first."""
    return RevTree.load(row.tree).path(row.rev) if isinstance(row.tree, str) else linear_path(row)


def tree_of(conn: apsw.Connection, row: Row) -> RevTree:
    """The document's revision tree with the rows of its stored bodies."""
    if isinstance(row.tree, str):
        return RevTree.load(row.tree)
    path = linear_path(row)
    tree = RevTree.from_path(path, deleted=bool(row.deleted), seq=row.seq)
    known = set(path)
    while row.prev is not None:
        older = _maybe_row_at(conn, row.prev)
        if older is None:
            break
        row = older
        if row.rev in known:
            position = path.index(row.rev)
            tree, _ = tree.merge_path(path[position:], deleted=bool(row.deleted), seq=row.seq)
    return tree


def stored_seqs(conn: apsw.Connection, row: Row) -> set[int]:
    """The rows of all the document's bodies; ``row`` is its winner's."""
    if isinstance(row.tree, str):
        return RevTree.load(row.tree).seqs()
    seqs = {row.seq}
    older = None if row.prev is None else _maybe_row_at(conn, row.prev)
    while older is not None:
        seqs.add(older.seq)
        older = None if older.prev is None else _maybe_row_at(conn, older.prev)
    return seqs


def _maybe_row_at(conn: apsw.Connection, seq: int) -> Row | None:
    for row in conn.execute(f"SELECT {COLUMNS} FROM docs WHERE seq=?", (seq,)):
        return Row._make(row)
    return None


def stored_row(conn: apsw.Connection, winner: Row, rev: str) -> Row | None:
    """The row with the body of ``rev``, or None where it is not known or its body is gone."""
    rev = normal_rev(rev)
    if rev == winner.rev:
        return winner
    if isinstance(winner.tree, str):
        node = RevTree.load(winner.tree).node(rev)
        return row_at(conn, node.seq) if node is not None and node.seq is not None else None
    if rev not in linear_path(winner):
        return None
    row: Row | None = winner
    while row is not None and row.rev != rev:
        row = _maybe_row_at(conn, row.prev) if row.prev is not None else None
    return row


def fields_of(row: Row) -> dict[str, Any]:
    """The members of the stored body."""
    fields: dict[str, Any] = orjson.loads(row.body) if type(row.body) is bytes else jsonio.loads(row.body)
    return fields


def attachments_of(row: Row) -> list[tuple[Attachment, int]]:
    """The revision's attachments without content, each with the key of its content."""
    return parse_atts(row.atts) if row.atts else []


def parse_atts(text: str) -> list[tuple[Attachment, int]]:
    """Read the ``atts`` column."""
    return [(Attachment(*described), att) for att, *described in orjson.loads(text)]


def dump_atts(attachments: Iterable[tuple[Attachment, int]]) -> str | None:
    """Write the ``atts`` column; None for no attachments."""
    listed = [
        (att, a.name, a.content_type, a.revpos, a.digest, a.length, a.encoding, a.encoded_length)
        for a, att in attachments
    ]
    return orjson.dumps(listed).decode() if listed else None
