"""The program's rule of who may read which document, over every way to a document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from couchette import Environment
from couchette.errors import Forbidden, NotFound
from couchette.limits import FEED_PAGE_DOCS
from couchette.server import Policy, create_app
from couchette.server.readable import readable
from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio

MARK = "xyzzy"
MAP = "function (doc) { emit(doc.n, doc.text); }"
DESIGN = {
    "_id": "_design/d",
    "views": {"v": {"map": MAP}, "count": {"map": MAP, "reduce": "_count"}},
    "shows": {"s": "function (doc, req) { return JSON.stringify(doc); }"},
    "lists": {"l": "function (head, req) { var row; while (row = getRow()) { send(JSON.stringify(row)); } }"},
    "updates": {"u": "function (doc, req) { return [null, JSON.stringify(doc)]; }"},
    "filters": {"f": "function (doc, req) { return true; }"},
    "indexes": {"i": {"index": "function (doc) { index('text', doc.text || '', {store: true}); }"}},
    "spatial": {"p": "function (doc) { emit({type: 'Point', coordinates: [1, 2]}, doc.text); }"},
    "rewrites": [{"from": "*", "to": "../../*"}],
}


@pytest.fixture
def asked():
    """What the rule was asked."""
    return []


@pytest.fixture
def app(asked):
    """An app over documents of which those with ``hidden`` are for nobody."""

    def may_read_document(user_ctx, database, doc):
        asked.append((user_ctx["name"], database, doc["_id"]))
        return not doc.get("hidden")

    with Environment(":memory:") as environment:
        db = environment["db"]
        attachment = {"a.txt": {"data": b"xyzzy", "content_type": "text/plain"}}
        db.put({"_id": "hidden", "hidden": True, "n": 2, "text": MARK, "_attachments": attachment})
        db.put({"_id": "shown", "n": 1, "text": "plain", "_attachments": {"a.txt": {"data": b"plain"}}})
        db.put({"_id": "link", "n": 3, "text": {"_id": "hidden"}})
        gone = db.put({"_id": "gone", "hidden": True, "text": MARK})
        db.put({"_id": "gone", "_rev": gone["rev"], "_deleted": True, "hidden": True, "text": MARK})
        db.put(DESIGN)
        db.create_index(["n"])
        yield create_app(environment, Policy(may_read_document=may_read_document))


async def test_the_rule_is_not_asked_about_design_documents(app, asked):
    for filter in ("", "&filter=d/f", "&filter=_view&view=d/v", "&filter=_design"):
        await call(app, "GET", f"/db/_changes?include_docs=true{filter}")
    await call_json(app, "POST", "/db/_bulk_get", {"docs": [{"id": "_design/d"}]})
    assert asked
    assert {doc_id for _, _, doc_id in asked}.isdisjoint({"_design/d"})


REV = '["1-x"]'
FIND = {"selector": {"n": {"$gt": 0}}}
LISTED = [
    ("GET", "_all_docs", None),
    ("GET", "_all_docs?include_docs=true", None),
    ("POST", "_all_docs", {"keys": ["hidden", "shown", "gone"]}),
    ("POST", "_all_docs/queries", {"queries": [{"include_docs": True}]}),
    ("GET", "_changes", None),
    ("GET", "_changes?include_docs=true&style=all_docs", None),
    ("GET", "_changes?feed=longpoll&since=0", None),
    ("GET", "_changes?feed=continuous&timeout=1&include_docs=true", None),
    ("GET", "_changes?filter=d/f&include_docs=true", None),
    ("GET", "_changes?filter=_view&view=d/v", None),
    ("POST", "_changes?filter=_doc_ids", {"doc_ids": ["hidden", "shown"]}),
    ("POST", "_changes?filter=_selector&include_docs=true", {"selector": {"n": {"$gt": 0}}}),
    ("GET", "_changes?descending=true&include_docs=true", None),
    ("GET", "_design/d/_view/v?include_docs=true", None),
    ("GET", "_design/d/_view/count?reduce=false", None),
    ("POST", "_design/d/_view/v/queries", {"queries": [{}, {"include_docs": True}]}),
    ("GET", "_design/d/_list/l/v?include_docs=true", None),
    ("GET", "_design/d/_search/i?q=text:*&include_docs=true", None),
    ("GET", "_design/d/_spatial/p?bbox=0,0,9,9&include_docs=true", None),
    ("GET", "_design/d/_rewrite/_all_docs?include_docs=true", None),
    ("POST", "_find", FIND),
    ("POST", "_find", {**FIND, "fields": ["_id", "n"]}),
    ("POST", "_find", {"selector": {"_id": {"$gt": None}, "text": {"$exists": True}}, "sort": [{"_id": "desc"}]}),
]
NAMED = [
    ("GET", "hidden", None),
    ("GET", "hidden?open_revs=all", None),
    ("GET", "hidden?revs=true&attachments=true", None),
    ("GET", "hidden/a.txt", None),
    ("GET", "_design/d/_rewrite/hidden", None),
    ("GET", "_design/d/_show/s/hidden", None),
    ("PUT", "_design/d/_update/u/hidden", None),
    ("POST", "_bulk_get", {"docs": [{"id": "hidden"}, {"id": "shown"}]}),
    ("POST", "_bulk_get?revs=true&latest=true", {"docs": [{"id": "hidden"}]}),
    ("POST", "_bulk_get?attachments=true", {"docs": [{"id": "hidden"}]}),
]


@pytest.mark.parametrize(("method", "target", "body"), LISTED)
async def test_no_list_has_what_may_not_be_read(app, method, target, body):
    answer = await call_json(app, method, f"/db/{target}", body)
    assert answer.status == 200, answer.body
    assert MARK.encode() not in answer.body
    assert b'"id":"hidden"' not in answer.body
    assert b'"gone"' not in answer.body
    assert b"shown" in answer.body or b"plain" in answer.body


@pytest.mark.parametrize(("method", "target", "body"), NAMED)
async def test_a_document_that_may_not_be_read_is_missing(app, method, target, body):
    answer = await call_json(app, method, f"/db/{target}", body)
    assert MARK.encode() not in answer.body
    assert b'"n":2' not in answer.body
    if method == "GET" and "show" not in target:
        assert answer.status in (404, 200), answer.body
        assert (answer.status == 404) != ("open_revs" in target)


async def test_attachments_beside_documents_are_not_read_either(app):
    for target in ("hidden?attachments=true", "hidden?open_revs=all"):
        answer = await call(app, "GET", f"/db/{target}", {"accept": "multipart/mixed, multipart/related"})
        assert MARK.encode() not in answer.body


async def test_a_copy_would_be_a_reading(app):
    answer = await call(app, "COPY", "/db/hidden", {"destination": "mine"})
    assert answer.status == 404
    assert (await call(app, "COPY", "/db/shown", {"destination": "mine"})).status == 201


def test_the_methods_of_the_object_keep_to_the_rule(environment):
    db = environment["db"]
    db.put({"_id": "a", "n": 1})
    db.put({"_id": "b", "n": 2, "_attachments": {"x": {"data": b"x"}}})
    for rev in ("1-x", "1-y"):
        db.put({"_id": "c", "_rev": rev, "n": 2}, new_edits=False)
    mine = readable(db, lambda doc: doc["n"] == 1)
    assert mine.find({"n": {"$gt": 0}}, fields=["_id"])["docs"] == [{"_id": "a"}]
    assert mine["a"]["n"] == 1
    assert mine.conflicts() == []
    assert len(mine.history("a")) == 1
    for refused in (lambda: mine["b"], lambda: mine.history("b"), lambda: mine.get_attachment("b", "x")):
        with pytest.raises(NotFound):
            refused()
    withheld: list[Any] = [mine.sql, mine.gql, mine.live, mine.dump]
    for method in withheld:
        with pytest.raises(Forbidden):
            method()


async def test_what_may_be_read_is_read_as_ever(app, asked):
    answer = await call(app, "GET", "/db/shown")
    assert (answer.status, answer.json()["text"]) == (200, "plain")
    assert asked == [(None, "db", "shown")]
    assert (await call(app, "GET", "/db/shown/a.txt")).body == b"plain"
    assert (await call(app, "GET", "/db/_design/d")).status == 200
    assert (await call_json(app, "PUT", "/db/_local/x", {"hidden": True})).status == 201
    assert (await call(app, "GET", "/db/_local/x")).status == 200


async def test_another_documents_row_does_not_show_it(app):
    rows = (await call(app, "GET", "/db/_design/d/_view/v?include_docs=true")).json()["rows"]
    assert [(row["id"], row["doc"] and row["doc"]["_id"]) for row in rows] == [("shown", "shown"), ("link", None)]


async def test_pages_are_filled_to_their_limit(asked):
    with Environment(":memory:") as environment:
        docs = [{"_id": f"{n:04}", "n": n, "hidden": bool(n % 3)} for n in range(FEED_PAGE_DOCS + 100)]
        environment["db"].bulk_docs(docs)
        app = create_app(environment, Policy(may_read_document=lambda ctx, name, doc: not doc["hidden"]))
        wanted = [f"{3 * n:04}" for n in range(190)]

        async def ids(target, body=None):
            answer = (await call_json(app, "POST" if body else "GET", f"/db/{target}", body)).json()
            return [
                row.get("id") or row["_id"] for row in answer.get("rows") or answer.get("results") or answer["docs"]
            ]

        assert await ids("_all_docs?limit=190") == wanted
        assert await ids("_all_docs?limit=3&skip=2") == wanted[2:5]
        assert await ids('_all_docs?limit=2&descending=true&start_key="0007"') == ["0006", "0003"]
        assert await ids("_changes?limit=190") == wanted
        assert await ids("_find", {"selector": {"n": {"$gte": 0}}, "limit": 190}) == wanted


async def test_the_rule_is_told_the_user_and_applies_to_administrators():
    seen = []

    def mine(user_ctx, database, doc):
        seen.append((user_ctx["name"], list(user_ctx["roles"]), database))
        return doc.get("owner") == user_ctx["name"]

    with Environment(":memory:") as environment:
        environment["db"].put({"_id": "a", "owner": "admin"})
        environment["db"].put({"_id": "b", "owner": "eve"})
        policy = Policy(admins={"admin": "pw"}, password_iterations=1, may_read_document=mine)
        app = create_app(environment, policy)
        headers = {"authorization": "Basic YWRtaW46cHc="}
        assert (await call(app, "GET", "/db/a", headers)).status == 200
        assert (await call(app, "GET", "/db/b", headers)).status == 404
        assert seen[0] == ("admin", ["_admin"], "db")
        body = json.dumps({"_rev": environment["db"]["b"]["_rev"], "owner": "admin"}).encode()
        assert (await call(app, "PUT", "/db/b", headers, body)).status == 201
