"""Which page an address names, and what becomes of an error on the way to it.

A section is a module with ``ROUTES``: (method, path below ``/_utils/``) to a function from a visit to an answer. Forms
are POST, and their handlers see them only when a page of ours sent them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp

from couchette import workers
from couchette.errors import CouchetteError, NotFound, TooLarge, Unauthorized
from couchette.server import answers
from couchette.server.pages import (
    access,
    attachments,
    databases,
    document,
    documents,
    find,
    rendering,
    replications,
    revisions,
    server,
    sign_in,
    static,
    try_view,
    users,
    views,
)
from couchette.server.pages.attachments import UPLOADS
from couchette.server.pages.forms import TOKEN_COOKIE, read_form, receive_form, require_own
from couchette.server.pages.visit import Visit
from couchette.server.request import Request
from couchette.server.streams import Streamed

Handler = Callable[[Visit], ASGIApp]

ROUTES: Final[Mapping[tuple[str, str], Handler]] = {
    **databases.ROUTES,
    **documents.ROUTES,
    **document.ROUTES,
    **attachments.ROUTES,
    **attachments.UPLOADS,
    **revisions.ROUTES,
    **views.ROUTES,
    **try_view.ROUTES,
    **find.ROUTES,
    **access.ROUTES,
    **replications.ROUTES,
    **users.ROUTES,
    **server.ROUTES,
    **sign_in.ROUTES,
}

logger = logging.getLogger(__name__)


def answer(request: Request) -> ASGIApp:
    """The page, or the page of what went wrong."""
    visit = Visit(request)
    try:
        if request.is_streamed and not _is_upload(request):
            return Streamed(request, partial(_receive, visit))
        return _answer(visit)
    except Unauthorized as exc:
        if visit.user.name is None and request.method in ("GET", "HEAD"):
            return _to_sign_in(visit)
        return rendering.error_page(visit, exc)
    except CouchetteError as exc:
        return rendering.error_page(visit, exc)
    except Exception as exc:
        logger.error("%s failed", request.target.decode("latin-1"), exc_info=exc)
        hidden = CouchetteError("The request failed inside the server; its log has the cause.")
        return rendering.error_page(visit, hidden)


async def _receive(visit: Visit) -> ASGIApp:
    """Take a long form, and answer it."""
    try:
        request = await receive_form(visit.request)
    except TooLarge as exc:
        return rendering.error_page(visit, exc)
    return await workers.in_side_thread(answer, request)


def _is_upload(request: Request) -> bool:
    return (request.method, _path(request)) in UPLOADS


def _path(request: Request) -> str:
    """The path below the root."""
    return b"/".join(request.segments[1:]).decode("utf-8", "replace")


def _to_sign_in(visit: Visit) -> Response:
    """Ask who it is. A part of a page that follows by itself has the browser leave the page."""
    target = visit.link("sign-in", next=visit.here)
    if "hx-request" in visit.request.headers:
        return answers.answer(b"", 200, {"HX-Redirect": target, "Cache-Control": "no-store"})
    return visit.go(target)


def _answer(visit: Visit) -> ASGIApp:
    request = visit.request
    path = _path(request)
    method = "GET" if request.method == "HEAD" else request.method
    if method == "GET" and path.startswith("static/"):
        return static.file(path.removeprefix("static/"))
    handler = ROUTES.get((method, path))
    if handler is None:
        allowed = [other for other, known in ROUTES if known == path]
        if allowed:
            raise answers.method_not_allowed(",".join(allowed))
        raise NotFound("missing", "There is no such page.")
    if method == "POST" and (method, path) not in UPLOADS:
        form = read_form(request)
        require_own(request, form, visit.cookie(TOKEN_COOKIE))
        visit = Visit(request, form)
    return handler(visit)
