"""Writing documents: put, post, remove, and many at once. Each operation is one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import apsw

from couchette.document.body import Draft, split
from couchette.document.docid import LOCAL, check_id, new_id
from couchette.document.revision import normal_rev
from couchette.errors import BadRequest, Conflict, NotFound
from couchette.store.batch import Batch, Result
from couchette.store.branches import Branches
from couchette.store.local import put_local, remove_local
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


def bulk_docs(conn: apsw.Connection, docs: Iterable[Mapping[str, Any]], *, new_edits: bool = True) -> list[Result]:
    """Write many documents in one transaction.

    New edits answer a row a document, in order: ``{"ok", "id", "rev"}`` or ``{"id", "error", "reason"}``.
    With ``new_edits=False`` the revisions are merged as they are and only failures have rows, so ``[]``
    is success. A malformed document or a dangling stub raises, and nothing is stored.
    """
    if isinstance(docs, (Mapping, str, bytes)):
        raise BadRequest("`docs` parameter must be an array.", f"Give a list of documents, not {type(docs).__name__}.")
    docs = list(docs)
    ids = _ids_of(docs)
    results: list[Result] = [{}] * len(docs)
    batch = Batch(conn, ids)
    repeated = _repeated(ids)
    # Documents are taken apart one at a time, so that what they hold is freed at once: it is faster, too.
    in_order = range(len(ids)) if ids == sorted(ids) else sorted(range(len(ids)), key=ids.__getitem__)
    for index in in_order:
        doc_id, doc = ids[index], docs[index]
        if doc_id in repeated:
            if repeated[doc_id][0] == index:
                _write_several(batch, doc_id, repeated[doc_id], docs, results, new_edits)
        elif doc_id[:1] == "_" and doc_id.startswith(LOCAL):
            results[index] = put_local(conn, doc_id, _draft(doc, new_edits), new_edits=new_edits)
        elif new_edits:
            results[index] = batch.edit_plain(doc_id, doc) or _edit(batch, doc_id, split(doc))
        elif not batch.graft_plain(doc_id, doc):
            _graft(batch, doc_id, _draft(doc, new_edits))
    batch.write()
    return results if new_edits else []


def _ids_of(docs: list[Mapping[str, Any]]) -> list[str]:
    """The documents' ids, made where they have none. Raises for one that CouchDB refuses."""
    try:
        ids = [doc["_id"] for doc in docs]
        text = "\0".join(ids)
        text.encode()
    except (LookupError, TypeError, UnicodeEncodeError):
        return [_id_of(doc) for doc in docs]
    # Only an id that is empty or begins with an underscore has to be looked at by itself.
    if "\0_" in text or "\0\0" in text or text[:1] in ("_", "\0", "") or text[-1] == "\0":
        return [_id_of(doc) for doc in docs]
    return ids


def _id_of(doc: Mapping[str, Any]) -> str:
    if type(doc) is not dict and not isinstance(doc, Mapping):
        raise BadRequest("Document must be a JSON object", f"Got {type(doc).__name__}.")
    return check_id(doc["_id"]) if "_id" in doc else new_id()


def _repeated(ids: list[str]) -> dict[str, list[int]]:
    """The ids that stand more than once, each with its positions; usually none."""
    if len(set(ids)) == len(ids):
        return {}
    positions: dict[str, list[int]] = {}
    for index, doc_id in enumerate(ids):
        positions.setdefault(doc_id, []).append(index)
    return {doc_id: indexes for doc_id, indexes in positions.items() if len(indexes) > 1}


def _write_several(
    batch: Batch,
    doc_id: str,
    indexes: list[int],
    docs: list[Mapping[str, Any]],
    results: list[Result],
    new_edits: bool,
) -> None:
    """Write all that the batch has of one document, in the order given."""
    branches = None if doc_id.startswith(LOCAL) else Branches(batch, doc_id)
    for index in indexes:
        draft = _draft(docs[index], new_edits)
        if branches is None:
            results[index] = put_local(batch.conn, doc_id, draft, new_edits=new_edits)
        elif new_edits:
            results[index] = branches.edit(draft)
        else:
            branches.graft(draft)
    if branches is not None:
        branches.write()


def _edit(batch: Batch, doc_id: str, draft: Draft) -> Result:
    result = batch.edit(doc_id, draft)
    if result is None:
        branches = Branches(batch, doc_id)
        result = branches.edit(draft)
        branches.write()
    return result


def _graft(batch: Batch, doc_id: str, draft: Draft) -> None:
    if not batch.graft(doc_id, draft):
        branches = Branches(batch, doc_id)
        branches.graft(draft)
        branches.write()


def _draft(doc: Mapping[str, Any], new_edits: bool) -> Draft:
    draft = split(doc)
    if not new_edits and not draft.ids:
        raise BadRequest(
            "When `new_edits: false`, the document needs `_rev` or `_revisions` specified",
            "A replicated revision brings its own rev; leave new_edits out to make new ones.",
        )
    return draft
