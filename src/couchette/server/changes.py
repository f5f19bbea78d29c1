"""``/{db}/_changes``: what changed, at once or as soon as something does."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import md5
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp

from couchette import store
from couchette.async_database import AsyncDatabase
from couchette.database import Database
from couchette.design.filters import Read, filtered
from couchette.limits import FEED_PAGE_DOCS
from couchette.pool import Pool
from couchette.server import answers
from couchette.server.request import Request
from couchette.server.request_object import design_request
from couchette.server.streams import made_answer
from couchette.server.waiting import EndlessFeed, LongpollFeed, page_limit
from couchette.wire import feed
from couchette.wire.feed import FeedOptions

PAGED: Final = frozenset(["since", "limit", "style", "include_docs", "conflicts", "attachments", "att_encoding_info"])
"""Options of feeds that are sent page by page, ascending."""


def changes(request: Request, db: Database) -> ASGIApp:
    """``GET`` or ``POST /{db}/_changes``."""
    body: dict[str, Any] = {}
    if request.method == "POST":
        request.require_json()
        if request.body:
            body = request.json_object()
    options = feed.read_options(request.query, request.headers.get("last-event-id"))
    filtering: Read | None = None
    if options.filter is not None:
        scan_max = FEED_PAGE_DOCS if options.feed in feed.FRAMINGS else None
        asked = design_request(request, db)
        filtering = filtered(db, request.designs, options.filter, asked, body, scan_max=scan_max)
    # The head of a feed that waits is known at once.
    if options.feed == "normal" or request.method == "HEAD":
        return _normal(request, db, filtering, options.changes)
    read: Read = filtering or db.changes
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


def _normal(request: Request, db: Database, read: Read | None, options: dict[str, Any]) -> Response:
    """Everything there is. The ETag is that of the newest change, taken before the rows are read."""
    newest = md5(db.info()["update_seq"].encode(), usedforsecurity=False).hexdigest()
    etag = answers.quoted(newest)
    not_modified = answers.unless_modified(request.headers.get("if-none-match"), etag)
    if not_modified is not None:
        return not_modified
    if read is None and db._may_read is None and PAGED.issuperset(options):
        headers = {"Content-Type": "application/json", "ETag": etag}
        chunks = _chunks(db._pool, revs=request.query.flag("revs"), **options)
        return made_answer(chunks, headers, head=request.method == "HEAD")
    return answers.json_text_answer(feed.page((read or db.changes)(**options)), headers={"ETag": etag})


def _chunks(
    pool: Pool,
    *,
    revs: bool,
    since: int | str,
    limit: int | None = None,
    style: str = "main_only",
    include_docs: bool = False,
    conflicts: bool = False,
    attachments: bool = False,
    att_encoding_info: bool = False,
) -> Iterator[bytes]:
    """The text of a feed, a page at a time, up to what is the newest change when it begins.

    ``revs`` gives the documents their ``_revisions``, which CouchDB's feed cannot: our own replicator asks for it.
    """
    view = store.View(revs, attachments, att_encoding_info=att_encoding_info)
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
