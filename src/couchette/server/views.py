"""Views of design documents: ``_view``, ``_info`` and ``_view_cleanup``, and several queries in one request."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from couchette.database import Database
from couchette.errors import BadRequest
from couchette.server import answers
from couchette.server.request import Request
from couchette.wire import parameters


def view(request: Request, db: Database, design: str, name: str) -> Response:
    """``GET`` or ``POST /{db}/_design/{design}/_view/{name}``; ``queries`` in the body asks several things at once."""
    body = json_body(request)
    if body is not None and "queries" in body:
        return _several(request, db, design, name, body)
    return answers.json_answer(db.query((design, name), **_options(request, body)))


def queries(request: Request, db: Database, design: str, name: str) -> Response:
    """``POST /{db}/_design/{design}/_view/{name}/queries``."""
    return _several(request, db, design, name, json_body(request) or {})


def _several(request: Request, db: Database, design: str, name: str, body: dict[str, Any]) -> Response:
    asked = [_options(request, one) for one in several(body)]
    return answers.json_answer(db.query((design, name), queries=asked))


def _options(request: Request, body: dict[str, Any] | None) -> dict[str, Any]:
    return {**parameters.view_options(request.query, body), "exact_offset": True}


def json_body(request: Request) -> dict[str, Any] | None:
    """The body of a POST, which must be a JSON object; None for a GET."""
    if request.method != "POST":
        return None
    request.require_json()
    return request.json_object()


def several(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The queries in a body. Raises BadRequest."""
    listed = body.get("queries")
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise BadRequest("`queries` must be an array of objects.", f"Got {listed!r:.80}.")
    return listed


def info(request: Request, db: Database, design: str) -> Response:
    """``GET /{db}/_design/{design}/_info``."""
    return answers.json_answer(db.view_info(design))


def cleanup(request: Request, db: Database) -> Response:
    """``POST /{db}/_view_cleanup``."""
    request.require_json()
    db.view_cleanup()
    return answers.json_answer({"ok": True}, 202)
