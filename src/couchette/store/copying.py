"""Copying a document under another id, in one transaction."""

from __future__ import annotations

from typing import Any

import apsw

from couchette.document.docid import check_id
from couchette.store.batch import Result
from couchette.store.content import again
from couchette.store.read import get
from couchette.store.rows import attachments_of, stored_row, winner_row
from couchette.store.write import put


def copy(
    conn: apsw.Connection, id: str, new_id: str, *, rev: str | None = None, target_rev: str | None = None
) -> Result:
    """Write the document, or its revision ``rev``, under ``new_id``: CouchDB's COPY. Return ``{"ok", "id", "rev"}``.

    ``target_rev`` is the leaf of ``new_id`` to replace, where that exists. Attachments come along. Raises
    NotFound, Conflict.
    """
    check_id(new_id)
    doc = get(conn, id, rev=rev)
    if "_attachments" in doc:
        doc["_attachments"] = _attachments(conn, id, doc["_rev"])
    del doc["_rev"]
    return put(conn, doc if target_rev is None else {**doc, "_rev": target_rev}, id=new_id)


def _attachments(conn: apsw.Connection, id: str, rev: str) -> dict[str, Any]:
    """The attachments of a stored revision, to be written once more: their content stays where it is."""
    winner = winner_row(conn, id)
    row = None if winner is None else stored_row(conn, winner, rev)
    assert row is not None
    return {one.name: again(conn, one, att, one.content_type) for one, att in attachments_of(row)}
