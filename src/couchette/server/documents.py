"""Reading documents: ``GET /{db}/{id}`` in its three shapes.

A document is JSON; with its attachments' bytes beside it ``multipart/related``; several revisions of it
(``open_revs``) a JSON array or ``multipart/mixed``. Which one is decided by the Accept header, whatever
the qualities in it say: multipart whenever it is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import md5
from typing import Any

from starlette.responses import Response

from couchette import jsonio, store
from couchette.database import Database
from couchette.document.docid import check_id
from couchette.limits import BODY_HELD_BYTES
from couchette.server import answers
from couchette.server.contents import (
    JSON,
    are_large,
    json_with_contents,
    multipart_with_contents,
    open_revs_chunks,
    related_answer,
    rows_multipart,
)
from couchette.server.request import Request
from couchette.server.streams import made_answer
from couchette.wire import multipart, parameters

UNCACHED = frozenset(("_conflicts", "_deleted_conflicts", "_revs_info", "_local_seq"))
"""Members that may change while the revision does not; an answer that holds one has no ETag."""

AS_STORED = {"attachments": True, "att_encoding_info": True, "binary": True}
"""Options of ``Database.get`` for an answer where the attachments' bytes follow the document."""


def get(request: Request, db: Database, doc_id: str) -> Response:
    """``GET /{db}/{id}``."""
    options = parameters.document_options(request.query)
    plain = not options and db._may_read is None
    if plain and (found := db._pool.read_one(store.doc_text, check_id(doc_id))) is not None:
        rev, text = found
        etag = answers.quoted(rev)
        not_modified = answers.unless_modified(request.headers.get("if-none-match"), etag)
        return not_modified or answers.json_text_answer(text + b"\n", headers={"ETag": etag})
    if doc_id.startswith("_local/"):
        return _local(request, db, doc_id, options)
    accepted = request.accepted()
    if "open_revs" in options:
        return _open_revs(request, db, doc_id, options)
    if "attachments" in options and "atts_since" not in options:
        stubbed = db.get(doc_id, **{**options, "attachments": False, "att_encoding_info": True})
        if are_large([stubbed]):
            return _large(request, db, stubbed, options)
    if ("attachments" in options or "atts_since" in options) and ("multipart/related" in accepted or "*/*" in accepted):
        doc = db.get(doc_id, **{**options, **AS_STORED, "binary": store.Held(BODY_HELD_BYTES)})
        if multipart.has_attachments(doc):
            head = request.method == "HEAD"
            return _cached(request, doc, lambda headers: related_answer(db, doc, headers, head=head))
    else:
        doc = db.get(doc_id, **options)
    return _cached(request, doc, lambda headers: answers.json_answer(doc, headers=headers))


def _open_revs(request: Request, db: Database, doc_id: str, options: dict[str, Any]) -> Response:
    """Several revisions; large attachments are sent as they are read."""
    head = request.method == "HEAD"
    if not {"multipart/mixed", "*/*"}.isdisjoint(request.accepted()):
        rows = db.get(doc_id, **{**options, **AS_STORED, "binary": store.Held(BODY_HELD_BYTES)})
        return rows_multipart(db, "multipart/mixed", (({}, row) for row in rows), head=head)
    if "attachments" in options and "atts_since" not in options:
        rows = db.get(doc_id, **{**options, "attachments": False})
        if are_large(row["ok"] for row in rows if "ok" in row):
            return made_answer(open_revs_chunks(db, rows), JSON, head=head)
    return answers.json_answer(db.get(doc_id, **options))


def _large(request: Request, db: Database, stubbed: dict[str, Any], options: dict[str, Any]) -> Response:
    """A document with attachments that are sent as they are read."""
    head = request.method == "HEAD"
    if not {"multipart/related", "*/*"}.isdisjoint(request.accepted()):
        return _cached(request, stubbed, lambda headers: multipart_with_contents(db, stubbed, headers, head=head))
    if "att_encoding_info" not in options:
        for stub in stubbed["_attachments"].values():
            stub.pop("encoding", None)
    return _cached(request, stubbed, lambda headers: json_with_contents(db, stubbed, headers, head=head))


def _cached(request: Request, doc: dict[str, Any], render: Callable[[dict[str, str]], Response]) -> Response:
    """The answer with its ETag, or 304 in its place."""
    if not UNCACHED.isdisjoint(doc):
        return render({})
    etag = answers.quoted(doc["_rev"])
    return answers.unless_modified(request.headers.get("if-none-match"), etag) or render({"ETag": etag})


def _local(request: Request, db: Database, doc_id: str, options: dict[str, Any]) -> Response:
    """A ``_local`` document. Its rev may stay the same when it changes, so the ETag is one of its text."""
    text = jsonio.dumps(db.get(doc_id, **options)) + b"\n"
    etag = answers.quoted(md5(text, usedforsecurity=False).hexdigest())
    not_modified = answers.unless_modified(request.headers.get("if-none-match"), etag)
    return not_modified or answers.json_text_answer(text, headers={"ETag": etag})
