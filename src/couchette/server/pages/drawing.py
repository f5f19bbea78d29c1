"""Where the revisions of a document stand in a picture of their tree. Pure.

Time runs upwards: a row is a generation, the newest at the top. A branch stands in a lane and goes down to where it
began; the winner's is the first one, so its history is a straight line. Long stretches in which nothing happens
but one edit after another are left out, and a dashed line says how many.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

LANE: Final = 170
ROW: Final = 52
MARGIN: Final = 26
NEWEST_SHOWN: Final = 8
"""Generations at the top that are shown in any case."""
SKIPPED_MIN: Final = 3
"""Fewer generations than this are not left out."""

Revision = Mapping[str, Any]
"""As :meth:`couchette.Database.history` describes one."""


@dataclass(frozen=True)
class Node:
    """A revision in the picture; ``words`` say what it is, for those who see no colours."""

    rev: str
    x: int
    y: int
    kind: str
    words: str


@dataclass(frozen=True)
class Edge:
    """A line from a revision down to the one that it follows; ``skipped`` are left out between them."""

    path: str
    skipped: int
    x: int
    y: int


@dataclass(frozen=True)
class Drawing:
    """The picture, in pixels."""

    width: int
    height: int
    nodes: list[Node]
    edges: list[Edge]

    @property
    def skipped(self) -> int:
        """How many revisions are not shown."""
        return sum(edge.skipped for edge in self.edges)


def draw(revisions: Sequence[Revision], *, whole: bool = False) -> Drawing:
    """The picture of a document's history; ``whole`` leaves nothing out."""
    known = {one["rev"]: one for one in revisions}
    lanes = _lanes(revisions, known)
    shown = sorted(_generations(known) if whole else _shown(known), reverse=True)
    rows = {generation: at for at, generation in enumerate(shown)}
    at = {
        rev: (MARGIN + lanes[rev] * LANE, MARGIN + rows[generation] * ROW)
        for rev in known
        if (generation := _generation(rev)) in rows
    }
    nodes = [Node(rev, *at[rev], kind_of(known[rev]), words_of(known[rev])) for rev in known if rev in at]
    edges = [edge for rev in known if rev in at for edge in _edges(rev, known, at)]
    width = MARGIN + (max(lanes.values()) + 1) * LANE
    return Drawing(width, 2 * MARGIN + (len(shown) - 1) * ROW, nodes, edges)


def kind_of(revision: Revision) -> str:
    """What a revision is, in one word."""
    if revision["leaf"]:
        if revision["deleted"]:
            return "deleted"
        return "winner" if revision["winner"] else "conflict"
    return "stored" if revision["available"] else "missing"


def words_of(revision: Revision) -> str:
    """What a revision is, for people."""
    if revision["leaf"]:
        state = "deleted" if revision["deleted"] else "" if revision["winner"] else "in conflict"
        return ", ".join(word for word in ("winner" if revision["winner"] else "", state) if word)
    return ", ".join(
        word for word in ("deleted" * revision["deleted"], "" if revision["available"] else "not stored") if word
    )


def _lanes(revisions: Sequence[Revision], known: Mapping[str, Revision]) -> dict[str, int]:
    """The lane of each revision: that of the best leaf above it. Branches of other times share a lane."""
    leaves = [one for one in revisions if one["leaf"]]
    leaves.sort(key=lambda one: (not one["winner"], one["deleted"], -_generation(one["rev"])))
    tops = [leaf["rev"] for leaf in leaves]
    lanes: dict[str, int] = {}
    taken: list[list[range]] = []
    for top in tops:
        branch: list[str] = []
        rev = top
        while rev in known and rev not in lanes:
            parents = known[rev]["parents"]
            branch.append(rev)
            tops += parents[1:]  # Only a forged history has two.
            rev = parents[0] if parents else ""
        if branch:
            generations = range(_generation(branch[-1]), _generation(top) + 1)
            # Nothing else stands in the winner's lane.
            lane = _free_lane(taken, generations if lanes else range(sys.maxsize))
            lanes |= dict.fromkeys(branch, lane)
    return lanes


def _free_lane(taken: list[list[range]], generations: range) -> int:
    """The first lane in which nothing stands in these generations; they are taken then."""
    for lane, others in enumerate(taken):
        if all(other.stop <= generations.start or generations.stop <= other.start for other in others):
            others.append(generations)
            return lane
    taken.append([generations])
    return len(taken) - 1


def _generation(rev: str) -> int:
    return int(rev.partition("-")[0])


def _generations(known: Mapping[str, Revision]) -> set[int]:
    return {_generation(rev) for rev in known}


def _shown(known: Mapping[str, Revision]) -> set[int]:
    """The generations in which something happens, the newest ones, and stretches too short to be left out."""
    children: dict[str, int] = {}
    for one in known.values():
        for parent in one["parents"]:
            children[parent] = children.get(parent, 0) + 1
    everything = sorted(_generations(known), reverse=True)
    eventful = set(everything[:NEWEST_SHOWN])
    for rev, one in known.items():
        begins_branch = any(children[parent] > 1 for parent in one["parents"])
        if one["leaf"] or begins_branch or children.get(rev, 0) > 1 or len(one["parents"]) != 1:
            eventful.add(_generation(rev))
    shown = set(eventful)
    stretch: list[int] = []
    for generation in [*everything, 0]:
        if generation in eventful or generation == 0:
            shown.update(stretch if len(stretch) < SKIPPED_MIN else ())
            stretch = []
        else:
            stretch.append(generation)
    return shown


def _edges(rev: str, known: Mapping[str, Revision], at: Mapping[str, tuple[int, int]]) -> list[Edge]:
    """The lines that lead down from a revision."""
    edges = []
    x, y = at[rev]
    for parent in known[rev]["parents"]:
        skipped = 0
        # What is left out has one parent each.
        while parent in known and parent not in at:
            skipped += 1
            (parent,) = known[parent]["parents"]
        if parent in at:
            to_x, to_y = at[parent]
            edges.append(Edge(_line(x, y, to_x, to_y), skipped, x, (y + min(to_y, y + ROW)) // 2))
    return edges


def _line(x: int, y: int, to_x: int, to_y: int) -> str:
    """Straight down the lane, and over to the other one in the last row."""
    if x == to_x:
        return f"M{x} {y}V{to_y}"
    turn = to_y - ROW
    return f"M{x} {y}V{turn}C{x} {turn + ROW // 2} {to_x} {turn + ROW // 2} {to_x} {to_y}"
