"""Single attachments: put, get and remove one without sending the document."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import apsw

from couchette.document.attachment import DEFAULT_TYPE, Attachment, Received, check_name
from couchette.document.docid import LOCAL, check_id
from couchette.document.revision import normal_rev
from couchette.errors import BadRequest, Conflict, NotFound
from couchette.store.content import Unpacking, read
from couchette.store.rows import Row, attachments_of, fields_of, stored_row, winner_row
from couchette.store.write import put


def get_attachment(
    conn: apsw.Connection, id: str, name: str, *, rev: str | None = None, encoded: bool = False
) -> Attachment:
    """One attachment with its content in ``data``; with ``encoded`` as it is stored.

    Raises NotFound, and TooLarge for gzip that becomes far longer than the attachment says.
    """
    attachment, att = find_attachment(conn, id, name, rev=rev)
    return replace(attachment, data=read(conn, att) if encoded else Unpacking().read_plain(conn, attachment, att))


def find_attachment(conn: apsw.Connection, id: str, name: str, *, rev: str | None = None) -> tuple[Attachment, int]:
    """One attachment without its content, and the content's key. Raises NotFound."""
    _check(id, name)
    row = winner_row(conn, id)
    if row is not None and rev is not None:
        row = stored_row(conn, row, rev)
    if row is None:
        raise NotFound("missing", f"There is no document {id!r}" + (f" with revision {rev}." if rev else "."))
    if row.deleted and rev is None:
        raise NotFound("deleted", f"{id!r} was deleted.")
    for attachment, att in attachments_of(row):
        if attachment.name == name:
            return attachment, att
    raise NotFound("Document is missing attachment", f"{id!r} has no attachment {name!r}.")


def put_attachment(
    conn: apsw.Connection,
    id: str,
    name: str,
    data: Received,
    content_type: str = DEFAULT_TYPE,
    *,
    rev: str | None = None,
) -> dict[str, Any]:
    """Add or replace one attachment, as a new revision; return ``{"ok", "id", "rev"}``.

    Without ``rev`` the document must be new or deleted, and is made. Raises Conflict.
    """
    base = check_base(conn, id, name, rev)
    member = {"content_type": content_type, "data": data}
    kept = {} if base is None else _stubs(base, without=name)
    doc = {} if base is None else fields_of(base)
    return put(conn, {**doc, "_attachments": {name: member, **kept}}, id=id, rev=rev)


def remove_attachment(conn: apsw.Connection, id: str, name: str, rev: str | None = None) -> dict[str, Any]:
    """Remove one attachment, as a new revision; return ``{"ok", "id", "rev"}``. Raises NotFound, Conflict."""
    _check(id, name)
    base = _base(conn, id, rev)
    if base is None:
        if winner_row(conn, id) is None:
            raise NotFound("missing", f"There is no document {id!r}.")
        raise Conflict(hint=f"Name the current revision of {id!r}.")
    kept = _stubs(base, without=name)
    if len(kept) == len(attachments_of(base)):
        raise NotFound("Document is missing attachment", f"{id!r} has no attachment {name!r}.")
    doc = {**fields_of(base), "_attachments": kept}
    if base.deleted:
        doc["_deleted"] = True
    return put(conn, doc, id=id, rev=rev)


def check_base(conn: apsw.Connection, id: str, name: str, rev: str | None) -> Row | None:
    """The revision that :func:`put_attachment` would build on; raises where it would."""
    _check(id, name)
    if not check_name(name):
        raise BadRequest("Attachment name must not be empty.", "It has no URL; choose another name.")
    return _base(conn, id, rev)


def _check(doc_id: str, name: str) -> None:
    check_id(doc_id)
    if doc_id.startswith(LOCAL):
        raise BadRequest("_local documents do not accept attachments.", f"{doc_id!r} / {name!r}.")


def _base(conn: apsw.Connection, doc_id: str, rev: str | None) -> Row | None:
    """The revision that the edit builds on; None for a new document or one to be recreated."""
    rev = None if rev is None else normal_rev(rev)
    row = winner_row(conn, doc_id)
    if rev is None:
        if row is not None and not row.deleted:
            raise Conflict(hint=f"Name the revision to change; the current one of {doc_id!r} is {row.rev}.")
        return None
    found = None if row is None else stored_row(conn, row, rev)
    if found is None:
        raise Conflict(
            "Document update conflict." if row is None else "missing_rev",
            f"{doc_id!r} has no revision {rev}.",
            error="conflict" if row is None else "not_found",
        )
    return found


def _stubs(row: Row, *, without: str) -> dict[str, dict[str, Any]]:
    return {a.name: {"stub": True, "revpos": a.revpos} for a, _ in attachments_of(row) if a.name != without}
