"""Rows of a view that are sent from the text that is stored: byte for byte what the database says."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from couchette import jsonio
from couchette.query.options import ViewQuery
from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio

MAP = "function (doc) { for (var i = 0; i < doc.rows.length; i++) emit(doc.rows[i][0], doc.rows[i][1]) }"
ROWS = [
    [None, None],
    [1, 1.5],
    [2, "x" * 2000],
    [3, {"é": '"\\\u2028', "deep": [[], {}]}],
    ['a"\\', True],
    [["list", 1e300], -0.0],
    [{"k": "😀"}, ""],
]


@pytest.fixture(params=[1, 100, 5000, 1_000_000])
def db(environment, request, monkeypatch):
    """Rows of every kind, of which so many bytes are read at once."""
    monkeypatch.setattr("couchette.server.views.LISTING_PAGE_BYTES", request.param)
    db = environment["db"]
    views = {"rows": {"map": MAP}, "sum": {"map": MAP, "reduce": "_count"}}
    db.put({"_id": "_design/d", "views": views})
    db.bulk_docs([{"_id": doc_id, "rows": ROWS} for doc_id in ("a", '"quoted"\\', "é", '","')])
    return db


QUERIES = [
    {},
    {"descending": True},
    {"start_key": 2, "end_key": "z"},
    {"start_key": "z", "end_key": 2, "descending": True},
    {"start_key": 3, "descending": True, "skip": 2, "limit": 7},
    {"keys": [3, None, 3, "none"]},
    {"keys": ["none", 3, 2, 3, 2], "skip": 5, "limit": 9},
    {"keys": [2, 3], "descending": True, "skip": 1, "limit": 6, "update_seq": True},
    {"key": "none"},
    {"skip": 3, "limit": 5},
    {"limit": 0},
    {"skip": 100},
    {"start_key": 2, "skip": 1, "limit": 1, "update_seq": True},
    {"update": False},
    {"include_docs": True, "limit": 2},
]


@pytest.mark.parametrize("options", QUERIES, ids=repr)
async def test_a_view_says_what_the_database_says(app, db, options):
    query = urlencode({name: json.dumps(value) for name, value in options.items()})
    for name in ("rows", "sum"):
        target = f"/db/_design/d/_view/{name}?reduce=false&{query}"
        first, again = await call(app, "GET", target), await call(app, "GET", target)
        expected = db.query(f"d/{name}", reduce=False, exact_offset=True, **options)
        assert (again.status, again.headers["content-type"]) == (200, "application/json")
        assert again.body == jsonio.dumps(expected) + b"\n"
        if options.get("update", True):
            assert first.body == again.body


def test_numbers_that_take_an_exact_decoder_are_sent_as_they_are(db):
    db.view("large")(lambda doc: [(2**70, {"n": 2**80}), (1, 2**80), (2**70, None)])
    expected = db.query("large")["rows"]
    (page,) = db._views.pages("large", ViewQuery(), 1_000_000, as_text=True)
    assert b"[%b]" % b",".join(page["rows"]) == jsonio.dumps(expected)


async def test_reduced_rows_and_several_queries_are_answered_too(app, db):
    assert (await call(app, "GET", "/db/_design/d/_view/sum")).json() == db.query("d/sum")
    queries = [{"limit": 2}, {"key": 1}]
    posted = await call_json(app, "POST", "/db/_design/d/_view/rows/queries", {"queries": queries})
    assert posted.json() == db.query("d/rows", queries=queries, exact_offset=True)
    posted = await call_json(app, "POST", "/db/_design/d/_view/rows", {"keys": [1, 2]})
    assert posted.json() == db.query("d/rows", keys=[1, 2], exact_offset=True)


async def test_a_view_that_has_something_to_follow_follows_it_first(app, db):
    target = '/db/_design/d/_view/rows?key="new"'
    assert (await call(app, "GET", target)).json()["rows"] == []
    db.put({"_id": "new", "rows": [["new", 1]]})
    assert (await call(app, "GET", target)).json()["rows"] == [{"id": "new", "key": "new", "value": 1}]
