"""``/{db}/_changes``: what changed, at once or as soon as something does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import md5
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp

from couchette import jsonio
from couchette.database import Database
from couchette.document import selector
from couchette.errors import BadRequest, CouchetteError, NotFound
from couchette.server import answers
from couchette.server.request import Request
from couchette.server.waiting import EndlessFeed, LongpollFeed, page_limit
from couchette.wire import feed
from couchette.wire.feed import FeedOptions


def changes(request: Request, db: Database) -> ASGIApp:
    """``GET`` or ``POST /{db}/_changes``."""
    body: dict[str, Any] = {}
    if request.method == "POST":
        request.require_json()
        if request.body:
            body = request.json_object()
    options = feed.read_options(request.query, request.headers.get("last-event-id"))
    if options.filter is not None:
        options.changes.update(_filter_options(request, db, options.filter, body))
    # The head of a feed that waits is known at once.
    if options.feed == "normal" or request.method == "HEAD":
        return _normal(request, db, options.changes)
    if options.feed != "longpoll":
        return _endless(request, db, options)
    page = db.changes(**options.changes)
    if page["results"]:
        return answers.json_text_answer(feed.page(page))
    return LongpollFeed(db, options, request.feeds, _headers({"Content-Type": "application/json"}), page)


def _endless(request: Request, db: Database, options: FeedOptions) -> ASGIApp:
    """A continuous or eventsource feed. Its first page is read here, where an error still has a status."""
    framing = feed.FRAMINGS[options.feed]
    headers = {"Content-Type": framing.media_type}
    if framing.media_type != "application/json":
        headers["Cache-Control"] = "no-cache"
    wanted = options.changes
    if not wanted.get("descending"):
        wanted = {**wanted, "limit": page_limit(wanted.get("limit"))}
    return EndlessFeed(db, options, request.feeds, _headers(headers), db.changes(**wanted), framing=framing)


def _headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer whose length is not known."""
    return [item for item in answers.answer(b"", 200, headers).raw_headers if item[0] != b"content-length"]


def _normal(request: Request, db: Database, options: dict[str, Any]) -> Response:
    """Everything there is. The ETag is that of the newest change, taken before the rows are read."""
    newest = md5(db.info()["update_seq"].encode(), usedforsecurity=False).hexdigest()
    etag = answers.quoted(newest)
    not_modified = answers.unless_modified(request.headers.get("if-none-match"), etag)
    return not_modified or answers.json_text_answer(feed.page(db.changes(**options)), headers={"ETag": etag})


def _filter_options(request: Request, db: Database, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The options of ``Database.changes`` for a filter."""
    if name == "_doc_ids":
        return {"doc_ids": _doc_ids(request, body)}
    if name == "_selector":
        return {"filter": _selector(body)}
    if name == "_design":
        return {"filter": lambda doc: doc["_id"].startswith("_design/")}
    if name == "_view":
        view = request.query.first("view")
        if view is None:
            raise BadRequest("`view` filter parameter is not provided.", "Give it as `design/view`.")
        _check_function(db, "views", view, "`view` must be of the form `designname/viewname`")
    elif name.startswith("_"):
        raise BadRequest("unknown builtin filter name", f"Got {name!r}; _doc_ids, _selector and _design are served.")
    else:
        _check_function(db, "filters", name, "`filter` must be of the form `designname/filtername`")
    raise _not_served(f"filter={name}")


def _selector(body: Mapping[str, Any]) -> Callable[[Any], bool]:
    """The selector as a function. Here its errors are plain ``bad_request`` ones."""
    wanted = body.get("selector")
    if not isinstance(wanted, dict):
        raise BadRequest("Selector error: expected a JSON object", "Send it in the body of a POST.")
    try:
        return selector.compile(wanted)
    except BadRequest as exc:
        raise BadRequest(exc.reason, exc.hint) from exc


def _doc_ids(request: Request, body: Mapping[str, Any]) -> list[str]:
    text = request.query.first("doc_ids")
    doc_ids = jsonio.loads(text) if text is not None and request.method != "POST" else body.get("doc_ids")
    if not isinstance(doc_ids, list) or not all(isinstance(doc_id, str) for doc_id in doc_ids):
        raise BadRequest("`doc_ids` filter parameter is not a list of doc ids.", f"Got {doc_ids!r}.")
    return doc_ids


def _check_function(db: Database, kind: str, path: str, malformed: str) -> None:
    """Raise unless a design document has this function."""
    design, slash, function = path.partition("/")
    if not slash or "/" in function:
        raise BadRequest(malformed, f"Got {path!r}.")
    functions = db.get(f"_design/{design}").get(kind)
    if not isinstance(functions, dict) or function not in functions:
        raise NotFound(f"missing json key: {function}", f"_design/{design} has no such member in {kind!r}.")


def _not_served(what: str) -> CouchetteError:
    return CouchetteError(f"{what} is not served by this version.", "", status=501, error="not_implemented")
