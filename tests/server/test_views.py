"""Views over HTTP, as far as the recorded exchanges do not show them."""

from __future__ import annotations

import pytest

from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio

VIEWS = {"v": {"map": "function(d) { emit(d.k, d.n) }", "reduce": "_sum"}}


@pytest.fixture
def app_with_views(app):
    db = app.environment["db"]
    db.bulk_docs([{"_id": "a", "k": "x", "n": 1}, {"_id": "b", "k": "y", "n": 2}, {"_id": "_design/d", "views": VIEWS}])
    return app


async def test_several_queries_are_asked_in_one_request(app_with_views):
    queries = {"queries": [{"reduce": False, "key": "x"}, {"group": True}]}
    for path in ("/db/_design/d/_view/v/queries", "/db/_design/d/_view/v"):
        answer = await call_json(app_with_views, "POST", path, queries)
        first, second = answer.json()["results"]
        assert first == {"total_rows": 2, "offset": 0, "rows": [{"id": "a", "key": "x", "value": 1}]}
        assert [row["value"] for row in second["rows"]] == [1, 2]


async def test_what_the_query_string_says_counts_more_than_a_body(app_with_views):
    view = "/db/_design/d/_view/v"
    answer = await call_json(app_with_views, "POST", f"{view}?limit=1&reduce=false", {"limit": 2, "reduce": True})
    assert [row["id"] for row in answer.json()["rows"]] == ["a"]
    answer = await call_json(
        app_with_views, "POST", f"{view}/queries?limit=1", {"queries": [{"reduce": False, "limit": 2}]}
    )
    assert [row["id"] for row in answer.json()["results"][0]["rows"]] == ["a", "b"]
    answer = await call_json(app_with_views, "POST", "/db/_all_docs?limit=1", {"limit": 2})
    assert len(answer.json()["rows"]) == 1


async def test_one_key_in_a_list_is_reduced_as_a_key(app_with_views):
    view = "/db/_design/d/_view/v"
    reduced = {"rows": [{"key": None, "value": 1}]}
    assert (await call(app_with_views, "GET", f"{view}?keys=%5B%22x%22%5D")).json() == reduced
    assert (await call_json(app_with_views, "POST", view, {"keys": ["x"]})).json() == reduced
    refused = await call_json(app_with_views, "POST", view, {"keys": ["x", "y"]})
    assert refused.json()["reason"] == "Multi-key fetches for reduce views must use `group=true`"


@pytest.mark.parametrize(
    ("listing", "expected"),
    [("_all_docs", ["a", "_design/d"]), ("_design_docs", [None, "_design/d"]), ("_local_docs", [None, None])],
)
async def test_so_are_several_listings(app_with_views, listing, expected):
    queries = {"queries": [{"start_key": "a", "end_key": "a"}, {"keys": ["_design/d"]}]}
    for path in (f"/db/{listing}/queries", f"/db/{listing}"):
        results = (await call_json(app_with_views, "POST", path, queries)).json()["results"]
        assert [one["rows"][0].get("id") if one["rows"] else None for one in results] == expected


async def test_queries_that_are_no_list_of_objects_are_refused(app_with_views):
    for body in ({}, {"queries": 1}, {"queries": [1]}):
        answer = await call_json(app_with_views, "POST", "/db/_design/d/_view/v/queries", body)
        assert (answer.status, answer.json()["reason"]) == (400, "`queries` must be an array of objects.")


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("group_level=1&group=true", ["x", "y"]),
        ("group=true&group_level=0", [None]),
        ("group=true&key=%22y%22", ["y"]),
        ("group=true&key=%22y%22&startkey=%22a%22", ["x", "y"]),
    ],
)
async def test_of_parameters_that_say_the_same_the_last_one_counts(app_with_views, query, keys):
    answer = await call(app_with_views, "GET", f"/db/_design/d/_view/v?{query}")
    assert [row["key"] for row in answer.json()["rows"]] == keys


async def test_a_post_takes_options_in_its_body(app_with_views):
    body = {"keys": ["y"], "reduce": False, "include_docs": True}
    answer = await call_json(app_with_views, "POST", "/db/_design/d/_view/v?limit=5", body)
    assert [row["doc"]["n"] for row in answer.json()["rows"]] == [2]


async def test_clean_up_drops_the_indexes_of_deleted_design_documents(app_with_views):
    await call(app_with_views, "GET", "/db/_design/d/_view/v")
    db = app_with_views.environment["db"]
    db.remove(db.get("_design/d"))
    assert (await call_json(app_with_views, "POST", "/db/_view_cleanup", {})).status == 202
    assert db._pool.read(lambda conn: conn.execute("SELECT count(*) FROM index_groups").get) == 0


async def test_a_design_document_that_is_replicated_is_not_checked(app):
    wrong = {"_id": "_design/w", "_rev": "1-a", "views": {"v": {"map": "function("}}}
    assert (await call_json(app, "PUT", "/db/_design/w?new_edits=false", wrong)).status == 201
    assert (await call_json(app, "PUT", "/db/_design/u", {"views": {"v": {"map": "function("}}})).status == 400
