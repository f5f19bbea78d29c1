"""The changes feed, the sequence, and the numbers of the database as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import apsw

from couchette.document.revtree import RevTree
from couchette.document.stored import StoredDoc
from couchette.errors import BadRequest, QueryParseError
from couchette.limits import PENDING_EXACT_MAX, SQLITE_INT_MAX
from couchette.store.read import View, add_meta, as_stored, get
from couchette.store.rows import row_at, winner_rows
from couchette.store.schema import MIGRATIONS, Meta, read_meta

_SEQ = re.compile(r'"?([0-9]{1,18})-(\w+)"?')
_TREE = "CASE typeof(tree) WHEN 'text' THEN tree END"


def update_seq(conn: apsw.Connection) -> int:
    """The sequence of the newest change."""
    return int(conn.execute("SELECT update_seq FROM meta").get)


def parse_seq(since: int | str, meta: Meta) -> int:
    """The number of a sequence: an int of ours, ``"now"``, or the text of an earlier answer.

    The text of another database, or of this one before it was made anew, means the start, as in
    CouchDB. Raises BadRequest for anything else.
    """
    if type(since) is int and 0 <= since <= SQLITE_INT_MAX:
        return since
    if isinstance(since, str):
        if since == "now":
            return meta.update_seq
        if since == "0":
            return 0
        match = _SEQ.fullmatch(since)
        if match is not None:
            return int(match[1]) if match[2] == meta.uuid else 0
    raise BadRequest(
        "Malformed sequence supplied in 'since' parameter.", f"since={since!r}; give 0, 'now', or a seq from an answer."
    )


def changes(
    conn: apsw.Connection,
    *,
    since: int | str = 0,
    before: int | str | None = None,
    limit: int | None = None,
    descending: bool = False,
    style: str = "main_only",
    include_docs: bool = False,
    conflicts: bool = False,
    attachments: bool = False,
    att_encoding_info: bool = False,
    doc_ids: Sequence[str] | None = None,
    seq_interval: int | None = None,
    accepts: Callable[[dict[str, Any]], bool] | None = None,
    scan_max: int | None = None,
) -> dict[str, Any]:
    """What changed after ``since``: ``{"results": [...], "last_seq", "pending"}``, one row a document.

    A row is ``{"seq", "id", "changes": [{"rev"}], "deleted"?, "doc"?}``; ``style="all_docs"`` lists every
    leaf, the winner first. Sequences are opaque text. ``descending`` begins with the newest, or the
    newest ``before`` a sequence, and ignores ``since``. ``pending`` counts the documents after the last row; beyond
    ``limits.PENDING_EXACT_MAX`` it is an upper bound, since counting would cost as much as reading.

    ``accepts`` is a filter: it is given the winner, or each leaf with ``style="all_docs"``, and only what it accepts
    is listed; ``last_seq`` moves on all the same. After ``scan_max`` documents the page ends there.

    CouchDB's semantics: https://docs.couchdb.org/en/stable/api/database/changes.html.
    """
    if style not in ("main_only", "all_docs"):
        raise BadRequest("`style` must be main_only or all_docs", f"style={style!r}.", status=500)
    meta = read_meta(conn)
    after = 0 if descending else parse_seq(since, meta)
    before = SQLITE_INT_MAX if before is None else parse_seq(before, meta)
    if limit is not None and type(limit) is not int:
        raise QueryParseError(f'Invalid value for integer: "{limit}"', "limit must be an int or None.")
    if seq_interval is not None and type(seq_interval) is not int:
        raise QueryParseError(f'Invalid value for integer: "{seq_interval}"', "seq_interval must be an int or None.")
    wanted = -1 if limit is None or limit < 0 else min(limit, SQLITE_INT_MAX)
    if accepts is not None:
        rows = _rows(conn, doc_ids, after, before, descending, -1)
        results, scanned = _accepted(conn, rows, style == "all_docs", accepts, wanted, scan_max)
        last = meta.update_seq if scanned is None else scanned or after
        pending = 0 if scanned is None else count_after(conn, meta, last)
        if descending and results:
            last = results[-1]["seq"]
    else:
        rows = _rows(conn, doc_ids, after, before, descending, wanted)
        results = _results(rows, style == "all_docs")
        final = results[-1]["seq"] if results else after
        last, pending = _end(conn, meta, len(results), final, after, descending, doc_ids is not None, wanted)
    if include_docs:
        _add_docs(conn, results, conflicts, View(attachments=attachments, att_encoding_info=att_encoding_info))
    texts = f"-{meta.uuid}"
    for index, row in enumerate(results):
        row["seq"] = None if seq_interval and index % seq_interval else f"{row['seq']}{texts}"
    return {"results": results, "last_seq": f"{last}{texts}", "pending": pending}


class Leaves(NamedTuple):
    """What a replicator needs of a page of changes: the leaves of each document in it, the winner first."""

    revs: dict[str, list[str]]
    deleted: list[str]
    last_seq: str
    pending: int
    docs: dict[str, StoredDoc]
    """Ordinary documents, where they were asked for."""


def changed_leaves(
    conn: apsw.Connection, *, since: int | str, limit: int, style: str = "all_docs", docs_bytes: int = 0
) -> Leaves:
    """A page of :func:`changes` without the rows around it, which take longer to make than to read.

    With ``docs_bytes`` the ordinary documents come along, and the page ends after so many bytes of them.
    """
    meta = read_meta(conn)
    after = parse_seq(since, meta)
    docs: dict[str, StoredDoc] = {}
    if docs_bytes:
        rows, docs, cut = _rows_with_docs(conn, after, limit, docs_bytes)
        limit = len(rows) if cut else limit
    else:
        rows = list(_rows(conn, None, after, SQLITE_INT_MAX, False, limit))
    revs = {doc_id: [rev] for _, doc_id, rev, _, _ in rows}
    for _, doc_id, _, _, tree in rows if style == "all_docs" else ():
        if type(tree) is str:
            revs[doc_id] = [leaf.rev for leaf in RevTree.load(tree).leaves()]
    last, pending = _end(conn, meta, len(rows), rows[-1][0] if rows else after, after, False, False, limit)
    return Leaves(revs, [row[1] for row in rows if row[3]], meta.seq_text(last), pending, docs)


def _rows_with_docs(
    conn: apsw.Connection, after: int, limit: int, bytes_max: int
) -> tuple[list[tuple[Any, ...]], dict[str, StoredDoc], bool]:
    """Rows as :func:`_rows` gives them, the ordinary documents among them, and whether their size ended the page."""
    rows: list[tuple[Any, ...]] = []
    docs: dict[str, StoredDoc] = {}
    cursor = conn.execute(
        "SELECT seq, id, rev, deleted, tree, atts, body FROM docs WHERE seq>? AND cur=1 ORDER BY seq LIMIT ?",
        (after, limit),
    )
    for seq, doc_id, rev, deleted, tree, atts, body in cursor:
        rows.append((seq, doc_id, rev, deleted, tree))
        doc = as_stored(doc_id, rev, deleted, tree, atts, body)
        if doc is not None:
            docs[doc_id] = doc
        bytes_max -= len(body)
        if bytes_max <= 0:
            cursor.close()
            return rows, docs, True
    return rows, docs, False


def _rows(
    conn: apsw.Connection, doc_ids: Sequence[str] | None, after: int, before: int, descending: bool, limit: int
) -> Iterable[tuple[Any, ...]]:
    if doc_ids is not None:
        return _of_ids(conn, doc_ids, after, before, descending, limit)
    order = "DESC" if descending else "ASC"
    sql = f"""
        SELECT seq, id, rev, deleted, {_TREE} FROM docs WHERE seq>? AND seq<? AND cur=1 ORDER BY seq {order} LIMIT ?"""
    return conn.execute(sql, (after, before, limit))


def _results(rows: Iterable[tuple[Any, ...]], all_leaves: bool) -> list[dict[str, Any]]:
    results = []
    for seq, doc_id, rev, deleted, tree in rows:
        revs = [rev]
        if all_leaves and tree is not None:
            revs = [leaf.rev for leaf in RevTree.load(tree).leaves()]
        row = {"seq": seq, "id": doc_id, "changes": [{"rev": one} for one in revs]}
        if deleted:
            row["deleted"] = True
        results.append(row)
    return results


def _accepted(
    conn: apsw.Connection,
    rows: Iterable[tuple[Any, ...]],
    all_leaves: bool,
    accepts: Callable[[dict[str, Any]], bool],
    limit: int,
    scan_max: int | None,
) -> tuple[list[dict[str, Any]], int | None]:
    """The rows that a filter accepts, and where it stopped: None at the end, 0 if it did not begin."""
    results: list[dict[str, Any]] = []
    scanned = 0
    try:
        for count, row in enumerate(rows):
            if len(results) == limit or count == scan_max:
                return results, scanned
            [result] = _results((row,), all_leaves)
            scanned = result["seq"]
            if kept := _accepted_revs(conn, result, accepts):
                results.append({**result, "changes": kept})
    finally:
        if isinstance(rows, apsw.Cursor):
            rows.close()  # A statement under way would keep this connection's snapshot alive.
    return results, None


def _accepted_revs(
    conn: apsw.Connection, result: dict[str, Any], accepts: Callable[[dict[str, Any]], bool]
) -> list[dict[str, str]]:
    """Those of a row's revs that a filter accepts."""
    revs: list[dict[str, str]] = result["changes"]
    if len(revs) == 1:
        return revs if accepts(View().doc(conn, row_at(conn, result["seq"]))) else []
    leaves = get(conn, result["id"], open_revs=[one["rev"] for one in revs])
    passed = {leaf["ok"]["_rev"] for leaf in leaves if "ok" in leaf and accepts(leaf["ok"])}
    return [one for one in revs if one["rev"] in passed]


def _of_ids(
    conn: apsw.Connection, doc_ids: Sequence[str], after: int, before: int, descending: bool, limit: int
) -> list[tuple[Any, ...]]:
    if isinstance(doc_ids, (str, bytes)) or not all(isinstance(doc_id, str) for doc_id in doc_ids):
        raise BadRequest("`doc_ids` filter parameter is not a list of doc ids.", f"Got {doc_ids!r}.")
    found = winner_rows(conn, doc_ids, f"docs.seq, docs.id, docs.rev, docs.deleted, {_TREE}")
    rows = sorted((row for row in found if after < row[0] < before), key=lambda row: row[0], reverse=descending)
    return rows if limit < 0 else rows[:limit]


def _end(
    conn: apsw.Connection,
    meta: Meta,
    listed: int,
    final: int,
    after: int,
    descending: bool,
    filtered: bool,
    limit: int,
) -> tuple[int, int]:
    """The last sequence that an answer of so many rows covers, and how many documents come after it.

    ``final`` is its last row's sequence. With ``doc_ids`` CouchDB counts all changes after ``since`` less the rows.
    """
    cut = limit >= 0 and listed >= limit
    last = meta.update_seq
    if listed and (cut or descending):
        last = final
    elif cut:
        last = after
    if filtered:
        return last, max(count_after(conn, meta, after) - listed, 0)
    if not cut:
        return last, 0
    return last, count_after(conn, meta, after) - listed if descending else count_after(conn, meta, last)


def body_sizes(conn: apsw.Connection, first: int, last: int) -> dict[int, int]:
    """How long the stored winners are, by sequence, from ``first`` to ``last``. They are not read for it."""
    sql = "SELECT seq, length(body) FROM docs WHERE seq BETWEEN ? AND ? AND cur=1"
    return dict(conn.execute(sql, (first, last)))


def count_after(conn: apsw.Connection, meta: Meta, seq: int) -> int:
    """How many documents changed after ``seq``: exact for few, and for all; else an upper bound."""
    total = meta.doc_count + meta.del_count
    if seq == 0:
        return total
    if meta.update_seq - seq > PENDING_EXACT_MAX:
        return min(meta.update_seq - seq, total)
    return int(conn.execute("SELECT count(*) FROM docs WHERE seq>? AND cur=1", (seq,)).get)


def _add_docs(conn: apsw.Connection, results: list[dict[str, Any]], conflicts: bool, view: View) -> None:
    for row in results:
        winner = row_at(conn, row["seq"])
        row["doc"] = view.doc(conn, winner)
        if conflicts:
            add_meta(conn, row["doc"], winner, False, True, False)


def info(conn: apsw.Connection, name: str = "") -> dict[str, Any]:
    """The database's numbers, in the shape of CouchDB's ``GET /db``, and ``conflict_count``.

    ``sizes`` are bytes: ``file`` is all pages, without the write-ahead log; ``active`` is those in use, where
    superseded bodies count until compaction. CouchDB's ``external``, the size of the content by itself, could
    only be told by reading all of it; ``active`` stands for it, which is somewhat more.
    """
    meta = read_meta(conn)
    pages, page_bytes = conn.pragma("page_count"), conn.pragma("page_size")
    used = (pages - conn.pragma("freelist_count")) * page_bytes
    return {
        "db_name": name,
        "doc_count": meta.doc_count,
        "doc_del_count": meta.del_count,
        "conflict_count": meta.conflict_count,
        "update_seq": meta.seq_text(),
        "purge_seq": meta.seq_text(meta.purge_seq),
        "instance_start_time": str(meta.created),
        "uuid": meta.uuid,
        "sizes": {"file": pages * page_bytes, "external": used, "active": used},
        "disk_format_version": len(MIGRATIONS),
    }
