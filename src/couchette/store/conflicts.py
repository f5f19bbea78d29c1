"""Conflicts: listing them, looking at them, ending them.

A conflicted document has several live leaves. To end the conflict is to write what shall stand and to delete the
other live leaves; here that is one transaction. Replicas may do so apart, so three choices make them meet:

* What stands always goes on from the winner, even if another leaf's body is kept, and only the others are
  deleted. All replicas with the same leaves have the same winner, so the same decision is the same revision. And
  replicas that decide otherwise cannot delete each other's choice: had one of them deleted the winner and another
  one the loser, nothing would be left.
* The tombstones are bare, like those of ``remove``: equal everywhere.
* A result equal to the winner writes nothing over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import apsw

from couchette import jsonio
from couchette.document.attachment import Attachment
from couchette.document.body import split
from couchette.document.docid import LOCAL, check_id
from couchette.document.revision import normal_rev, rev_key
from couchette.document.revtree import RevTree
from couchette.errors import BadRequest, Conflict, NotFound, QueryParseError
from couchette.store.batch import Result
from couchette.store.bulk import bulk_docs
from couchette.store.content import Placed, again
from couchette.store.listing import check_count
from couchette.store.read import View
from couchette.store.rows import Row, attachments_of, row_at, tree_of, winner_row
from couchette.store.write import remove

if TYPE_CHECKING:
    from couchette.merging import MergeFunction

Doc = dict[str, Any]

# Both conditions of the index stand here word for word: else SQLite cannot use it.
_BRANCHED = """
    SELECT id, rev, tree FROM docs INDEXED BY docs_branched
    WHERE cur=1 AND typeof(tree)='text' AND deleted=0 AND id>=? ORDER BY id"""


def list_conflicts(conn: apsw.Connection, *, limit: int | None = None, start_key: str | None = None) -> list[Doc]:
    """The documents with several live leaves, by id: ``[{"id", "rev", "conflicts": [rev, ...]}]``.

    ``rev`` is the winner, ``conflicts`` are the other live leaves, best first. Only documents that ever branched
    are looked at, however many others there are.
    """
    if limit is not None:
        check_count("limit", limit)
    if start_key is not None and not isinstance(start_key, str):
        raise QueryParseError("`start_key` must be a document id", f"Got {start_key!r}; give a str.")
    jsonio.dumps(start_key)  # Refuses a lone surrogate.
    found: list[Doc] = []
    if limit == 0:
        return found
    for doc_id, rev, tree in conn.execute(_BRANCHED, (start_key or "",)):
        if losing := RevTree.load(tree).conflicts():
            found.append({"id": doc_id, "rev": rev, "conflicts": losing})
            if len(found) == limit:
                break
    return found


def history(conn: apsw.Connection, id: str) -> list[Doc]:
    """All that is known of a document's revisions, newest first; also of a deleted document. Raises NotFound.

    Each is ``{"rev", "parents", "deleted", "available", "leaf", "winner"}``. ``parents`` is empty where the history
    begins or older revisions were dropped. A revision that is not ``available`` is known by name only.
    """
    row = winner_row(conn, check_id(id))
    if row is None:
        raise NotFound("missing", f"There is no document {id!r}.")
    tree = tree_of(conn, row)
    leaves = {leaf.rev for leaf in tree.leaves()}
    revisions = []
    for rev in sorted(tree, key=rev_key, reverse=True):
        node = tree.node(rev)
        assert node is not None
        revisions.append(
            {
                "rev": rev,
                "parents": list(node.parents),
                "deleted": node.deleted,
                "available": node.seq is not None,
                "leaf": rev in leaves,
                "winner": rev == row.rev,
            }
        )
    return revisions


def remove_leaves(conn: apsw.Connection, doc: Mapping[str, Any] | str, rev: str | None = None) -> Result:
    """Delete every live leaf of a document; return ``{"ok", "id", "rev", "deleted": [rev, ...]}``.

    ``rev`` is the tombstone that then speaks for the document, ``deleted`` are the leaves that there were, the
    winner first. A revision named in the document or beside it must be one of them. Raises NotFound, Conflict.
    """
    if isinstance(doc, Mapping):
        doc_id, rev = check_id(doc.get("_id")), rev or doc.get("_rev")
    else:
        doc_id = check_id(doc)
    if doc_id.startswith(LOCAL):
        return {**remove(conn, doc_id), "deleted": []}
    leaves = _live_leaves(conn, doc_id)
    if rev is not None:
        _leaf(leaves, rev)
    return _written(conn, doc_id, [_tombstone(leaf) for leaf in leaves])


def resolve(conn: apsw.Connection, id: str, *, keep: str | None = None, merge: MergeFunction | None = None) -> Result:
    """End a document's conflict; return ``{"ok", "id", "rev", "deleted": [rev, ...]}``.

    Either ``keep`` names the live leaf whose content shall stand, or ``merge`` makes that content. ``rev`` is what
    stands, ``deleted`` are the leaves that were deleted. Without a conflict nothing is written.

    Raises NotFound, Conflict if ``keep`` is no live leaf, MissingStub for an attachment that no leaf has.
    """
    if (keep is None) == (merge is None):
        raise BadRequest("Give either `keep` or `merge`.", f"Got keep={keep!r} and merge={merge!r}.")
    keep = None if keep is None else normal_rev(keep)
    leaves = _live_leaves(conn, check_id(id))
    winner, losing = leaves[0], leaves[1:]
    if not losing:
        return {"ok": True, "id": id, "rev": winner.rev, "deleted": []}
    if merge is not None:
        wanted = merge([View().doc(conn, leaf) for leaf in leaves], _ancestor(conn, winner, leaves))
    else:
        assert keep is not None
        wanted = View().doc(conn, _leaf(leaves, keep))
    edits = [_tombstone(leaf) for leaf in losing]
    if wanted is not None and (edit := _edit(conn, leaves, wanted)) is not None:
        edits.insert(0, edit)
    return _written(conn, id, edits)


def _live_leaves(conn: apsw.Connection, doc_id: str) -> list[Row]:
    """The rows of the live leaves, the winner first."""
    winner = winner_row(conn, doc_id)
    if winner is None:
        raise NotFound("missing", f"There is no document {doc_id!r}.")
    if winner.deleted:
        raise NotFound("deleted", f"{doc_id!r} is deleted already.")
    if not isinstance(winner.tree, str):
        return [winner]
    losing = [leaf for leaf in RevTree.load(winner.tree).leaves()[1:] if not leaf.deleted]
    assert all(leaf.seq is not None for leaf in losing), f"a leaf of {doc_id!r} has no body"
    return [winner, *(row_at(conn, leaf.seq) for leaf in losing if leaf.seq is not None)]


def _leaf(leaves: list[Row], rev: str) -> Row:
    """The leaf of this rev. Raises Conflict."""
    rev = normal_rev(rev)
    for leaf in leaves:
        if leaf.rev == rev:
            return leaf
    live = ", ".join(leaf.rev for leaf in leaves)
    raise Conflict(hint=f"{rev} is no live leaf of {leaves[0].id!r}; these are: {live}.")


def _ancestor(conn: apsw.Connection, winner: Row, leaves: list[Row]) -> Doc | None:
    """The newest common ancestor of the leaves as a document, while it is stored."""
    tree = tree_of(conn, winner)
    rev = tree.common_ancestor(leaf.rev for leaf in leaves)
    node = None if rev is None else tree.node(rev)
    return None if node is None or node.seq is None else View().doc(conn, row_at(conn, node.seq))


def _edit(conn: apsw.Connection, leaves: list[Row], wanted: Mapping[str, Any]) -> Doc | None:
    """The edit that puts this content over the winner; None where the winner has it already."""
    if not isinstance(wanted, Mapping):
        hint = f"It returned {type(wanted).__name__}; give a dict, or None to keep the winner."
        raise BadRequest("Document must be a JSON object", hint)
    winner = leaves[0]
    edit = {**wanted, "_id": winner.id, "_rev": winner.rev}
    edit.pop("_revisions", None)
    held = [attachments_of(leaf) for leaf in leaves]
    members = edit.get("_attachments", {})
    if not isinstance(members, Mapping):
        return edit  # It will be refused like any other.
    edit["_attachments"] = {name: _member(conn, held, name, member) for name, member in members.items()}
    inherited = [(attachment.name, _STUB) for attachment, _ in held[0]]
    if edit.get("_deleted") or list(edit["_attachments"].items()) != inherited or split(edit).body != winner.body:
        return edit
    return None


_STUB: Doc = {"stub": True}


def _member(conn: apsw.Connection, held: list[Placed], name: str, member: Any) -> Any:
    """What to write for a member of ``_attachments``: a stub of the winner's, or the content that a leaf has.

    A stub means the content of its digest, whatever its name; without a digest, the best leaf's of that name.
    """
    if not isinstance(member, Mapping) or not member.get("stub"):
        return member
    digest = member.get("digest")

    def is_meant(attachment: Attachment) -> bool:
        return attachment.name == name if digest is None else attachment.digest == digest

    found = next(((one, att) for placed in held for one, att in placed if is_meant(one)), None)
    if found is None:
        return _STUB
    attachment, att = found
    content_type = member.get("content_type", attachment.content_type)
    for one, _ in held[0]:
        if (one.name, one.digest, one.content_type) == (name, attachment.digest, content_type):
            return _STUB
    return again(conn, attachment, att, content_type)


def _tombstone(leaf: Row) -> Doc:
    return {"_id": leaf.id, "_rev": leaf.rev, "_deleted": True}


def _written(conn: apsw.Connection, doc_id: str, edits: list[Doc]) -> Result:
    """Write the edits of a document, which build on its leaves, and say what stands then."""
    results = bulk_docs(conn, edits)
    assert all("ok" in result for result in results), results
    winner = winner_row(conn, doc_id)
    assert winner is not None
    deleted = [edit["_rev"] for edit in edits if edit.get("_deleted")]
    return {"ok": True, "id": doc_id, "rev": winner.rev, "deleted": deleted}
