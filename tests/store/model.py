"""What a database must hold, kept as plainly as can be: revision trees as dicts, nothing shared with the store.

A document is a dict from rev to :class:`Rev`. A leaf is a rev that no other names as its parent; the winner
is the best leaf. Everything is worked out anew whenever it is asked for.
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import Any

from couchette.document.revision import new_rev


class DanglingStub(Exception):
    """A stub names an attachment that the parent does not have: CouchDB refuses the whole batch."""


@dataclass(frozen=True)
class Att:
    """An attachment of a revision."""

    data: bytes
    content_type: str
    revpos: int

    @property
    def stored(self) -> bytes:
        if not self.content_type.startswith("text/"):
            return self.data
        packer = zlib.compressobj(8, zlib.DEFLATED, 31)
        return packer.compress(self.data) + packer.flush()

    @property
    def md5(self) -> bytes:
        return hashlib.md5(self.stored).digest()

    def inline(self) -> dict[str, Any]:
        return {
            "content_type": self.content_type,
            "revpos": self.revpos,
            "digest": "md5-" + b64encode(self.md5).decode(),
            "data": b64encode(self.data).decode(),
        }


Atts = dict[str, Att]


@dataclass(frozen=True)
class Rev:
    """A revision: ``body`` is None where it is known only as an ancestor."""

    parent: str | None = None
    deleted: bool = False
    body: dict[str, Any] | None = None
    atts: Atts = field(default_factory=dict)


Tree = dict[str, Rev]


def number(rev: str) -> int:
    return int(rev.split("-", 1)[0])


def order(rev: str) -> tuple[int, bytes]:
    """Revs compare by number, then by the bytes of the id, which are what 32 hex digits stand for."""
    id = rev.split("-", 1)[1]
    return number(rev), bytes.fromhex(id) if len(id) == 32 else id.encode()


def leaves(tree: Tree) -> list[str]:
    """The leaves, best first."""
    parents = {node.parent for node in tree.values()}
    return sorted((rev for rev in tree if rev not in parents), key=lambda rev: (not tree[rev].deleted, order(rev)))[
        ::-1
    ]


def path(tree: Tree, rev: str) -> list[str]:
    """The rev and its known ancestors, newest first."""
    found = [rev]
    while (parent := tree[found[-1]].parent) is not None:
        found.append(parent)
    return found


def stem(tree: Tree, limit: int) -> Tree:
    """The tree with only the last ``limit`` revs of each leaf's path."""
    kept = {rev for leaf in leaves(tree) for rev in path(tree, leaf)[:limit]}
    return {
        rev: node if node.parent in kept else replace(node, parent=None) for rev, node in tree.items() if rev in kept
    }


def compacted(tree: Tree) -> Tree:
    """The tree with the bodies of its leaves only."""
    kept = leaves(tree)
    return {rev: node if rev in kept else replace(node, body=None, atts={}) for rev, node in tree.items()}


def without(tree: Tree, gone: list[str]) -> Tree:
    """The tree without these leaves and the ancestors that only they have."""
    kept = {rev for leaf in leaves(tree) if leaf not in gone for rev in path(tree, leaf)}
    return {rev: node for rev, node in tree.items() if rev in kept}


class Model:
    """All documents, and the sequence of each one's last change."""

    def __init__(self) -> None:
        self.docs: dict[str, Tree] = {}
        self.seqs: dict[str, int] = {}
        self.update_seq = 0
        self.revs_limit = 1000
        self.auto_compaction = False
        self.purges: list[tuple[str, list[str]]] = []

    def commit(self, trees: dict[str, Tree]) -> None:
        """Take over what a batch made of its documents: a new sequence for each that changed, by id."""
        for id in sorted(trees, key=str.encode):
            before = self.docs.get(id, {})
            if trees[id] != before and (tree := self.trimmed(trees[id])) != before:
                self.update_seq += 1
                self.docs[id], self.seqs[id] = tree, self.update_seq

    def trimmed(self, tree: Tree) -> Tree:
        """What a write keeps of the tree that it made."""
        stemmed = stem(tree, self.revs_limit)
        return compacted(stemmed) if self.auto_compaction else stemmed

    def compact(self) -> None:
        """Drop what leaves do not need; no sequence moves."""
        self.docs = {id: compacted(tree) for id, tree in self.docs.items()}

    def purge(self, asked: dict[str, list[str]]) -> dict[str, list[str]]:
        """Forget leaves, and documents that have no other; what is left of a document is a change."""
        purged = {}
        for id in sorted(asked, key=str.encode):
            tree = self.docs.get(id, {})
            purged[id] = [rev for rev in asked[id] if rev in leaves(tree)]
            if not purged[id]:
                continue
            self.purges.append((id, purged[id]))
            self.docs[id] = without(tree, purged[id])
            if self.docs[id]:
                self.update_seq += 1
                self.seqs[id] = self.update_seq
            else:
                del self.docs[id], self.seqs[id]
        return purged

    def graft(self, tree: Tree, revs: list[str], deleted: bool, body: dict[str, Any], atts: dict[str, Any]) -> Tree:
        """Merge a replicated revision with its history, newest first."""
        grown = dict(tree)
        stored = next((grown[rev] for rev in revs[1:] if rev in grown and grown[rev].body is not None), Rev())
        for rev, parent in zip(revs, [*revs[1:], None], strict=True):
            node = grown.get(rev, Rev())
            grown[rev] = node if parent is None else replace(node, parent=parent)
        tip = grown[revs[0]]
        if tip.body is None:
            grown[revs[0]] = Rev(tip.parent, deleted, body, resolve(atts, stored.atts))
        return grown

    def edit(
        self,
        id: str,
        tree: Tree,
        base: str | None,
        deleted: bool,
        body: dict[str, Any],
        atts: dict[str, Any],
    ) -> tuple[Tree, str | None]:
        """A new edit: the tree after it, and the new rev, or None for a conflict."""
        parent = base
        if tree:
            best = leaves(tree)[0]
            if base is None:
                if deleted or not tree[best].deleted:
                    return tree, None
                parent = best
            elif tree[best].deleted or base not in leaves(tree):
                return tree, None
        elif base is not None and (self.update_seq == 0 or atts or id.startswith("_design/")):
            return tree, None
        grown = dict(tree)
        if parent is not None and parent not in grown:
            grown[parent] = Rev()
        pos = 1 if parent is None else number(parent) + 1
        known = {} if parent is None else grown[parent].atts
        new = {name: replace(given, revpos=pos) if isinstance(given, Att) else given for name, given in atts.items()}
        held = resolve(new, known)
        hashed = [(name, att.content_type, att.md5) for name, att in reversed(held.items())]
        rev = new_rev(body, parent=parent, deleted=deleted, attachments=hashed)
        grown[rev] = Rev(parent, deleted, body, held)
        return grown, rev


def resolve(atts: dict[str, Any], known: Atts) -> Atts:
    """Put the parent's attachments for stubs (None)."""
    held = {}
    for name, given in atts.items():
        if given is None and name not in known:
            raise DanglingStub(name)
        held[name] = known[name] if given is None else given
    return held
