"""What a write would do, before it is made: each document beside the revision that it builds on.

Whoever judges edits looks at them on a reader and writes afterwards. That is sound because a revision never changes:
the edit names the one that it builds on, so what was looked at is what is written, or the write is a conflict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apsw

from couchette.document.body import Draft, split
from couchette.errors import Conflict, NotFound
from couchette.store.conflicts import history
from couchette.store.read import get

Doc = dict[str, Any]


@dataclass(frozen=True)
class Edit:
    """An edit as a validation function sees it: what would be stored, and what it builds on."""

    doc: Doc
    old: Doc | None


def edits_of(conn: apsw.Connection, docs: Sequence[Mapping[str, Any]], new_edits: bool) -> list[Edit | Conflict | None]:
    """The edits that these documents are; None for a revision that is stored already, Conflict for no edit at all.

    Raises BadRequest and its kin for a document that cannot be stored.
    """
    seen: set[str | None] = set()
    edits: list[Edit | Conflict | None] = []
    for doc in docs:
        draft = split(doc)
        base = _base(conn, draft, draft.id in seen) if new_edits else _ancestor(conn, draft)
        seen.add(draft.id)
        if isinstance(base, Conflict):
            edits.append(base)
        else:
            edits.append(None if base is _STORED else Edit(_shown(doc, draft), base))
    return edits


_STORED: Final[Doc] = {}
"""Stands for the revision itself, which is there already."""


def design_revs(conn: apsw.Connection) -> list[tuple[str, str]]:
    """Id and revision of each design document, by id: all that has to be known to see that none has changed."""
    found = conn.execute("SELECT id, rev FROM docs WHERE cur=1 AND deleted=0 AND id>='_design/' AND id<'_design0'")
    return sorted(found)


def _base(conn: apsw.Connection, draft: Draft, repeated: bool) -> Doc | Conflict | None:
    """The leaf that a new edit builds on; None for a document that is new, or made anew after its deletion."""
    assert draft.id is not None
    try:
        rows: list[dict[str, Any]] = get(conn, draft.id, open_revs="all", revs=True)
    except NotFound:
        # A repeated document may build on the one before it, which nobody has judged by then.
        return Conflict() if repeated and draft.ids else None
    leaves: dict[str, Doc] = {row["ok"]["_rev"]: row["ok"] for row in rows if "ok" in row}
    if draft.ids:
        return leaves.get(f"{draft.start}-{draft.ids[0]}") or Conflict()
    return None if all(leaf.get("_deleted") for leaf in leaves.values()) else Conflict()


def _ancestor(conn: apsw.Connection, draft: Draft) -> Doc | None:
    """The newest ancestor of a replicated revision that is stored with its body."""
    assert draft.id is not None
    try:
        stored = {node["rev"] for node in history(conn, draft.id) if node["available"]}
    except NotFound:
        return None
    path = draft.path()
    if path and path[0] in stored:
        return _STORED
    newest = next((rev for rev in path if rev in stored), None)
    if newest is None:
        return None
    doc: Doc = get(conn, draft.id, rev=newest, revs=True)
    return doc


def _shown(doc: Mapping[str, Any], draft: Draft) -> Doc:
    shown = dict(doc)
    shown["_revisions"] = {"start": draft.start, "ids": draft.ids}
    if draft.ids:
        shown["_rev"] = f"{draft.start}-{draft.ids[0]}"
    if isinstance(members := doc.get("_attachments"), Mapping):
        shown["_attachments"] = {name: _stub(member) for name, member in members.items()}
    return shown


def _stub(member: Any) -> Any:
    """An attachment as functions see it: without its content, which may not be JSON either."""
    if not isinstance(member, Mapping):
        return member
    described = {name: value for name, value in member.items() if isinstance(value, str | int | bool)}
    described.pop("data", None)
    return {**described, "stub": True}
