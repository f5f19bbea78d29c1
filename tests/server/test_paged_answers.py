"""Listings and feeds that are sent page by page, from the text that is stored: what they say, and what they hold."""

from __future__ import annotations

import json
from itertools import chain
from urllib.parse import urlencode

import pytest

from couchette import Database, jsonio, limits, store
from couchette.server import changes, listings
from couchette.store import texts
from couchette.wire import feed
from tests.server.asgi import call, call_json, calling

pytestmark = pytest.mark.anyio

HEX = "0123456789abcdef" * 2


@pytest.fixture(params=[(1, 250), (3, 2), (2000, 3), (2000, 250)])
def db(environment, request, monkeypatch):
    """Documents of every kind, and pages and blocks of so many rows."""
    rows, block = request.param
    monkeypatch.setattr("couchette.store.texts.LISTING_PAGE_ROWS", rows)
    monkeypatch.setattr("couchette.store.text_blocks.LISTING_BLOCK_ROWS", block)
    db = environment["db"]
    db.bulk_docs([{"_id": f"d{number}", "n": number, "é": '"\\\u2028'} for number in range(8)])
    db.bulk_docs([{"_id": "empty"}, {"_id": "big", "n": 2**70}, {"_id": '"quoted"\\'}, {"_id": "😀"}])
    db.bulk_docs([{"_id": "\x01\t\x7f\0é"}, {"_id": "long", "text": "é" * limits.LISTING_BODY_BYTES}])
    db.bulk_docs([{"_id": "at", "_attachments": {"x": {"data": "QQ=="}}}])
    db.bulk_docs(
        [
            {"_id": "branched", "_rev": rev, "_revisions": {"start": 2, "ids": [rev[2:], "a"]}}
            for rev in ("2-b", f"2-{HEX}")
        ],
        new_edits=False,
    )
    db.bulk_docs([{"_id": "gone", "_rev": f"1-{HEX}", "_deleted": True, "why": "kept"}], new_edits=False)
    db["d3"] = {**db["d3"], "n": "three"}
    del db["d4"]
    return db


LISTINGS = [
    {},
    {"include_docs": True},
    {"include_docs": True, "descending": True},
    {"start_key": "b", "end_key": "d5"},
    {"start_key": "d5", "end_key": "b", "descending": True, "inclusive_end": False},
    {"start_key": "d5", "end_key": "b"},
    {"key": "d2", "include_docs": True},
    {"key": 7},
    {"end_key": 7},
    {"skip": 2, "limit": 5},
    {"skip": 4, "limit": 3, "descending": True, "include_docs": True},
    {"limit": 0},
    {"skip": 100},
    {"update_seq": True, "limit": 1},
]


@pytest.mark.parametrize("options", LISTINGS, ids=repr)
async def test_a_listing_says_what_the_database_says(app, db, options):
    query = urlencode({name: json.dumps(value) for name, value in options.items()})
    answer = await call(app, "GET", f"/db/_all_docs?{query}")
    assert answer.status == 200
    expected = db.all_docs(**options, exact_offset=True)
    assert answer.json() == expected
    assert answer.body.endswith(b'"rows":%b}\n' % jsonio.dumps(expected["rows"]))
    posted = await call_json(app, "POST", "/db/_all_docs", options)
    assert posted.json() == answer.json()


FEEDS = [
    {},
    {"include_docs": True},
    {"style": "all_docs", "include_docs": True},
    {"include_docs": True, "conflicts": True},
    {"include_docs": True, "attachments": True, "att_encoding_info": True},
    {"limit": 4},
    {"limit": 0},
    {"limit": 1000},
    {"since": "now"},
    {"descending": True, "limit": 5},
    {"seq_interval": 3},
]


@pytest.mark.parametrize("options", FEEDS, ids=repr)
async def test_a_feed_says_what_the_database_says(app, db, options):
    query = urlencode({name: value if isinstance(value, str) else json.dumps(value) for name, value in options.items()})
    answer = await call(app, "GET", f"/db/_changes?{query}")
    page = db.changes(**options)
    assert answer.json() == page
    assert answer.body == feed.page(page)


async def test_a_feed_goes_on_where_another_ended(app, db):
    whole = db.changes()["results"]
    found, since = [], "0"
    while page := (await call(app, "GET", f"/db/_changes?since={since}&limit=4")).json():
        if not page["results"]:
            break
        found += page["results"]
        since = page["last_seq"]
        assert page["pending"] == len(whole) - len(found)
    assert found == whole


async def test_a_feed_with_histories_is_enough_to_copy_ordinary_documents(app, db):
    rows = (await call(app, "GET", "/db/_changes?include_docs=true&revs=true&style=all_docs")).json()["results"]
    for row in rows:
        assert row["doc"] == db.get(row["id"], rev=row["doc"]["_rev"], revs=True)


async def test_the_head_alone_is_sent_for_head(app, db):
    for target in ("/db/_all_docs?include_docs=true", "/db/_changes"):
        answer = await call(app, "HEAD", target)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-type"] == "application/json"


def test_what_is_written_while_a_feed_is_read_belongs_to_the_next(db):
    before = db.changes()
    chunks = changes._chunks(db._pool, revs=False, since=0)
    first = next(chunks)
    db["d7"] = {**db["d7"], "n": "later"}
    db["new"] = {}
    answer = json.loads(first + b"".join(chunks))
    assert answer["last_seq"] == before["last_seq"]
    if b'"d7"' in first:
        assert answer == before
    else:  # It moved on before its page was read, and the next feed has it.
        assert [row["id"] for row in before["results"] if row not in answer["results"]] == ["d7"]
        assert answer["pending"] == 2
    assert {row["id"] for row in db.changes(since=answer["last_seq"])["results"]} == {"d7", "new"}


def test_a_document_is_listed_once_whatever_is_written_meanwhile(db):
    chunks = listings._chunks(db._pool)
    first = next(chunks)
    for name in ("at", "d0"):
        del db[name]
    db["aaa"] = {}
    ids = [row["id"] for row in json.loads(b"".join([*first, *chain(*chunks)]))["rows"]]
    assert len(ids) == len(set(ids))
    assert {"big", "branched", "d7", "😀"} <= set(ids)


@pytest.mark.parametrize("descending", [False, True])
def test_sqlite_makes_the_text_of_ordinary_documents_as_we_would(descending):
    ids = ["a", "\x01\t\x7f\0é", '"quoted"\\', "😀", "\u2028", *map(str, range(300))]
    with Database(":memory:") as db:
        db.bulk_docs([{"_id": doc_id, "n": 2**70, "é": '"\\\x01\u2028'} for doc_id in ids])
        db.bulk_docs([{"_id": "odd", "_rev": '1-"\\é', "n": 1}], new_edits=False)
        span = store.span_of(store.UNSET, store.UNSET, store.UNSET, True, descending)
        block = db._pool.read(texts._ordinary_docs, span, 2, 200)
        other = db._pool.read(texts._any_docs, span, 2, 200, 1 << 20)
        assert block is not None
        assert other is not None
        assert (block.text, block.rows, block.last[1]) == (other.text, 200, other.last[1])
        db.bulk_docs([{"_id": "empty"}])
        assert db._pool.read(texts._ordinary_docs, span, 0, 400) is None


def test_a_page_ends_at_its_size(db, monkeypatch):
    monkeypatch.setattr("couchette.store.text_blocks.LISTING_PAGE_BYTES", 1)
    page = db._pool.read(store.changes_texts, since=0, shown=store.Shown())
    assert (page.rows, page.ended) == (1, False)
    span = store.span_of(store.UNSET, store.UNSET, store.UNSET, True, False)
    assert db._pool.read(store.docs_texts, span, 0, None, True).rows == 1
    everything = json.loads(b"".join(changes._chunks(db._pool, revs=False, since=0, include_docs=True)))
    assert everything == db.changes(include_docs=True)
    assert (
        json.loads(b"".join(chain(*listings._chunks(db._pool, include_docs=True))))["rows"]
        == db.all_docs(include_docs=True)["rows"]
    )


async def test_a_failure_before_the_first_page_has_a_status(app, db):
    assert (await call(app, "GET", "/db/_changes?style=nothing")).status == 400
    assert (await call(app, "GET", "/db/_all_docs?start_key=x&limit=-1")).status == 400


async def test_a_failure_after_it_breaks_the_answer_off(app, environment, monkeypatch):
    """So the client sees that something is missing."""
    monkeypatch.setattr("couchette.store.texts.LISTING_PAGE_ROWS", 1)
    environment["db"].bulk_docs([{"_id": str(number)} for number in range(9)])
    reads = []
    original = store.changes_texts

    def failing(*args, **options):
        reads.append(options)
        if len(reads) == 4:
            raise OSError("The disk is gone.")
        return original(*args, **options)

    monkeypatch.setattr(store, "changes_texts", failing)
    with pytest.raises(OSError, match="gone"):
        await call(app, "GET", "/db/_changes")


async def test_a_client_that_leaves_ends_the_reading(app, environment, monkeypatch):
    monkeypatch.setattr("couchette.store.texts.LISTING_PAGE_ROWS", 1)
    environment["db"].bulk_docs([{"_id": str(number)} for number in range(500)])
    reads = []
    original = store.docs_texts

    def counting(*args, **options):
        reads.append(args)
        return original(*args, **options)

    monkeypatch.setattr(store, "docs_texts", counting)
    async with calling(app, "GET", "/db/_all_docs") as listing:
        await listing.start()
        await listing.chunk()
        listing.leave()
    assert len(reads) < 500


@pytest.mark.parametrize("doc_id", ["d0", "empty", "big", "at", "branched", "d3"])
async def test_a_document_is_sent_as_the_database_has_it(app, db, doc_id):
    answer = await call(app, "GET", f"/db/{doc_id}")
    assert answer.json() == db.get(doc_id)
    assert answer.headers["etag"] == f'"{db[doc_id]["_rev"]}"'
    again = await call(app, "GET", f"/db/{doc_id}", {"if-none-match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
