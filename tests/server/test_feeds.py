"""Every kind of ``_changes`` is made while it is sent: what it says, and how little of it is held at a time."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64decode
from urllib.parse import urlencode

import pytest

from couchette import jsonio, store
from couchette.design.filters import Filtered
from couchette.document.attachment import gzip
from couchette.limits import ATTACHMENT_HOP_BYTES
from couchette.query.filtered_changes import filtered_changes
from couchette.server import changes, feeds
from couchette.server.feeds import feed_chunks
from couchette.server.readable import readable
from couchette.wire import feed
from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio

FILTERS = {
    "even": "function(d) { return d.n % 2 == 0 }",
    "fails": "function(d) { if (d.n === 9) throw 'no'; return 1 }",
}


@pytest.fixture(params=[1, 3, 500])
def page_rows(request, monkeypatch):
    """So many rows are read at once, and so few bytes of documents."""
    monkeypatch.setattr("couchette.query.changes_pages.LISTING_PAGE_ROWS", request.param)
    monkeypatch.setattr("couchette.query.filtered_changes.FEED_PAGE_DOCS", request.param)
    for module in ("texts", "text_blocks"):
        monkeypatch.setattr(f"couchette.store.{module}.LISTING_PAGE_BYTES", 20 * request.param)
    monkeypatch.setattr("couchette.server.contents.ATTACHMENT_HOP_BYTES", 30 * request.param)


@pytest.fixture
def db(environment):
    db = environment["db"]
    db.bulk_docs([{"_id": f"d{number}", "n": number} for number in range(12)])
    db.put({"_id": "at", "n": 20, "_attachments": {"x": {"data": b"x" * 100, "content_type": "text/plain"}}})
    branches = [{"_id": "branched", "_rev": rev, "n": 21} for rev in ("2-b", "2-c")]
    db.bulk_docs(branches, new_edits=False)
    db.remove(db["d4"])
    db.put(
        {
            "_id": "_design/d",
            "filters": FILTERS,
            "views": {
                "all": {"map": "function(d) { emit(1) }"},
                "odd": {"map": "function(d) { if (d.n % 2) emit(1) }"},
            },
        }
    )
    return db


def target(options):
    values = {name: value if isinstance(value, str) else json.dumps(value) for name, value in options.items()}
    return f"/db/_changes?{urlencode(values)}"


SHOWN = [
    {},
    {"descending": True},
    {"limit": 4},
    {"limit": 4, "descending": True},
    {"limit": 0, "descending": True},
    {"include_docs": True},
    {"include_docs": True, "descending": True, "conflicts": True, "style": "all_docs"},
    {"include_docs": True, "attachments": True, "limit": 14},
    {"include_docs": True, "attachments": True, "att_encoding_info": True, "descending": True},
    {"seq_interval": 3, "include_docs": True},
    {"since": "now"},
]


@pytest.mark.usefixtures("page_rows")
@pytest.mark.parametrize("options", SHOWN, ids=repr)
@pytest.mark.parametrize("kind", ["normal", "longpoll"])
async def test_a_feed_is_what_one_read_gives(app, db, options, kind):
    ids = ["d3", "at", "d4", "none", "branched"]
    selector = {"n": {"$gt": 5}}

    def through(passes):
        return filtered_changes(db._pool, passes, **options)

    chosen = [
        ("GET", {}, None, db.changes(**options)),
        ("POST", {"filter": "_doc_ids"}, {"doc_ids": ids}, db.changes(**options, doc_ids=ids)),
        ("POST", {"filter": "_selector"}, {"selector": selector}, db.changes(**options, selector=selector)),
        ("GET", {"filter": "d/even"}, None, through(lambda docs: [doc.get("n", 1) % 2 == 0 for doc in docs])),
        (
            "GET",
            {"filter": "_view", "view": "d/odd"},
            None,
            through(lambda docs: [doc.get("n", 0) % 2 for doc in docs]),
        ),
    ]
    for method, query, body, expected in chosen:
        if kind == "longpoll" and not expected["results"]:
            continue  # It would wait.
        answer = await call_json(app, method, target({**query, **options, "feed": kind}), body)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert answer.body == feed.page(expected)


@pytest.mark.usefixtures("page_rows")
@pytest.mark.parametrize("query", ["", "&filter=d/even", "&include_docs=true&attachments=true"])
async def test_a_descending_feed_in_other_frames_has_the_same_rows(app, db, query):
    whole = (await call(app, "GET", f"/db/_changes?descending=true{query}")).json()
    continuous = await call(app, "GET", f"/db/_changes?descending=true&feed=continuous{query}")
    *rows, end, empty = continuous.body.split(b"\n")[:-1]
    assert [json.loads(row) for row in rows] == whole["results"]
    assert (json.loads(end), empty) == ({"last_seq": whole["last_seq"], "pending": whole["pending"]}, b"")
    events = await call(app, "GET", f"/db/_changes?descending=true&feed=eventsource{query}")
    assert events.headers["content-type"].startswith("text/event-stream")
    assert events.headers["cache-control"] == "no-cache"
    expected = [b"data: %b\nid: %b\n\n" % (jsonio.dumps(row), jsonio.dumps(row["seq"])) for row in whole["results"]]
    assert events.body == b"".join(expected)


async def test_a_filter_that_fails_at_once_has_a_status(app, db):
    answer = await call(app, "GET", "/db/_changes?filter=d/fails")
    assert answer.status == 500
    assert "no" in answer.json()["reason"]


async def test_the_head_alone_is_sent_for_head(app, db, page_rows):
    for query in ("descending=true", "filter=d/even", "filter=d/even&feed=continuous"):
        answer = await call(app, "HEAD", f"/db/_changes?{query}")
        assert (answer.status, answer.body) == (200, b"")


async def test_large_attachments_of_a_feed_are_sent_as_they_are_read(app, db):
    large = bytes(range(256)) * (ATTACHMENT_HOP_BYTES // 100)
    db.put({"_id": "large", "_attachments": {"x": {"content_type": "image/png", "data": large}}})
    answer = await call(app, "GET", "/db/_changes?include_docs=true&attachments=true&descending=true&limit=1")
    assert "content-length" not in answer.headers
    assert b64decode(answer.json()["results"][0]["doc"]["_attachments"]["x"]["data"]) == large


async def test_gzip_that_becomes_long_is_unpacked_as_it_is_sent(app, db, monkeypatch):
    monkeypatch.setattr("couchette.store.content.ATTACHMENT_UNPACKED_BYTES", 10)
    for module in ("texts", "text_blocks"):
        monkeypatch.setattr(f"couchette.store.{module}.LISTING_PAGE_BYTES", 1000)
    db.put_attachment("bomb", "x", gzip(bytes(5000)), encoding="gzip")
    answer = await call(app, "GET", "/db/_changes?include_docs=true&attachments=true")
    docs = {row["id"]: row["doc"] for row in answer.json()["results"]}
    assert b64decode(docs["bomb"]["_attachments"]["x"]["data"]) == bytes(5000)


async def test_what_changes_between_a_row_and_its_document_is_in_the_next_feed(app, db, monkeypatch):
    original = store.docs_at

    def late(conn, seqs, shown):
        monkeypatch.setattr(store, "docs_at", original)
        db["d5"] = {**db["d5"], "n": "later"}
        return db._pool.read(original, seqs, shown)

    before = db.changes()
    monkeypatch.setattr(store, "docs_at", late)
    found = (await call(app, "GET", "/db/_changes?include_docs=true&seq_interval=1")).json()
    assert {row["id"] for row in before["results"]} - {row["id"] for row in found["results"]} == {"d5"}
    assert [row["id"] for row in db.changes(since=found["last_seq"])["results"]] == ["d5"]


def test_a_winner_that_may_not_be_read_is_not_shown_with_a_leaf_that_may(db):
    db.bulk_docs([{"_id": "two", "_rev": f"1-{name}", "secret": name == "b"} for name in "ab"], new_edits=False)
    restricted = readable(db, lambda doc: not doc.get("secret"))
    pages = Filtered(restricted).pages(since=0, limit=None, descending=True, style="all_docs")
    rows = json.loads(b"".join(feed_chunks(restricted, pages, feed.NORMAL, include_docs=True)))["results"]
    assert {"id": "two", "changes": [{"rev": "1-a"}], "doc": None}.items() <= rows[0].items()
    assert rows[1]["doc"] is not None


# -- Memory ---------------------------------------------------------------------------------------


KINDS = [
    {"descending": True},
    {"filter": lambda doc: "text" in doc},
    {"judge": lambda docs: ["text" in doc for doc in docs]},
]


@pytest.mark.parametrize("kind", KINDS, ids=["descending", "filter of one", "filter of many"])
def test_a_feed_of_any_length_is_held_in_pieces(environment, monkeypatch, kind):
    """8 MB of documents in pages of 20 rows and 32 KB: what is held is a fraction, and read when it is wanted."""
    monkeypatch.setattr("couchette.query.changes_pages.LISTING_PAGE_ROWS", 20)
    monkeypatch.setattr("couchette.query.filtered_changes.FEED_PAGE_DOCS", 20)
    for module in ("texts", "text_blocks"):
        monkeypatch.setattr(f"couchette.store.{module}.LISTING_PAGE_BYTES", 32_000)
    monkeypatch.setattr("couchette.server.contents.ATTACHMENT_HOP_BYTES", 32_000)
    db = environment["db"]
    db.bulk_docs([{"_id": f"{number:04}", "text": "x" * 20_000} for number in range(400)])
    listed = Filtered(db, accepts=kind.get("filter"), judge=kind.get("judge"))
    pages = listed.pages(since=0, limit=None, descending="descending" in kind, style="main_only")
    reads = []
    read = db._pool.read

    def counted_read(op, *args, **options):
        reads.append(op)
        return read(op, *args, **options)

    monkeypatch.setattr(db._pool, "read", counted_read)
    chunks = feed_chunks(db, pages, feed.NORMAL, include_docs=True)
    tracemalloc.start()
    try:
        first = next(chunks)
        assert len(reads) < 6
        size = len(first) + sum(map(len, chunks))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 8_000_000
    assert len(reads) > 400 / 20
    assert peak < 2_000_000


async def test_the_answer_is_made_as_it_is_sent(app, db, monkeypatch):
    monkeypatch.setattr("couchette.server.contents.ATTACHMENT_HOP_BYTES", 100)
    monkeypatch.setattr("couchette.query.changes_pages.LISTING_PAGE_ROWS", 2)
    made = []
    original = feeds.feed_chunks

    def counting(*args, **options):
        for chunk in original(*args, **options):
            made.append(chunk)
            yield chunk

    monkeypatch.setattr(changes, "feed_chunks", counting)
    answer = await call(app, "GET", "/db/_changes?descending=true")
    assert answer.body == b"".join(made)
    assert len(made) > 5
    assert "content-length" not in answer.headers
