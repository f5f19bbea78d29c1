"""Requests for changes are read, and feeds framed, as CouchDB does."""

from __future__ import annotations

import pytest

from couchette.errors import BadRequest
from couchette.wire import feed
from couchette.wire.parameters import Query


def options(query: bytes, last_event_id: str | None = None) -> feed.FeedOptions:
    return feed.read_options(Query(query), last_event_id)


def test_without_parameters_everything_is_asked_for_at_once():
    assert options(b"") == feed.FeedOptions("normal", None, 60, None, {"since": 0, "style": "main_only"})


def test_options_become_arguments_of_changes():
    query = b"style=all_docs&since=3-abc&limit=2&descending=true&include_docs=true&conflicts=x&seq_interval=2"
    assert options(query).changes == {
        "style": "all_docs",
        "since": "3-abc",
        "limit": 2,
        "descending": True,
        "include_docs": True,
        "seq_interval": 2,
    }


@pytest.mark.parametrize("query", [b"limit=-1", b"seq_interval=0", b"seq_interval=x", b"nonsense=1"])
def test_what_couchdb_ignores_is_ignored(query):
    assert options(query).changes == {"since": 0, "style": "main_only"}


@pytest.mark.parametrize(
    ("since", "read"), [("0", 0), ('"0"', 0), ("now", "now"), ("12-ab", "12-ab"), ('"12-ab"', "12-ab")]
)
def test_a_sequence_is_read_bare_and_quoted(since, read):
    assert feed.read_since(since) == read


@pytest.mark.parametrize("since", ["", '"', "x", "5", "-1", "a-b", "1" * 30 + "-a", "null", "[1]"])
def test_a_malformed_sequence_is_refused(since):
    with pytest.raises(BadRequest, match="Malformed sequence supplied in 'since' parameter"):
        feed.read_since(since)


def test_the_last_event_id_wins_over_since():
    assert options(b"since=1-a", "2-b").changes["since"] == "2-b"
    assert options(b"last-event-id=3-c").changes["since"] == "3-c"


@pytest.mark.parametrize(
    ("query", "timeout_s", "heartbeat_s"),
    [
        (b"timeout=1500", 1.5, None),
        (b"timeout=-1", 0, None),
        (b"timeout=600000", 60, None),
        (b"heartbeat=true", 60, 60),
        (b"heartbeat=250&timeout=10", 0.01, 0.25),
        (b"heartbeat=600000", 60, 60),
    ],
)
def test_times_are_in_milliseconds_and_bounded(query, timeout_s, heartbeat_s):
    asked = options(query)
    assert (asked.timeout_s, asked.heartbeat_s) == (timeout_s, heartbeat_s)


@pytest.mark.parametrize(
    "query", [b"feed=nope", b"style=nope", b"limit=x", b"timeout=x", b"heartbeat=0", b"heartbeat=x", b"heartbeat=false"]
)
def test_malformed_options_are_refused(query):
    with pytest.raises(BadRequest):
        options(query)


def test_a_feed_has_a_row_a_line():
    rows = [{"seq": "1-x", "id": "a", "changes": [{"rev": "1-a"}]}, {"seq": None, "id": "b", "changes": []}]
    assert feed.page({"results": rows, "last_seq": "2-x", "pending": 3}) == (
        b'{"results":[\n{"seq":"1-x","id":"a","changes":[{"rev":"1-a"}]},\r\n{"seq":null,"id":"b","changes":[]}'
        b'\n],\n"last_seq":"2-x","pending":3}\n\n'
    )
    assert feed.page({"results": [], "last_seq": "0-x", "pending": 0}) == (
        b'{"results":[\n\n],\n"last_seq":"0-x","pending":0}\n\n'
    )
