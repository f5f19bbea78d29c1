"""One transaction's worth of document writes.

CouchDB gives each document one sequence a batch, in the order of the ids' bytes, however many of its
revisions the batch holds; so drafts are grouped by id and the groups sorted. Nearly every group is one
draft on a new or unbranched document: those rows are collected here and written set-wise. Everything
else goes to :mod:`couchette.store.branches`, which knows trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, repeat
from operator import le
from typing import Any, NamedTuple

import apsw

from couchette.document.attachment import digest_bytes
from couchette.document.body import Draft, plain_bodies
from couchette.document.docid import DESIGN
from couchette.document.revision import new_rev, new_revs, pack_path, pack_paths
from couchette.document.stored import StoredDoc
from couchette.errors import Conflict
from couchette.limits import SQLITE_INT_MAX
from couchette.store.content import Placed, place
from couchette.store.rows import dump_atts, parse_atts, winner_rows
from couchette.store.schema import read_meta, write_counts

Result = dict[str, Any]
_NO_ATTACHMENTS: Placed = []
_ARRAYS = {list, tuple}
HEAD = "docs.id, seq, rev, deleted, tree, atts"
INSERT = "INSERT INTO docs(seq, id, cur, rev, deleted, prev, tree, atts, body) VALUES(?,?,?,?,?,?,?,?,?)"
INSERT_NEW = "INSERT INTO docs(seq, id, cur, rev, deleted, tree, body) VALUES(?,?,1,?,0,?,?)"
RETIRE = "UPDATE docs SET cur=0, tree=NULL WHERE seq=?"
DROP_LINEAR = """
    WITH RECURSIVE older(at) AS (VALUES(?) UNION SELECT prev FROM docs JOIN older ON seq=at WHERE prev IS NOT NULL)
    DELETE FROM docs WHERE seq IN older"""
"""Drops a row of a linear history and all those that it superseded."""


class Head(NamedTuple):
    """What a write must know of a document's winner."""

    id: str
    seq: int
    rev: str
    deleted: int
    tree: bytes | str | None
    atts: str | None


class Batch:
    """Collects the writes of one transaction; :meth:`write` applies them."""

    def __init__(self, conn: apsw.Connection, ids: Sequence[str]) -> None:
        """Begin a batch on the documents of these ids; others must not be written."""
        self.conn = conn
        meta = read_meta(conn)
        self.empty = meta.update_seq == 0
        self.update_seq = self._first_seq = meta.update_seq
        self.doc_count = meta.doc_count
        self.del_count = meta.del_count
        self.revs_limit = meta.revs_limit
        self.auto_compaction = meta.auto_compaction
        self._path_bytes = meta.revs_limit * 16
        self._ancestor_bytes = (meta.revs_limit - 1) * 16
        self._heads = self._find_heads(ids)
        self._inserts: list[tuple[Any, ...]] = []
        self._new: list[tuple[int, str, str, bytes | None, bytes]] = []
        self._retired: list[tuple[int]] = []

    def write(self) -> None:
        """Apply what was collected and record the counters."""
        if self._retired:
            self.conn.executemany(DROP_LINEAR if self.auto_compaction else RETIRE, self._retired)
        if self._inserts:
            self.conn.executemany(INSERT, self._inserts)
        if self._new:
            self.conn.executemany(INSERT_NEW, self._new)
        if self.update_seq != self._first_seq:
            write_counts(self.conn, self.update_seq, self.doc_count, self.del_count)

    def _find_heads(self, ids: Sequence[str]) -> dict[str, Head]:
        """The winners of those of the ids that exist. Ids beyond all others, the usual case of an import, are new."""
        if len(ids) == 1:
            rows = self.conn.execute(f"SELECT {HEAD} FROM docs WHERE id=? AND cur=1", (ids[0],))
            return {row[0]: Head._make(row) for row in rows}
        last = self.conn.execute("SELECT max(id) FROM docs WHERE cur=1").get
        if last is None or min(ids, default=last) > last:
            return {}
        rows = winner_rows(self.conn, ids, HEAD)
        return {row[0]: Head._make(row) for row in rows}

    def next_seq(self) -> int:
        """The sequence of the next document of this batch."""
        self.update_seq += 1
        return self.update_seq

    def count(self, was_deleted: bool | None, deleted: bool) -> None:
        """Keep the counts of live and deleted documents; ``was_deleted`` is None for a new document."""
        if was_deleted is None:
            self.del_count += deleted
            self.doc_count += not deleted
        elif was_deleted != deleted:
            self.del_count += 1 if deleted else -1
            self.doc_count -= 1 if deleted else -1

    # -- The usual case ---------------------------------------------------------------------------

    def are_usual_edits(self, ids: Sequence[str], docs: Sequence[Any]) -> list[bool]:
        """Which look like edits for :meth:`edit_together`: first ones and those of the winner, all plain."""
        heads = self._heads
        return [
            type(doc) is dict
            and "_deleted" not in doc
            and "_attachments" not in doc
            and doc_id[0] != "_"
            and ("_rev" not in doc if doc_id not in heads else _goes_on(heads[doc_id], doc))
            for doc_id, doc in zip(ids, docs, strict=True)
        ]

    def edit_together(self, ids: Sequence[str], docs: Sequence[Any]) -> list[Result] | None:
        """Write usual edits at half the cost of :meth:`edit`, by columns.

        None, and nothing is written, if one is unusual after all.
        """
        members = list(map(dict.copy, docs))
        for fields in members:
            fields.pop("_id", None)
            fields.pop("_rev", None)
        bodies = plain_bodies(members, hashed=True)
        heads = list(map(self._heads.get, ids))
        if bodies is None:
            return None
        first = self.update_seq + 1
        if not any(heads):
            revs = new_revs(members, [None] * len(ids))
            self._new += zip(count(first), ids, revs, repeat(None), bodies)
        else:
            parents = [head and head.rev for head in heads]
            own = pack_paths([(rev.partition("-")[2],) if rev else () for rev in parents])
            if own is None:
                return None
            revs = new_revs(members, parents)
            for seq, doc_id, rev, head, parent, body in zip(count(first), ids, revs, heads, own, bodies):
                if head is None:
                    self._new.append((seq, doc_id, rev, None, body))
                else:
                    tree = (parent + head.tree if head.tree else parent)[: self._ancestor_bytes] or None
                    self._retired.append((head.seq,))
                    self._inserts.append((seq, doc_id, 1, rev, 0, head.seq, tree, None, body))
        self.update_seq += len(ids)
        self.doc_count += heads.count(None)
        return [{"ok": True, "id": doc_id, "rev": rev} for doc_id, rev in zip(ids, revs, strict=True)]

    def are_usual_grafts(self, ids: Sequence[str], docs: Sequence[Any]) -> list[bool]:
        """Which look like replicated revisions for :meth:`graft_together`: of new documents, all plain."""
        heads = self._heads
        return [
            type(doc) is dict
            and "_revisions" in doc
            and "_deleted" not in doc
            and "_attachments" not in doc
            and doc_id[0] != "_"
            and doc_id not in heads
            for doc_id, doc in zip(ids, docs, strict=True)
        ]

    def graft_together(self, ids: Sequence[str], docs: Sequence[Any]) -> bool:
        """Write usual replicated revisions at half the cost of :meth:`graft`, by columns.

        False, and nothing is written, if one is unusual after all.
        """
        members = list(map(dict.copy, docs))
        try:
            histories = [fields.pop("_revisions") for fields in members]
            starts = [history["start"] for history in histories]
            paths = [history["ids"] for history in histories]
            revs = [f"{start}-{path[0]}" for start, path in zip(starts, paths, strict=True)]
            named = [fields.pop("_rev", rev) for fields, rev in zip(members, revs, strict=True)]
            packed = pack_paths(paths)
        except (LookupError, TypeError):
            return False
        if packed is None or named != revs or set(map(type, starts)) != {int} or not set(map(type, paths)) <= _ARRAYS:
            return False
        if max(starts) > SQLITE_INT_MAX or not all(map(le, map(len, paths), starts)):
            return False
        for fields in members:
            fields.pop("_id", None)
        bodies = plain_bodies(members, hashed=False)
        if bodies is None:
            return False
        trees = [path[16 : self._path_bytes] or None for path in packed]
        self._new += zip(count(self.update_seq + 1), ids, revs, trees, bodies)
        self.update_seq += len(ids)
        self.doc_count += len(ids)
        return True

    def graft_stored(self, doc_id: str, doc: Any) -> bool:
        """Write a new document as another file has it; False for anything else."""
        if type(doc) is not StoredDoc or doc_id in self._heads:
            return False
        self.update_seq = seq = self.update_seq + 1
        tree = doc.path[16 : self._path_bytes] or None
        if doc.deleted:
            self.del_count += 1
            self._inserts.append((seq, doc.id, 1, doc.rev, 1, None, tree, None, doc.body))
        else:
            self.doc_count += 1
            self._new.append((seq, doc.id, doc.rev, tree, doc.body))
        return True

    # -- New edits --------------------------------------------------------------------------------

    def edit(self, doc_id: str, draft: Draft) -> Result | None:
        """Write one new edit of a new or unbranched document; None where only the tree can tell."""
        head = self._heads.get(doc_id)
        parent = f"{draft.start}-{draft.ids[0]}" if draft.ids else None
        if head is None:
            if parent is not None and (self.empty or draft.attachments or doc_id.startswith(DESIGN)):
                return refused(doc_id)
            ancestors = draft.packed
        else:
            if type(head.tree) is str:
                return None
            if parent is None:
                if not head.deleted or draft.deleted:
                    return refused(doc_id)
                parent = head.rev
            elif parent != head.rev or head.deleted:
                return refused(doc_id)
            ancestors = self._extended(head)
        if ancestors is None:
            return None
        if draft.attachments:
            number = int(parent.partition("-")[0]) + 1 if parent else 1
            inherited = parse_atts(head.atts) if head and head.atts else []
            atts, hashed = self.attach(doc_id, draft, inherited, number)
            rev = new_rev(draft.fields, parent=parent, deleted=draft.deleted, attachments=hashed)
        else:
            atts, rev = None, new_rev(draft.fields, parent=parent, deleted=draft.deleted)
        self._put(doc_id, rev, draft, head, ancestors, atts)
        return {"ok": True, "id": doc_id, "rev": rev}

    def _extended(self, head: Head) -> bytes | None:
        """The packed ancestors of a child of this winner."""
        own = pack_path((head.rev.partition("-")[2],))
        return None if own is None else own + head.tree if type(head.tree) is bytes else own

    def attach(
        self, doc_id: str, draft: Draft, parent: Placed, number: int
    ) -> tuple[str | None, list[tuple[str, str, bytes]]]:
        """Place a new edit's attachments; return the ``atts`` column and what the revision id hashes."""
        if not draft.attachments:
            return None, []
        placed = place(self.conn, doc_id, draft.attachments, parent, number, keep_revpos=False)
        return dump_atts(placed), hash_list(placed)

    # -- Replicated revisions ---------------------------------------------------------------------

    def graft(self, doc_id: str, draft: Draft) -> bool:
        """Write one replicated revision of a new or unbranched document; False where only the tree can tell."""
        head = self._heads.get(doc_id)
        packed, parent = draft.packed, _NO_ATTACHMENTS
        if packed is None or (head is not None and type(head.tree) is str):
            return False
        ancestors = packed[16:]
        if head is not None:
            number, _, own = head.rev.partition("-")
            depth = draft.start - int(number)
            if not 0 <= depth < len(draft.ids) or draft.ids[depth] != own:
                return False
            held = head.tree if type(head.tree) is bytes else b""
            grown = (ancestors[: 16 * depth] + held)[: self._ancestor_bytes]
            if not grown.startswith(ancestors[: self._ancestor_bytes]):
                return False  # Another branch, or a history that reaches further back.
            if depth == 0:
                return grown == held or held.startswith(ancestors)
            ancestors = grown
            if head.atts:
                parent = parse_atts(head.atts)
        rev = f"{draft.start}-{draft.ids[0]}"
        atts = None
        if draft.attachments:
            atts = dump_atts(place(self.conn, doc_id, draft.attachments, parent, draft.start, keep_revpos=True))
        self._put(doc_id, rev, draft, head, ancestors, atts)
        return True

    def _put(self, doc_id: str, rev: str, draft: Draft, head: Head | None, ancestors: bytes, atts: str | None) -> None:
        """Collect the winner's new row."""
        prev = None
        if head is not None:
            prev = head.seq
            self._retired.append((prev,))
            self.count(bool(head.deleted), draft.deleted)
        elif draft.deleted:
            self.del_count += 1
        else:
            self.doc_count += 1
        self.update_seq = seq = self.update_seq + 1
        tree = ancestors[: self._ancestor_bytes] or None
        self._inserts.append((seq, doc_id, 1, rev, draft.deleted, prev, tree, atts, draft.body))


def _goes_on(head: Head, doc: dict[str, Any]) -> bool:
    """Whether a document names the winner of an unbranched, live one as its parent."""
    return doc.get("_rev") == head.rev and not head.deleted and type(head.tree) is not str


def hash_list(placed: Placed) -> list[tuple[str, str, bytes]]:
    """What a revision id hashes of attachments: the reverse of their order in ``_attachments``."""
    return [(a.name, a.content_type, digest_bytes(a.digest)) for a, _ in reversed(placed)]


def refused(doc_id: str) -> Result:
    """The row of an edit that does not build on a leaf."""
    return {"id": doc_id, **Conflict().as_json()}
