"""The revisions of documents on a server: their history, their conflicts, and the end of these.

HTTP has no transaction. A conflict is ended by one ``_bulk_docs``, whose edits all build on leaves that were looked at:
if the document has changed meanwhile, some of them are conflicts, and that is raised. What was written by then stays,
and ending the conflict again completes it. The choices are those of :mod:`couchette.store.conflicts`, so replicas on
servers and in files that decide alike make the same revisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from couchette import limits, workers
from couchette.document.body import split
from couchette.document.docid import LOCAL, check_id
from couchette.document.revision import normal_rev, rev_key
from couchette.document.revtree import RevTree
from couchette.errors import BadRequest, Conflict, CouchetteError, NotFound, QueryParseError, from_answer
from couchette.remote.attachments import RemoteAttachments
from couchette.remote.calls import Doc
from couchette.remote.documents import RemoteDocuments
from couchette.remote.url import doc_path
from couchette.store.listing import check_count
from couchette.wire.requests import text_of

if TYPE_CHECKING:
    from couchette.merging import MergeFunction

_HELD: Final = 1
"""Marks a revision of a tree as stored; for that a tree has a number."""


class RemoteBranches(RemoteDocuments, RemoteAttachments):
    """Documents with several leaves."""

    async def remove(self, doc: Mapping[str, Any] | str, rev: str | None = None, *, all_leaves: bool = False) -> Doc:
        """Delete a document: give it, or its id and rev; see :meth:`Database.remove <couchette.Database.remove>`."""
        doc_id = check_id(doc.get("_id") if isinstance(doc, Mapping) else doc)
        if isinstance(doc, Mapping):
            rev = rev or doc.get("_rev")
        if all_leaves:
            return await self._remove_leaves(doc_id, rev)
        if rev is None and not doc_id.startswith(LOCAL):
            current = (await self.get(doc_id))["_rev"]
            raise Conflict(hint=f"Name the revision to delete; the current one of {doc_id!r} is {current}.")
        removed: Doc = await self._write("DELETE", doc_path(doc_id), params=None if rev is None else {"rev": rev})
        return removed

    async def history(self, id: str) -> list[Doc]:
        """The revision tree of a document, newest first; see :meth:`Database.history <couchette.Database.history>`.

        Two requests: the leaves with their histories, and all those revisions, of which the server gives what it still
        has. Of one that it has not any more it is not known whether it deleted the document.
        """
        leaves = await self._leaves(id)
        tree = _tree_of(leaves)
        held = {leaf["_rev"]: bool(leaf.get("_deleted")) for leaf in leaves}
        if inner := [rev for rev in tree if rev not in held]:
            answer = await self.bulk_get([{"id": id, "rev": rev} for rev in inner])
            rows = [row["ok"] for result in answer["results"] for row in result["docs"] if "ok" in row]
            held |= {doc["_rev"]: bool(doc.get("_deleted")) for doc in rows}
        revisions = []
        for rev in sorted(tree, key=rev_key, reverse=True):
            node = tree.node(rev)
            assert node is not None
            revisions.append(
                {
                    "rev": rev,
                    "parents": list(node.parents),
                    "deleted": held.get(rev, node.deleted),
                    "available": rev in held,
                    "leaf": tree.is_leaf(rev),
                    "winner": rev == tree.winner,
                }
            )
        return revisions

    async def conflicts(self, *, limit: int | None = None, start_key: str | None = None) -> list[Doc]:
        """The documents with several live leaves; see :meth:`Database.conflicts <couchette.Database.conflicts>`.

        The server has no list of them, so every document from ``start_key`` on is read, in pages.
        """
        if limit is not None:
            check_count("limit", limit)
        if start_key is not None and not isinstance(start_key, str):
            raise QueryParseError("`start_key` must be a document id", f"Got {start_key!r}; give a str.")
        found: list[Doc] = []
        params: Doc = {"include_docs": True, "conflicts": True, "limit": limits.FEED_PAGE_DOCS}
        following = start_key
        while limit is None or len(found) < limit:
            from_key = {} if following is None else {"start_key": text_of(following)}
            rows = (await self._object("GET", "_all_docs", params={**params, **from_key}))["rows"]
            for row in rows:
                if losing := (row.get("doc") or {}).get("_conflicts"):
                    found.append({"id": row["id"], "rev": row["value"]["rev"], "conflicts": losing})
            if len(rows) < limits.FEED_PAGE_DOCS:
                break
            following = rows[-1]["id"] + "\0"
        return found[:limit]

    async def resolve(self, id: str, *, keep: str | None = None, merge: MergeFunction | None = None) -> Doc:
        """End a document's conflict; see :meth:`Database.resolve <couchette.Database.resolve>`.

        It is one request but no transaction: where Conflict is raised because somebody else wrote meanwhile, some of
        the leaves may be deleted. ``merge`` runs in a worker thread.
        """
        if (keep is None) == (merge is None):
            raise BadRequest("Give either `keep` or `merge`.", f"Got keep={keep!r} and merge={merge!r}.")
        keep = None if keep is None else normal_rev(keep)
        all_leaves = await self._leaves(check_id(id))
        leaves = _live(id, all_leaves)
        winner, losing = leaves[0], leaves[1:]
        if not losing:
            return {"ok": True, "id": id, "rev": winner["_rev"], "deleted": []}
        if merge is not None:
            ancestor = await self._ancestor(id, _tree_of(all_leaves), leaves)
            wanted = await workers.in_thread(merge, [_shown(leaf) for leaf in leaves], ancestor)
        else:
            assert keep is not None
            wanted = _shown(_leaf(leaves, keep))
        edits = [_tombstone(leaf) for leaf in losing]
        if wanted is not None and (edit := await self._edit(leaves, wanted)) is not None:
            edits.insert(0, edit)
        return await self._written(id, all_leaves, edits)

    # -- Leaves ---------------------------------------------------------------------------------------

    async def _leaves(self, id: str) -> list[Doc]:
        """All leaves with their ``_revisions``. Raises NotFound."""
        rows = await self.get(id, open_revs="all", revs=True)
        leaves = [row["ok"] for row in rows if "ok" in row]
        if not leaves:  # What PouchDB's server says of a document that never was.
            raise NotFound("missing", f"There is no document {id!r}.")
        return leaves

    async def _remove_leaves(self, id: str, rev: str | None) -> Doc:
        if id.startswith(LOCAL):
            removed: Doc = await self._write("DELETE", doc_path(id))
            return {**removed, "deleted": []}
        all_leaves = await self._leaves(id)
        leaves = _live(id, all_leaves)
        if rev is not None:
            _leaf(leaves, rev)
        return await self._written(id, all_leaves, [_tombstone(leaf) for leaf in leaves])

    async def _ancestor(self, id: str, tree: RevTree, leaves: Sequence[Doc]) -> Doc | None:
        rev = tree.common_ancestor(leaf["_rev"] for leaf in leaves)
        if rev is None:
            return None
        try:
            found: Doc = await self.get(id, rev=rev)
        except NotFound:
            return None
        return found

    async def _edit(self, leaves: Sequence[Doc], wanted: Any) -> Doc | None:
        """The edit that puts this content over the winner; None where the winner has it already."""
        if not isinstance(wanted, Mapping):
            hint = f"It returned {type(wanted).__name__}; give a dict, or None to keep the winner."
            raise BadRequest("Document must be a JSON object", hint)
        winner = leaves[0]
        edit = {**wanted, "_id": winner["_id"], "_rev": winner["_rev"]}
        edit.pop("_revisions", None)
        members = edit.get("_attachments", {})
        if not isinstance(members, Mapping):
            return edit  # It will be refused like any other.
        if members:
            edit["_attachments"] = {name: await self._member(leaves, name, one) for name, one in members.items()}
        inherited = list(_attachments_of(winner).items())
        same_attachments = list(edit.get("_attachments", {}).items()) == inherited
        if edit.get("_deleted") or not same_attachments or _body_of(edit) != _body_of(winner):
            return edit
        return None

    async def _member(self, leaves: Sequence[Doc], name: str, member: Any) -> Any:
        """What to write for a member of ``_attachments``: the winner's stub, or the content that a leaf has.

        A stub means the content of its digest, whatever its name; without a digest, the best leaf's of that name.
        """
        if not isinstance(member, Mapping) or not member.get("stub"):
            return member
        digest = member.get("digest")
        held = [(leaf, key, stub) for leaf in leaves for key, stub in _attachments_of(leaf).items()]
        found = next((one for one in held if (one[1] == name if digest is None else one[2]["digest"] == digest)), None)
        if found is None:
            return {"stub": True}
        leaf, key, stub = found
        content_type = member.get("content_type", stub["content_type"])
        own = _attachments_of(leaves[0]).get(name)
        if own is not None and (own["digest"], own["content_type"]) == (stub["digest"], content_type):
            return own
        content = await self.get_attachment(leaf["_id"], key, rev=leaf["_rev"], encoded=True)
        encoding = {"encoding": content.encoding, "length": content.length} if content.encoding else {}
        return {"content_type": content_type, **encoding, "data": content.data}

    async def _written(self, id: str, leaves: Sequence[Doc], edits: Sequence[Doc]) -> Doc:
        """Write the edits of a document, which build on its leaves, and say what stands then. Raises Conflict."""
        edited = {edit["_rev"] for edit in edits}
        ends = {leaf["_rev"]: not leaf.get("_deleted") for leaf in leaves if leaf["_rev"] not in edited}
        for edit, row in zip(edits, await self.bulk_docs(edits), strict=True):
            if "rev" not in row or "error" in row:
                raise _refusal(row)
            ends[row["rev"]] = not edit.get("_deleted")
        stands = max(ends, key=lambda rev: (ends[rev], rev_key(rev)))
        return {
            "ok": True,
            "id": id,
            "rev": stands,
            "deleted": [edit["_rev"] for edit in edits if edit.get("_deleted")],
        }


def _refusal(row: Mapping[str, Any]) -> CouchetteError:
    error, reason = str(row.get("error")), str(row.get("reason"))
    if error == "conflict":
        return Conflict(hint=f"{row.get('id')!r} was changed meanwhile; try again.")
    return from_answer(403 if error == "forbidden" else 400, error, reason, f"Document {row.get('id')!r}.")


def _tree_of(leaves: Sequence[Doc]) -> RevTree:
    tree = RevTree()
    for leaf in leaves:
        start, ids = leaf["_revisions"]["start"], leaf["_revisions"]["ids"]
        path = [f"{start - depth}-{rev_id}" for depth, rev_id in enumerate(ids)]
        tree, _ = tree.merge_path(path, deleted=bool(leaf.get("_deleted")), seq=_HELD)
    return tree


def _live(id: str, leaves: Sequence[Doc]) -> list[Doc]:
    """The live leaves, the winner first. Raises NotFound."""
    live = [leaf for leaf in leaves if not leaf.get("_deleted")]
    if not live:
        raise NotFound("deleted", f"{id!r} is deleted already.")
    return sorted(live, key=lambda leaf: rev_key(leaf["_rev"]), reverse=True)


def _leaf(leaves: Sequence[Doc], rev: str) -> Doc:
    """The leaf of this rev. Raises Conflict."""
    rev = normal_rev(rev)
    for leaf in leaves:
        if leaf["_rev"] == rev:
            return leaf
    live = ", ".join(leaf["_rev"] for leaf in leaves)
    raise Conflict(hint=f"{rev} is no live leaf of {leaves[0]['_id']!r}; these are: {live}.")


def _shown(leaf: Doc) -> Doc:
    return {name: value for name, value in leaf.items() if name != "_revisions"}


def _attachments_of(leaf: Doc) -> dict[str, Doc]:
    attachments: dict[str, Doc] = leaf.get("_attachments", {})
    return attachments


def _body_of(doc: Mapping[str, Any]) -> Any:
    """The document's own members, in the form in which equal ones are equal."""
    return split({name: value for name, value in doc.items() if name not in ("_attachments", "_revisions")}).body


def _tombstone(leaf: Doc) -> Doc:
    return {"_id": leaf["_id"], "_rev": leaf["_rev"], "_deleted": True}
