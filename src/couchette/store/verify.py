"""Every invariant of a database file, checked on one snapshot. It reports, and never modifies.

The checks go from the outside in: SQLite's pages and indexes, the counters, each stored body, each
document's tree with the rows that it names, and the content of attachments. Each is told in a sentence,
and one problem does not keep the others from being found. ``docs/schema.md`` says what must hold.

Not a problem, because it is how the store works: a body that no tree names (its revision was stemmed),
content that no revision names (it is being uploaded, or waits for compaction), and histories longer than
``revs_limit``, which are cut when their document is next written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import md5
from typing import Any

import apsw
import orjson

from couchette.document.attachment import digest_text
from couchette.document.body import decode_body
from couchette.document.docid import LOCAL, check_id
from couchette.document.revision import normal_rev
from couchette.document.revtree import RevTree
from couchette.errors import CouchetteError, StoreError
from couchette.limits import ATTACHMENT_CHUNK_BYTES
from couchette.store.rows import COLUMNS, Row, linear_path, parse_atts
from couchette.store.schema import read_security
from couchette.store.uploads import UNFINISHED

Problem = dict[str, str]
"""``problem`` is a sentence; ``id`` and ``rev`` tell where, if it is about a document."""


def verify(conn: apsw.Connection) -> list[Problem]:
    """All that is wrong with the database: ``[{"id"?, "rev"?, "problem"}]``, empty if it is sound."""
    problems: list[Problem] = []
    checks: list[Callable[[apsw.Connection], Iterator[Problem]]] = [
        _pages,
        _meta,
        _purges,
        _winners,
        _bodies,
        _local,
        _content,
    ]
    for check in checks:
        try:
            problems.extend(check(conn))
        except (apsw.CorruptError, apsw.SQLError) as exc:
            problems.append({"problem": f"SQLite cannot read on: {exc}."})
        except UnicodeDecodeError as exc:
            problems.append({"problem": f"There is text that is not UTF-8: {exc}."})
    return problems


def _pages(conn: apsw.Connection) -> Iterator[Problem]:
    for (found,) in conn.execute("PRAGMA integrity_check"):
        if found != "ok":
            yield {"problem": f"SQLite's integrity_check says: {found}."}


# -- The database as a whole --------------------------------------------------------------------------


def _meta(conn: apsw.Connection) -> Iterator[Problem]:
    columns = "update_seq, doc_count, del_count, conflict_count, revs_limit, purge_seq, uuid"
    rows: list[Any] = conn.execute(f"SELECT {columns} FROM meta").fetchall()
    if len(rows) != 1:
        yield {"problem": f"The table meta must have one row; it has {len(rows)}."}
        return
    ((update_seq, doc_count, del_count, conflict_count, revs_limit, purge_seq, uuid),) = rows
    newest, live, deleted = conn.execute(
        "SELECT coalesce(max(seq), 0), count(*) FILTER (WHERE cur=1 AND deleted=0),"
        " count(*) FILTER (WHERE cur=1 AND deleted<>0) FROM docs"
    ).get
    if newest > update_seq:
        yield {"problem": f"The update sequence is {update_seq}, but a row has the sequence {newest}."}
    if doc_count != live:
        yield {"problem": f"The count of documents is {doc_count}, but there are {live}."}
    if del_count != deleted:
        yield {"problem": f"The count of deleted documents is {del_count}, but there are {deleted}."}
    conflicts = count_conflicted(conn)
    if conflict_count != conflicts:
        yield {"problem": f"The count of conflicted documents is {conflict_count}, but there are {conflicts}."}
    purged = conn.execute("SELECT coalesce(max(purge_seq), 0) FROM purges").get
    if purged > purge_seq:
        yield {"problem": f"The purge sequence is {purge_seq}, but the log of purges has {purged}."}
    if type(revs_limit) is not int or revs_limit < 1:
        yield {"problem": f"revs_limit is {revs_limit!r}; it must be a positive integer."}
    if not isinstance(uuid, str) or not re.fullmatch(r"\w+", uuid):
        yield {"problem": f"The uuid is {uuid!r}; sequences end with it, so it must be letters and digits."}
    yield from _security(conn)


def _security(conn: apsw.Connection) -> Iterator[Problem]:
    try:
        security = read_security(conn)
    except (CouchetteError, TypeError) as exc:
        yield {"problem": f"The _security object cannot be read: {exc}"}
        return
    if security is not None and not isinstance(security, dict):
        yield {"problem": f"_security is {security!r}; it must be an object."}


def count_conflicted(conn: apsw.Connection) -> int:
    """How many documents have several live leaves; one whose tree cannot be read has none."""
    count = 0
    for (tree,) in conn.execute("SELECT tree FROM docs WHERE cur=1 AND typeof(tree)='text'"):
        with suppress(StoreError):
            count += bool(RevTree.load(tree).conflicts())
    return count


def _purges(conn: apsw.Connection) -> Iterator[Problem]:
    for seq, doc_id, revs in conn.execute("SELECT purge_seq, id, revs FROM purges"):
        try:
            listed = orjson.loads(revs)
        except (orjson.JSONDecodeError, TypeError):
            listed = None
        if not isinstance(listed, list) or not all(map(_is_normal, listed)):
            yield {"id": doc_id, "problem": f"The list of revisions of purge {seq} cannot be read."}


def _winners(conn: apsw.Connection) -> Iterator[Problem]:
    """Each id must have exactly one row that speaks for it."""
    for (doc_id,) in conn.execute(
        "SELECT DISTINCT id FROM docs WHERE NOT EXISTS(SELECT 1 FROM docs AS winner WHERE winner.id=docs.id AND cur=1)"
    ):
        yield {"id": doc_id, "problem": "No row speaks for the document: none has cur=1."}
    for doc_id, count in conn.execute("SELECT id, count(*) FROM docs WHERE cur=1 GROUP BY id HAVING count(*)>1"):
        yield {"id": doc_id, "problem": f"{count} rows speak for the document: only one may have cur=1."}


def _local(conn: apsw.Connection) -> Iterator[Problem]:
    for doc_id, rev, body in conn.execute("SELECT id, rev, body FROM local"):
        where = {"id": doc_id, "rev": f"0-{rev}"}
        if not doc_id.startswith(LOCAL):
            yield {**where, "problem": f"The id of a _local document must begin with {LOCAL}."}
        yield from ({**where, "problem": problem} for problem in _of_body(body))


# -- Documents ----------------------------------------------------------------------------------------


def _bodies(conn: apsw.Connection) -> Iterator[Problem]:
    for values in conn.execute(f"SELECT cur, {COLUMNS} FROM docs"):
        cur, row = values[0], Row._make(values[1:])
        for problem in _of_row(conn, cur, row):
            yield {"id": row.id, "rev": row.rev, "problem": problem}


def _of_row(conn: apsw.Connection, cur: int, row: Row) -> Iterator[str]:
    if cur not in (0, 1) or row.deleted not in (0, 1):
        yield f"cur is {cur!r} and deleted is {row.deleted!r}; each must be 0 or 1."
    if cur == 1 and not _is_id(row.id):
        yield f"The id {row.id!r} is not one that a document can have."
    if cur == 1 and row.seq < 1:
        yield f"The winner's sequence is {row.seq}; it must be positive."
    yield from _of_body(row.body)
    yield from _of_attachments(conn, row)
    if not _is_normal(row.rev):
        yield f"The revision {row.rev!r} is not of the form N-id."
    elif cur != 1:
        if row.tree is not None:
            yield "There is a tree in a row that does not speak for the document."
    elif isinstance(row.tree, str):
        yield from _of_tree(conn, row)
    else:
        yield from _of_linear_history(conn, row)


def _of_body(body: Any) -> Iterator[str]:
    try:
        fields = decode_body(body)
    except (CouchetteError, TypeError) as exc:
        yield f"The body cannot be read: {exc}"
        return
    if not isinstance(fields, dict):
        yield "The body is not an object."


def _is_id(doc_id: Any) -> bool:
    try:
        return not check_id(doc_id).startswith(LOCAL)
    except CouchetteError:
        return False


def _is_normal(rev: Any) -> bool:
    try:
        return bool(normal_rev(rev) == rev)
    except CouchetteError:
        return False


def _of_linear_history(conn: apsw.Connection, row: Row) -> Iterator[str]:
    """The packed ancestors, and the older bodies that hang on ``prev``."""
    if row.tree is not None and (type(row.tree) is not bytes or not row.tree or len(row.tree) % 16):
        yield "The packed history must be one or more ids of 16 bytes."
        return
    path = linear_path(row)
    number = _number(row.rev)
    if len(path) > max(number, 1):
        yield f"The packed history has {len(path) - 1} ancestors, more than revision {number} can have."
    newer = row
    while newer.prev is not None:
        older = _row_at(conn, newer.prev)
        if older is None:
            return  # Compacted away.
        cur, held = older
        if held.id != row.id or cur != 0 or not _is_normal(held.rev) or _number(held.rev) >= _number(newer.rev):
            yield f"Row {newer.prev}, which should hold what {newer.rev} superseded, holds {held.rev} of {held.id!r}."
            return
        depth = number - _number(held.rev)
        if depth < len(path) and path[depth] != held.rev:
            yield f"The stored revision {held.rev} is not in the history, which has {path[depth]} there."
        newer = held


def _of_tree(conn: apsw.Connection, row: Row) -> Iterator[str]:
    assert isinstance(row.tree, str)
    try:
        tree = RevTree.load(row.tree)
        normal = len(tree) > 0 and all(map(_is_normal, tree)) and tree.dump() == row.tree
    except (CouchetteError, ValueError, TypeError) as exc:
        yield f"The revision tree cannot be read: {exc}"
        return
    if not normal:
        yield "The revision tree is not written as the store writes trees."
        return
    if tree.winner != row.rev:
        yield f"The tree's winner is {tree.winner}, but this row speaks for the document."
    for leaf in tree.leaves():
        if leaf.seq is None:
            yield f"The leaf {leaf.rev} has no body."
    for rev in tree:
        node = tree.node(rev)
        assert node is not None
        for parent in node.parents:
            if _number(parent) != _number(rev) - 1:
                yield f"{parent} cannot be the parent of {rev}."
        if node.seq is None:
            continue
        found = _row_at(conn, node.seq)
        if found is None:
            yield f"The tree has the body of {rev} in row {node.seq}, which is not there."
            continue
        cur, held = found
        if (held.id, held.rev) != (row.id, rev):
            yield f"The tree has the body of {rev} in row {node.seq}, which holds {held.rev} of {held.id!r}."
        elif bool(held.deleted) != node.deleted:
            yield f"The tree and row {node.seq} do not agree on whether {rev} is a deletion."
        elif cur != (node.seq == row.seq):
            yield f"Row {node.seq} of {rev} has cur={cur}."


def _row_at(conn: apsw.Connection, seq: int) -> tuple[int, Row] | None:
    for values in conn.execute(f"SELECT cur, {COLUMNS} FROM docs WHERE seq=?", (seq,)):
        return values[0], Row._make(values[1:])
    return None


def _number(rev: str) -> int:
    return int(rev.partition("-")[0])


# -- Attachments --------------------------------------------------------------------------------------


def _of_attachments(conn: apsw.Connection, row: Row) -> Iterator[str]:
    if row.atts is None:
        return
    try:
        described = parse_atts(row.atts)
        if not all(type(att) is int for _, att in described):
            raise TypeError("the key of a content must be an integer")
    except (orjson.JSONDecodeError, ValueError, TypeError) as exc:
        yield f"The list of attachments cannot be read: {exc}."
        return
    if len({attachment.name for attachment, _ in described}) < len(described):
        yield "Two attachments have the same name."
    for attachment, att in described:
        name = attachment.name
        found: list[Any] = conn.execute("SELECT digest, size FROM att WHERE att=?", (att,)).fetchall()
        if not found:
            yield f"The content of the attachment {name!r} is not there."
            continue
        ((digest, size),) = found
        if digest_text(digest) != attachment.digest:
            yield f"The attachment {name!r} has the digest {attachment.digest}, its content {digest_text(digest)}."
        stored = attachment.encoded_length if attachment.encoding else attachment.length
        if stored != size:
            yield f"The attachment {name!r} has {stored} stored bytes, its content {size}."


def _content(conn: apsw.Connection) -> Iterator[Problem]:
    """The chunks of each content must join to its size and digest; all but the last one have the full length."""
    for (att,) in conn.execute("SELECT DISTINCT att FROM att_chunk WHERE att NOT IN (SELECT att FROM att)"):
        yield {"problem": f"There are chunks of the attachment content {att}, which is not listed."}
    for (att,) in conn.execute("SELECT att FROM upload WHERE att NOT IN (SELECT att FROM att)"):
        yield {"problem": f"There is an upload of the attachment content {att}, which is not listed."}
    for att, digest, size in conn.execute("SELECT att, digest, size FROM att WHERE digest<>?", (UNFINISHED,)):
        joined, length = md5(usedforsecurity=False), 0
        for n, data in conn.execute("SELECT n, data FROM att_chunk WHERE att=? ORDER BY n", (att,)):
            if length != n * ATTACHMENT_CHUNK_BYTES:
                yield {"problem": f"Chunk {n} of the attachment content {att} begins at byte {length}."}
            joined.update(data)
            length += len(data)
        if (length, joined.digest()) != (size, digest):
            problem = f"The attachment content {att} should have {size} bytes with the digest {digest_text(digest)}; "
            yield {"problem": f"{problem}its chunks join to {length} with {digest_text(joined.digest())}."}
