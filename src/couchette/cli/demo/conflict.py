"""A conflict, drawn and resolved: its revision tree in the terminal, and what to do where both leaves wrote a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.text import Text
from rich.tree import Tree

Doc = dict[str, Any]

REV_SHOWN: Final = 8
"""Digits of a revision id that are shown."""


def draw(title: str, history: Sequence[Doc], notes: Mapping[str, str]) -> Tree:
    """A document's history as a tree, its winner, losing leaves and first fork marked; ``notes`` are by rev."""
    drawn = Tree(Text(title, style="bold"))
    branches: dict[str, Tree] = {}
    parents = [rev for revision in history for rev in revision["parents"]]
    fork = next((rev for rev in reversed(parents) if parents.count(rev) > 1), None)
    for revision in reversed(history):
        rev = revision["rev"]
        if revision["winner"]:
            mark, style = "winner", "bold green"
        elif revision["leaf"]:
            mark, style = ("deleted leaf", "dim") if revision["deleted"] else ("losing leaf", "bold yellow")
        else:
            mark, style = ("common ancestor", "cyan") if rev == fork else ("", "")
        label = Text(short(rev))
        label.append(f"  {mark}" if mark else "", style=style)
        label.append(f"  {notes[rev]}" if rev in notes else "")
        above = branches[revision["parents"][0]] if revision["parents"] else drawn
        branches[rev] = above.add(label)
    return drawn


def short(rev: str) -> str:
    """A revision as a person can compare it: ``3-1f0c9a2b``."""
    number, _, rev_id = rev.partition("-")
    return f"{number}-{rev_id[:REV_SHOWN]}"


def fields_changed(base: Doc, doc: Doc) -> Doc:
    """The fields that ``doc`` sets otherwise than ``base``."""
    return {key: value for key, value in doc.items() if not key.startswith("_") and base.get(key) != value}


def both_texts(field: str, base: Any, values: list[Any]) -> Any:
    """Where both leaves wrote a text, both texts; of other values the winner's."""
    return " ".join(values) if all(isinstance(value, str) for value in values) else values[0]
