"""Full-text search over HTTP."""

from __future__ import annotations

import pytest

from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio

INDEX = """function (doc) {
    index("default", doc.text, {store: true});
    index("n", doc.n, {facet: true});
    index("kind", doc.kind, {facet: true});
}"""
PATH = "/db/_design/d/_search/i"


@pytest.fixture
def searched(app):
    texts = {"a": ("one fox", "x"), "b": ("a fox and a dog", "y"), "c": ("one dog", "x")}
    docs = [{"_id": id, "text": text, "kind": kind, "n": n} for n, (id, (text, kind)) in enumerate(texts.items())]
    app.environment["db"].bulk_docs([*docs, {"_id": "_design/d", "indexes": {"i": {"index": INDEX}}}])
    return app


def ids(answer):
    return [row["id"] for row in answer.json()["rows"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=fox", ["a", "b"]),
        ("query=fox%20AND%20dog", ["b"]),
        ("q=*:*&sort=%22-n%22", ["c", "b", "a"]),
        ("q=*:*&sort=-n&limit=2&skip=1", ["b", "a"]),
        ("q=*:*&sort=%5B%22kind%22,%22-n%22%5D", ["c", "a", "b"]),
        ("q=*:*&drilldown=%5B%22kind%22,%22x%22%5D", ["a", "c"]),
        ("q=*:*&drilldown=%5B%22kind%22,%22x%22%5D&drilldown=%5B%22n%22,0%5D", ["a"]),
        ("q=fox&bookmark=nil", ["a", "b"]),
    ],
)
async def test_a_query_string_asks(searched, query, found):
    answer = await call(searched, "GET", f"{PATH}?{query}")
    assert (answer.status, ids(answer)) == (200, found)


async def test_a_body_asks(searched):
    body = {"q": "dog", "include_docs": True, "highlight_fields": ["default"], "counts": ["kind"], "limit": 1}
    body |= {"ranges": {"n": {"low": "[0 TO 1]"}}, "drilldown": [["kind", "x", "y"]], "include_fields": []}
    answer = (await call_json(searched, "POST", PATH, body)).json()
    assert answer["total_rows"] == 2
    assert (answer["counts"], answer["ranges"]) == ({"kind": {"x": 1, "y": 1}}, {"n": {"low": 1}})
    [row] = answer["rows"]
    assert row["doc"]["text"] == "one dog"
    assert row["highlights"] == {"default": ["one <em>dog</em>"]}
    assert row["fields"] == {}
    following = (await call_json(searched, "POST", PATH, {**body, "bookmark": answer["bookmark"]})).json()
    assert [row["id"] for row in following["rows"]] == ["b"]


async def test_a_stale_answer_is_not_brought_up_to_date(searched):
    for option in ("stale=ok", "update=false"):
        assert (await call(searched, "GET", f"{PATH}?q=fox&{option}")).json()["rows"] == []


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "Query must include a 'query' or 'q' argument."),
        ("q=(fox", "Cannot parse the query '(fox': syntax error at its end."),
        ("q=fox%20%29", "Cannot parse the query 'fox )': syntax error at character 5, before ')'."),
        ("q=fox&limit=201", "Value for limit is too large, must not exceed 200"),
        ("q=fox&limit=x", 'Invalid value for limit: "x"'),
        ("q=fox&include_docs=yes", 'Invalid value for include_docs: "yes"'),
        ("q=fox&stale=update_after", 'Invalid value for stale: "update_after"'),
        ("q=fox&bookmark=x", 'Invalid bookmark value: "x"'),
    ],
)
async def test_a_bad_query_is_a_400_with_the_place(searched, query, reason):
    answer = await call(searched, "GET", f"{PATH}?{query}")
    assert (answer.status, answer.json()["reason"]) == (400, reason)


async def test_an_index_that_is_not_there_is_a_404(searched):
    answer = await call(searched, "GET", "/db/_design/d/_search/nope?q=fox")
    assert (answer.status, answer.json()) == (404, {"error": "not_found", "reason": "nope not found."})
    assert (await call(searched, "GET", "/db/_design/x/_search/i?q=fox")).status == 404
    assert (await call(searched, "PUT", PATH)).status == 405


async def test_the_info_is_shown(searched):
    await call(searched, "GET", f"{PATH}?q=fox")
    info = (await call(searched, "GET", "/db/_design/d/_search_info/i")).json()
    assert info["name"] == "_design/d/i"
    assert info["search_index"]["doc_count"] == 3


async def test_an_analyzer_can_be_tried(app):
    answer = await call_json(app, "POST", "/_search_analyze", {"analyzer": "english", "text": "Running dogs"})
    assert answer.json() == {"tokens": ["run", "dog"]}
    answer = await call_json(app, "POST", "/_search_analyze", {"text": "Running dogs"})
    assert (answer.status, answer.json()["reason"]) == (400, "analyzer parameter is missing")
