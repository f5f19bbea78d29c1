"""Compaction: gives back the room of bodies and attachment content that nothing needs any more.

A document needs the bodies of its leaves; those that they superseded are kept until now, so that they can
be looked at, and then only their revs stay known. Compaction runs beside readers and writers: it looks for
what can go on a snapshot, which holds up no one, and drops it in short transactions, each of which checks
again what may have changed since. So it may end between any two of them, and another run goes on.

Freed pages are returned to the file system by SQLite's incremental vacuum, some at a time. A full VACUUM
packs half-empty pages, too, but it rewrites the whole file while every writer waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypedDict

import apsw

from couchette import jsonio
from couchette.document.revtree import RevTree
from couchette.limits import COMPACT_BODIES, COMPACT_CONTENT_BYTES, COMPACT_PAGES, SQLITE_INT_MAX
from couchette.store.feed import update_seq
from couchette.store.purge import drop_old_purges
from couchette.store.rows import winner_rows
from couchette.store.uploads import drop_idle_uploads


class Freed(TypedDict):
    """What compaction has freed so far."""

    bodies: int
    """Bodies of revisions that are not leaves."""
    attachments: int
    """Contents that no stored revision named."""
    bytes: int
    """By which the file is shorter."""


class Transactions(Protocol):
    """What compaction needs of a pool: each call is one transaction."""

    def read(self, op: Callable[..., Any], *args: Any) -> Any:
        """Run a reading operation."""

    def write(self, op: Callable[..., Any], *args: Any) -> Any:
        """Run a writing operation."""


def compaction(pool: Transactions) -> Iterator[Freed]:
    """Compact the database step by step: yields what is freed so far after each of its transactions."""
    freed = Freed(bodies=0, attachments=0, bytes=0)
    newest, after = pool.read(update_seq), -SQLITE_INT_MAX
    while found := pool.read(_superseded, after, newest):
        freed["bodies"] += pool.write(_drop_bodies, found)
        after = found[-1][0]
        yield freed.copy()
    pool.write(drop_old_purges)
    pool.write(drop_idle_uploads)
    newest, unnamed = pool.read(_unnamed_content)
    for some in _portions(unnamed):
        freed["attachments"] += pool.write(_drop_content, some, newest)
        yield freed.copy()
    for _ in range(0, pool.read(_free_pages), COMPACT_PAGES):
        freed["bytes"] += pool.write(_return_pages)
        yield freed.copy()
    yield freed


def superseded_bodies(conn: apsw.Connection) -> int:
    """How many stored bodies are not the winners': what compaction looks through, and mostly drops."""
    count: int = conn.execute("SELECT count(*) FROM docs WHERE cur=0").get
    return count


# -- Bodies -------------------------------------------------------------------------------------------


def _superseded(conn: apsw.Connection, after: int, newest: int) -> list[tuple[int, str]]:
    """The next rows, with their documents, that are not winners; among them are losing leaves."""
    sql = "SELECT seq, id FROM docs WHERE seq>? AND seq<=? AND cur=0 ORDER BY seq LIMIT ?"
    found: list[Any] = conn.execute(sql, (after, newest, COMPACT_BODIES)).fetchall()
    return found


def _drop_bodies(conn: apsw.Connection, found: list[tuple[int, str]]) -> int:
    """Drop those of the rows that are not leaves. A branched document is done whole when one of its rows is found."""
    candidates: dict[str, set[int]] = {}
    for seq, doc_id in found:
        candidates.setdefault(doc_id, set()).add(seq)
    rows: list[Any] = winner_rows(conn, candidates, "docs.id, seq, tree").fetchall()
    for doc_id, at, tree in rows:
        if isinstance(tree, str):
            before = RevTree.load(tree)
            after = before.compacted()
            if after is not before:
                conn.execute("UPDATE docs SET tree=? WHERE seq=?", (after.dump(), at))
            candidates[doc_id] = (candidates[doc_id] | before.seqs()) - after.seqs()
    # A sequence may have been given to another document since the rows were found, or to this one's winner.
    doomed = ((seq, doc_id) for doc_id, seqs in candidates.items() for seq in seqs)
    changes = conn.total_changes()
    conn.executemany("DELETE FROM docs WHERE seq=? AND cur=0 AND id=?", doomed)
    return conn.total_changes() - changes


# -- Attachments --------------------------------------------------------------------------------------

_NAMED = "SELECT json_extract(listed.value, '$[0]') FROM docs, json_each(docs.atts) AS listed WHERE atts IS NOT NULL"
_ARRIVING = "SELECT att FROM upload"


def _unnamed_content(conn: apsw.Connection) -> tuple[int, list[tuple[int, int]]]:
    """The keys and sizes of contents that no stored revision or upload names, and the update sequence at that time."""
    sql = f"SELECT att, size FROM att WHERE att NOT IN ({_NAMED}) AND att NOT IN ({_ARRIVING})"
    unnamed: list[Any] = conn.execute(sql).fetchall()
    return update_seq(conn), unnamed


def _portions(contents: list[tuple[int, int]]) -> Iterator[list[int]]:
    """The keys in lists of at most ``limits.COMPACT_CONTENT_BYTES``, or of one."""
    portion: list[int] = []
    room = COMPACT_CONTENT_BYTES
    for att, size in contents:
        if portion and (size > room or len(portion) == COMPACT_BODIES):
            yield portion
            portion, room = [], COMPACT_CONTENT_BYTES
        portion.append(att)
        room -= size
    if portion:
        yield portion


def _drop_content(conn: apsw.Connection, unnamed: list[int], newest: int) -> int:
    """Drop those of the contents that nothing names yet: equal content may have been stored since ``newest``.

    New rows are at later sequences; only negative ones are ever used again.
    """
    renamed = f"{_NAMED} AND (seq<0 OR seq>?)"
    sql = f"SELECT value FROM json_each(?) WHERE value NOT IN ({renamed}) AND value NOT IN ({_ARRIVING})"
    doomed = conn.execute(sql, (jsonio.dumps(unnamed).decode(), newest)).fetchall()
    conn.executemany("DELETE FROM att_chunk WHERE att=?", doomed)
    conn.executemany("DELETE FROM att WHERE att=?", doomed)
    return len(doomed)


# -- Pages --------------------------------------------------------------------------------------------


def _free_pages(conn: apsw.Connection) -> int:
    return int(conn.pragma("freelist_count"))


def _return_pages(conn: apsw.Connection) -> int:
    """Return some free pages to the file system; the bytes by which the file is shorter."""
    before = conn.pragma("page_count")
    conn.execute(f"PRAGMA incremental_vacuum({COMPACT_PAGES})").fetchall()
    return int((before - conn.pragma("page_count")) * conn.pragma("page_size"))
