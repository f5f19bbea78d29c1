"""Ending the conflicts that a pull brought, by the replication's resolver.

Each conflict is one transaction of :func:`couchette.store.resolve`, which goes on from the winner: replicas that
decide alike make the same revisions, so two resolvers that see each other's work find nothing left to do. A merge
that needs a common ancestor which is not stored here leaves the conflict to replicas that have it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import couchette.merging as merging
from couchette import store
from couchette.errors import NotFound
from couchette.merging import Doc, Resolver
from couchette.pool import Pool


class _Left(Exception):
    """The conflict is not for us; raised within the transaction, which it undoes."""


def resolve_conflicts(pool: Pool, resolver: Resolver, doc_ids: Iterable[str] | None = None) -> int:
    """End the conflicts among these documents, or all; return how many. Blocks; raises what a merge function raises."""
    if doc_ids is None:
        conflicted = [row["id"] for row in pool.read(store.list_conflicts)]
    else:
        conflicted = pool.read(_branched, list(doc_ids))
    return sum(_resolve(pool, resolver, doc_id) for doc_id in conflicted)


def _branched(conn: Any, doc_ids: list[str]) -> list[str]:
    """Those of the documents with several leaves, of which some may be deleted."""
    rows = store.changes(conn, doc_ids=doc_ids, style="all_docs")["results"]
    return [row["id"] for row in rows if len(row["changes"]) > 1 and not row.get("deleted")]


def _resolve(pool: Pool, resolver: Resolver, doc_id: str) -> bool:
    def op(conn: Any) -> bool:
        def merge(leaves: list[Doc], ancestor: Doc | None) -> Doc | None:
            chosen = merging.choose(resolver, leaves[0])
            if chosen is None:
                raise _Left
            if ancestor is None and merging.needs_ancestor(chosen) and _related(conn, leaves):
                raise _Left
            return chosen(leaves, ancestor)

        return bool(store.resolve(conn, doc_id, merge=merge)["deleted"])

    try:
        return pool.write(op)
    except (_Left, NotFound):  # Or it was deleted meanwhile.
        return False


def _related(conn: Any, leaves: list[Doc]) -> bool:
    """Whether the leaves have a common ancestor that is known by name."""
    parents = {row["rev"]: row["parents"] for row in store.history(conn, leaves[0]["_id"])}
    paths = []
    for leaf in leaves:
        path, todo = set(), [leaf["_rev"]]
        while todo:
            rev = todo.pop()
            path.add(rev)
            todo += [parent for parent in parents.get(rev, ()) if parent not in path]
        paths.append(path)
    return bool(set.intersection(*paths))
