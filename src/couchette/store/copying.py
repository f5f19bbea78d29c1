"""Copying a document under another id, in one transaction."""

from __future__ import annotations

import apsw

from couchette.document.docid import check_id
from couchette.store.batch import Result
from couchette.store.read import get
from couchette.store.write import put


def copy(
    conn: apsw.Connection, id: str, new_id: str, *, rev: str | None = None, target_rev: str | None = None
) -> Result:
    """Write the document, or its revision ``rev``, under ``new_id``: CouchDB's COPY. Return ``{"ok", "id", "rev"}``.

    ``target_rev`` is the leaf of ``new_id`` to replace, where that exists. Attachments come along. Raises
    NotFound, Conflict.
    """
    check_id(new_id)
    doc = get(conn, id, rev=rev, attachments=True, binary=True)
    del doc["_rev"]
    return put(conn, doc if target_rev is None else {**doc, "_rev": target_rev}, id=new_id)
