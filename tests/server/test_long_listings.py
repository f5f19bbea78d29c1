"""Listings by keys, with conflicts and with attachments: the same answers, of which little is held at a time."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64decode
from typing import Any
from urllib.parse import urlencode

import pytest

from couchette.document.attachment import gzip
from couchette.server.long_listings import listing_chunks
from couchette.server.readable import readable
from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[(1, 1000), (2, 1000), (500, 1), (500, 30), (500, 1_000_000)])
def db(environment, request, monkeypatch):
    """Documents of every kind, of which so many, or so many bytes, are read at once."""
    rows, size = request.param
    monkeypatch.setattr("couchette.server.listed.FEED_PAGE_DOCS", rows)
    monkeypatch.setattr("couchette.server.listed.LISTING_PAGE_BYTES", size)
    monkeypatch.setattr("couchette.server.contents.ATTACHMENT_HOP_BYTES", 30 * rows)
    db = environment["db"]
    db.bulk_docs([{"_id": f"d{number}", "n": number} for number in range(6)])
    attachments = {"x": {"data": b"x" * 100, "content_type": "text/plain"}, "y": {"data": b"y"}}
    db.put({"_id": "at", "_attachments": attachments})
    db.bulk_docs([{"_id": "branched", "_rev": rev, "n": 21} for rev in ("2-b", "2-c")], new_edits=False)
    db.remove(db["d4"])
    return db


KEYS = ["d1", "none", "d4", 7, None, "at", "d1", "branched"]
LISTINGS = [
    {"keys": []},
    {"keys": KEYS},
    {"keys": KEYS, "include_docs": True, "update_seq": True},
    {"keys": KEYS, "include_docs": True, "attachments": True, "descending": True},
    {"keys": KEYS, "skip": 1, "limit": 4, "conflicts": True, "include_docs": True},
    {"keys": KEYS, "attachments": True},
    {"attachments": True},
    {"attachments": True, "include_docs": True},
    {"attachments": True, "include_docs": True, "att_encoding_info": True, "limit": 3, "skip": 1, "update_seq": True},
    {"attachments": True, "include_docs": True, "descending": True, "start_key": "d3", "end_key": "at"},
    {"attachments": True, "include_docs": True, "start_key": "at", "end_key": "d2", "inclusive_end": False},
    {"conflicts": True, "include_docs": True},
    {"conflicts": True, "include_docs": True, "key": "branched"},
    {"conflicts": True, "include_docs": True, "limit": 0},
    {"conflicts": True, "include_docs": True, "skip": 100},
]


@pytest.mark.parametrize("options", LISTINGS, ids=repr)
async def test_a_listing_says_what_the_database_says(app, db, options):
    expected = db.all_docs(**options, exact_offset=True)
    posted = await call_json(app, "POST", "/db/_all_docs", options)
    assert (posted.status, posted.headers["content-type"]) == (200, "application/json")
    assert posted.json() == expected
    query = urlencode({name: json.dumps(value) for name, value in options.items()})
    answer = await call(app, "GET", f"/db/_all_docs?{query}")
    assert answer.body == posted.body
    head = await call(app, "HEAD", f"/db/_all_docs?{query}")
    assert (head.status, head.body) == (200, b"")


def test_what_may_not_be_read_is_left_out(db):
    restricted = readable(db, lambda doc: doc.get("n") != 2)
    options: dict[str, Any]
    for options in ({}, {"keys": KEYS, "include_docs": True}, {"descending": True, "skip": 1, "limit": 3}):
        listing = json.loads(b"".join(listing_chunks(restricted, options)))
        assert listing == restricted.all_docs(**options, exact_offset=True)
    found = restricted.all_docs()
    assert [row["id"] for row in found["rows"]] == ["at", "branched", "d0", "d1", "d3", "d5"]


def test_a_document_is_listed_once_whatever_is_written_meanwhile(db):
    chunks = listing_chunks(db, {"include_docs": True, "conflicts": True})
    begun = next(chunks)
    for name in ("at", "branched", "d0"):
        db.remove(db[name])
    db["aaa"] = {}
    ids = [row["id"] for row in json.loads(begun + b"".join(chunks))["rows"]]
    assert len(ids) == len(set(ids))
    assert {"d1", "d2", "d3", "d5"} <= set(ids)


async def test_gzip_that_becomes_long_is_unpacked_as_it_is_sent(app, db, monkeypatch):
    monkeypatch.setattr("couchette.store.content.ATTACHMENT_UNPACKED_BYTES", 10)
    db.put_attachment("bomb", "x", gzip(bytes(5000)), encoding="gzip")
    answer = await call(app, "GET", '/db/_all_docs?include_docs=true&attachments=true&key="bomb"')
    assert b64decode(answer.json()["rows"][0]["doc"]["_attachments"]["x"]["data"]) == bytes(5000)


@pytest.mark.parametrize(
    "options",
    [{"keys": [f"{n:03}" for n in range(200)]}, {"keys": ["000"] * 200}, {"conflicts": True}, {"descending": True}],
    ids=["keys", "one key", "conflicts", "back"],
)
def test_a_listing_of_any_length_is_held_in_pieces(environment, monkeypatch, options):
    """4 MB of documents, in pages of 32 KB."""
    monkeypatch.setattr("couchette.server.listed.LISTING_PAGE_BYTES", 32_000)
    monkeypatch.setattr("couchette.server.contents.ATTACHMENT_HOP_BYTES", 32_000)
    db = environment["db"]
    db.bulk_docs([{"_id": f"{number:03}", "text": "x" * 20_000} for number in range(200)])
    tracemalloc.start()
    try:
        size = sum(map(len, listing_chunks(db, {**options, "include_docs": True})))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 4_000_000
    assert peak < 1_000_000
