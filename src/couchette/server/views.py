"""Views of design documents: ``_view``, ``_info`` and ``_view_cleanup``, and several queries in one request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from couchette.database import Database
from couchette.errors import BadRequest, CouchetteError
from couchette.limits import LISTING_PAGE_BYTES
from couchette.query.options import ViewQuery
from couchette.query.partitions import partition_pages
from couchette.server import answers
from couchette.server.contents import JSON
from couchette.server.long_views import answer_chunks, text_chunks, view_parts
from couchette.server.partitions import partition_of_view
from couchette.server.readable import rows_readable
from couchette.server.request import Request
from couchette.server.streams import made_answer
from couchette.wire import parameters


def view(request: Request, db: Database, design: str, name: str) -> Response:
    """``GET`` or ``POST /{db}/_design/{design}/_view/{name}``; ``queries`` in the body asks several things at once."""
    body = json_body(request)
    if body is not None and "queries" in body:
        return _several(request, db, design, name, body)
    partition = partition_of_view(request, db, design)
    query = ViewQuery(**_options(request, body))
    if partition is None and db._may_read is None and not query.include_docs:
        pages = db._views.pages((design, name), query, LISTING_PAGE_BYTES, as_text=True)
        return made_answer(text_chunks(pages), JSON, head=request.method == "HEAD")
    return _made(request, db, (design, name), [query], partition, several=False)


def queries(request: Request, db: Database, design: str, name: str) -> Response:
    """``POST /{db}/_design/{design}/_view/{name}/queries``."""
    return _several(request, db, design, name, json_body(request) or {})


def _several(request: Request, db: Database, design: str, name: str, body: dict[str, Any]) -> Response:
    asked = [ViewQuery(**_options(request, one, is_one_of_several=True)) for one in several(body)]
    partition = partition_of_view(request, db, design)
    return _made(request, db, (design, name), asked, partition, several=True)


def _made(
    request: Request,
    db: Database,
    view: tuple[str, str],
    asked: list[ViewQuery],
    partition: str | None,
    *,
    several: bool,
) -> Response:
    """The answer to queries, made while it is sent. What they are refused for is found before it begins."""

    def read(query: ViewQuery) -> Iterator[dict[str, Any]]:
        if partition is not None:
            pages = partition_pages(db._views, view, query, partition, LISTING_PAGE_BYTES)
        elif db._may_read is None:
            return db._views.pages(view, query, LISTING_PAGE_BYTES, as_text=not query.include_docs)
        else:
            pages = db._views.pages(view, query, LISTING_PAGE_BYTES)
        return (rows_readable(db, page) for page in pages)

    if several:
        db._views.check(view, asked)
    chunks = answer_chunks((view_parts(db, read, query) for query in asked), several=several)
    return made_answer(chunks, JSON, head=request.method == "HEAD", may_be_slow=several)


def _options(request: Request, body: dict[str, Any] | None, *, is_one_of_several: bool = False) -> dict[str, Any]:
    options = parameters.view_options(request.query, body, is_one_of_several=is_one_of_several)
    return {**options, "exact_offset": True}


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


def temporary(request: Request, db: Database) -> Response:
    """``POST /{db}/_temp_view``, which CouchDB gave up with version 2."""
    raise CouchetteError(
        "Temporary views are not supported in CouchDB", "Put the view into a design document.", status=410, error="gone"
    )


def cleanup(request: Request, db: Database) -> Response:
    """``POST /{db}/_view_cleanup``."""
    request.require_json()
    db.view_cleanup()
    return answers.json_answer({"ok": True}, 202)
