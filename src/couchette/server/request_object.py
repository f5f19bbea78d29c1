"""What design functions are asked when a request asks them."""

from __future__ import annotations

from couchette.database import Database
from couchette.design.request import DesignRequest, security_of
from couchette.server.request import Request


def design_request(request: Request, db: Database) -> DesignRequest:
    """The request as design functions know it."""
    return DesignRequest(
        method=request.method,
        raw_segments=request.raw_segments,
        user_ctx=request.user.context(db.name),
        sec_obj=security_of(db),
        query_string=request.query_string,
        headers=request.headers,
        body=request.body,
        peer=request.peer,
        requested=request.requested,
        rewrites=request.rewrites,
    )
