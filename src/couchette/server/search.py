"""Full-text search over HTTP: ``_search``, ``_search_info`` and ``_search_analyze``, as CouchDB has them."""

from __future__ import annotations

from starlette.responses import Response

from couchette.database import Database
from couchette.errors import BadRequest
from couchette.server import answers
from couchette.server.request import Request
from couchette.server.views import json_body
from couchette.wire.search import search_options


def search(request: Request, db: Database, design: str, name: str) -> Response:
    """``GET`` or ``POST /{db}/_design/{design}/_search/{name}``."""
    options = search_options(request.query, json_body(request))
    return answers.json_answer(db.search((design, name), **options))


def info(request: Request, db: Database, design: str, name: str) -> Response:
    """``GET /{db}/_design/{design}/_search_info/{name}``."""
    return answers.json_answer(db.search_info((design, name)))


def analyze(request: Request) -> Response:
    """``POST /_search_analyze`` of an analyzer and a text."""
    # The search engine is loaded by the first request that needs it.
    from couchette.query.text_search import analyze as terms_of

    body = json_body(request) or {}
    for name in ("analyzer", "text"):
        if name not in body:
            raise BadRequest(f"{name} parameter is missing", 'Give {"analyzer": "standard", "text": "…"}.')
    return answers.json_answer({"tokens": terms_of(body["analyzer"], body["text"])})
