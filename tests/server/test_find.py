"""Mango over HTTP, as far as the recorded exchanges do not show it."""

from __future__ import annotations

import pytest

from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio

ALL_DOCS = {"ddoc": None, "name": "_all_docs", "type": "special", "def": {"fields": [{"_id": "asc"}]}}


async def post(app, target, body, status=200):
    answer = await call_json(app, "POST", target, body)
    assert answer.status == status, answer.body
    return answer.json()


async def test_pages_are_led_to_by_bookmarks(app):
    await post(app, "/db/_bulk_docs", {"docs": [{"_id": name, "n": 1} for name in "abcde"]}, 201)
    await post(app, "/db/_index", {"index": {"fields": ["n"]}})
    pages, bookmark = [], ""
    for _ in range(4):
        found = await post(app, "/db/_find", {"selector": {"n": 1}, "limit": 2, "bookmark": bookmark})
        pages.append([doc["_id"] for doc in found["docs"]])
        bookmark = found["bookmark"]
    assert pages == [["a", "b"], ["c", "d"], ["e"], []]


@pytest.mark.parametrize("options", [{}, {"sort": ["n"]}, {"selector": {"n": 1, "m": None}}])
@pytest.mark.parametrize("indexed", [True, False])
async def test_limit_and_skip_may_be_any_number(app, options, indexed):
    await post(app, "/db/_bulk_docs", {"docs": [{"_id": name, "n": 1, "m": None} for name in "ab"]}, 201)
    if indexed or "sort" in options:
        await post(app, "/db/_index", {"index": {"fields": ["n"]}})
    for number in (2**63 - 1, 10**20, 10**400):
        query = {"selector": {"n": 1}, **options}
        assert len((await post(app, "/db/_find", {**query, "limit": number}))["docs"]) == 2
        assert len((await post(app, "/db/_find", {**query, "limit": number, "skip": 1}))["docs"]) == 1
        assert (await post(app, "/db/_find", {**query, "limit": number, "skip": number}))["docs"] == []
        assert (await post(app, "/db/_find", {**query, "skip": number}))["docs"] == []


async def test_explain_has_couchdbs_members(app):
    await post(app, "/db/_index", {"index": {"fields": ["a", "b"]}, "ddoc": "ab", "name": "ab"})
    await post(app, "/db/_index", {"index": {"fields": ["a"]}, "ddoc": "a", "name": "a"})
    await post(app, "/db/_index", {"index": {"fields": ["a", "c"]}, "ddoc": "ac", "name": "ac"})
    partial = {"fields": ["a"], "partial_filter_selector": {"t": 1}}
    await post(app, "/db/_index", {"index": partial, "ddoc": "p", "name": "p"})
    selector = {"a": 1, "b": {"$gt": 2}}
    told = await post(app, "/db/_explain", {"selector": selector, "sort": [{"a": "desc"}], "fields": ["_id", "b"]})
    assert told["dbname"] == "db"
    assert told["index"] == {
        "ddoc": "_design/ab",
        "name": "ab",
        "type": "json",
        "partitioned": False,
        "def": {"fields": [{"a": "asc"}, {"b": "asc"}]},
    }
    assert told["selector"] == {"$and": [{"a": {"$eq": 1}}, {"b": {"$gt": 2}}]}
    assert told["mrargs"] == {
        "include_docs": False,
        "view_type": "map",
        "reduce": False,
        "partition": None,
        "start_key": [1, "<MAX>"],
        "end_key": [1, 2],
        "direction": "rev",
        "stable": False,
        "update": True,
        "conflicts": "undefined",
    }
    assert told["covering"] is True
    reasons = {}
    for one in told["index_candidates"]:
        analysis = one["analysis"]
        reasons[one["index"]["name"]] = (analysis["reasons"][0]["name"], analysis["usable"], analysis["ranking"])
    assert reasons == {
        "a": ("less_overlap", True, 1),
        "_all_docs": ("sort_order_mismatch", False, 2),
        "ac": ("field_mismatch", False, 2),
        "p": ("is_partial", False, 3),
    }
    hints = {"type": "json", "indexable_fields": ["a", "b"], "unindexable_fields": []}
    assert told["selector_hints"] == [hints]
    assert "explanation" not in told


async def test_explain_of_a_sort_that_nothing_serves_names_no_index(app):
    told = await post(app, "/db/_explain", {"selector": {"a": 1}, "sort": ["b"]})
    assert told["index"] is None
    assert [one["index"] for one in told["index_candidates"]] == [ALL_DOCS]
    await post(app, "/db/_explain", {"selector": {}, "use_index": "x", "allow_fallback": False}, 400)


async def test_explain_of_ids_shows_them(app):
    told = await post(app, "/db/_explain", {"selector": {"_id": {"$gte": "a"}}})
    assert (told["index"], told["mrargs"]["start_key"], told["mrargs"]["end_key"]) == (ALL_DOCS, "a", "<MAX>")
    told = await post(app, "/db/_explain", {"selector": {"_id": {"$gt": "b", "$lt": "a"}}})
    assert (told["mrargs"]["start_key"], told["mrargs"]["end_key"]) == (None, None)


async def test_indexes_are_listed_in_parts(app):
    for name in "abc":
        await post(app, "/db/_index", {"index": {"fields": [name]}, "ddoc": name, "name": name})
    listed = (await call(app, "GET", "/db/_index?skip=1&limit=2")).json()
    assert (listed["total_rows"], [index["name"] for index in listed["indexes"]]) == (4, ["a", "b"])
    for query in ("limit=0", "limit=x", "skip=-1"):
        answer = await call(app, "GET", f"/db/_index?{query}")
        assert (answer.status, answer.json()["error"]) == (500, "invalid_list_index_params")


async def test_indexes_are_deleted_one_by_one(app):
    for name in "abc":
        await post(app, "/db/_index", {"index": {"fields": [name]}, "ddoc": name, "name": name})
    for path in ("_design/a/json/a", "b/json/b", "_design%2Fc/json/c"):
        answer = await call(app, "DELETE", f"/db/_index/{path}")
        assert (answer.status, answer.json()) == (200, {"ok": True})
    for path in ("a/json/a", "a/text/a", "a/json", "a"):
        assert (await call(app, "DELETE", f"/db/_index/{path}")).status == 404
    assert (await call(app, "GET", "/db/_index/a/json/a")).headers["allow"] == "DELETE"
    assert (await call(app, "GET", "/db/_index")).json()["total_rows"] == 1


async def test_indexes_are_deleted_by_design_documents(app):
    await post(app, "/db/_index", {"index": {"fields": ["a"]}, "ddoc": "a", "name": "a"})
    done = await post(app, "/db/_index/_bulk_delete", {"docids": ["_design/a", "x"], "w": 1})
    assert done == {"success": [{"id": "_design/a", "ok": True}], "fail": [{"id": "_design/x", "error": "not_found"}]}
    for wrong in ({}, {"docids": 5}, {"docids": [5]}, {"docids": [], "w": 0}, {"docids": [], "x": 1}):
        await post(app, "/db/_index/_bulk_delete", wrong, 400)
    assert (await call(app, "GET", "/db/_index/_bulk_delete")).status == 405


@pytest.mark.parametrize(
    ("body", "error", "status"),
    [
        ({}, "missing_required_key", 400),
        ({"index": 5}, "invalid_index", 400),
        ({"index": {}}, "missing_required_key", 400),
        ({"index": {"fields": ["a"], "x": 1}}, "invalid_key", 400),
        ({"index": {"fields": ["a"]}, "x": 1}, "invalid_key", 400),
        ({"index": {"fields": ["a"]}, "w": 0}, "invalid_pos_integer", 400),
        ({"index": {"fields": ["a"]}, "partitioned": 5}, "invalid_partitioned_value", 400),
        ({"index": {"fields": ["a"]}, "partitioned": True}, "bad_request", 400),
        ({"index": {"fields": ["a"]}, "type": "nouveau"}, "required index service unavailable", 503),
        ({"index": {"fields": ["a"]}, "type": "text"}, "invalid_index_fields_definition", 400),
    ],
)
async def test_a_malformed_index_is_refused(app, body, error, status):
    assert (await post(app, "/db/_index", body, status))["error"] == error


async def test_a_text_index_is_made_asked_and_deleted(app):
    await post(app, "/db/_bulk_docs", {"docs": [{"_id": "a", "t": "A fox"}, {"_id": "b", "t": "Foxes"}]}, 201)
    query = {"selector": {"$text": "fox"}}
    assert (await post(app, "/db/_find", query, 400))["error"] == "no_usable_index"
    made = await post(app, "/db/_index", {"index": {}, "type": "text", "ddoc": "d", "name": "words"})
    assert made == {"result": "created", "id": "_design/d", "name": "words"}
    assert [doc["_id"] for doc in (await post(app, "/db/_find", query))["docs"]] == ["a"]
    told = await post(app, "/db/_explain", query)
    assert (told["index"]["type"], told["query"]) == ("text", "(fox)")
    assert (await call(app, "GET", "/db/_index")).json()["indexes"][1] == told["index"]
    await post(app, "/db/_index", {"index": {"fields": ["t"]}, "ddoc": "d", "name": "by t"})
    assert (await call(app, "DELETE", "/db/_index/d/text/words")).json() == {"ok": True}
    assert (await post(app, "/db/_find", query, 400))["error"] == "no_usable_index"
    await post(app, "/db/_index", {"index": {}, "type": "text", "ddoc": "d", "name": "words"})
    deleted = await post(app, "/db/_index/_bulk_delete", {"docids": ["d"]})
    assert deleted == {"success": [{"id": "_design/d", "ok": True}], "fail": []}
    assert (await call(app, "GET", "/db/_design/d")).status == 404


async def test_an_index_that_says_it_is_not_partitioned(app):
    body = {"index": {"fields": ["a"]}, "ddoc": "a", "name": "a", "partitioned": False}
    assert (await post(app, "/db/_index", body))["result"] == "created"
    assert (await post(app, "/db/_index", body))["result"] == "exists"
    assert (await call(app, "GET", "/db/_design/a")).json()["options"] == {"partitioned": False}


async def test_a_stored_index_is_what_couchdb_stores(app):
    definition = {"fields": ["a", {"b.c": "asc"}], "partial_filter_selector": {"t": 1}}
    await post(app, "/db/_index", {"index": definition, "ddoc": "d", "name": "n"})
    doc = (await call(app, "GET", "/db/_design/d")).json()
    assert (doc["language"], doc["views"]) == (
        "query",
        {
            "n": {
                "map": {"fields": {"a": "asc", "b.c": "asc"}, "partial_filter_selector": {"t": {"$eq": 1}}},
                "reduce": "_count",
                "options": {"def": definition},
            }
        },
    )
