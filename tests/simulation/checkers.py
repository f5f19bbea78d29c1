"""What must hold when a simulation has come to rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from couchette import Database
from tests.simulation.world import Rev, World


def leaves(db: Database) -> dict[Rev, dict[str, Any]]:
    """Every leaf with its body, its history and its attachments' digests; ``_local`` documents are none."""
    found = {}
    for row in db.changes(style="all_docs")["results"]:
        for leaf in db.get(row["id"], open_revs="all", revs=True):
            found[row["id"], leaf["ok"]["_rev"]] = leaf["ok"]
    return found


def winners(db: Database) -> dict[str, str]:
    """The winning revision of each document, deleted ones included."""
    return {row["id"]: row["changes"][0]["rev"] for row in db.changes()["results"]}


def problems(world: World) -> Iterator[str]:
    """Sentences about what does not hold."""
    first, *others = world.replicas
    all_leaves, all_winners = leaves(first.db), winners(first.db)
    for replica in others:
        yield from _differences(f"leaves of {first.name} and {replica.name}", all_leaves, leaves(replica.db))
        yield from _differences(f"winners of {first.name} and {replica.name}", all_winners, winners(replica.db))
    for replica in world.replicas:
        for rev in world.acknowledged:
            if replica.lacks(rev):
                yield f"{replica.name} has lost {rev}, which was acknowledged"
        for problem in replica.db.verify():
            yield f"{replica.name} is damaged: {problem}"
    for rev, doc in world.acknowledged.items():
        if rev in all_leaves and _content(all_leaves[rev]) != _content(doc):
            yield f"{rev} was {doc} and is now {all_leaves[rev]}"


def _differences(what: str, first: dict[Any, Any], second: dict[Any, Any]) -> Iterator[str]:
    for key in sorted(first.keys() | second.keys()):
        if first.get(key) != second.get(key):
            yield f"The {what} differ at {key}: {first.get(key)} and {second.get(key)}"


def _content(doc: dict[str, Any]) -> dict[str, Any]:
    """What a program put into a document."""
    content = {name: value for name, value in doc.items() if not name.startswith("_")}
    return content | {"_attachments": sorted(doc.get("_attachments", ())), "_deleted": doc.get("_deleted", False)}
