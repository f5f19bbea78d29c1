"""``/{db}/_changes``: what changed, at once or as soon as something does."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import md5
from itertools import chain
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp

from couchette import store
from couchette.async_database import AsyncDatabase
from couchette.database import Database
from couchette.design.filters import Filtered, filtered
from couchette.limits import FEED_PAGE_DOCS
from couchette.pool import Pool
from couchette.query.changes_pages import Pages
from couchette.server import answers
from couchette.server.contents import JSON
from couchette.server.feeds import feed_chunks
from couchette.server.request import Request
from couchette.server.request_object import design_request
from couchette.server.streams import made_answer
from couchette.server.waiting import EndlessFeed, LongpollFeed, page_limit
from couchette.wire import feed
from couchette.wire.feed import FeedOptions, Framing

PAGED: Final = frozenset(["since", "limit", "style", "include_docs", "conflicts", "att_encoding_info"])
"""Options of feeds that are put together of the text that is stored."""
ORDER: Final = ("since", "limit", "descending", "style")
"""Options that say which rows there are, and not how they are shown."""


def changes(request: Request, db: Database) -> ASGIApp:
    """``GET`` or ``POST /{db}/_changes``."""
    body: dict[str, Any] = {}
    if request.method == "POST":
        request.require_json()
        if request.body:
            body = request.json_object()
    options = feed.read_options(request.query, request.headers.get("last-event-id"))
    listed = Filtered(db)
    if options.filter is not None:
        scan_max = FEED_PAGE_DOCS if options.feed in feed.FRAMINGS else None
        asked = design_request(request, db)
        listed = filtered(db, request.designs, options.filter, asked, body, scan_max=scan_max)
    # The head of a feed that waits is known at once.
    if options.feed == "normal" or request.method == "HEAD":
        return _normal(request, db, listed, options)
    if options.feed == "longpoll":
        return _longpoll(request, db, listed, options)
    return _endless(request, db, listed, options)


def _normal(request: Request, db: Database, listed: Filtered, options: FeedOptions) -> Response:
    """Everything there is. The ETag is that of the newest change, taken before the rows are read."""
    newest = md5(db.info()["update_seq"].encode(), usedforsecurity=False).hexdigest()
    etag = answers.quoted(newest)
    not_modified = answers.unless_modified(request.headers.get("if-none-match"), etag)
    if not_modified is not None:
        return not_modified
    if options.filter is None and db._may_read is None and PAGED.issuperset(options.changes):
        chunks = _chunks(db._pool, revs=request.query.flag("revs"), **options.changes)
        return made_answer(chunks, {**JSON, "ETag": etag}, head=request.method == "HEAD")
    return _written(request, db, _pages(listed, options), options, feed.NORMAL, {**JSON, "ETag": etag})


def _longpoll(request: Request, db: Database, listed: Filtered, options: FeedOptions) -> ASGIApp:
    """What there is, if there is anything; or an answer that waits for it."""
    page: dict[str, Any] = {}
    pages = _pages(listed, options)
    for page in pages:
        if page["results"]:
            return _written(request, db, chain([page], pages), options, feed.NORMAL, JSON)
    wait = AsyncDatabase(db).wait_changes
    return LongpollFeed(wait, listed, options, request.feeds, answers.open_headers("application/json"), page)


def _endless(request: Request, db: Database, listed: Filtered, options: FeedOptions) -> ASGIApp:
    """A continuous or eventsource feed. Its first page is read here, where an error still has a status."""
    framing = feed.FRAMINGS[options.feed]
    if options.changes.get("descending"):
        # It begins with the newest change, so there is nothing to wait for.
        headers = {"Content-Type": framing.media_type, "Cache-Control": "no-cache"}
        return _written(request, db, _pages(listed, options), options, framing, headers)
    first = listed(**{**options.changes, "limit": page_limit(options.changes.get("limit"))})
    wait = AsyncDatabase(db).wait_changes
    opened = answers.open_headers(framing.media_type)
    return EndlessFeed(wait, listed, options, request.feeds, opened, first, framing=framing)


def _pages(listed: Filtered, options: FeedOptions) -> Pages:
    return listed.pages(**{name: value for name, value in options.changes.items() if name in ORDER})


def _written(
    request: Request, db: Database, pages: Pages, options: FeedOptions, framing: Framing, headers: dict[str, str]
) -> Response:
    """The answer with these pages, of which the next is read when the one before is sent."""
    shown = {name: value for name, value in options.changes.items() if name not in ORDER}
    chunks = feed_chunks(db, pages, framing, revs=request.query.flag("revs"), **shown)
    return made_answer(chunks, headers, head=request.method == "HEAD", may_be_slow=options.filter is not None)


def _chunks(
    pool: Pool,
    *,
    revs: bool,
    since: int | str,
    limit: int | None = None,
    style: str = "main_only",
    include_docs: bool = False,
    conflicts: bool = False,
    att_encoding_info: bool = False,
) -> Iterator[bytes]:
    """The text of a feed, a page at a time, up to what is the newest change when it begins.

    ``revs`` gives the documents their ``_revisions``, which CouchDB's feed cannot: our own replicator asks for it.
    """
    view = store.View(revs, att_encoding_info=att_encoding_info)
    shown = store.Shown(view, conflicts) if include_docs else None
    shape: dict[str, Any] = {"style": style, "shown": shown, "between": feed.BETWEEN}
    page = pool.read(store.changes_texts, since=since, limit=limit, **shape)
    text = feed.HEAD + feed.BETWEEN.join(page.texts)
    while not page.ended:
        yield text
        limit = None if limit is None else limit - page.rows
        where: dict[str, Any] = {"since": page.last, "until": page.until, "limit": limit}
        page = pool.read(store.changes_texts, **where, **shape)
        text = feed.BETWEEN.join([b"", *page.texts])
    yield text + feed.tail(page.last_seq, page.pending)
