"""A changes feed on the wire: the options of a request, and the framing of the answer.

A normal or longpoll answer is one JSON object, but framed so that a client may read it line by line: a row a
line, ``last_seq`` and ``pending`` on the last one. Newlines between rows mean nothing, and a waiting feed
sends them to show that it lives. Continuous and eventsource feeds are a row after the other (:class:`Framing`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from couchette import jsonio
from couchette.errors import BadRequest, QueryParseError
from couchette.limits import LONGPOLL_TIMEOUT_MS
from couchette.wire.parameters import Query, read_integer

FEEDS: Final = ("normal", "longpoll", "continuous", "live", "eventsource")
STYLES: Final = ("main_only", "all_docs")

HEAD: Final = b'{"results":[\n'
BETWEEN: Final = b",\r\n"
HEARTBEAT: Final = b"\n"

_SEQ: Final = re.compile(r"[0-9]{1,18}-.+", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class FeedOptions:
    """What a request to ``_changes`` asks for."""

    feed: str
    filter: str | None
    timeout_s: float
    """How long a waiting feed waits for a change."""
    heartbeat_s: float | None
    """Pause between newlines while it waits; with it there is no timeout."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of ``Database.changes``."""


def read_options(query: Query, last_event_id: str | None = None) -> FeedOptions:
    """The options of a request; ``last_event_id`` is that header, which wins over ``since``."""
    feed = query.first("feed", "normal")
    assert feed is not None
    if feed not in FEEDS:
        raise BadRequest("Supported `feed` types: normal, continuous, live, longpoll, eventsource", f"Got {feed!r}.")
    return FeedOptions(
        feed=feed,
        filter=query.first("filter"),
        timeout_s=_timeout_s(query.first("timeout")),
        heartbeat_s=_heartbeat_s(query.first("heartbeat")),
        changes=_changes_options(query, last_event_id),
    )


def _changes_options(query: Query, last_event_id: str | None) -> dict[str, Any]:
    since = last_event_id or query.first("since", query.first("last-event-id", "0"))
    assert since is not None
    options: dict[str, Any] = {"since": read_since(since), "style": query.first("style", "main_only")}
    if options["style"] not in STYLES:
        raise BadRequest("`style` must be main_only or all_docs.", f"Got {options['style']!r}.")
    for name in ("descending", "include_docs", "conflicts", "attachments", "att_encoding_info"):
        if query.flag(name):
            options[name] = True
    if (limit := query.first("limit")) is not None and (number := read_integer(limit)) >= 0:
        options["limit"] = number
    if (interval := _seq_interval(query.first("seq_interval"))) is not None:
        options["seq_interval"] = interval
    return options


def read_since(text: str) -> int | str:
    """A ``since`` parameter: 0, ``now`` or a seq, bare or as a JSON string."""
    seq = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if seq == "0":
        return 0
    if seq == "now" or _SEQ.fullmatch(seq):
        return seq
    raise BadRequest(
        "Malformed sequence supplied in 'since' parameter.",
        f"Got {text!r}; give 0, now, or the last_seq of an earlier answer.",
    )


def _timeout_s(text: str | None) -> float:
    """Longer waits than the server's own are cut to it, as in CouchDB."""
    timeout_ms = LONGPOLL_TIMEOUT_MS if text is None else read_integer(text)
    return max(0, min(timeout_ms, LONGPOLL_TIMEOUT_MS)) / 1000


def _heartbeat_s(text: str | None) -> float | None:
    if text is None:
        return None
    if text == "true":
        return LONGPOLL_TIMEOUT_MS / 1000
    try:
        heartbeat_ms = read_integer(text)
    except QueryParseError as exc:
        raise BadRequest(
            "Invalid heartbeat value. Expecting a positive integer value (in milliseconds).", f"Got {text!r}."
        ) from exc
    if heartbeat_ms <= 0:
        raise BadRequest("The heartbeat value should be a positive integer (in milliseconds).", f"Got {text!r}.")
    return min(heartbeat_ms, LONGPOLL_TIMEOUT_MS) / 1000


def _seq_interval(text: str | None) -> int | None:
    """A number below 1, or none at all, is ignored as CouchDB ignores it."""
    try:
        return number if text is not None and (number := read_integer(text)) > 0 else None
    except QueryParseError:
        return None


def rows(results: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows of a normal or longpoll feed."""
    return BETWEEN.join(map(jsonio.dumps, results))


def tail(last_seq: str, pending: int) -> bytes:
    """The end of a normal or longpoll feed."""
    return b'\n],\n"last_seq":%b,"pending":%d}\n\n' % (jsonio.dumps(last_seq), pending)


def _line(row: Mapping[str, Any]) -> bytes:
    return jsonio.dumps(row) + b"\n"


def _last_line(last_seq: str, pending: int) -> bytes:
    return _line({"last_seq": last_seq, "pending": pending}) + b"\n"


def _after_event(seq: str | None) -> bytes:
    return b"\nid: %b\n\n" % jsonio.dumps(seq)


@dataclass(frozen=True)
class Framing:
    """How a feed is written."""

    media_type: str
    before: bytes
    """What stands before the text of a row."""
    after: Callable[[Any], bytes]
    """What stands behind it, of the row's seq."""
    waiting: bytes
    """Sent when the feed begins to wait."""
    heartbeat: bytes
    end: Callable[[str, int], bytes]
    """What ends it, of ``last_seq`` and ``pending``."""
    head: bytes = b""
    between: bytes = b""
    """What stands between two rows."""

    def row(self, row: Mapping[str, Any]) -> bytes:
        """A row as it is written."""
        return self.before + jsonio.dumps(row) + self.after(row["seq"])


_CONTINUOUS: Final = Framing("application/json", b"", lambda seq: b"\n", HEARTBEAT, HEARTBEAT, _last_line)
_EVENTS: Final = Framing(
    "text/event-stream", b"data: ", _after_event, b"", b"event: heartbeat\ndata: \n\n", lambda last_seq, pending: b""
)
NORMAL: Final = Framing("application/json", b"", lambda seq: b"", b"", HEARTBEAT, tail, HEAD, BETWEEN)
FRAMINGS: Final = {"continuous": _CONTINUOUS, "live": _CONTINUOUS, "eventsource": _EVENTS}
"""Of feeds without an end."""


def page(changes: Mapping[str, Any]) -> bytes:
    """A whole feed of what ``Database.changes`` gave."""
    return HEAD + rows(changes["results"]) + tail(changes["last_seq"], changes["pending"])
