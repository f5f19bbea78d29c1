"""Update functions: documents written by what a design document's function makes of a request."""

from __future__ import annotations

from starlette.responses import Response

from couchette.database import Database
from couchette.errors import IllegalDocId, NotFound
from couchette.server.edits import refuse_bad_design
from couchette.server.request import Request
from couchette.server.request_object import request_object
from couchette.server.shows import function_answer, function_doc, open_design
from couchette.wire import names


def update(request: Request, db: Database, design: str, path: list[str]) -> Response:
    """``/{db}/_design/{design}/_update/{name}[/{docid}]``, by any method but GET.

    The function is given the document as it is now; if another edit comes between, this one is a conflict.
    """
    if not path:
        raise NotFound("Invalid path.", "Name an update function.", error="update_error")
    doc_id = "/".join(path[1:]) or None
    _, functions = open_design(request, db, design)
    doc = function_doc(db, doc_id)
    edited, answer = functions.update(path[0], doc, request_object(request, db, doc_id))
    if not isinstance(edited, dict):
        return function_answer({"code": 200, **answer}, {})
    if not edited.get("_id"):
        raise IllegalDocId("Document id must not be empty", f"{path[0]} of _design/{design} made a document without.")
    refuse_bad_design(edited, new_edits=True)
    written = db.put(edited)
    headers = {"X-Couch-Update-NewRev": written["rev"], "X-Couch-Id": names.quote(written["id"])}
    return function_answer({"code": 201, **answer}, headers)
