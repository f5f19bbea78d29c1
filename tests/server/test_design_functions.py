"""Shows, lists and updates over HTTP, and the request object, as far as the recorded exchanges do not show them."""

from __future__ import annotations

import json
import sys

import pytest

from couchette import limits
from couchette.server.dispatch import takes_stream
from tests.server.asgi import HOST, call, call_json

pytestmark = pytest.mark.anyio

REQ = "function(d, req) { return {json: req} }"


@pytest.fixture
def design(app):
    """Stores a design document of these members, as ``_design/d``."""
    db = app.environment["db"]

    def store(**members):
        known = db.get("_design/d") if "_design/d" in db else {"_id": "_design/d"}
        db.put({**known, **members})

    return store


# -- The request object -----------------------------------------------------------------------------------------------


async def test_a_function_is_told_of_the_request_what_couchdb_tells(app, design):
    design(shows={"req": REQ})
    headers = {"accept": "text/x", "x-custom-header": "1", "cookie": 'a=b; c="d e"'}
    target = "/db/_design/d/_show/req/x%2Fy/z?key=%5B1%5D&descending=true&limit=2&limit=3"
    req = (await call(app, "GET", target, headers)).json()
    assert req.pop("info")["db_name"] == "db"
    assert len(req.pop("uuid")) == 32
    assert req == {
        "id": "x/y/z",
        "method": "GET",
        "requested_path": ["db", "_design", "d", "_show", "req", "x/y", "z?key=[1]&descending=true&limit=2&limit=3"],
        "path": ["db", "_design", "d", "_show", "req", "x/y", "z"],
        "raw_path": target,
        "query": {"key": [1], "descending": True, "limit": "3"},
        "headers": {"Host": HOST, "Accept": "text/x", "X-Custom-Header": "1"},
        "body": "undefined",
        "peer": "",
        "form": {},
        "cookie": {"a": "b", "c": "d e"},
        "userCtx": {"db": "db", "name": None, "roles": ["_admin"]},
        "secObj": {"members": {"roles": ["_admin"]}, "admins": {"roles": ["_admin"]}},
    }


async def test_a_form_is_read_as_a_form_only_where_one_is_sent(app, design):
    design(shows={"req": REQ})
    form = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    for method, headers, expected in [
        ("POST", form, {"a": "b c", "d": "%"}),
        ("DELETE", form, {}),
        ("POST", {"content-type": "text/plain"}, {}),
    ]:
        req = (await call(app, method, "/db/_design/d/_show/req", headers, b"a=b+c&d=%25")).json()
        assert (req["form"], req["body"]) == (expected, "a=b+c&d=%25")


async def test_a_function_is_not_told_how_the_client_proves_who_it_is(app, design):
    design(shows={"req": REQ})
    headers = {"authorization": "Basic c2VjcmV0", "x-auth-couchdb-token": "secret", "cookie": "AuthSession=secret; a=b"}
    answer = await call(app, "GET", "/db/_design/d/_show/req", headers)
    assert b"secret" not in answer.body
    assert b"c2VjcmV0" not in answer.body
    assert answer.json()["cookie"] == {"a": "b"}


async def test_cookies_that_are_none_are_left_out(app, design):
    design(shows={"req": REQ})
    answer = await call(app, "GET", "/db/_design/d/_show/req", {"cookie": "a(=b; c"})
    assert answer.json()["cookie"] == {}


async def test_a_body_that_would_fill_a_functions_memory_is_refused(app, design, monkeypatch):
    monkeypatch.setattr("couchette.design.request.FUNCTION_BATCH_BYTES", 10)
    design(shows={"req": REQ})
    answer = await call(app, "POST", "/db/_design/d/_show/req", {}, b"x" * 11)
    assert (answer.status, answer.json()["error"]) == (413, "too_large")


async def test_a_document_comes_with_its_conflicts_and_some_of_its_history(app, design):
    design(shows={"doc": "function(d) { return {json: d} }"})
    ids = [f"{n}" for n in range(30)]
    db = app.environment["db"]
    db.bulk_docs([{"_id": "a", "_revisions": {"start": 30, "ids": ids}}, {"_id": "a", "_rev": "1-b"}], new_edits=False)
    doc = (await call(app, "GET", "/db/_design/d/_show/doc/a")).json()
    assert doc["_conflicts"] == ["1-b"]
    assert doc["_revisions"] == {"start": 30, "ids": ids[: limits.FUNCTION_REVISIONS_MAX]}


# -- Shows ------------------------------------------------------------------------------------------------------------


async def test_a_show_is_not_run_for_a_client_that_holds_its_answer(app, design):
    design(shows={"s": "function(d) { return 'v' + (d ? d.v : '') }"})
    app.environment["db"].put({"_id": "a", "v": 1})
    first = await call(app, "GET", "/db/_design/d/_show/s/a", {"accept": "a/b"})
    assert (first.body, first.headers["vary"]) == (b"v1", "Accept")
    held = {"if-none-match": first.headers["etag"]}
    assert (await call(app, "GET", "/db/_design/d/_show/s/a", {**held, "accept": "a/b"})).status == 304
    assert (await call(app, "GET", "/db/_design/d/_show/s/a", {**held, "accept": "a/c"})).status == 200
    doc = app.environment["db"]["a"]
    app.environment["db"].put({**doc, "v": 2})
    assert (await call(app, "GET", "/db/_design/d/_show/s/a", {**held, "accept": "a/b"})).body == b"v2"
    design(other=1)
    again = await call(app, "GET", "/db/_design/d/_show/s/a", {"accept": "a/b"})
    assert again.headers["etag"] != first.headers["etag"]


async def test_an_answer_runs_no_scripts_for_the_user(app, design):
    design(
        shows={
            "plain": "function() { return 'x' }",
            "own": "function() { return {headers: {'content-security-policy': \"default-src 'none'\"}, body: ''} }",
        }
    )
    answer = await call(app, "GET", "/db/_design/d/_show/plain")
    assert answer.headers["content-security-policy"] == "sandbox"
    answer = await call(app, "GET", "/db/_design/d/_show/own")
    assert answer.headers["content-security-policy"] == "sandbox, default-src 'none'"


async def test_headers_of_a_function_cannot_break_the_answers_frame(app, design):
    headers = {"content-length": "1", "Transfer-Encoding": "chunked", "cache-control": "no-store"}
    design(shows={"s": f"function() {{ return {{headers: {json.dumps(headers)}, body: 'four'}} }}"})
    answer = await call(app, "GET", "/db/_design/d/_show/s")
    assert (answer.headers["content-length"], answer.headers["cache-control"]) == ("4", "no-store")
    assert "transfer-encoding" not in answer.headers


@pytest.mark.parametrize(
    "response", [{"code": 101}, {"headers": {"a b": "c"}}, {"headers": {"": "c"}}, {"headers": {"a": "b\r\nc: d"}}]
)
async def test_an_answer_that_http_does_not_have_is_an_error(app, design, response):
    design(shows={"s": f"function() {{ return {json.dumps(response)} }}"})
    answer = await call(app, "GET", "/db/_design/d/_show/s")
    assert (answer.status, answer.json()["error"]) == (500, "external_response_error")


async def test_an_answer_without_a_body_has_none(app, design):
    design(shows={"s": "function() { return {code: 204, body: 'x'} }"})
    answer = await call(app, "GET", "/db/_design/d/_show/s")
    assert (answer.status, answer.body) == (204, b"")


async def test_an_id_that_no_document_can_have_shows_none(app, design):
    design(shows={"s": "function(d, req) { return (d === null) + req.id }"})
    assert (await call(app, "GET", "/db/_design/d/_show/s/_nope")).body == b"true_nope"


@pytest.mark.parametrize(
    ("path", "error"),
    [("_show", "show_error"), ("_list", "list_error"), ("_list/l", "list_error"), ("_update", "update_error")],
)
async def test_a_path_that_names_no_function_leads_nowhere(app, design, path, error):
    design()
    answer = await call(app, "GET", f"/db/_design/d/{path}")
    assert (answer.status, answer.json()) == (404, {"error": error, "reason": "Invalid path."})


async def test_a_design_document_in_another_language_is_refused(app, design):
    design(language="erlang", shows={"s": "fun() -> ok end."})
    answer = await call(app, "GET", "/db/_design/d/_show/s")
    assert (answer.status, answer.json()) == (500, {"error": "unknown_query_language", "reason": "erlang"})


async def test_without_quickjs_the_answer_says_what_to_install(app, design, monkeypatch):
    monkeypatch.setitem(sys.modules, "_quickjs", None)
    design(shows={"s": "function() {}"}, filters={"f": "function() {}"})
    for path in ("_design/d/_show/s", "_changes?filter=d/f"):
        answer = await call(app, "GET", f"/db/{path}")
        assert answer.status == 501
        assert "pip install 'couchette[js]'" in answer.json()["reason"]


# -- Lists ------------------------------------------------------------------------------------------------------------

LIST = """function(head, req) {
  start({code: 202, headers: {'X-Head': JSON.stringify(head)}});
  for (var row; (row = getRow());) send((row.id || '') + JSON.stringify(row.key) + '=' + row.value + ';');
  return 'end ' + req.query.x;
}"""


@pytest.fixture
def listed(app, design):
    design(lists={"l": LIST}, views={"v": {"map": "function(d) { emit(d.k, d.n) }", "reduce": "_sum"}})
    app.environment["db"].bulk_docs([{"_id": f"{n}", "k": n % 2, "n": n} for n in range(4)])
    return app


async def test_a_list_renders_the_rows_of_a_view(listed):
    answer = await call(listed, "GET", "/db/_design/d/_list/l/v?reduce=false&key=1&x=y")
    assert (answer.status, answer.headers["content-type"]) == (202, "application/json")
    assert json.loads(answer.headers["x-head"]) == {"total_rows": 4, "offset": 2}
    assert answer.body == b"11=1;31=3;end y"
    assert answer.headers["content-security-policy"] == "sandbox"


async def test_a_list_renders_reduced_rows_for_keys_in_a_body(listed):
    answer = await call_json(listed, "POST", "/db/_design/d/_list/l/v?group=true", {"keys": [1]})
    assert (answer.headers["x-head"], answer.body) == ("{}", b"1=4;end undefined")


async def test_a_list_renders_another_design_documents_view(listed):
    listed.environment["db"].put({"_id": "_design/other", "views": {"w": {"map": "function(d) { emit(1, 2) }"}}})
    answer = await call(listed, "GET", "/db/_design/d/_list/l/other/w?limit=1")
    assert answer.body == b"01=2;end undefined"
    assert (await call(listed, "GET", "/db/_design/d/_list/l/other/none")).status == 404


async def test_a_list_renders_all_documents(listed):
    answer = await call(listed, "GET", "/db/_design/d/_list/l/_all_docs?startkey=%220%22&endkey=%221%22")
    assert answer.body.startswith(b'0"0"=[object Object];1"1"=')


async def test_a_list_is_read_and_not_written(listed):
    answer = await call(listed, "PUT", "/db/_design/d/_list/l/v")
    assert (answer.status, answer.headers["allow"]) == (405, "GET,POST,HEAD")
    assert (await call(listed, "POST", "/db/_design/d/_list/l/v", {"content-type": "a/b"}, b"{}")).status == 415


async def test_a_list_that_fails_midway_has_sent_nothing(listed, design):
    design(lists={"l": "function() { send('x'); getRow(); throw ['error', 'word', 'reason'] }"})
    answer = await call(listed, "GET", "/db/_design/d/_list/l/v")
    assert (answer.status, answer.json()) == (500, {"error": "word", "reason": "reason"})


# -- Updates ----------------------------------------------------------------------------------------------------------


async def test_an_update_builds_on_a_document_with_a_long_history(app, design):
    design(updates={"u": "function(d) { d.n += 1; return [d, 'ok'] }"})
    db = app.environment["db"]
    doc = {"_id": "a", "n": 0}
    for _ in range(limits.FUNCTION_REVISIONS_MAX + 5):
        doc["_rev"] = db.put(doc)["rev"]
    answer = await call(app, "PUT", "/db/_design/d/_update/u/a")
    assert answer.status == 201
    assert db["a"]["n"] == 1
    assert db["a"]["_rev"] == answer.headers["x-couch-update-newrev"]
    assert len(db.get("a", revs=True)["_revisions"]["ids"]) == limits.FUNCTION_REVISIONS_MAX + 6


async def test_an_update_function_may_answer_with_a_status_of_its_own(app, design):
    design(updates={"u": "function(d, req) { return [req.body ? {_id: 'x'} : 5, {code: 409, json: [1]}] }"})
    for body, written in ((b"1", True), (b"", False)):
        answer = await call(app, "POST", "/db/_design/d/_update/u", {}, body)
        assert (answer.status, answer.json()) == (409, [1])
        assert ("x-couch-id" in answer.headers) is written


async def test_an_update_function_cannot_write_a_design_document_that_is_none(app, design):
    design(updates={"u": "function() { return [{_id: '_design/e', views: 1}, ''] }"})
    answer = await call(app, "POST", "/db/_design/d/_update/u")
    assert (answer.status, answer.json()["error"]) == (400, "invalid_design_doc")
    assert "_design/e" not in app.environment["db"]


def test_functions_are_given_large_bodies_whole_and_attachments_are_not():
    for headers in ({}, {"content-type": "multipart/related; boundary=x"}):
        assert not takes_stream("PUT", [b"db", b"_design", b"d", b"_update", b"u", b"a"], headers)
        assert not takes_stream("PUT", [b"db", b"_design", b"d", b"%5Frewrite", b"a", b"b"], headers)
    assert takes_stream("PUT", [b"db", b"_design", b"d", b"file"], {})
    assert takes_stream("PUT", [b"db", b"a", b"_b", b"_c"], {})


# -- Design documents that are refused --------------------------------------------------------------------------------


async def test_a_bad_design_document_is_refused_among_others(app):
    docs = [{"_id": "a"}, {"_id": "_design/d", "views": 1}, {"_id": "b"}]
    answer = await call_json(app, "POST", "/db/_bulk_docs", {"docs": docs})
    first, refused, last = answer.json()
    assert (first["id"], last["id"]) == ("a", "b")
    assert refused == {
        "id": "_design/d",
        "error": "invalid_design_doc",
        "reason": "`views` field must have object type",
    }
    assert sorted(app.environment["db"]) == ["a", "b"]


async def test_a_document_does_not_become_a_bad_design_document_by_copying(app):
    app.environment["db"].put({"_id": "a", "views": 1})
    answer = await call(app, "COPY", "/db/a", {"destination": "_design/d"})
    assert (answer.status, answer.json()["error"]) == (400, "invalid_design_doc")


async def test_without_quickjs_views_are_stored_unchecked_and_members_are_still_checked(app, monkeypatch):
    monkeypatch.setitem(sys.modules, "_quickjs", None)
    views = {"v": {"map": "function("}}
    assert (await call_json(app, "PUT", "/db/_design/d", {"views": views})).status == 201
    answer = await call_json(app, "PUT", "/db/_design/e", {"views": {"v": {}}})
    assert (answer.status, answer.json()["reason"]) == (400, "View `v` must contain map function")


def test_the_library_itself_stores_any_design_document(environment):
    assert environment["db"].put({"_id": "_design/d", "views": 1})["ok"]
