"""The revision tree of one document: which edits are known, which of them are leaves, which one wins.

A tree is a set of nodes named by their rev (``N-id``); each node knows its parents. That makes it a join
semilattice: merging two trees is the union of their nodes and edges, so it is commutative, associative and
idempotent, and replicas that have seen the same edits hold the same tree in whatever order they came.

* A history may reach further back or less far than what is stored: a path joins the tree wherever the two
  name the same rev. A tree may have several roots, because old revs are dropped (see :meth:`RevTree.stem`).
* A rev has one parent in every honest history, since its id is a digest over its parent. A forged history may
  claim another; then the node keeps both, so that merging stays a union, and the greater one counts as *the* parent.
* A leaf is a node that is nobody's parent. The winner is the best leaf: live before deleted, then the greater
  number, then the greater id. It follows from the set of leaves alone, so all replicas choose the same.
* A node's payload is ``deleted`` and ``seq``, the row that stores its body. An ancestor whose body never came,
  or was compacted away, has no ``seq``. The first body wins: a known rev is never overwritten.

Trees are immutable values: every change returns another tree, or the same object when nothing changed.
The number of a parent is its child's less one, which the callers ensure: they build paths from
``_revisions``' ``start`` and ``ids``. Each operation visits a node at most a few times.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from heapq import heapify, heappop, heapreplace
from itertools import pairwise
from typing import Any, Final, NamedTuple, final

import orjson

from couchette.document.revision import rev_key
from couchette.errors import StoreError


class Node(NamedTuple):
    """What the tree knows of one rev."""

    parents: tuple[str, ...] = ()
    """Greatest first; more than one only after a forged history, none at a root."""
    deleted: bool = False
    seq: int | None = None
    """The row that stores the body; None when the rev is known only as an ancestor."""


class Leaf(NamedTuple):
    """A revision that no other one follows."""

    rev: str
    deleted: bool
    seq: int | None


class Outcome(enum.Enum):
    """What :meth:`RevTree.merge_path` did with the newest revision of a path."""

    NEW_LEAF = "new leaf"
    """It is new and follows a leaf, or is the document's first: no conflict arose."""
    NEW_BRANCH = "new branch"
    """It is new and stands beside the leaves there were."""
    INTERNAL = "internal"
    """It was known without a body, and now has one."""
    ANCESTORS = "ancestors"
    """It was known; only its history got longer, which may join roots. Stemming may take that back."""
    KNOWN = "known"
    """Nothing changed."""


_UNKNOWN: Final = Node()


@final
class RevTree:
    """An immutable tree of revisions; ``RevTree()`` is the empty one."""

    def __init__(self, nodes: Mapping[str, Node] | None = None) -> None:
        self._nodes: dict[str, Node] = dict(nodes or {})

    @classmethod
    def from_path(cls, path: Sequence[str], *, deleted: bool, seq: int | None) -> RevTree:
        """The tree of a single history, newest revision first; `deleted` and `seq` belong to the newest."""
        return cls().merge_path(path, deleted=deleted, seq=seq)[0]

    # -- Growing ----------------------------------------------------------------------------------

    def merge_path(self, path: Sequence[str], *, deleted: bool, seq: int | None) -> tuple[RevTree, Outcome]:
        """Add a history, newest revision first; `deleted` and `seq` belong to the newest.

        The newest revision's payload is kept only if it had no body before. Whether the document changed
        is known after stemming: compare with ``==``, which is quick for trees made from one another.
        """
        assert _pos(path[0]) - _pos(path[-1]) == len(path) - 1, f"not consecutive revisions: {path!r}"
        tip = path[0]
        changed = self._lengthened(path)
        before = self._nodes.get(tip)
        if before is None or (before.seq is None and seq is not None):
            node = changed.get(tip, before or _UNKNOWN)
            changed[tip] = Node(node.parents, node.deleted or deleted, seq)
        if not changed:
            return self, Outcome.KNOWN
        if before is None:
            base = next((rev for rev in path if rev in self._nodes), None)
            extends = base in self._leaf_revs if base is not None else not self._nodes
            outcome = Outcome.NEW_LEAF if extends else Outcome.NEW_BRANCH
        else:
            outcome = Outcome.INTERNAL if changed.get(tip, before).seq != before.seq else Outcome.ANCESTORS
        return RevTree(self._nodes | changed), outcome

    def _lengthened(self, path: Sequence[str]) -> dict[str, Node]:
        """The nodes of `path` that are new or get a new parent, as they will be, without payload of their own."""
        changed = {}
        for rev, parent in pairwise(path):
            node = self._nodes.get(rev)
            if node is None:
                changed[rev] = Node((parent,))
            elif parent not in node.parents:
                changed[rev] = node._replace(parents=_greatest_first({*node.parents, parent}))
        if path[-1] not in self._nodes:
            changed[path[-1]] = _UNKNOWN
        return changed

    def merge(self, other: RevTree) -> RevTree:
        """The union of two trees. Where both know a rev: deleted if either says so, and the greater seq."""
        union = dict(self._nodes)
        for rev, theirs in other._nodes.items():
            ours = union.setdefault(rev, theirs)
            if ours != theirs:
                union[rev] = Node(
                    _greatest_first({*ours.parents, *theirs.parents}),
                    ours.deleted or theirs.deleted,
                    max((seq for seq in (ours.seq, theirs.seq) if seq is not None), default=None),
                )
        return RevTree(union)

    def with_seq(self, rev: str, seq: int | None) -> RevTree:
        """The tree with the body of `rev` in row `seq`, or without a body."""
        return RevTree(self._nodes | {rev: self._nodes[rev]._replace(seq=seq)})

    def stem(self, limit: int) -> RevTree:
        """Keep the last `limit` revisions of each leaf; what any leaf needs stays.

        Leaves, and so the winner, never change. One tree may become several with a root each.
        """
        assert limit >= 1, limit
        if len(self._nodes) <= limit:
            return self
        pos = {rev: _pos(rev) for rev in self._nodes}
        if max(pos.values()) - min(pos.values()) < limit:
            return self
        # How many revs may still be kept from this one downwards; children come before parents.
        room = dict.fromkeys(self._leaf_revs, limit)
        for rev in sorted(pos, key=pos.__getitem__, reverse=True):
            below = room[rev] - 1
            for parent in self._nodes[rev].parents:
                room[parent] = max(below, room.get(parent, 0))
        if min(room.values()) > 0:
            return self
        kept = {}
        for rev, node in self._nodes.items():
            if room[rev] > 0:
                parents = tuple(parent for parent in node.parents if room[parent] > 0)
                kept[rev] = node if parents == node.parents else node._replace(parents=parents)
        return RevTree(kept)

    # -- Shrinking --------------------------------------------------------------------------------

    def compacted(self) -> RevTree:
        """The tree with bodies at its leaves only; the same object if there are no others."""
        inner = [rev for rev, node in self._nodes.items() if node.seq is not None and rev not in self._leaf_revs]
        if not inner:
            return self
        return RevTree(self._nodes | {rev: self._nodes[rev]._replace(seq=None) for rev in inner})

    def without_leaves(self, revs: Iterable[str]) -> RevTree:
        """Forget these leaves, each with the ancestors that only it had; the other leaves keep all of theirs."""
        kept: set[str] = set()
        front = list(self._leaf_revs.difference(revs))
        while front:
            rev = front.pop()
            if rev not in kept:
                kept.add(rev)
                front += self._nodes[rev].parents
        return RevTree({rev: node for rev, node in self._nodes.items() if rev in kept})

    def seqs(self) -> set[int]:
        """The rows of all stored bodies."""
        return {node.seq for node in self._nodes.values() if node.seq is not None}

    # -- Leaves -----------------------------------------------------------------------------------

    @cached_property
    def _leaf_revs(self) -> frozenset[str]:
        inner = {parent for node in self._nodes.values() for parent in node.parents}
        return frozenset(self._nodes.keys() - inner)

    @cached_property
    def _ranked(self) -> tuple[Leaf, ...]:
        """The leaves in ascending order of (number, id)."""
        return tuple(Leaf(rev, *self._nodes[rev][1:]) for rev in sorted(self._leaf_revs, key=rev_key))

    @cached_property
    def _best_first(self) -> tuple[Leaf, ...]:
        descending = self._ranked[::-1]
        live = [leaf for leaf in descending if not leaf.deleted]
        return (*live, *(leaf for leaf in descending if leaf.deleted))

    @property
    def winner(self) -> str:
        """The rev that all replicas show as the document."""
        return self._best_first[0].rev

    def is_leaf(self, rev: str) -> bool:
        """Whether `rev` is known and no other follows it."""
        return rev in self._leaf_revs

    def is_deleted(self) -> bool:
        """Whether all leaves are deleted, so that the document is."""
        return all(self._nodes[rev].deleted for rev in self._leaf_revs)

    def leaves(self) -> list[Leaf]:
        """The leaves, best first: live before deleted, then the greater number, then the greater id."""
        return list(self._best_first)

    def leaves_ascending(self) -> list[Leaf]:
        """The leaves by ascending number and id, live or not: the order of ``open_revs=all``."""
        return list(self._ranked)

    def conflicts(self) -> list[str]:
        """The live leaves beside the winner, best first: ``_conflicts``."""
        return [leaf.rev for leaf in self._best_first[1:] if not leaf.deleted]

    def deleted_conflicts(self) -> list[str]:
        """The deleted leaves beside the winner, best first: ``_deleted_conflicts``."""
        return [leaf.rev for leaf in self._best_first[1:] if leaf.deleted]

    def latest_leaves(self, rev: str) -> list[str]:
        """The leaves that descend from `rev`, best first; `rev` itself if it is one, none if it is unknown."""
        reached = {rev} & self._nodes.keys()
        front = list(reached)
        while front:
            fresh = set(self.children(front.pop())) - reached
            reached |= fresh
            front += fresh
        return [leaf.rev for leaf in self._best_first if leaf.rev in reached]

    # -- Nodes and paths --------------------------------------------------------------------------

    def __contains__(self, rev: object) -> bool:
        return rev in self._nodes

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def node(self, rev: str) -> Node | None:
        """What is known of `rev`, or None."""
        return self._nodes.get(rev)

    def path(self, rev: str) -> list[str]:
        """`rev` and its ancestors, newest first, as far back as they are kept. `rev` must be known."""
        path = [rev]
        while parents := self._nodes[path[-1]].parents:
            path.append(parents[0])
        return path

    def children(self, rev: str) -> list[str]:
        """The revs that name `rev` as a parent, ascending."""
        return sorted(self._children.get(rev, ()), key=rev_key)

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        children: dict[str, list[str]] = {}
        for rev, node in self._nodes.items():
            for parent in node.parents:
                children.setdefault(parent, []).append(rev)
        return children

    def common_ancestor(self, revs: Iterable[str]) -> str | None:
        """The newest rev on the path of every one of `revs` (which must be known), or None."""
        front = [(-_pos(rev), rev) for rev in set(revs)]
        heapify(front)
        while len(front) > 1:
            # The newest of several is on no other's path: it gives way to its parent, unless that is there too.
            parents = self._nodes[front[0][1]].parents
            if not parents:
                return None
            heapreplace(front, (-_pos(parents[0]), parents[0]))
            while len(front) > 1 and front[0] in front[1:3]:
                heappop(front)
        return front[0][1] if front else None

    # -- What a replicator asks -------------------------------------------------------------------

    def missing(self, revs: Iterable[str]) -> list[str]:
        """Those of `revs` that are not in the tree, ascending; repeated ones stay repeated."""
        return sorted((rev for rev in revs if rev not in self._nodes), key=rev_key)

    def possible_ancestors(self, missing: Iterable[str]) -> list[str]:
        """The leaves, deleted ones too, with a lower number than the highest of `missing`; descending."""
        top = max(map(_pos, missing), default=0)
        return [leaf.rev for leaf in reversed(self._ranked) if _pos(leaf.rev) < top]

    # -- Values and text --------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RevTree):
            return NotImplemented
        return self is other or self._nodes == other._nodes

    def __repr__(self) -> str:
        return f"RevTree.load({self.dump()!r})"

    def dump(self) -> str:
        """The tree as compact JSON; equal trees give equal texts.

        Four columns over the revs, newest number first: ``revs``, ``parents`` (the parent's position in
        ``revs``, a list of several, or null at a root), ``seqs``, and ``deleted`` (the positions of deleted revs).
        """
        revs = sorted(self._nodes, key=lambda rev: (-_pos(rev), rev))
        nodes = [self._nodes[rev] for rev in revs]
        at = {rev: index for index, rev in enumerate(revs)}
        columns = {
            "revs": revs,
            "parents": [_one_or_many([at[parent] for parent in node.parents]) for node in nodes],
            "seqs": [node.seq for node in nodes],
            "deleted": [index for index, node in enumerate(nodes) if node.deleted],
        }
        return orjson.dumps(columns).decode()

    @classmethod
    def load(cls, text: str | bytes) -> RevTree:
        """The tree that :meth:`dump` wrote. Raises StoreError for any other text."""
        try:
            columns = orjson.loads(text)
            revs, deleted = columns["revs"], frozenset(columns["deleted"])
            nodes = {}
            for index, (rev, parent, seq) in enumerate(zip(revs, columns["parents"], columns["seqs"], strict=True)):
                parents = _listed(parent)
                if parents and min(parents) <= index:
                    raise ValueError(f"revision {rev} comes after its parent")
                nodes[rev] = Node(tuple([revs[at] for at in parents]), index in deleted, seq)
        except (ValueError, LookupError, TypeError) as exc:
            raise StoreError("A document's revision tree cannot be read.", f"{exc}; the file is damaged.") from exc
        return cls(nodes)


def _pos(rev: str) -> int:
    """The number of a normal rev text."""
    return int(rev[: rev.index("-")])


def _greatest_first(revs: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(revs, key=rev_key, reverse=True))


def _one_or_many(indexes: list[int]) -> int | list[int] | None:
    return indexes if len(indexes) > 1 else indexes[0] if indexes else None


def _listed(parent: Any) -> list[int]:
    return [] if parent is None else [parent] if isinstance(parent, int) else parent
