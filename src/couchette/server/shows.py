"""Shows and lists: documents and views rendered by a design document's functions."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import md5
from typing import Final

from starlette.responses import Response

from couchette import functions, jsonio
from couchette.database import Database
from couchette.design import calls
from couchette.errors import NotFound
from couchette.server import answers
from couchette.server.request import Request
from couchette.server.request_object import design_request
from couchette.server.views import json_body

_FRAMING: Final = frozenset({"Connection", "Content-Length", "Keep-Alive", "Transfer-Encoding", "Upgrade"})
"""Headers that say where an answer ends; the server alone knows."""

_BODILESS: Final = frozenset({204, 304})


def show(request: Request, db: Database, design: str, path: list[str]) -> Response:
    """``/{db}/_design/{design}/_show/{name}[/{docid}]``, by any method.

    The ETag is known before the function runs: it depends on what the function is given, but for query and cookies.
    """
    if not path:
        raise NotFound("Invalid path.", "Name a show function.", error="show_error")
    doc_id = "/".join(path[1:]) or None
    opened = calls.open_design(db, request.designs, design)
    doc = calls.function_doc(db, doc_id)
    asked = design_request(request, db)
    facts = [opened.doc["_rev"], doc and doc["_rev"], request.headers.get("accept"), asked.user_ctx]
    etag = answers.quoted(md5(jsonio.dumps(facts), usedforsecurity=False).hexdigest())
    not_modified = answers.unless_modified(request.headers.get("if-none-match"), etag)
    if not_modified is not None:
        return not_modified
    return function_answer(calls.show(db, opened, path[0], doc_id, doc, asked), {"ETag": etag, "Vary": "Accept"})


def render_list(request: Request, db: Database, design: str, path: list[str]) -> Response:
    """``GET`` or ``POST /{db}/_design/{design}/_list/{name}[/{other design document}]/{view}``.

    A view named ``_all_docs`` is that listing. Nothing is sent before the function is over, so an error has its status.
    """
    if request.method not in ("GET", "HEAD", "POST"):
        raise answers.method_not_allowed("GET,POST,HEAD")
    if len(path) not in (2, 3):
        raise NotFound("Invalid path.", "Name a list function and a view.", error="list_error")
    view = (path[1] if len(path) == 3 else design, path[-1])
    opened = calls.open_design(db, request.designs, design)
    body = json_body(request)
    return function_answer(calls.render_list(db, opened, path[0], view, design_request(request, db), body))


def function_answer(response: functions.Response, headers: Mapping[str, str] | None = None) -> Response:
    """The HTTP answer of a function's, with more headers, which win.

    As in CouchDB it runs no scripts that could act for the user (``Content-Security-Policy: sandbox``).
    """
    given = {"Content-Type": "application/json", **response.headers}
    shown = {name: value for name, value in given.items() if name not in _FRAMING}
    policy = shown.get("Content-Security-Policy")
    shown["Content-Security-Policy"] = f"sandbox, {policy}" if policy else "sandbox"
    content = b"" if response.code in _BODILESS else response.body
    return answers.answer(content, response.code, {**shown, **(headers or {})})
