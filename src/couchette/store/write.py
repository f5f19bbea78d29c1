"""Writing one document: put, post, remove. Each operation is one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import apsw

from couchette.document.body import split
from couchette.document.docid import LOCAL, check_id, new_id
from couchette.document.revision import normal_rev
from couchette.errors import BadRequest, Conflict, NotFound
from couchette.store.batch import Result
from couchette.store.bulk import bulk_docs
from couchette.store.local import remove_local
from couchette.store.rows import winner_row


def put(
    conn: apsw.Connection,
    doc: Mapping[str, Any],
    *,
    id: str | None = None,
    rev: str | None = None,
    new_edits: bool = True,
) -> Result:
    """Create a document or a new revision of it; return ``{"ok", "id", "rev"}``.

    ``id`` overrides the document's ``_id``; ``rev`` stands for its ``_rev``. A new edit must name the
    revision it builds on, unless the document is new or deleted. With ``new_edits=False`` the document
    brings its own revision (``_rev`` or ``_revisions``), as replication does.

    Raises Conflict, or BadRequest and its kin for a document that CouchDB refuses.
    """
    if not isinstance(doc, Mapping):
        raise BadRequest("Document must be a JSON object", f"Got {type(doc).__name__}.")
    if id is not None or rev is not None:
        doc = dict(doc)
        if id is not None:
            doc["_id"] = id
        if rev is not None and normal_rev(doc.setdefault("_rev", rev)) != normal_rev(rev):
            raise BadRequest(
                "Document rev from request body and query string have different values",
                f"rev={rev!r} and _rev={doc['_rev']!r}; give one.",
            )
    if "_id" not in doc:
        raise BadRequest("Document must have an _id", "Set doc['_id'], or use post() to have an id made.")
    results = bulk_docs(conn, [doc], new_edits=new_edits)
    if not results:
        draft = split(doc)
        return {"ok": True, "id": draft.id, "rev": draft.path()[0]}
    (result,) = results
    if "error" in result:
        raise Conflict(hint=f"{result['id']!r} has another leaf revision; get it, apply the change again, put.")
    return result


def post(conn: apsw.Connection, doc: Mapping[str, Any]) -> Result:
    """Create a document, with a time-ordered id if it has none; return ``{"ok", "id", "rev"}``."""
    if not isinstance(doc, Mapping):
        raise BadRequest("Document must be a JSON object", f"Got {type(doc).__name__}.")
    return put(conn, doc) if "_id" in doc else put(conn, doc, id=new_id())


def remove(conn: apsw.Connection, doc: Mapping[str, Any] | str, rev: str | None = None) -> Result:
    """Delete a leaf of a document: CouchDB's DELETE. Return ``{"ok", "id", "rev"}`` of the tombstone.

    Give a document (its ``_id`` and ``_rev`` count) or an id and a rev. Other leaves stay, and one of
    them may become the winner. Raises NotFound for a missing or deleted document, Conflict for a rev that
    is no leaf or is left out.
    """
    if isinstance(doc, Mapping):
        doc_id, rev = doc.get("_id"), rev or doc.get("_rev")
    else:
        doc_id = doc
    check_id(doc_id)
    assert isinstance(doc_id, str)
    if doc_id.startswith(LOCAL):
        return remove_local(conn, doc_id)
    rev = None if rev is None else normal_rev(rev)
    row = winner_row(conn, doc_id)
    if row is None:
        raise NotFound("missing", f"There is no document {doc_id!r}.")
    if row.deleted:
        raise NotFound("deleted", f"{doc_id!r} is deleted already.")
    if rev is None:
        raise Conflict(hint=f"Name the revision to delete; the current one of {doc_id!r} is {row.rev}.")
    return put(conn, {"_id": doc_id, "_rev": rev, "_deleted": True})
