"""Writes to documents whose history is a tree, and the steps by which it becomes one.

The drafts of one document are merged into its revision tree one after the other; then the tree is
stemmed, compared with what it was, and written: new bodies as rows of their own, the winner's row at a
new sequence. Bodies that are not the winner's lie at negative sequences, out of the way of the changes
feed; a row that becomes the winner's moves to the new sequence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import apsw

from couchette.document.body import Body, Draft
from couchette.document.docid import DESIGN
from couchette.document.revision import new_rev
from couchette.document.revtree import RevTree
from couchette.store.batch import INSERT, RETIRE, Batch, Result, refused
from couchette.store.content import Placed, place
from couchette.store.rows import attachments_of, dump_atts, parse_atts, row_at, stored_seqs, tree_of, winner_row
from couchette.store.schema import count_conflict


class _Fresh(NamedTuple):
    """A body that this transaction brings."""

    rev: str
    deleted: bool
    atts: str | None
    body: Body


class Branches:
    """The tree of one document during a batch: :meth:`edit` or :meth:`graft` each draft, then :meth:`write`."""

    def __init__(self, batch: Batch, doc_id: str) -> None:
        self.batch = batch
        self.conn: apsw.Connection = batch.conn
        self.doc_id = doc_id
        self.row = winner_row(self.conn, doc_id)
        self.tree = self.before = RevTree() if self.row is None else tree_of(self.conn, self.row)
        self.fresh: dict[int, _Fresh] = {}
        self.below = min(self.conn.execute("SELECT min(seq) FROM docs").get or 0, 0)

    def edit(self, draft: Draft) -> Result:
        """Merge a new edit, which must build on a leaf."""
        parent = self._parent(draft)
        if parent is None and len(self.tree):
            return refused(self.doc_id)
        if len(self.tree) == 0 and draft.ids:
            if self.batch.empty or draft.attachments or self.doc_id.startswith(DESIGN):
                return refused(self.doc_id)
            history = draft.path()
        else:
            history = [] if parent is None else [parent]
        number = int(history[0].partition("-")[0]) + 1 if history else 1
        inherited = self._attachments(history)
        atts, hashed = self.batch.attach(self.doc_id, draft, inherited, number)
        rev = new_rev(draft.fields, parent=history[0] if history else None, deleted=draft.deleted, attachments=hashed)
        self._merge([rev, *history], draft, atts)
        return {"ok": True, "id": self.doc_id, "rev": rev}

    def graft(self, draft: Draft) -> None:
        """Merge a replicated revision."""
        path = draft.path()
        known = self.tree.node(path[0])
        if known is not None and known.seq is not None:
            self.tree, _ = self.tree.merge_path(path, deleted=known.deleted, seq=known.seq)
            return
        atts = None
        if draft.attachments:
            inherited = self._attachments(path[1:])
            atts = dump_atts(place(self.conn, self.doc_id, draft.attachments, inherited, draft.start, keep_revpos=True))
        self._merge(path, draft, atts)

    def write(self) -> None:
        """Write the tree if it changed: one new sequence, whatever the number of new leaves."""
        if self.tree == self.before:
            return
        tree = self.tree.stem(self.batch.revs_limit)
        if self.batch.auto_compaction:
            tree = tree.compacted()
        if tree == self.before:
            return
        seq = self.batch.next_seq()
        winner = tree.winner
        node = tree.node(winner)
        assert node is not None
        assert node.seq is not None, f"the leaf {winner} of {self.doc_id!r} has no body"
        text = tree.with_seq(winner, seq).dump()
        named = tree.seqs()
        if self.row is not None:
            if self.row.seq != node.seq:
                self.conn.execute(RETIRE, (self.row.seq,))
            unnamed = stored_seqs(self.conn, self.row) - named
            self.conn.executemany("DELETE FROM docs WHERE seq=?", ((at,) for at in unnamed))
        for at, fresh in self.fresh.items():
            if at == node.seq:
                self._insert(seq, fresh, cur=1, tree=text)
            elif at in named:
                self._insert(at, fresh, cur=0, tree=None)
        if node.seq not in self.fresh:
            self.conn.execute("UPDATE docs SET seq=?, cur=1, tree=? WHERE seq=?", (seq, text, node.seq))
        count_conflict(self.conn, self.before, tree)
        self.batch.count(None if self.row is None else bool(self.row.deleted), node.deleted)

    def _insert(self, seq: int, fresh: _Fresh, *, cur: int, tree: str | None) -> None:
        values = (seq, self.doc_id, cur, fresh.rev, fresh.deleted, None, tree, fresh.atts, fresh.body)
        self.conn.execute(INSERT, values)

    def _parent(self, draft: Draft) -> str | None:
        """The leaf that a new edit builds on; None where CouchDB answers 409."""
        if not len(self.tree):
            return None
        gone = self.tree.is_deleted()
        if not draft.ids:
            return self.tree.winner if gone and not draft.deleted else None
        parent = f"{draft.start}-{draft.ids[0]}"
        return parent if self.tree.is_leaf(parent) and not gone else None

    def _attachments(self, history: Iterable[str]) -> Placed:
        """The attachments of the nearest stored revision of a history, newest first."""
        for rev in history:
            node = self.tree.node(rev)
            if node is not None and node.seq is not None:
                fresh = self.fresh.get(node.seq)
                if fresh is None:
                    return attachments_of(row_at(self.conn, node.seq))
                return parse_atts(fresh.atts) if fresh.atts else []
        return []

    def _merge(self, path: list[str], draft: Draft, atts: str | None) -> None:
        self.below -= 1
        self.tree, _ = self.tree.merge_path(path, deleted=draft.deleted, seq=self.below)
        self.fresh[self.below] = _Fresh(path[0], draft.deleted, atts, draft.body)
