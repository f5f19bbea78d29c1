"""What an index has still to follow: the next documents by sequence, and what was purged.

An index follows winners only. A document that changed, was deleted or purged loses its rows, and gets those that its
winner emits now; compaction changes nothing of that. All that a batch says is one snapshot's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import apsw
from orjson import loads

from couchette.document.revtree import RevTree
from couchette.index.groups import Group, Position, newest
from couchette.limits import INDEX_BATCH_BYTES, INDEX_BATCH_DOCS
from couchette.store.read import View
from couchette.store.rows import COLUMNS, Row

Doc = dict[str, Any]

_STUBS = View()


@dataclass(frozen=True, slots=True)
class Batch:
    """Some changes: an index that stands at ``begin`` stands at ``end`` when it has followed them."""

    begin: Position
    end: Position
    docs: list[Doc]
    """The winners that are to be indexed, as the map functions see them."""
    doc_ids: list[str]
    """Theirs; a function may change what it sees."""
    doc_seqs: list[int]
    """The sequences of these."""
    ids: list[str]
    """Every document that changed, was deleted or purged: rows that it had go."""
    newest: int
    """The update sequence of the database in this snapshot."""


def read_batch(conn: apsw.Connection, group: Group, begin: Position, limit: int = INDEX_BATCH_DOCS) -> Batch | None:
    """The changes that follow a position, or None when there are none.

    At most ``limit`` documents, and no more than ``limits.INDEX_BATCH_BYTES`` of them, unless one alone is larger.
    """
    latest = newest(conn)
    if begin == latest:
        return None
    docs: list[Doc] = []
    doc_seqs: list[int] = []
    ids: list[str] = []
    size, seq = 0, latest.seq
    sql = f"SELECT {COLUMNS} FROM docs WHERE seq>? AND cur=1 ORDER BY seq LIMIT ?"
    rows: Any = conn.execute(sql, (begin.seq, limit))
    try:
        for row in rows:
            size += len(row[7])
            if size > INDEX_BATCH_BYTES and ids:
                break
            seq = row[0]
            ids.append(row[1])
            if not row[3] and (group.include_design or not row[1].startswith("_design/")):
                docs.append(_shown(conn, row, group.local_seq))
                doc_seqs.append(seq)
        else:
            if len(ids) < limit:
                seq = latest.seq
    finally:
        rows.close()  # A statement under way would keep this connection's snapshot alive.
    doc_ids = [doc["_id"] for doc in docs]
    end = Position(seq, latest.purge_seq)
    return Batch(begin, end, docs, doc_ids, doc_seqs, ids + _purged(conn, begin.purge_seq), latest.seq)


def changed_ids(conn: apsw.Connection, begin: Position, end: Position, limit: int) -> tuple[list[str], Position]:
    """At most so many of the documents that changed between two positions, and those that were purged, and the
    position up to which these are all. A document that changed after ``end`` too is left to whoever goes on from there.
    """
    sql = "SELECT seq, id FROM docs WHERE seq>? AND seq<=? AND cur=1 ORDER BY seq LIMIT ?"
    found: list[Any] = conn.execute(sql, (begin.seq, end.seq, limit)).fetchall()
    seq = found[-1][0] if len(found) == limit else end.seq
    ids = [doc_id for _, doc_id in found]
    return ids + _purged(conn, begin.purge_seq), Position(seq, end.purge_seq)


def _shown(conn: apsw.Connection, row: Any, local_seq: bool) -> Doc:
    """A winner as a map function sees it: with its conflicts, and attachments without their content."""
    seq, doc_id, rev, _, _, tree, atts, body = row
    if atts is None and type(body) is bytes:
        doc: Doc = {"_id": doc_id, "_rev": rev, **loads(body)}
    else:
        shown = _STUBS.doc(conn, Row._make(row))
        doc = {"_id": doc_id, "_rev": rev, **shown}
    if isinstance(tree, str):
        known = RevTree.load(tree)
        if losing := known.conflicts():
            doc["_conflicts"] = losing
        if losing := known.deleted_conflicts():
            doc["_deleted_conflicts"] = losing
    if local_seq:
        doc["_local_seq"] = seq
    return doc


def _purged(conn: apsw.Connection, purge_seq: int) -> list[str]:
    """The documents purged since then of which nothing is left; the others have moved to a new sequence."""
    sql = (
        "SELECT DISTINCT id FROM purges WHERE purge_seq>? "
        "AND NOT EXISTS(SELECT 1 FROM docs WHERE docs.id=purges.id AND cur=1)"
    )
    return [doc_id for (doc_id,) in conn.execute(sql, (purge_seq,))]
