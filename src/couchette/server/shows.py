"""Shows and lists: documents and views rendered by a design document's functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import md5
from typing import Any, Final

from starlette.responses import Response

from couchette import jsonio
from couchette.database import Database
from couchette.errors import FunctionFailed, IllegalDocId, NotFound
from couchette.functions import DesignFunctions, parse_response
from couchette.limits import FUNCTION_REVISIONS_MAX
from couchette.server import answers
from couchette.server.request import Request
from couchette.server.request_object import request_object, user_ctx
from couchette.server.views import json_body
from couchette.wire import parameters

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
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
    ddoc, functions = open_design(request, db, design)
    doc = function_doc(db, doc_id)
    facts = [ddoc["_rev"], doc and doc["_rev"], request.headers.get("accept"), user_ctx(request, db)]
    etag = answers.quoted(md5(jsonio.dumps(facts), usedforsecurity=False).hexdigest())
    not_modified = answers.unless_modified(request.headers.get("if-none-match"), etag)
    if not_modified is not None:
        return not_modified
    answer = functions.show(path[0], doc, request_object(request, db, doc_id))
    return function_answer(answer, {"ETag": etag, "Vary": "Accept"})


def render_list(request: Request, db: Database, design: str, path: list[str]) -> Response:
    """``GET`` or ``POST /{db}/_design/{design}/_list/{name}[/{other design document}]/{view}``.

    A view named ``_all_docs`` is that listing. Nothing is sent before the function is over, so an error has its status.
    """
    if request.method not in ("GET", "HEAD", "POST"):
        raise answers.method_not_allowed("GET,POST,HEAD")
    if len(path) not in (2, 3):
        raise NotFound("Invalid path.", "Name a list function and a view.", error="list_error")
    name, view = path[0], (path[1] if len(path) == 3 else design, path[-1])
    _, functions = open_design(request, db, design)
    body = json_body(request)
    if view[1] == "_all_docs":
        found = db.all_docs(**parameters.all_docs_options(request.query, body), exact_offset=True)
    else:
        found = db.query(view, **parameters.view_options(request.query, body), exact_offset=True)
    rows = found.pop("rows")
    listing = functions.list(name, found, rows, request_object(request, db))
    head: dict[str, Any] = {member: listing.head[member] for member in ("code", "headers") if member in listing.head}
    return function_answer(head, {}, text="".join(listing.chunks))


def open_design(request: Request, db: Database, design: str) -> tuple[dict[str, Any], DesignFunctions]:
    """A design document and its functions. Raises NotFound."""
    ddoc = db.get(f"_design/{design}")
    return ddoc, request.designs.functions(db, ddoc)


def function_doc(db: Database, doc_id: str | None) -> dict[str, Any] | None:
    """A document as functions see it, with its history and conflicts; None where there is none, or no such id."""
    if doc_id is None:
        return None
    try:
        doc: dict[str, Any] = db.get(doc_id, conflicts=True, revs=True)
    except (NotFound, IllegalDocId):
        return None
    if "_revisions" in doc:
        doc["_revisions"]["ids"] = doc["_revisions"]["ids"][:FUNCTION_REVISIONS_MAX]
    return doc


def function_answer(answer: Mapping[str, Any], headers: Mapping[str, str], *, text: str | None = None) -> Response:
    """The HTTP answer of a response object, with more headers, which win; ``text`` is its body, if it was sent apart.

    As in CouchDB it runs no scripts that could act for the user (``Content-Security-Policy: sandbox``).
    """
    response = parse_response(answer)
    if response.code < 200:
        raise _refused(f"code {response.code}", "A response needs a final status, from 200.")
    shown = {"Content-Type": "application/json"}
    for name, value in response.headers.items():
        if not _TOKEN.fullmatch(name):
            raise _refused(f"header {name!r}", "The name of a header is made of letters, digits and -.")
        if name.title() not in _FRAMING:
            shown[name.title()] = value
    policy = shown.get("Content-Security-Policy")
    shown["Content-Security-Policy"] = f"sandbox, {policy}" if policy else "sandbox"
    content = response.body if text is None else text.encode()
    return answers.answer(b"" if response.code in _BODILESS else content, response.code, {**shown, **headers})


def _refused(what: str, hint: str) -> FunctionFailed:
    return FunctionFailed(f"Invalid data from external server: {what}", hint, error="external_response_error")
