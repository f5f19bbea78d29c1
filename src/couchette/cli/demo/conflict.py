"""A conflict, drawn and resolved: its revision tree in the terminal, and a merge of its leaves' fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text
from rich.tree import Tree

from couchette.database import Database
from couchette.document.revtree import RevTree

Doc = dict[str, Any]

REV_SHOWN: Final = 8
"""Digits of a revision id that are shown."""


def read_tree(database: Database, doc_id: str) -> RevTree:
    """The revision tree of a document, joined from the histories of all its leaves."""
    tree = RevTree()
    for answer in database.get(doc_id, open_revs="all", revs=True):
        leaf = answer["ok"]
        start, ids = leaf["_revisions"]["start"], leaf["_revisions"]["ids"]
        path = [f"{start - age}-{rev_id}" for age, rev_id in enumerate(ids)]
        tree, _ = tree.merge_path(path, deleted=leaf.get("_deleted", False), seq=0)
    return tree


def draw(title: str, tree: RevTree, notes: Mapping[str, str]) -> Tree:
    """The tree with its winner, its losing leaves and their common ancestor marked; ``notes`` are by rev."""
    drawn = Tree(Text(title, style="bold"))
    leaves = {leaf.rev: leaf for leaf in tree.leaves()}
    ancestor = tree.common_ancestor(leaves) if len(leaves) > 1 else None
    pending = [(rev, drawn) for rev in reversed(tree.roots())]
    while pending:
        rev, above = pending.pop()
        if rev == tree.winner:
            mark, style = "winner", "bold green"
        elif rev in leaves:
            mark, style = ("deleted leaf", "dim") if leaves[rev].deleted else ("losing leaf", "bold yellow")
        else:
            mark, style = ("common ancestor", "cyan") if rev == ancestor else ("", "")
        label = Text(short(rev))
        label.append(f"  {mark}" if mark else "", style=style)
        label.append(f"  {notes[rev]}" if rev in notes else "")
        branch = above.add(label)
        pending += [(child, branch) for child in reversed(tree.children(rev))]
    return drawn


def short(rev: str) -> str:
    """A revision as a person can compare it: ``3-1f0c9a2b``."""
    number, _, rev_id = rev.partition("-")
    return f"{number}-{rev_id[:REV_SHOWN]}"


def fields_changed(base: Doc, doc: Doc) -> Doc:
    """The fields that ``doc`` sets otherwise than ``base``."""
    return {key: value for key, value in doc.items() if not key.startswith("_") and base.get(key) != value}


def merge(base: Doc, winner: Doc, loser: Doc) -> Doc:
    """The winner with the loser's changes since ``base``; a text that both changed holds both sentences."""
    ours, theirs = fields_changed(base, winner), fields_changed(base, loser)
    both = {
        key: f"{ours[key]} {theirs[key]}"
        for key in ours.keys() & theirs.keys()
        if ours[key] != theirs[key] and isinstance(ours[key], str) and isinstance(theirs[key], str)
    }
    return {**winner, **{key: value for key, value in theirs.items() if key not in ours}, **both}


def resolve(database: Database, merged: Doc, losing_rev: str) -> None:
    """Save the merged document over the winner and delete the losing leaf, in one transaction."""
    results = database.bulk_docs([merged, {"_id": merged["_id"], "_rev": losing_rev, "_deleted": True}])
    assert all("ok" in result for result in results), results
