"""What is missing here of revisions that others name: the question with which a replication begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import apsw

from couchette.document.revision import normal_rev, rev_key, unpack_path
from couchette.document.revtree import RevTree
from couchette.errors import BadRequest, IllegalDocId
from couchette.store.rows import known_or_not


def revs_diff(conn: apsw.Connection, revs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
    """Which of the revisions are not known here: ``{id: {"missing": [...], "possible_ancestors": [...]}}``.

    Ids with nothing missing are left out, and so is an empty ``possible_ancestors``. A revision whose body
    was compacted away is known.
    """
    if not isinstance(revs, Mapping):
        raise BadRequest("Request body must be a JSON object", "Give a mapping of ids to lists of revs.")
    missing: dict[str, dict[str, list[str]]] = {}
    for (doc_id, asked), (rev, tree) in zip(revs.items(), known_or_not(conn, revs, "rev, tree"), strict=True):
        if not isinstance(doc_id, str):
            raise IllegalDocId("Document id must be a string", f"Got {doc_id!r}.")
        if not isinstance(asked, (list, tuple)):
            raise BadRequest("Revs must be a list of strings", f"{doc_id!r} has {asked!r}.")
        found = _missing(asked, rev, tree)
        if found:
            missing[doc_id] = found
    return missing


def missing_revs(conn: apsw.Connection, revs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
    """The older form of :func:`revs_diff`: ``{"missing_revs": {id: [rev, ...]}}``."""
    return {"missing_revs": {doc_id: found["missing"] for doc_id, found in revs_diff(conn, revs).items()}}


def _missing(asked: Sequence[str], rev: str | None, packed: bytes | str | None) -> dict[str, list[str]] | None:
    """What one document lacks of the revs asked for; ``rev`` is its winner's, None if there is no document."""
    if len(asked) == 1 and asked[0] == rev:
        return None
    normal = [normal_rev(one) for one in asked]
    if isinstance(packed, str):
        tree = RevTree.load(packed)
        lacking = tree.missing(normal)
        ancestors = tree.possible_ancestors(lacking)
    else:
        known = _linear_revs(rev, packed) if rev else set()
        lacking = sorted((one for one in normal if one not in known), key=rev_key)
        top = int(lacking[-1].partition("-")[0]) if lacking else 0
        ancestors = [rev] if rev and int(rev.partition("-")[0]) < top else []
    if not lacking:
        return None
    return {"missing": lacking, "possible_ancestors": ancestors} if ancestors else {"missing": lacking}


def _linear_revs(rev: str, packed: bytes | None) -> set[str]:
    number = int(rev.partition("-")[0])
    ids = unpack_path(packed) if packed else []
    return {rev, *(f"{number - depth}-{one}" for depth, one in enumerate(ids, 1))}
