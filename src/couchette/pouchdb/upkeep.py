"""Operations on a database as a whole: what it tells of itself, and its upkeep."""

from __future__ import annotations

from typing import Any

from couchette.errors import NotFound
from couchette.pouchdb.arguments import document_id, is_on
from couchette.pouchdb.core import DatabaseCore
from couchette.pouchdb.documents import sequence, shown_change
from couchette.pouchdb.filters import feed_options

Doc = dict[str, Any]


def info(core: DatabaseCore, /) -> Doc:
    """Get information about the database: ``{"db_name", "doc_count", "update_seq", "adapter", ...}``."""
    answer: Doc = core.database.info()
    answer["update_seq"] = sequence(answer["update_seq"], is_remote=core.is_remote)
    if not core.is_remote:
        answer["db_name"] = core.name
    answer["adapter"] = "http" if core.is_remote else "couchette"
    return answer


def compact(core: DatabaseCore, /) -> Doc:
    """Drop what is not needed any more: old revisions and their attachments. Returns ``{"ok": True}``."""
    core.database.compact()
    return {"ok": True}


def purge(core: DatabaseCore, /, docId: str, rev: str) -> Doc:
    """Forget a leaf revision of a document, as if it never was.

    Returns ``{"ok", "deletedRevs": [rev, ...], "documentWasRemovedCompletely"}``. Raises the error 404 ``not_found``.
    """
    purged = core.database.purge({document_id(docId): [rev]})["purged"].get(docId, [])
    if not purged:
        raise NotFound("missing", f"{rev!r} is no leaf of {docId!r}.")
    left = core.database.all_docs(keys=[docId])["rows"]
    return {"ok": True, "deletedRevs": purged, "documentWasRemovedCompletely": "error" in left[0]}


def close(core: DatabaseCore, /) -> None:
    """Close the database: this object can do nothing more. Another one of the same name can."""
    core.close()


def destroy(core: DatabaseCore, /) -> Doc:
    """Delete the database. Returns ``{"ok": True}``."""
    core.destroy()
    return {"ok": True}


def get_security(core: DatabaseCore, /) -> Doc:
    """The database's security object, which says who may read and write it through a server."""
    return core.database.get_security() or {}


def put_security(core: DatabaseCore, /, secObj: Any) -> Doc:
    """Set the security object. Returns ``{"ok": True}``."""
    core.database.set_security(secObj)
    return {"ok": True}


def changes_page(core: DatabaseCore, /, **options: Any) -> Doc:
    """The changes until now: ``{"results": [{"id", "seq", "changes": [{"rev"}], "deleted"?, "doc"?}], "last_seq"}``."""
    answer: Doc = core.database.changes(**feed_options(core, options))
    binary = is_on(options, "binary")
    rows = [shown_change(core, row, binary=binary) for row in answer["results"]]
    if is_on(options, "descending") and rows:
        last_seq = rows[-1]["seq"]
    else:
        last_seq = sequence(answer["last_seq"], is_remote=core.is_remote)
    return {"results": rows, "last_seq": last_seq}
