"""``/_db_updates``: databases as they are created, written to and deleted, in the forms of a changes feed."""

from __future__ import annotations

from dataclasses import replace
from hashlib import md5
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp

from couchette import jsonio
from couchette.errors import BadRequest
from couchette.server import answers
from couchette.server.request import Request
from couchette.server.updates_log import Page
from couchette.server.waiting import EndlessFeed, LongpollFeed, page_limit
from couchette.wire import feed
from couchette.wire.feed import FRAMINGS

FEEDS: Final = ("normal", "continuous", "longpoll", "eventsource")

_CONTINUOUS: Final = replace(FRAMINGS["continuous"], end=lambda last_seq, pending: _last_line(last_seq))


def db_updates(request: Request) -> ASGIApp:
    """``GET /_db_updates``."""
    kind = request.query.first("feed", "normal")
    if kind not in FEEDS:
        raise BadRequest(f"Supported `feed` types: {', '.join(FEEDS)}", f"Got {kind!r}.")
    options = feed.read_options(request.query, request.headers.get("last-event-id"))
    log = request.node.updates
    if kind == "normal" or request.method == "HEAD":
        return _normal(request, log.read(**options.changes))
    if kind == "longpoll":
        page = log.read(**options.changes)
        if page["results"]:
            return answers.json_text_answer(_page(page))
        return _Longpoll(log.wait, log.read, options, request.feeds, answers.open_headers("application/json"), page)
    framing = FRAMINGS["eventsource"] if kind == "eventsource" else _CONTINUOUS
    wanted = options.changes
    if not wanted.get("descending"):
        wanted = {**wanted, "limit": page_limit(wanted.get("limit"))}
    headers = answers.open_headers(framing.media_type)
    return EndlessFeed(log.wait, log.read, options, request.feeds, headers, log.read(**wanted), framing=framing)


class _Longpoll(LongpollFeed):
    """Ends without a count of pending events, as CouchDB's does."""

    def _end(self) -> bytes:
        return _rest(self._page)


def _normal(request: Request, page: Page) -> Response:
    etag = answers.quoted(md5(page["last_seq"].encode(), usedforsecurity=False).hexdigest())
    unchanged = answers.unless_modified(request.headers.get("if-none-match"), etag)
    return unchanged or answers.json_text_answer(_page(page), headers={"ETag": etag})


def _page(page: Page) -> bytes:
    return feed.HEAD + _rest(page)


def _rest(page: Page) -> bytes:
    return feed.rows(page["results"]) + b'\n],\n"last_seq":%b}\n' % jsonio.dumps(page["last_seq"])


def _last_line(last_seq: str) -> bytes:
    return jsonio.dumps({"last_seq": last_seq}) + b"\n"
