"""``/{db}/_design/{design}/_rewrite/…``: answered as the request that it stands for, as if the client had sent that."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from couchette.database import Database
from couchette.design import rewriting
from couchette.design.request import DesignRequest
from couchette.server.request import Request
from couchette.server.request_object import design_request
from couchette.server.shows import function_answer


def rewritten(request: Request, db: Database, design: str, path: list[str]) -> Request | Response:
    """The request that this one stands for, or the answer that a function gave at once.

    Raises NotFound where nothing fits, and BadRequest when rewrites lead to rewrites without end.
    """
    found = rewriting.rewritten(db, request.designs, design, path, design_request(request, db))
    if not isinstance(found, DesignRequest):
        return function_answer(found)
    return replace(
        request,
        method=found.method,
        raw_segments=list(found.raw_segments),
        query_string=found.query_string,
        query=found.query,
        headers=found.headers,
        body=found.body,
        requested=found.requested,
        rewrites=found.rewrites,
    )
