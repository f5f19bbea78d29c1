"""A database as a stream of lines: the backup that needs no SQLite to be read. :mod:`couchette.store.load` reads it.

A dump is JSON, one value a line, in this order; ``docs/guide/backup.md`` describes every member:

* a header: the format, and the database's uuid, sequence and settings;
* each attachment content: ``{"content", "digest", "size"}``, then its bytes in lines ``{"data"}``, base64;
* each document in the order of its last change: ``{"id", "seq", "revisions"}``, then each stored body as
  ``{"rev", "seq", "deleted"?, "attachments"?, "body"}``;
* each ``_local`` document, and each entry of the log of purges;
* a trailer with the number of lines and the digest of all before it, by which a cut file is noticed.

What a line is, its first member tells. Only one is in memory at a time, whatever the size of the database.
Bodies that no history names (see ``docs/schema.md``) are left out.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any, Final, Protocol

import apsw

from couchette import jsonio
from couchette.document.attachment import Attachment, digest_text
from couchette.document.revtree import RevTree
from couchette.limits import PURGED_INFOS_LIMIT
from couchette.store.purge import read_purged_infos_limit
from couchette.store.rows import COLUMNS, Row, attachments_of, linear_path, row_at
from couchette.store.schema import read_meta, read_partitioned, read_security
from couchette.store.uploads import UNFINISHED

FORMAT: Final = 1
"""The version of the format, in the header; one that is not known is refused."""

RECOUNTED: Final = frozenset({"doc_count", "del_count", "conflict_count"})
"""What the header leaves out of ``meta``: loading counts it anew."""

Progress = Callable[[int, int], None]
"""Called with the documents done and the documents in all."""


class SupportsWrite(Protocol):
    """What a dump is written to: a binary file, or anything with its ``write``."""

    def write(self, data: bytes, /) -> Any: ...


# -- Out ----------------------------------------------------------------------------------------------


def dump(conn: apsw.Connection, output: SupportsWrite, progress: Progress | None = None) -> dict[str, int]:
    """Write the whole database, as it is at this moment; return the counts of what was written."""
    digest, lines = sha256(), 0
    counts = {"documents": 0, "revisions": 0, "attachments": 0, "local": 0}
    total = conn.execute("SELECT count(*) FROM docs WHERE cur=1").get
    for line in _lines(conn):
        digest.update(line)
        lines += 1
        output.write(line)
        kind = _KINDS.get(line[: line.index(b":")])
        if kind is not None:
            counts[kind] += 1
        if progress is not None and kind == "documents":
            progress(counts[kind], total)
    output.write(_line({"end": lines, **counts, "sha256": digest.hexdigest()}))
    return counts


_KINDS: Final = {b'{"id"': "documents", b'{"rev"': "revisions", b'{"content"': "attachments", b'{"local"': "local"}
"""What a line holds is told by its first member."""


def _line(value: dict[str, Any]) -> bytes:
    return jsonio.dumps(value) + b"\n"


def _line_with_body(head: dict[str, Any], body: bytes | str) -> bytes:
    """A line that ends with a stored body, byte for byte."""
    text = body if isinstance(body, bytes) else body.encode()
    return jsonio.dumps(head)[:-1] + b',"body":' + text + b"}\n"


def _lines(conn: apsw.Connection) -> Iterator[bytes]:
    settings = {name: value for name, value in read_meta(conn)._asdict().items() if name not in RECOUNTED}
    security = read_security(conn)
    kept: dict[str, Any] = {} if security is None else {"security": security}
    if read_partitioned(conn):
        kept["partitioned"] = True
    if (purges_kept := read_purged_infos_limit(conn)) != PURGED_INFOS_LIMIT:
        kept["purged_infos_limit"] = purges_kept
    yield _line({"couchette_dump": FORMAT, **settings, **kept})
    finished = "SELECT att, digest, size FROM att WHERE digest<>? ORDER BY att"
    for att, digest, size in conn.execute(finished, (UNFINISHED,)):
        yield _line({"content": att, "digest": digest_text(digest), "size": size})
        for (data,) in conn.execute("SELECT data FROM att_chunk WHERE att=? ORDER BY n", (att,)):
            yield _line({"data": b64encode(data).decode()})
    for values in conn.execute(f"SELECT {COLUMNS} FROM docs WHERE cur=1 ORDER BY seq"):
        yield from _document(conn, Row._make(values))
    for doc_id, rev, body in conn.execute("SELECT id, rev, body FROM local ORDER BY id"):
        yield _line_with_body({"local": doc_id, "rev": f"0-{rev}"}, body)
    for seq, doc_id, revs in conn.execute("SELECT purge_seq, id, revs FROM purges ORDER BY purge_seq"):
        yield _line({"purge": seq, "id": doc_id, "revs": jsonio.loads(revs)})


def _document(conn: apsw.Connection, winner: Row) -> Iterator[bytes]:
    rows: Iterable[Row]
    if isinstance(winner.tree, str):
        tree = RevTree.load(winner.tree)
        paths = list(_paths(tree))
        rows = (row_at(conn, node.seq) for node in map(tree.node, tree) if node is not None and node.seq is not None)
    else:
        paths = [linear_path(winner)]
        rows = _chain(conn, winner, frozenset(paths[0]))
    yield _line({"id": winner.id, "seq": winner.seq, "revisions": [_revisions(path) for path in paths]})
    for row in rows:
        head: dict[str, Any] = {"rev": row.rev, "seq": row.seq}
        if row.deleted:
            head["deleted"] = True
        if row.atts:
            head["attachments"] = [_attachment(attachment, att) for attachment, att in attachments_of(row)]
        yield _line_with_body(head, row.body)


def _chain(conn: apsw.Connection, winner: Row, known: frozenset[str]) -> Iterator[Row]:
    """The stored bodies of a linear history, newest first."""
    if winner.prev is None:
        yield winner
        return
    for values in conn.execute(_CHAIN, (winner.seq,)):
        row = Row._make(values)
        if row.rev in known:
            yield row


_CHAIN: Final = f"""
    WITH RECURSIVE chain(at) AS (VALUES(?) UNION SELECT prev FROM docs JOIN chain ON seq=at WHERE prev IS NOT NULL)
    SELECT {COLUMNS} FROM chain CROSS JOIN docs ON seq=at"""


def _paths(tree: RevTree) -> Iterator[list[str]]:
    """Histories, newest first, that together name every revision and every parent: one for each leaf.

    A history ends with the first revision that an earlier one has, so that a thousand branches of a long
    history take no more room than the tree does. Revisions with several parents add one for each other.
    """
    told: set[str] = set()
    for leaf in tree.leaves():
        yield from _untold(tree, leaf.rev, told)


def _untold(tree: RevTree, rev: str, told: set[str]) -> Iterator[list[str]]:
    front = [[rev]]
    while front:
        path = front.pop()
        while path[-1] not in told:
            told.add(path[-1])
            node = tree.node(path[-1])
            assert node is not None
            if not node.parents:
                break
            front += [[path[-1], other] for other in node.parents[1:]]
            path.append(node.parents[0])
        yield path


def _revisions(path: list[str]) -> dict[str, Any]:
    """A history in the form of ``_revisions``."""
    return {"start": int(path[0].partition("-")[0]), "ids": [rev.partition("-")[2] for rev in path]}


def _attachment(attachment: Attachment, att: int) -> dict[str, Any]:
    shown = {"name": attachment.name, **attachment.described(), "content": att}
    if attachment.encoding:
        shown |= {"encoding": attachment.encoding, "encoded_length": attachment.encoded_length}
    return shown
