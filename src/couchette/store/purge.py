"""Purging: to forget revisions as if they never were.

A deletion is a revision, which replicates; a purge is none. It takes leaves away, each with the ancestors
that only it had, and a document without leaves is gone, from the counts and the changes feed, too. Peers
that have the revisions may bring them back.

What was purged is kept in a log with sequences of its own (``purges``), so that whatever is derived from the
documents can follow. A document that keeps other leaves did change: it moves to a new update sequence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import apsw
import orjson

from couchette import jsonio
from couchette.document.revision import normal_rev
from couchette.document.revtree import RevTree
from couchette.errors import BadRequest, IllegalDocId
from couchette.limits import SQLITE_INT_MAX
from couchette.store.batch import DROP_LINEAR
from couchette.store.feed import parse_seq
from couchette.store.rows import Row, winner_row
from couchette.store.schema import count_conflict, read_meta, write_counts


def purge(conn: apsw.Connection, revs: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Purge leaves of documents, ``{id: [rev, ...]}``: CouchDB's ``_purge``.

    Return ``{"purge_seq": None, "purged": {id: [rev, ...]}}``; revisions that are not leaves are left alone and
    out of the answer. Raises BadRequest for a malformed request; then nothing is purged.
    """
    if not isinstance(revs, Mapping):
        raise BadRequest("Request body must be a JSON object", "Give a mapping of ids to lists of revs.")
    asked = {doc_id: _checked(doc_id, listed) for doc_id, listed in revs.items()}
    # In the order of the ids, as all batches give their sequences.
    purged = {doc_id: _purge_leaves(conn, doc_id, asked[doc_id]) for doc_id in sorted(asked)}
    return {"purge_seq": None, "purged": {doc_id: purged[doc_id] for doc_id in asked}}


def purged_infos(conn: apsw.Connection, since: int | str = 0) -> list[dict[str, Any]]:
    """What was purged after ``since``, oldest first: ``[{"purge_seq", "id", "revs"}]``.

    ``since`` is 0, ``"now"``, or a ``purge_seq`` of an earlier answer or of ``info``; one of another database
    means the start.
    """
    meta = read_meta(conn)
    after = parse_seq(since, meta._replace(update_seq=meta.purge_seq))
    logged = conn.execute("SELECT purge_seq, id, revs FROM purges WHERE purge_seq>? ORDER BY purge_seq", (after,))
    return [{"purge_seq": meta.seq_text(seq), "id": id, "revs": orjson.loads(revs)} for seq, id, revs in logged]


def read_purged_infos_limit(conn: apsw.Connection) -> int:
    """How many purges compaction leaves in the log."""
    limit: int = conn.execute("SELECT purged_infos_limit FROM meta").get
    return limit


def write_purged_infos_limit(conn: apsw.Connection, limit: int) -> None:
    """Set how many purges compaction leaves in the log. Raises BadRequest."""
    if type(limit) is not int or not 1 <= limit <= SQLITE_INT_MAX:
        raise BadRequest("`purge_infos_limit` must be positive integer", f"Got {limit!r}.")
    conn.execute("UPDATE meta SET purged_infos_limit=?", (limit,))


def drop_old_purges(conn: apsw.Connection) -> None:
    """Shorten the log to its limit, but for what an index has still to follow."""
    conn.execute(
        "DELETE FROM purges WHERE purge_seq <= (SELECT purge_seq-purged_infos_limit FROM meta) "
        "AND purge_seq <= (SELECT coalesce(min(purge_seq), ?) FROM index_groups)",
        (SQLITE_INT_MAX,),
    )


def _checked(doc_id: Any, listed: Any) -> list[str]:
    """The revs in normal form, each once."""
    if not isinstance(doc_id, str):
        raise IllegalDocId("Document id must be a string", f"Got {doc_id!r}.")
    jsonio.dumps(doc_id)  # Refuses a lone surrogate.
    if not isinstance(listed, (list, tuple)):
        raise BadRequest("Revs must be a list of strings", f"{doc_id!r} has {listed!r}.")
    return list(dict.fromkeys(map(normal_rev, listed)))


def _purge_leaves(conn: apsw.Connection, doc_id: str, asked: list[str]) -> list[str]:
    """Purge those of the revs that are leaves; return them."""
    row = winner_row(conn, doc_id)
    if row is None:
        return []
    branched = isinstance(row.tree, str)
    # Of a linear history the leaf is all that matters here.
    before = RevTree.load(row.tree) if isinstance(row.tree, str) else _only(row)
    leaves = {leaf.rev for leaf in before.leaves()}
    gone = [rev for rev in asked if rev in leaves]
    if not gone:
        return []
    after = before.without_leaves(gone)
    if branched:
        doomed = before.seqs() - after.seqs()
        conn.executemany("DELETE FROM docs WHERE seq=?", ((at,) for at in doomed))
    else:
        conn.execute(DROP_LINEAR, (row.seq,))
    count_conflict(conn, before, after)
    _record(conn, row, gone, after)
    return gone


def _only(row: Row) -> RevTree:
    return RevTree.from_path([row.rev], deleted=bool(row.deleted), seq=row.seq)


def _record(conn: apsw.Connection, row: Row, gone: list[str], after: RevTree) -> None:
    """Move what is left of the document to a new sequence, keep the counts, and log the purge."""
    meta = read_meta(conn)
    update_seq, counts = meta.update_seq, [meta.doc_count, meta.del_count]
    counts[row.deleted] -= 1
    if len(after):
        winner = after.leaves()[0]
        update_seq += 1
        counts[winner.deleted] += 1
        tree = after.with_seq(winner.rev, update_seq).dump()
        conn.execute("UPDATE docs SET seq=?, cur=1, tree=? WHERE seq=?", (update_seq, tree, winner.seq))
    write_counts(conn, update_seq, *counts)
    logged = (meta.purge_seq + 1, row.id, orjson.dumps(gone).decode())
    conn.execute("INSERT INTO purges VALUES(?,?,?)", logged)
    conn.execute("UPDATE meta SET purge_seq=?", logged[:1])
