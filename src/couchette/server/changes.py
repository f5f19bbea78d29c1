"""``/{db}/_changes``: what changed, at once or as soon as something does."""

from __future__ import annotations

from hashlib import md5
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp

from couchette.async_database import AsyncDatabase
from couchette.database import Database
from couchette.limits import FEED_PAGE_DOCS
from couchette.server import answers
from couchette.server.filters import Read, filtered
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
    read: Read = db.changes
    if options.filter is not None:
        scan_max = FEED_PAGE_DOCS if options.feed in feed.FRAMINGS else None
        read = filtered(request, db, options.filter, body, scan_max=scan_max)
    # The head of a feed that waits is known at once.
    if options.feed == "normal" or request.method == "HEAD":
        return _normal(request, db, read, options.changes)
    if options.feed != "longpoll":
        return _endless(request, db, read, options)
    page = read(**options.changes)
    if page["results"]:
        return answers.json_text_answer(feed.page(page))
    wait = AsyncDatabase(db).wait_changes
    return LongpollFeed(wait, read, options, request.feeds, answers.open_headers("application/json"), page)


def _endless(request: Request, db: Database, read: Read, options: FeedOptions) -> ASGIApp:
    """A continuous or eventsource feed. Its first page is read here, where an error still has a status."""
    framing = feed.FRAMINGS[options.feed]
    headers = answers.open_headers(framing.media_type)
    wanted = options.changes
    if not wanted.get("descending"):
        wanted = {**wanted, "limit": page_limit(wanted.get("limit"))}
    wait = AsyncDatabase(db).wait_changes
    return EndlessFeed(wait, read, options, request.feeds, headers, read(**wanted), framing=framing)


def _normal(request: Request, db: Database, read: Read, options: dict[str, Any]) -> Response:
    """Everything there is. The ETag is that of the newest change, taken before the rows are read."""
    newest = md5(db.info()["update_seq"].encode(), usedforsecurity=False).hexdigest()
    etag = answers.quoted(newest)
    not_modified = answers.unless_modified(request.headers.get("if-none-match"), etag)
    return not_modified or answers.json_text_answer(feed.page(read(**options)), headers={"ETag": etag})
