"""Design functions called by programs: `db.design`, and its asynchronous twin."""

from __future__ import annotations

import inspect
import json

import pytest

from couchette import AsyncDatabase, Database
from couchette.design import calls
from couchette.design.accessors import AsyncDesignCalls, DesignCalls
from couchette.design.designs import designs_of
from couchette.design.request import DesignRequest
from couchette.errors import (
    BadRequest,
    CompilationFailed,
    Conflict,
    CouchetteError,
    FunctionFailed,
    MethodNotAllowed,
    NotFound,
)
from couchette.functions import Response

DESIGN = {
    "_id": "_design/d",
    "shows": {
        "req": "function(doc, req) { return {json: {doc: doc, req: req}} }",
        "text": "function(doc, req) { return 'hi ' + (doc ? doc._id : req.id) }",
        "types": """function(doc, req) {
            provides('json', function() { return toJSON({a: 1}) });
            provides('html', function() { return '<b>a</b>' });
        }""",
        "bad": "function(",
        "boom": "function() { throw new Error('x') }",
        "header": "function() { return {headers: {'x-thing': 'y'}, base64: 'aGk='} }",
    },
    "lists": {
        "rows": """function(head, req) {
            start({headers: {'content-type': 'text/csv'}});
            for (var row; (row = getRow());) send(row.id + ',' + toJSON(row.key) + ';');
        }""",
    },
    "updates": {
        "set": """function(doc, req) {
            doc = doc || {_id: req.id || req.uuid};
            doc.v = req.form.v || JSON.parse(req.body).v;
            doc.by = req.userCtx.name;
            return [doc, 'set'];
        }""",
        "none": "function(doc, req) { return [null, {code: 202, json: req.method}] }",
        "nameless": "function(doc, req) { return [{}, ''] }",
    },
    "filters": {"above": "function(doc, req) { return doc.v > req.query.least }"},
    "views": {"by_v": {"map": "function(doc) { emit(doc.v, null) }"}},
}


@pytest.fixture
def db(db):
    db.bulk_docs([DESIGN, {"_id": "a", "v": 1}, {"_id": "b/c", "v": 2}])
    return db


# -- Shows ------------------------------------------------------------------------------------------------------------


def test_a_show_is_told_of_the_call_as_of_a_request(db):
    answer = db.design.show("d/req", "b/c", query={"key": "k", "n": 1, "on": True, "text": "t"}, headers={"X-a": "1"})
    told = answer.json()
    assert (told["doc"]["v"], told["doc"]["_revisions"]["start"]) == (2, 1)
    req = told["req"]
    assert (req.pop("info")["db_name"], len(req.pop("uuid"))) == (db.name, 32)
    assert req == {
        "id": "b/c",
        "method": "GET",
        "path": [db.name, "_design", "d", "_show", "req", "b", "c"],
        "raw_path": f"/{db.name}/_design/d/_show/req/b/c?key=%22k%22&n=1&on=true&text=t",
        "requested_path": [db.name, "_design", "d", "_show", "req", "b", 'c?key="k"&n=1&on=true&text=t'],
        "query": {"key": "k", "n": "1", "on": "true", "text": "t"},
        "headers": {"X-A": "1"},
        "body": "undefined",
        "form": {},
        "cookie": {},
        "peer": "127.0.0.1",
        "userCtx": {"db": db.name, "name": None, "roles": ["_admin"]},
        "secObj": {"members": {"roles": ["_admin"]}, "admins": {"roles": ["_admin"]}},
    }


def test_a_body_or_a_form_makes_it_a_post(db):
    req = db.design.show("d/req", body="text").json()["req"]
    assert (req["method"], req["body"], req["form"]) == ("POST", "text", {})
    req = db.design.show("d/req", form={"a": "b c", "n": 1}).json()["req"]
    assert (req["method"], req["body"], req["form"]) == ("POST", "a=b+c&n=1", {"a": "b c", "n": "1"})
    assert req["headers"] == {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "9"}
    with pytest.raises(BadRequest, match="a body or a form"):
        db.design.show("d/req", body="x", form={})


def test_a_show_without_its_document_is_given_null(db):
    assert db.design.show("d/text", "a").text == "hi a"
    assert db.design.show("d/text", "none").text == "hi none"
    assert db.design.show("d/text", "_illegal").text == "hi _illegal"
    assert db.design.show("d/text").text == "hi null"


def test_an_answer_has_code_headers_and_bytes(db):
    assert db.design.show("d/header") == Response(
        200, {"Content-Type": "application/binary", "X-Thing": "y"}, b"hi", is_binary=True
    )


def test_the_accepted_type_chooses_the_answer(db):
    answers = [db.design.show("d/types", headers={"accept": kind}) for kind in ("text/html", "application/json")]
    assert [(one.headers["Content-Type"], one.text) for one in answers] == [
        ("text/html; charset=utf-8", "<b>a</b>"),
        ("application/json", '{"a":1}'),
    ]
    assert db.design.show("d/types", query={"format": "json"}).json() == {"a": 1}
    with pytest.raises(CouchetteError, match="not supported") as raised:
        db.design.show("d/types", headers={"Accept": "image/png"})
    assert (raised.value.status, raised.value.error) == (406, "not_acceptable")


@pytest.mark.parametrize(
    ("function", "kind", "reason"),
    [
        ("d/none", NotFound, "missing json key: none"),
        ("none/x", NotFound, "missing"),
        ("d/bad", CompilationFailed, "SyntaxError"),
        ("d/boom", FunctionFailed, "function raised error: Error: x"),
        ("d", BadRequest, "A show function is named `design/name`."),
    ],
)
def test_what_is_not_there_or_fails_is_an_error(db, function, kind, reason):
    with pytest.raises(kind, match=reason):
        db.design.show(function)


# -- Lists ------------------------------------------------------------------------------------------------------------


def test_a_list_renders_the_rows_of_a_view(db):
    answer = db.design.list("d/rows", "by_v", query={"startkey": 1, "descending": False})
    assert (answer.headers, answer.text) == ({"Content-Type": "text/csv"}, "a,1;b/c,2;")
    assert db.design.list("d/rows", "d/by_v", query={"start_key": 2, "limit": 1}).text == "b/c,2;"
    assert db.design.list("d/rows", "_all_docs", query={"key": "a"}).text == 'a,"a";'


@pytest.mark.parametrize(
    ("function", "view", "reason"),
    [
        ("d/rows", "none", "missing_named_view"),
        ("d/none", "by_v", "missing json key: none"),
        ("d/rows", "a/b/c", "Inv"),
    ],
)
def test_a_list_or_view_that_is_not_there_is_not_found(db, function, view, reason):
    with pytest.raises(NotFound, match=reason):
        db.design.list(function, view)


# -- Updates ----------------------------------------------------------------------------------------------------------


def test_an_update_writes_what_its_function_makes(db):
    done = db.design.update("d/set", "a", body='{"v": 5}')
    assert (done.doc["v"], done.response.code, done.response.text) == (5, 201, "set")
    assert done.written == {"ok": True, "id": "a", "rev": db["a"]["_rev"]}
    assert db["a"]["v"] == 5
    made = db.design.update("d/set", form={"v": "x"})
    assert db[made.written["id"]]["v"] == "x"


def test_an_update_that_writes_nothing_says_so(db):
    done = db.design.update("d/none", "a")
    assert (done.doc, done.written, done.response.code, done.response.json()) == (None, None, 202, "PUT")
    assert db.design.update("d/none").response.json() == "POST"
    with pytest.raises(MethodNotAllowed):
        db.design.update("d/none", method="GET")
    with pytest.raises(BadRequest, match="Document id must not be empty"):
        db.design.update("d/nameless")


def test_an_update_is_a_conflict_when_another_edit_came_between(db, monkeypatch):
    found = calls.function_doc

    def edited_meanwhile(database, doc_id):
        doc = found(database, doc_id)
        database[doc_id] = {"v": 0}
        return doc

    monkeypatch.setattr(calls, "function_doc", edited_meanwhile)
    with pytest.raises(Conflict):
        db.design.update("d/set", "a", body='{"v": 5}')


# -- Rewrites ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def rewriting(db):
    """Has ``_design/d`` rewrite by these rules, or this function."""

    def store(rewrites):
        db["_design/d"] = {**DESIGN, "rewrites": rewrites}
        return db.design

    return store


def test_a_rewrite_does_what_its_request_stands_for(db, rewriting):
    design = rewriting([{"from": "/x/*", "to": "../../*"}, {"from": "/hi/:id", "to": "_show/text/:id"}])
    assert design.rewrite("d/hi/a").text == "hi a"
    assert design.rewrite("d/x")["db_name"] == db.name
    assert design.rewrite("d/x/a")["v"] == 1
    assert design.rewrite("d/x/_all_docs", query={"limit": 1, "keys": ["a"]})["rows"][0]["id"] == "a"
    assert design.rewrite("d/x/_all_docs", body='{"keys": ["a", "z"]}')["rows"][1] == {"key": "z", "error": "not_found"}
    assert design.rewrite("d/x/_design/d/_view/by_v", query={"key": 1})["rows"][0]["id"] == "a"
    assert design.rewrite("d/x/_design/d/_list/rows/by_v").text == "a,1;b/c,2;"
    assert design.rewrite("d/x/_design/d/_update/none", method="POST").response.code == 202
    assert design.rewrite("d/x/_design/d/_info")["name"] == "d"
    written = design.rewrite("d/x/new", method="PUT", body='{"n": 1}')
    assert design.rewrite("d/x/new", query={"rev": written["rev"], "revs": True})["_revisions"]["start"] == 1
    attached = design.rewrite(
        "d/x/new/file", method="PUT", body=b"hi", query={"rev": written["rev"]}, headers={"Content-Type": "a/b"}
    )
    got = design.rewrite("d/x/new/file")
    assert (got.data, got.content_type) == (b"hi", "a/b")
    removed = design.rewrite("d/x/new/file", method="DELETE", query={"rev": attached["rev"]})
    assert design.rewrite("d/x/new", method="DELETE", query={"rev": removed["rev"]})["ok"]
    assert design.rewrite("d/x", body='{"_id": "posted"}')["id"] == "posted"
    assert design.rewrite("d/x/_local/l", method="PUT", body="{}")["rev"] == "0-1"
    assert design.rewrite("d/x/_bulk_docs", body='{"docs": [{"_id": "bulk"}]}')[0]["id"] == "bulk"
    assert design.rewrite("d/x/_bulk_get", body='{"docs": [{"id": "bulk"}]}')["results"][0]["id"] == "bulk"
    assert design.rewrite("d/x/_changes", query={"filter": "d/above", "least": 1})["results"][0]["id"] == "b/c"
    assert design.rewrite("d/x/_changes", query={"limit": 1})["results"]
    assert design.rewrite("d/x/_find", body='{"selector": {"v": 2}}')["docs"][0]["_id"] == "b/c"
    assert design.rewrite("d/x/_revs_diff", body='{"a": ["9-x"]}')["a"]["missing"] == ["9-x"]
    assert design.rewrite("d/x/_missing_revs", body='{"a": ["9-x"]}') == {"missing_revs": {"a": ["9-x"]}}
    assert design.rewrite("d/x/_security") == {}
    assert design.rewrite("d/x/_security", method="PUT", body='{"admins": {}}') == {"ok": True}
    assert db.get_security() == {"admins": {}}
    assert design.rewrite("d/x/_compact", method="POST") == {"ok": True}
    assert design.rewrite("d/x/_view_cleanup", method="POST")["ok"]


def test_a_rewrite_may_search_words_and_space(db):
    db["_design/d"] = {
        "indexes": {"words": {"index": "function(doc) { if (doc.text) index('default', doc.text) }"}},
        "spatial": {"points": "function(doc) { if (doc.at) emit({type: 'Point', coordinates: doc.at}, null) }"},
        "rewrites": [{"from": "/*", "to": "*"}],
    }
    db["fox"] = {"text": "a quick fox", "at": [1, 2]}
    assert db.design.rewrite("d/_search/words", query={"q": "fox"})["rows"][0]["id"] == "fox"
    assert db.design.rewrite("d/_search/words", body='{"q": "hen"}')["rows"] == []
    assert db.design.rewrite("d/_spatial/points", query={"bbox": "0,0,2,2"})["rows"][0]["id"] == "fox"


def test_a_rewrite_may_lead_to_another_and_not_on_for_ever(rewriting):
    design = rewriting([{"from": "/again", "to": "_rewrite/hi"}, {"from": "/hi", "to": "_show/text/a"}])
    assert design.rewrite("d/again").text == "hi a"
    design = rewriting([{"from": "/*", "to": "_rewrite/x"}])
    with pytest.raises(BadRequest, match="Exceeded rewrite recursion limit"):
        design.rewrite("d/again")


def test_a_method_that_the_path_has_not_is_refused(rewriting):
    design = rewriting([{"from": "/x/*", "to": "../../*"}])
    for path in ("d/x/a", "d/x/_compact", "d/x/a/file", "d/x/_design/d/_view/by_v"):
        with pytest.raises(MethodNotAllowed, match="Only"):
            design.rewrite(path, method="COPY")


@pytest.mark.parametrize(
    ("rewrites", "path", "kind", "word"),
    [
        ([], "d/x", NotFound, "not_found"),
        ([{"from": "x", "to": "../../../other"}], "d/x", FunctionFailed, "insecure_rewrite_rule"),
        ([{"from": "x"}], "d/x", FunctionFailed, "error"),
        ([{"from": "x", "to": "_design/d/_none"}], "d/x", NotFound, "not_found"),
        ([{"from": "x", "to": "_none/y"}], "d/x", NotFound, "not_found"),
        ([{"from": "x", "to": "_show"}], "d/x", NotFound, "not_found"),
        ([{"from": "x", "to": "../../_bulk_docs"}], "d/x", BadRequest, "bad_request"),
        ("function() { return false }", "d/x", NotFound, "rewrite_error"),
        ("'text'", "d/x", CompilationFailed, "compilation_error"),
    ],
)
def test_a_rewrite_that_leads_nowhere_is_an_error(rewriting, rewrites, path, kind, word):
    with pytest.raises(kind) as raised:
        rewriting(rewrites).rewrite(path, method="POST", body="{}")
    assert raised.value.error == word


def test_a_function_rewrites_or_answers_at_once(rewriting):
    design = rewriting("""function(req) {
        if (req.query.at == 'once') return {code: 203, body: 'here', headers: {'x-a': 'b'}};
        return {path: '_update/set/a', method: 'PUT', body: '{"v": 8}'};
    }""")
    assert design.rewrite("d/x", query={"at": "once"}).code == 203
    assert design.resolve_rewrite("d/x", query={"at": "once"}).text == "here"
    assert design.rewrite("d/x").doc["v"] == 8


def test_a_resolved_rewrite_is_not_done(db, rewriting):
    design = rewriting([{"from": "/x/:v", "to": "_view/by_v", "query": {"key": ":v"}, "formats": {"v": "int"}}])
    found = design.resolve_rewrite("d/x/1", method="POST", body="{}")
    assert isinstance(found, DesignRequest)
    assert (found.method, found.body) == ("POST", b"{}")
    assert found.target.decode() == f"/{db.name}/_design/d/_view/by_v?v=1&key=1"
    assert found.requested == f"/{db.name}/_design/d/_rewrite/x/1".encode()


# -- Filters ----------------------------------------------------------------------------------------------------------


def test_a_filter_function_filters_changes(db):
    passes = db.design.filter("d/above", query={"least": 1})
    assert [row["id"] for row in db.changes(filter=passes)["results"]] == ["b/c"]
    with db.changes(filter=passes, live=True, since="now", timeout=10) as feed:
        db["z"] = {"v": 3}
        assert next(feed)["id"] == "z"
    with pytest.raises(BadRequest, match="designname/filtername"):
        db.design.filter("above")
    with pytest.raises(NotFound):
        db.design.filter("d/none")


# -- The asynchronous twin --------------------------------------------------------------------------------------------


def test_both_have_the_same_methods_and_parameters():
    names = {name for name in dir(DesignCalls) if not name.startswith("_")}
    assert names == {name for name in dir(AsyncDesignCalls) if not name.startswith("_")}
    for name in names:
        one, other = (inspect.signature(getattr(cls, name)) for cls in (DesignCalls, AsyncDesignCalls))
        assert one == other
        assert inspect.iscoroutinefunction(getattr(AsyncDesignCalls, name))


@pytest.mark.anyio
async def test_a_task_calls_them_all(tmp_path):
    async with AsyncDatabase(tmp_path / "a.couchette") as db:
        rules = [{"from": "/x", "to": "_show/text/a"}]
        await db.bulk_docs([{**DESIGN, "rewrites": rewrites} for rewrites in [rules]] + [{"_id": "a", "v": 1}])
        assert (await db.design.show("d/text", "a")).text == "hi a"
        assert (await db.design.list("d/rows", "by_v")).text == "a,1;"
        assert (await db.design.update("d/set", "a", form={"v": 2})).response.text == "set"
        assert (await db.design.rewrite("d/x")).text == "hi a"
        found = await db.design.resolve_rewrite("d/x")
        assert isinstance(found, DesignRequest)
        assert found.segments[-1] == b"a"
        passes = await db.design.filter("d/above", query={"least": 5})
        assert (await db.changes(filter=passes))["results"] == []
        rex = db.as_user({"name": "rex", "roles": []})
        await rex.design.update("d/set", "a", form={"v": 3})
        assert (await db.get("a"))["by"] == "rex"


def test_the_functions_end_with_the_database():
    with Database() as db:
        db.put(DESIGN)
        assert json.loads(db.design.show("d/types", query={"format": "json"}).text) == {"a": 1}
        [functions] = designs_of(db._pool)._kept.values()
        thread = functions._engine._thread
        assert thread is not None
        assert thread.is_alive()
    assert not thread.is_alive()
