"""The store against a plain model of revision trees: random work, and after each step the same answers."""

from __future__ import annotations

import copy
import hashlib
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from couchette.database import Database
from couchette.errors import MissingStub, NotFound
from tests.store.model import Att, DanglingStub, Model, Rev, Tree, leaves, number, order, path

pytestmark = pytest.mark.slow

IDS = ["a", "_design/é", "ü/\0 b", "\U0001f600"]
TYPES = {"note.txt": "text/plain", "ß.bin": "image/png"}
picks = st.integers(0, 50)
ids = st.sampled_from(IDS)
att_choices = st.dictionaries(st.sampled_from(list(TYPES)), st.none() | st.sampled_from([b"", b"one", b"two"]))
"""Attachments of an edit by name: content, or None for a stub."""


class Edit(NamedTuple):
    """A new edit: ``base`` says what it builds on, ``pick`` which of several."""

    id: str
    base: str
    pick: int
    deleted: bool
    atts: dict[str, bytes | None]


class Push(NamedTuple):
    """A replicated revision: ``steps`` edits that another replica made on a known rev (0: one that is known)."""

    id: str
    pick: int
    steps: int
    deleted: bool
    depth: int
    data: bytes | None
    stubs: bool


edits = st.builds(
    Edit,
    ids,
    st.sampled_from(["winner", "winner", "none", "leaf", "any", "unknown"]),
    picks,
    st.booleans(),
    st.just({}) | att_choices,
)
pushes = st.builds(
    Push,
    ids,
    picks,
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from([20, 20, 2, 1, 3, 4]),
    st.none() | st.sampled_from([b"", b"one", b"far"]),
    st.booleans(),
)


class StoreMachine(RuleBasedStateMachine):
    """Edits, replicated revisions, purges, compaction, settings and reopening, against :class:`Model`.

    ``made`` are all revisions that any replica ever made, with their parents: every history that arrives is
    honest, though it may be cut.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "model.couchette")
        self.model = Model()
        self.made: dict[str, Tree] = {id: {} for id in IDS}
        self.count = 0
        self.db = Database(self.path)

    def teardown(self) -> None:
        assert self.db.verify() == []
        self.db.close()
        self.folder.cleanup()

    # -- What happens -----------------------------------------------------------------------------

    @initialize(revs_limit=st.sampled_from([1000, 1000, 3, 2]))
    def begin(self, revs_limit: int) -> None:
        self.reopen(revs_limit, None)

    @rule(revs_limit=st.none() | st.sampled_from([1, 2, 4, 1000]), auto_compaction=st.none() | st.booleans())
    def reopen(self, revs_limit: int | None, auto_compaction: bool | None) -> None:
        self.db.close()
        self.db = Database(self.path, revs_limit=revs_limit, auto_compaction=auto_compaction)
        self.model.revs_limit = revs_limit or self.model.revs_limit
        if auto_compaction is not None:
            self.model.auto_compaction = auto_compaction
        assert self.db.verify() == []

    @rule(revs_limit=st.sampled_from([1, 2, 3, 1000]))
    def stem_from_now_on(self, revs_limit: int) -> None:
        self.db.set_revs_limit(revs_limit)
        self.model.revs_limit = revs_limit

    @rule()
    def compact(self) -> None:
        bodies = sum(node.body is not None for tree in self.model.docs.values() for node in tree.values())
        self.model.compact()
        freed = self.db.compact()["bodies"]
        kept = sum(node.body is not None for tree in self.model.docs.values() for node in tree.values())
        # What was stemmed from a linear history may have lain there still, beyond what the model knows of.
        assert freed >= bodies - kept
        assert self.db.verify() == []

    @rule(asked=st.dictionaries(ids, st.lists(st.tuples(st.booleans(), picks), max_size=3), min_size=1))
    def purge(self, asked: dict[str, list[tuple[bool, int]]]) -> None:
        """Purge leaves, and now and then what is none."""
        revs = {}
        for id, chosen in asked.items():
            tree = self.model.docs.get(id, {})
            known = {True: leaves(tree) or ["1-none"], False: sorted(tree) or ["9-none"]}
            revs[id] = list(dict.fromkeys(known[leaf][pick % len(known[leaf])] for leaf, pick in chosen))
        before = self.model.update_seq
        assert self.db.purge(revs) == {"purge_seq": None, "purged": self.model.purge(revs)}
        changed = [id for id in self.in_order() if self.model.seqs[id] > before]
        assert [row["id"] for row in self.db.changes(since=before)["results"]] == changed
        assert [(row["id"], row["revs"]) for row in self.db.purged_infos()] == self.model.purges
        assert self.db.verify() == []

    @rule(batch=st.lists(edits, min_size=1, max_size=4))
    def edit(self, batch: list[Edit]) -> None:
        model = copy.copy(self.model)
        trees: dict[str, Tree] = {edit.id: model.docs.get(edit.id, {}) for edit in batch}
        docs, rows, dangling = [], [], False
        for edit in batch:
            base = self.choose_base(edit)
            body = {"n": self.count}
            atts = {name: data if data is None else Att(data, TYPES[name], 0) for name, data in edit.atts.items()}
            docs.append(document(edit.id, body, edit.deleted, atts))
            if base is not None:
                docs[-1]["_rev"] = base
            try:
                trees[edit.id], rev = model.edit(edit.id, trees[edit.id], base, edit.deleted, body, atts)
            except DanglingStub:
                dangling = True
                continue
            rows.append((edit.id, rev))
        if dangling:
            with pytest.raises(MissingStub):
                self.db.bulk_docs(docs)
            return
        for (id, rev), row in zip(rows, self.db.bulk_docs(docs), strict=True):
            if rev is None:
                assert row == {"id": id, "error": "conflict", "reason": "Document update conflict."}
            else:
                assert row == {"ok": True, "id": id, "rev": rev}
        self.commit(trees)
        for id, tree in trees.items():
            for rev, node in tree.items():
                self.made[id].setdefault(rev, node if node.body is not None else Rev(None, False, {"invented": 1}))

    def choose_base(self, edit: Edit) -> str | None:
        """The rev that an edit names; the count makes every one its own."""
        self.count += 1
        tree = self.model.docs.get(edit.id, {})
        if edit.base == "unknown":
            return f"{1 + edit.pick % 3}-{self.new_id(edit.pick)}"
        if edit.base == "none" or not tree:
            return None
        known = {"winner": leaves(tree)[:1], "leaf": leaves(tree), "any": sorted(tree)}[edit.base]
        return known[edit.pick % len(known)]

    @rule(batch=st.lists(pushes, min_size=1, max_size=5))
    def push(self, batch: list[Push]) -> None:
        trees = {push.id: self.model.docs.get(push.id, {}) for push in batch}
        docs, dangling = [], False
        for push in batch:
            rev = self.choose_rev(push)
            node = self.made[push.id][rev]
            assert node.body is not None
            revs = path(self.made[push.id], rev)[: push.depth]
            mine = number(rev)
            atts = {name: None if push.stubs and att.revpos < mine else att for name, att in node.atts.items()}
            docs.append(document(push.id, node.body, node.deleted, atts))
            docs[-1]["_revisions"] = {"start": mine, "ids": [one.split("-", 1)[1] for one in revs]}
            try:
                trees[push.id] = self.model.graft(trees[push.id], revs, node.deleted, node.body, atts)
            except DanglingStub:
                dangling = True
        if dangling:
            with pytest.raises(MissingStub):
                self.db.bulk_docs(docs, new_edits=False)
            return
        assert self.db.bulk_docs(docs, new_edits=False) == []
        self.commit(trees)

    def choose_rev(self, push: Push) -> str:
        """A rev that some replica made, now or before."""
        made = self.made[push.id]
        known = [None, *sorted(made, key=order)]
        rev = known[push.pick % len(known)]
        steps = push.steps if rev is not None else max(push.steps, 1)
        for step in range(steps):
            self.count += 1
            pos = 1 if rev is None else number(rev) + 1
            atts = {} if rev is None else dict(made[rev].atts)
            if push.data is not None:
                atts["ß.bin" if step else "note.txt"] = Att(push.data, TYPES["ß.bin" if step else "note.txt"], pos)
            new = f"{pos}-{self.new_id(push.pick)}"
            made[new] = Rev(rev, push.deleted and step == steps - 1, {"n": self.count}, atts)
            rev = new
        assert rev is not None
        return rev

    def new_id(self, pick: int) -> str:
        """The id part of a rev that some other replica made; some are not 32 hex digits."""
        return f"x{self.count}" if pick % 10 == 7 else hashlib.md5(b"%d" % self.count).hexdigest()

    def commit(self, trees: dict[str, Tree]) -> None:
        before = self.model.update_seq
        self.model.commit(trees)
        changed = [id for id in self.in_order() if self.model.seqs[id] > before]
        assert [row["id"] for row in self.db.changes(since=before)["results"]] == changed
        assert self.db.wait_changes(before, 0) == bool(changed)

    def in_order(self) -> list[str]:
        return sorted(self.model.seqs, key=self.model.seqs.__getitem__)

    # -- What must be seen ------------------------------------------------------------------------

    @invariant()
    def documents_agree(self) -> None:
        for id in IDS:
            tree = self.model.docs.get(id)
            if tree is None:
                with pytest.raises(NotFound, match="missing"):
                    self.db.get(id)
                continue
            best, *losing = leaves(tree)
            if tree[best].deleted:
                with pytest.raises(NotFound, match="deleted"):
                    self.db.get(id)
            else:
                expected = shown(id, best, tree[best])
                conflicts = {
                    "_conflicts": [rev for rev in losing if not tree[rev].deleted],
                    "_deleted_conflicts": [rev for rev in losing if tree[rev].deleted],
                }
                expected |= {name: revs for name, revs in conflicts.items() if revs}
                assert self.db.get(id, attachments=True, conflicts=True, deleted_conflicts=True) == expected
            self.revisions_agree(id, tree)

    def revisions_agree(self, id: str, tree: Tree) -> None:
        rows = self.db.get(id, open_revs="all", revs=True, attachments=True)
        assert rows == [
            {"ok": shown(id, rev, tree[rev]) | {"_revisions": revisions(tree, rev)}}
            for rev in sorted(leaves(tree), key=order)
        ]
        for rev, node in tree.items():
            if node.body is None:
                with pytest.raises(NotFound, match="missing"):
                    self.db.get(id, rev=rev)
            else:
                assert self.db.get(id, rev=rev, attachments=True) == shown(id, rev, node)

    @invariant()
    def listings_agree(self) -> None:
        docs = {id: (leaves(tree), tree) for id, tree in self.model.docs.items()}
        live = sorted((id for id, (revs, tree) in docs.items() if not tree[revs[0]].deleted), key=str.encode)
        listing = self.db.all_docs(include_docs=True, attachments=True)
        assert listing["total_rows"] == len(live) == self.db.info()["doc_count"]
        assert [row["id"] for row in listing["rows"]] == live == list(self.db)
        for row in listing["rows"]:
            revs, tree = docs[row["id"]]
            assert row["value"] == {"rev": revs[0]}
            assert row["doc"] == shown(row["id"], revs[0], tree[revs[0]])
        assert self.db.info()["doc_del_count"] == len(docs) - len(live)

    @invariant()
    def changes_agree(self) -> None:
        answer = self.db.changes(style="all_docs")
        assert answer["last_seq"].startswith(f"{self.model.update_seq}-")
        assert [row["id"] for row in answer["results"]] == self.in_order()
        for row in answer["results"]:
            tree = self.model.docs[row["id"]]
            assert row["seq"].startswith(f"{self.model.seqs[row['id']]}-")
            assert [change["rev"] for change in row["changes"]] == leaves(tree)
            assert row.get("deleted", False) is tree[leaves(tree)[0]].deleted

    @invariant()
    def differences_agree(self) -> None:
        asked = {id: sorted(made) for id, made in self.made.items()}
        expected = {}
        for id, revs in asked.items():
            tree = self.model.docs.get(id, {})
            missing = sorted((rev for rev in revs if rev not in tree), key=order)
            if missing:
                expected[id] = {"missing": missing}
                top = number(missing[-1])
                ancestors = [rev for rev in sorted(leaves(tree), key=order)[::-1] if number(rev) < top]
                if ancestors:
                    expected[id]["possible_ancestors"] = ancestors
        assert self.db.revs_diff(asked) == expected


def document(id: str, body: dict[str, Any], deleted: bool, atts: dict[str, Att | None]) -> dict[str, Any]:
    """A document as it is sent; an attachment that is None goes as a stub."""
    doc: dict[str, Any] = {"_id": id, **body}
    if deleted:
        doc["_deleted"] = True
    if atts:
        doc["_attachments"] = {
            name: {"stub": True}
            if att is None
            else {"content_type": att.content_type, "data": att.data, "revpos": att.revpos}
            for name, att in atts.items()
        }
    return doc


def shown(id: str, rev: str, node: Rev) -> dict[str, Any]:
    """The revision as a read with attachments shows it."""
    assert node.body is not None
    doc = {"_id": id, "_rev": rev, **node.body}
    if node.deleted:
        doc["_deleted"] = True
    if node.atts:
        doc["_attachments"] = {name: att.inline() for name, att in node.atts.items()}
    return doc


def revisions(tree: Tree, rev: str) -> dict[str, Any]:
    return {"start": number(rev), "ids": [one.split("-", 1)[1] for one in path(tree, rev)]}


TestStoreAgainstModel = StoreMachine.TestCase
TestStoreAgainstModel.settings = settings(max_examples=settings().max_examples * 2 // 3, stateful_step_count=20)
