"""Rewrites over HTTP, by rules and by functions."""

from __future__ import annotations

import pytest

from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio


@pytest.fixture
def rewriting(app):
    """An app whose ``_design/d`` rewrites by these rules, or by this function."""
    db = app.environment["db"]
    app.environment.create("other")

    def store(rewrites, **members):
        known = db.get("_design/d") if "_design/d" in db else {"_id": "_design/d"}
        db.put({**known, "rewrites": rewrites, **members})
        return app

    return store


SHOWS = {"req": "function(d, req) { return {json: {doc: d && d._id, req: req}} }"}


async def test_a_request_stands_for_the_one_that_a_rule_names(rewriting):
    app = rewriting([{"from": "/docs/:id", "to": "../../:id"}], shows=SHOWS)
    app.environment["db"].put({"_id": "a b", "v": 1})
    answer = await call(app, "GET", "/db/_design/d/_rewrite/docs/a%20b")
    assert answer.json()["v"] == 1
    written = await call_json(app, "PUT", "/db/_design/d/_rewrite/docs/new", {"v": 2})
    assert (written.status, app.environment["db"]["new"]["v"]) == (201, 2)


async def test_the_functions_of_the_rewritten_request_know_what_was_asked(rewriting):
    app = rewriting([{"from": "/x/:n", "to": "_show/req/:n", "query": {"key": ":n"}}], shows=SHOWS)
    answer = (await call(app, "GET", "/db/_design/d/_rewrite/x/1?y=2")).json()
    assert answer["req"]["path"] == ["db", "_design", "d", "_show", "req", "1"]
    assert answer["req"]["requested_path"] == ["db", "_design", "d", "_rewrite", "x", "1?y=2"]
    assert answer["req"]["query"] == {"key": "1", "n": "1", "y": "2"}


async def test_documents_and_attachments_are_written_through_a_rule(rewriting):
    app = rewriting([{"from": "*", "to": "../../*"}])
    assert (await call_json(app, "PUT", "/db/_design/d/_rewrite/a", {"v": "x" * 1000})).status == 201
    answer = await call(app, "PUT", "/db/_design/d/_rewrite/b/file", {"content-type": "a/b"}, b"y" * 1000)
    assert answer.status == 201
    assert app.environment["db"].get_attachment("b", "file").data == b"y" * 1000


async def test_a_path_that_no_rule_fits_is_not_found(rewriting):
    app = rewriting([{"from": "/a", "to": "../.."}])
    answer = await call(app, "GET", "/db/_design/d/_rewrite/b")
    assert (answer.status, answer.json()) == (404, {"error": "not_found", "reason": "missing"})


async def test_a_design_document_without_rewrites_leads_nowhere(app):
    app.environment["db"].put({"_id": "_design/d"})
    answer = await call(app, "GET", "/db/_design/d/_rewrite/x")
    assert (answer.status, answer.json()) == (404, {"error": "rewrite_error", "reason": "Invalid path."})


async def test_a_rule_that_leads_to_itself_ends(rewriting):
    app = rewriting([{"from": "*", "to": "_rewrite/*"}])
    answer = await call(app, "GET", "/db/_design/d/_rewrite/x")
    assert (answer.status, answer.json()["reason"]) == (400, "Exceeded rewrite recursion limit")


async def test_rewrites_may_follow_one_another(rewriting):
    app = rewriting(
        [{"from": "/a", "to": "_rewrite/b"}, {"from": "/b", "to": "_rewrite/c"}, {"from": "/c", "to": "../.."}]
    )
    assert (await call(app, "GET", "/db/_design/d/_rewrite/a")).json()["db_name"] == "db"


@pytest.mark.parametrize("up", ["..", "%2e%2e", "%2E.", "%252e%252e"])
async def test_a_clients_path_does_not_lead_out_of_the_database(rewriting, up):
    app = rewriting([{"from": "/:a/:b/:c/:d", "to": ":a/:b/:c/:d"}, {"from": "*", "to": "*"}])
    for tail in ("other", "other/x", "_all_dbs"):
        answer = await call(app, "GET", f"/db/_design/d/_rewrite/{up}/{up}/{up}/{tail}")
        assert answer.status >= 400
        assert b"other" not in answer.body


@pytest.mark.parametrize(
    "path", ["../../../other", "/../../../other", "%2e%2e/%2e%2e/%2e%2e/other", "x/../../../../other", "../../../db2"]
)
async def test_neither_does_a_functions(rewriting, path):
    app = rewriting(f"function() {{ return '{path}' }}")
    answer = await call(app, "GET", "/db/_design/d/_rewrite/x")
    assert (answer.status, answer.json()["error"]) == (500, "insecure_rewrite_rule")


async def test_a_function_gives_path_query_method_headers_and_body(rewriting):
    function = """function(req) {
      return {path: '_show/req/x', method: 'PUT', query: {a: 'b c', key: '[1]'},
              headers: {'X-Given': 'y'}, body: req.body + '!'};
    }"""
    app = rewriting(function, shows=SHOWS)
    req = (await call(app, "POST", "/db/_design/d/_rewrite/x?q=1", {"x-own": "z"}, b"body")).json()["req"]
    assert (req["method"], req["query"], req["body"]) == ("PUT", {"a": "b c", "key": [1]}, "body!")
    assert (req["headers"]["X-Given"], req["headers"]["X-Own"]) == ("y", "z")


async def test_without_a_query_of_its_own_the_clients_stays(rewriting):
    app = rewriting("function(req) { return req.path[4] === 'a' ? '_show/req' : '_show/req?own=1' }", shows=SHOWS)
    assert (await call(app, "GET", "/db/_design/d/_rewrite/a?q=%5B")).json()["req"]["query"] == {"q": "["}
    assert (await call(app, "GET", "/db/_design/d/_rewrite/b?q=1")).json()["req"]["query"] == {"own": "1"}


async def test_a_function_may_answer_by_itself(rewriting):
    app = rewriting("function() { return {code: 418, headers: {'X-A': 'b'}, body: 'tea'} }")
    answer = await call(app, "GET", "/db/_design/d/_rewrite/x")
    assert (answer.status, answer.headers["x-a"], answer.body) == (418, "b", b"tea")


async def test_a_function_is_told_less_than_others(rewriting):
    app = rewriting("function(req) { return {code: 200, body: Object.keys(req).sort().join()} }")
    told = (await call(app, "GET", "/db/_design/d/_rewrite/x")).body.decode().split(",")
    assert not {"info", "form", "uuid", "id"} & set(told)
    assert {"path", "query", "secObj", "userCtx"} <= set(told)


@pytest.mark.parametrize(
    ("function", "status", "error"),
    [
        ("function() { return null }", 404, "rewrite_error"),
        ("function() { return {} }", 500, "rewrite_error"),
        ("function() { throw {forbidden: 'no'} }", 403, "forbidden"),
        ("function() { throw {unauthorized: 'no'} }", 401, "unauthorized"),
    ],
)
async def test_a_function_may_refuse(rewriting, function, status, error):
    answer = await call(rewriting(function), "GET", "/db/_design/d/_rewrite/x")
    assert (answer.status, answer.json()["error"]) == (status, error)


async def test_a_head_is_a_get_to_rules(rewriting):
    app = rewriting([{"from": "/x", "to": "../..", "method": "GET"}])
    assert (await call(app, "HEAD", "/db/_design/d/_rewrite/x")).status == 200
