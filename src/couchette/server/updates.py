"""Update functions: documents written by what a design document's function makes of a request."""

from __future__ import annotations

from starlette.responses import Response

from couchette.database import Database
from couchette.design import calls
from couchette.errors import NotFound
from couchette.server.request import Request
from couchette.server.request_object import design_request
from couchette.server.shows import function_answer
from couchette.wire import names


def update(request: Request, db: Database, design: str, path: list[str]) -> Response:
    """``/{db}/_design/{design}/_update/{name}[/{docid}]``, by any method but GET."""
    if not path:
        raise NotFound("Invalid path.", "Name an update function.", error="update_error")
    opened = calls.open_design(db, request.designs, design)
    done = calls.update(db, opened, path[0], "/".join(path[1:]) or None, design_request(request, db))
    if done.written is None:
        return function_answer(done.response)
    headers = {"X-Couch-Update-NewRev": done.written["rev"], "X-Couch-Id": names.quote(done.written["id"])}
    return function_answer(done.response, headers)
