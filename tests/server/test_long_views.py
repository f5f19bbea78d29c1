"""Views with documents, and several queries at once: the same answers, of which little is held at a time."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64decode
from typing import Any
from urllib.parse import urlencode

import pytest

from couchette import jsonio
from couchette.document.attachment import gzip
from couchette.errors import NotFound
from couchette.query.options import ViewQuery
from couchette.server.long_listings import listing_parts
from couchette.server.long_views import answer_chunks, view_parts
from couchette.server.readable import readable
from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio

ROWS = "function (d) { emit(d.n, d.link || d.n); emit(d._id) }"
VIEWS = {"rows": {"map": ROWS}, "sum": {"map": ROWS, "reduce": "_count"}}


@pytest.fixture(params=[(1, 1), (3, 30), (500, 1_000_000)])
def db(environment, request, monkeypatch):
    """Documents of every kind, of which so many, or so many bytes, are read at once."""
    rows, size = request.param
    for module in ("long_views", "listed"):
        monkeypatch.setattr(f"couchette.server.{module}.FEED_PAGE_DOCS", rows)
    for module in ("views", "long_views"):
        monkeypatch.setattr(f"couchette.server.{module}.LISTING_PAGE_BYTES", size)
    monkeypatch.setattr("couchette.server.contents.ATTACHMENT_HOP_BYTES", 30 * size)
    db = environment["db"]
    db.put({"_id": "_design/d", "views": VIEWS})
    db.bulk_docs([{"_id": f"d{number}", "n": number} for number in range(6)])
    db.put({"_id": "at", "n": 20, "_attachments": {"x": {"data": b"x" * 100, "content_type": "text/plain"}}})
    db.bulk_docs(
        [{"_id": "branched", "_rev": rev, "n": 21, "link": {"_id": "d1"}} for rev in ("2-b", "2-c")], new_edits=False
    )
    links = [
        {"_id": "d2", "_rev": db["d2"]["_rev"]},
        {"_id": "branched", "_rev": "2-b"},
        {"_id": "gone"},
        {"_id": 7},
        {"_rev": "1-no"},
    ]
    db.bulk_docs([{"_id": f"link{n}", "n": 30 + n, "link": link} for n, link in enumerate(links)])
    db["gone"] = {"n": 1}
    db.remove(db["gone"])
    return db


QUERIES: list[dict[str, Any]] = [
    {},
    {"keys": []},
    {"keys": ["d1", 20, "none", "d1", 21, "at"]},
    {"start_key": 3, "descending": True, "conflicts": True, "update_seq": True},
    {"attachments": True},
    {"attachments": True, "att_encoding_info": True, "skip": 4, "limit": 5},
    {"limit": 0},
    {"key": 21, "conflicts": True},
]


@pytest.mark.parametrize("options", QUERIES, ids=repr)
async def test_a_view_with_documents_says_what_the_database_says(app, db, options):
    options = {**options, "include_docs": True}
    query = urlencode({name: json.dumps(value) for name, value in options.items()})
    expected = db.query("d/sum", reduce=False, exact_offset=True, **options)
    answer = await call(app, "GET", f"/db/_design/d/_view/sum?reduce=false&{query}")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == expected
    if "attachments" not in options:
        assert answer.body == jsonio.dumps(expected) + b"\n"
    head = await call(app, "HEAD", f"/db/_design/d/_view/rows?{query}")
    assert (head.status, head.body) == (200, b"")


async def test_several_queries_say_what_the_database_says(app, db):
    asked: list[dict[str, Any]] = [{**options, "include_docs": True, "reduce": False} for options in QUERIES]
    asked += [{"reduce": True}, {"group": True, "limit": 2}]
    answer = await call_json(app, "POST", "/db/_design/d/_view/sum/queries", {"queries": asked})
    assert answer.json() == db.query("d/sum", queries=[{**one, "exact_offset": True} for one in asked])
    none = await call_json(app, "POST", "/db/_design/d/_view/sum/queries", {"queries": []})
    assert none.json() == {"results": []}


async def test_several_listings_say_what_the_database_says(app, db):
    asked: list[dict[str, Any]]
    asked = [{"include_docs": True}, {"keys": ["d1", "none", "d1"], "include_docs": True}, {"limit": 2, "skip": 1}]
    answer = await call_json(app, "POST", "/db/_all_docs/queries", {"queries": asked})
    assert answer.json() == {"results": [db.all_docs(**one, exact_offset=True) for one in asked]}
    designs = await call_json(app, "POST", "/db/_design_docs/queries", {"queries": asked})
    assert [len(one["rows"]) for one in designs.json()["results"]] == [1, 0, 0]
    local = await call_json(app, "POST", "/db/_local_docs/queries", {"queries": asked})
    assert len(local.json()["results"]) == 3


@pytest.mark.parametrize(
    ("target", "wrong"),
    [
        ("_design/d/_view/rows/queries", {"start_key": 2, "end_key": 1}),
        ("_design/d/_view/sum/queries", {"include_docs": True}),
        ("_design/d/_view/rows/queries", {"limit": -1}),
        ("_all_docs/queries", {"limit": -1}),
        ("_all_docs/queries", {"skip": -1}),
        ("_design_docs/queries", {"limit": -1}),
    ],
)
async def test_a_wrong_query_among_others_is_refused_before_any_is_answered(app, db, target, wrong):
    several = await call_json(app, "POST", f"/db/{target}", {"queries": [{"reduce": False}, wrong]})
    alone = await call_json(app, "POST", f"/db/{target}", {"queries": [wrong]})
    assert (several.status, several.body) == (alone.status, alone.body)
    assert alone.json()["error"] == "query_parse_error"


async def test_a_reduced_view_has_no_documents(app, db):
    answer = await call(app, "GET", "/db/_design/d/_view/sum?include_docs=true")
    assert (answer.status, answer.json()["reason"]) == (400, "`include_docs` is invalid for reduce")


def test_what_may_not_be_read_is_left_out(db):
    restricted = readable(db, lambda doc: doc.get("n") != 2)
    query = ViewQuery(include_docs=True)
    parts = view_parts(restricted, lambda asked: iter([restricted.query("d/rows", include_docs=True)]), query)
    assert json.loads(b"".join(parts)) == restricted.query("d/rows", include_docs=True)


async def test_gzip_that_becomes_long_is_unpacked_as_it_is_sent(app, db, monkeypatch):
    monkeypatch.setattr("couchette.store.content.ATTACHMENT_UNPACKED_BYTES", 10)
    db.put_attachment("bomb", "x", gzip(bytes(5000)), encoding="gzip")
    answer = await call(app, "GET", '/db/_design/d/_view/rows?include_docs=true&attachments=true&key="bomb"')
    assert b64decode(answer.json()["rows"][0]["doc"]["_attachments"]["x"]["data"]) == bytes(5000)


# -- Memory ---------------------------------------------------------------------------------------


def check_held_in_pieces(db, read, query):
    """An answer of 4 MB is made, and never a fourth of it held."""
    tracemalloc.start()
    try:
        size = sum(map(len, answer_chunks([view_parts(db, read, query)], several=False)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 4_000_000
    assert peak < 1_000_000


@pytest.mark.parametrize("options", [{}, {"keys": ["000"] * 200}, {"key": "linked"}], ids=["all", "keys", "linked"])
def test_a_view_of_any_length_is_held_in_pieces(environment, monkeypatch, options):
    """4 MB of documents, in pages of 32 KB."""
    monkeypatch.setattr("couchette.server.long_views.LISTING_PAGE_BYTES", 32_000)
    monkeypatch.setattr("couchette.server.contents.ATTACHMENT_HOP_BYTES", 32_000)
    db = environment["db"]
    db.bulk_docs([{"_id": f"{number:03}", "text": "x" * 20_000} for number in range(200)])

    @db.view("rows")
    def rows(doc):
        yield doc["_id"], None
        yield "linked", {"_id": "000", "_rev": db["000"]["_rev"]}

    def read(query):
        return db._views.pages("rows", query, 32_000)

    next(read(ViewQuery(limit=0)))
    check_held_in_pieces(db, read, ViewQuery(**options, include_docs=True))


@pytest.mark.parametrize("options", [{}, {"descending": True}, {"keys": ["000"] * 200}], ids=["all", "back", "keys"])
@pytest.mark.parametrize("as_text", [True, False])
def test_large_values_are_held_in_pieces(environment, monkeypatch, options, as_text):
    """4 MB of them, in pages of 32 KB."""
    monkeypatch.setattr("couchette.server.contents.ATTACHMENT_HOP_BYTES", 32_000)
    db = environment["db"]
    db.bulk_docs([{"_id": f"{number:03}", "text": "x" * 20_000} for number in range(200)])
    db.view("texts")(lambda doc: [(doc["_id"], doc["text"])])

    def read(query):
        return db._views.pages("texts", query, 32_000, as_text=as_text)

    next(read(ViewQuery(limit=0)))
    check_held_in_pieces(db, read, ViewQuery(**options))


def test_rows_that_are_written_meanwhile_are_read_as_they_are_then(environment):
    db = environment["db"]
    db.bulk_docs([{"_id": name} for name in "abcd"])
    db.view("ids")(lambda doc: [(doc["_id"], None)])
    pages = db._views.pages("ids", ViewQuery(), 1)
    assert [row["id"] for row in next(pages)["rows"]] == ["a"]
    for name in "ab":
        db.remove(db[name])
    db["aa"] = {}
    db.query("ids")
    assert [row["id"] for page in pages for row in page["rows"]] == ["aa", "c", "d"]


def test_an_answer_whose_index_is_dropped_meanwhile_breaks_off(environment):
    db = environment["db"]
    db.bulk_docs([{"_id": name} for name in "ab"])
    db.put({"_id": "_design/d", "views": {"ids": {"map": "function (d) { emit(d._id) }"}}})
    pages = db._views.pages("d/ids", ViewQuery(), 1)
    next(pages)
    db.remove(db["_design/d"])
    db.view_cleanup()
    with pytest.raises(NotFound, match="dropped while its rows were read"):
        next(pages)


def test_of_several_answers_a_piece_is_held(environment, monkeypatch):
    """Thirty of 400 KB each, of a view and of ids in turn."""
    monkeypatch.setattr("couchette.server.contents.ATTACHMENT_HOP_BYTES", 32_000)
    db = environment["db"]
    db.bulk_docs([{"_id": f"{number:03}", "text": "x" * 20_000} for number in range(20)])
    monkeypatch.setattr("couchette.server.long_views.LISTING_PAGE_BYTES", 32_000)
    monkeypatch.setattr("couchette.server.listed.LISTING_PAGE_BYTES", 32_000)
    query = ViewQuery(include_docs=True)
    db.view("rows")(lambda doc: [(doc["_id"], None)])

    def read(asked):
        return db._views.pages("rows", asked, 32_000)

    next(read(ViewQuery(limit=0)))
    answers = (
        view_parts(db, read, query) if number % 2 else listing_parts(db, {"include_docs": True}) for number in range(30)
    )
    tracemalloc.start()
    try:
        size = sum(map(len, answer_chunks(answers, several=True)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 12_000_000
    assert peak < 1_000_000
