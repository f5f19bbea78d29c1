"""Hypothesis strategies for revisions, revision trees and JSON values."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

from couchette.document.revtree import RevTree


class Edit(NamedTuple):
    """One revision of a simulated document, with its whole history."""

    path: tuple[str, ...]
    deleted: bool
    seq: int


@st.composite
def honest_edits(draw: st.DrawFn, max_size: int = 12) -> list[Edit]:
    """The edits of one document by honest replicas: each has one parent, or begins a history of its own."""
    edits: list[Edit] = []
    for seq in range(1, draw(st.integers(1, max_size)) + 1):
        parent = draw(st.none() | st.sampled_from(edits)) if edits else None
        history = parent.path if parent else ()
        id = draw(st.sampled_from(["z", "m", f"{seq:032x}"])) if seq > 2 else "a"
        # The seq keeps ids of one number apart: an id is a digest over the parent.
        rev = f"{len(history) + 1}-{id if len(id) == 32 else id + str(seq)}"
        edits.append(Edit((rev, *history), draw(st.booleans()), seq))
    return edits


@st.composite
def deliveries(draw: st.DrawFn, edits: list[Edit]) -> list[Edit]:
    """Every one of `edits` in random order, its history cut at random, though each with its parent."""
    return [edit._replace(path=edit.path[: draw(st.integers(2, 12))]) for edit in draw(st.permutations(edits))]


@st.composite
def forged_edits(draw: st.DrawFn) -> list[Edit]:
    """Histories that nobody checked: ids recur at every number, so that a rev may be given several parents."""
    payloads: dict[str, tuple[bool, int]] = {}
    edits = []
    for _ in range(draw(st.integers(1, 8))):
        start = draw(st.integers(1, 7))
        ids = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=start))
        path = tuple(f"{start - depth}-{id}" for depth, id in enumerate(ids))
        deleted, seq = payloads.setdefault(path[0], (draw(st.booleans()), len(payloads) + 1))
        edits.append(Edit(path, deleted, seq))
    return edits


def grown(edits: list[Edit]) -> RevTree:
    """The tree of `edits`, merged in their order."""
    tree = RevTree()
    for path, deleted, seq in edits:
        tree, _ = tree.merge_path(path, deleted=deleted, seq=seq)
    return tree


def _is_double(number: int) -> bool:
    return abs(number) < 2**1000


edit_lists = honest_edits() | forged_edits()
trees = edit_lists.map(grown)

# Few values, so that equal ones, prefixes and near misses occur often.
texts = st.text(st.sampled_from("aAbáÁzя日ー_-1²$€\0\u200b\u0301\u0306и") | st.characters(), max_size=5)
integers = st.integers() | st.integers(-3, 3) | st.integers(-2, 2).map(lambda step: 2**53 + step)
numbers = integers | st.floats(allow_nan=False, allow_infinity=False) | integers.filter(_is_double).map(float)
scalars = st.none() | st.booleans() | numbers | texts
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
