"""``_local`` documents: kept beside the others, never replicated, with no conflict check.

CouchDB gives them revs ``0-N``, where N is one more than the rev that came with the write; the seed of
checkpoints (https://docs.couchdb.org/en/stable/api/local.html).
"""

from __future__ import annotations

import re
from typing import Any, Final

import apsw

from couchette.document.body import Draft, decode_body
from couchette.errors import BadRequest, NotFound
from couchette.limits import SQLITE_INT_MAX

_COUNT: Final = re.compile("[0-9]{1,19}")


def get_local(conn: apsw.Connection, doc_id: str, *, rev: str | None = None, revs: bool = False) -> dict[str, Any]:
    """The ``_local`` document with its ``_id`` and ``_rev``. Raises NotFound, also for another ``rev``."""
    for number, body in conn.execute("SELECT rev, body FROM local WHERE id=?", (doc_id,)):
        if rev is not None and rev != f"0-{number}":
            break
        doc = {**decode_body(body), "_id": doc_id, "_rev": f"0-{number}"}
        if revs:
            doc["_revisions"] = {"start": 0, "ids": [str(number)]}
        return doc
    raise NotFound("missing", f"There is no document {doc_id!r}" + (f" with rev {rev}." if rev else "."))


def local_docs(conn: apsw.Connection, *, include_docs: bool = False) -> list[dict[str, Any]]:
    """All ``_local`` documents by id, as rows of a listing: ``[{"id", "key", "value": {"rev"}, "doc"?}]``."""
    rows = []
    for doc_id, number, body in conn.execute("SELECT id, rev, body FROM local ORDER BY id"):
        row: dict[str, Any] = {"id": doc_id, "key": doc_id, "value": {"rev": f"0-{number}"}}
        if include_docs:
            row["doc"] = {**decode_body(body), "_id": doc_id, "_rev": f"0-{number}"}
        rows.append(row)
    return rows


def put_local(conn: apsw.Connection, doc_id: str, draft: Draft, *, new_edits: bool = True) -> dict[str, Any]:
    """Store a ``_local`` document; ``_deleted`` removes it. Attachments are dropped, as CouchDB does."""
    supplied = _number(draft)
    if draft.deleted:
        conn.execute("DELETE FROM local WHERE id=?", (doc_id,))
        return {"ok": True, "id": doc_id, "rev": "0-0"}
    conn.execute("INSERT OR REPLACE INTO local VALUES(?,?,?)", (doc_id, supplied + 1, draft.body))
    # CouchDB answers a replicated write with the rev that came, and stores its successor all the same.
    return {"ok": True, "id": doc_id, "rev": f"0-{supplied + new_edits}"}


def remove_local(conn: apsw.Connection, doc_id: str) -> dict[str, Any]:
    """Remove a ``_local`` document, whatever its rev. Raises NotFound."""
    get_local(conn, doc_id)
    conn.execute("DELETE FROM local WHERE id=?", (doc_id,))
    return {"ok": True, "id": doc_id, "rev": "0-0"}


def _number(draft: Draft) -> int:
    if not draft.ids:
        return 0
    if draft.start != 0 or not _COUNT.fullmatch(draft.ids[0]) or int(draft.ids[0]) >= SQLITE_INT_MAX:
        raise BadRequest(
            "Invalid rev format",
            f"The rev of a _local document is 0-N, with N below {SQLITE_INT_MAX}; got {draft.start}-{draft.ids[0]}.",
            status=500,
            error="error",
        )
    return int(draft.ids[0])
