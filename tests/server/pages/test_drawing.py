"""Where revisions stand in the drawing of their tree."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from couchette import Database
from couchette.server.pages.drawing import NEWEST_SHOWN, draw


def history(*paths: str, deleted: str = "") -> list[dict[str, Any]]:
    """The history of a document with these branches, each written from the root: ``abc`` is 1-a, 2-b, 3-c."""
    with Database() as db:
        for path in paths:
            ids = list(reversed(path))
            doc = {"_id": "x", "_rev": f"{len(path)}-{ids[0]}", "_revisions": {"start": len(path), "ids": ids}}
            db.put({**doc, "_deleted": ids[0] in deleted}, new_edits=False)
        return db.history("x")


def test_the_winner_stands_in_the_first_lane_and_others_beside_it() -> None:
    drawing = draw(history("abc", "abd", "ae", deleted="d"))
    at = {node.rev: (node.x, node.y) for node in drawing.nodes}
    assert at["3-c"][0] == at["2-b"][0] == at["1-a"][0] < at["2-e"][0] == at["3-d"][0]
    assert at["3-c"][1] < at["2-b"][1] < at["1-a"][1]
    assert at["2-b"][1] == at["2-e"][1]
    kinds = {node.rev: node.kind for node in drawing.nodes}
    assert kinds == {"3-c": "winner", "3-d": "deleted", "2-e": "conflict", "2-b": "missing", "1-a": "missing"}


def test_branches_of_the_same_time_stand_beside_each_other() -> None:
    at = {node.rev: node.x for node in draw(history("ab", "ac", "ad")).nodes}
    assert at["1-a"] == at["2-d"] < at["2-c"] < at["2-b"]


def test_a_long_stretch_is_left_out_unless_all_is_wanted() -> None:
    revisions = history("".join(chr(0x4E00 + number) for number in range(200)))
    drawing = draw(revisions)
    assert len(drawing.nodes) == NEWEST_SHOWN + 1
    assert drawing.skipped == 200 - len(drawing.nodes)
    assert len(draw(revisions, whole=True).nodes) == 200


def test_a_deleted_winner_is_called_both() -> None:
    (node,) = draw(history("a", deleted="a")).nodes
    assert (node.kind, node.words) == ("deleted", "winner, deleted")


@given(st.lists(st.text("abcd", min_size=1, max_size=14), min_size=1, max_size=6), st.booleans())
def test_no_two_revisions_stand_at_the_same_place_and_every_line_ends_at_one(paths: list[str], whole: bool) -> None:
    drawing = draw(history(*paths), whole=whole)
    places = {(node.x, node.y) for node in drawing.nodes}
    assert len(places) == len(drawing.nodes)
    assert all(0 < x < drawing.width and 0 < y < drawing.height for x, y in places)
    ends = {tuple(map(int, edge.path.partition("V")[0].removeprefix("M").split())) for edge in drawing.edges}
    assert ends <= places
    assert len(drawing.nodes) + drawing.skipped >= 1
