"""Merge functions for ``db.resolve(id, merge=...)``: from the leaves of a conflict to one document.

A merge function gets the live leaves, the winner first, and their newest common ancestor, or None where that
is not stored any more. It returns the document that shall stand, or None to keep the winner. Members of
CouchDB need no care: ``_id`` and ``_rev`` are set by ``resolve``, and attachments may be listed as the stubs that
any of the leaves has.

Two replicas that resolve the same conflict apart make the same revision if the function depends on its arguments
alone. Those made here do, and the order of the leaves does not matter to them. But an ancestor is not replicated
with its descendants: one replica may still store it and another never have had it. :func:`three_way` merges
otherwise without it, so where that can happen, let one replica resolve and the others receive.

A replication takes a merge function as its ``resolver``, one for each type of document (:func:`by_type`), or a choice
(:class:`Choosing`), and applies it to what a pull brought. There a merge that needs the ancestor leaves a conflict
alone whose ancestor is known and not stored here: it is for the replicas that have it. Otherwise those with and those
without would answer each other's merges for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from couchette import jsonio
from couchette.document.collation import sort_key
from couchette.document.revision import rev_key

Doc = dict[str, Any]
MergeFunction = Callable[[list[Doc], Doc | None], Doc | None]
"""``merge(leaves, ancestor)`` returns the merged document, or None to keep the winner."""

Clash = Callable[[str, Any, list[Any]], Any]
"""``clash(field, base, values)`` returns the value to keep; see :func:`three_way`."""

_Merge = Callable[[list[Doc], Doc | None], Doc]  # A MergeFunction that always has an answer.


@dataclass(frozen=True)
class Choosing:
    """A resolver that looks at the winner: ``choose(doc)`` returns a merge function, or None to leave the conflict."""

    choose: Callable[[Doc], MergeFunction | None]


Resolver = MergeFunction | Mapping[str, MergeFunction] | Choosing
"""What a replication resolves conflicts with; a mapping is that of :func:`by_type`."""


@dataclass(frozen=True)
class _WithAncestor:
    """A merge function that should not be called without the leaves' common ancestor where they have one."""

    merge: _Merge

    def __call__(self, leaves: list[Doc], ancestor: Doc | None) -> Doc:
        return self.merge(leaves, ancestor)


_ABSENT: Final = object()
_OF_COUCHDB: Final = frozenset({"_id", "_rev", "_attachments"})


def keep_winner(leaves: list[Doc], ancestor: Doc | None) -> None:
    """Keep what CouchDB shows anyway, and delete the other leaves."""


def by_type(merges: Mapping[str, MergeFunction], field: str = "type") -> Choosing:
    """Choose a merge function by a field of the winner; conflicts of other documents are left as they are."""
    return Choosing(lambda winner: merges.get(str(winner.get(field))))


def choose(resolver: Resolver, winner: Doc) -> MergeFunction | None:
    """The merge function for the conflict of a document; None to leave it."""
    if isinstance(resolver, Mapping):
        resolver = by_type(resolver)
    return resolver.choose(winner) if isinstance(resolver, Choosing) else resolver


def needs_ancestor(merge: MergeFunction) -> bool:
    """Whether replicas with and without the common ancestor would merge differently."""
    return isinstance(merge, _WithAncestor)


def newest_by(field: str) -> _Merge:
    """Keep the leaf whose ``field`` is greatest in CouchDB's collation: a time of change, a version, a rank.

    A leaf without the field comes after those with it; among equals the better leaf wins. Times compare
    well as numbers, or as text of one format in one time zone.
    """

    def merge(leaves: list[Doc], ancestor: Doc | None) -> Doc:
        return max(leaves, key=lambda leaf: (field in leaf, sort_key(leaf.get(field)), rev_key(leaf["_rev"])))

    return merge


def three_way(clash: Clash | None = None) -> _Merge:
    """Join what the leaves changed since their common ancestor, field by field; each attachment is a field, too.

    A field that one leaf changed, added or took away is as that leaf has it; where several did so differently,
    the better leaf decides, and so the winner if it is among them. Fields are the members of the
    document: an object or an array in one of them is not taken apart. Without an ancestor every field of a
    leaf counts as added, so that nothing is lost but what was taken away.

    ``clash(field, base, values)`` may decide instead where several leaves set a field differently: ``base`` is the
    ancestor's value or None, ``values`` are the different new ones, the best leaf's first.
    """

    def merge(leaves: list[Doc], ancestor: Doc | None) -> Doc:
        ranked = sorted(leaves, key=lambda leaf: rev_key(leaf["_rev"]), reverse=True)
        base = ancestor or {}
        merged = _joined(_own(base), [_own(leaf) for leaf in ranked], _text, clash)
        attached = [doc.get("_attachments", {}) for doc in (base, *ranked)]
        if attachments := _joined(attached[0], attached[1:], _content, None):
            merged["_attachments"] = attachments
        return merged

    return _WithAncestor(merge)


def _own(doc: Doc) -> Doc:
    return {name: value for name, value in doc.items() if name not in _OF_COUCHDB}


def _joined(
    base: Mapping[str, Any], leaves: Sequence[Mapping[str, Any]], identity: Callable[[Any], object], clash: Clash | None
) -> Doc:
    """The members that stand; values are the same when their identities are. Order: as the leaves have them."""
    joined = {}
    for name in dict.fromkeys(chain(*leaves)):
        before = base.get(name, _ABSENT)
        known = identity(before)
        changed: dict[object, Any] = {}  # The different new values, the best leaf's first.
        for leaf in leaves:
            value = leaf.get(name, _ABSENT)
            if (own := identity(value)) != known:
                changed.setdefault(own, value)
        value = next(iter(changed.values()), before)
        if clash is not None and len(changed) > 1 and _ABSENT not in changed.values():
            value = clash(name, None if before is _ABSENT else before, list(changed.values()))
        if value is not _ABSENT:
            joined[name] = value
    return joined


def _text(value: Any) -> object:
    """What tells values apart that Python takes for equal: 1, 1.0 and True."""
    return None if value is _ABSENT else jsonio.dumps(value)


def _content(stub: Any) -> object:
    return None if stub is _ABSENT else (stub["digest"], stub["content_type"])
