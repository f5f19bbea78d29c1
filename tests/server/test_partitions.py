"""Partitioned databases over HTTP."""

from __future__ import annotations

import io

import pytest

import couchette
from couchette import Database
from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio

ILLEGAL = {"error": "illegal_docid", "reason": "Doc id must be of form partition:id"}
MAP = "function (doc) { emit([doc.kind, doc.n], doc.n); }"


@pytest.fixture
async def parts(app):
    """The app, with a partitioned database of two partitions."""
    assert (await call(app, "PUT", "/parts?partitioned=true")).status == 201
    docs = [{"_id": f"{name}:{n}", "n": n, "kind": "odd" if n % 2 else "even"} for name in "ab" for n in range(4)]
    answer = await call_json(app, "POST", "/parts/_bulk_docs", {"docs": docs})
    assert all(row["ok"] for row in answer.json())
    return app


async def refused(app, method, target, value=None):
    answer = await call_json(app, method, target, value)
    return answer.status, answer.json()["error"], answer.json()["reason"]


async def ids(app, target, body=None):
    answer = await call_json(app, "GET" if body is None else "POST", target, body)
    assert answer.status == 200, answer.body
    return [row.get("id") or row["_id"] for row in answer.json().get("rows") or answer.json().get("docs", [])]


async def test_a_database_is_made_partitioned_and_says_so(app, environment):
    assert (await call(app, "PUT", "/parts?partitioned=true")).status == 201
    assert (await call(app, "GET", "/parts")).json()["props"] == {"partitioned": True}
    assert (await call(app, "GET", "/db")).json()["props"] == {}
    wrong = (400, "bad_request", "Invalid `partitioned` parameter")
    assert await refused(app, "PUT", "/other?partitioned=tru") == wrong
    system = (400, "bad_request", "Cannot partition a system database")
    assert await refused(app, "PUT", "/_replicator?partitioned=true") == system
    assert "other" not in environment


@pytest.mark.parametrize("query", ["", "?revs=true&latest=true", "?attachments=true"])
async def test_bulk_get_tells_of_each_id_that_has_no_partition(parts, query):
    asked = [{"id": "a:1"}, {"id": "none"}, {"id": "_design/none"}, {"id": ":x"}, {"id": "b:1"}]
    answer = await call_json(parts, "POST", f"/parts/_bulk_get{query}", {"docs": asked})
    found, none, design, empty, other = answer.json()["results"]
    assert [row["docs"][0]["ok"]["n"] for row in (found, other)] == [1, 1]
    assert none == {"id": "none", "docs": [{"error": {"id": "none", "rev": None, **ILLEGAL}}]}
    assert design["docs"][0]["error"]["error"] == "not_found"
    assert empty["docs"][0]["error"]["error"] == "illegal_partition"


async def test_a_dump_keeps_that_a_database_is_partitioned(parts, environment, tmp_path):
    dump = io.BytesIO()
    environment["parts"].dump(dump)
    dump.seek(0)
    path = str(tmp_path / "again.couchette")
    couchette.load(dump, path)
    with Database(path) as again:
        assert again._partitioned


@pytest.mark.parametrize(
    ("doc_id", "reason"),
    [
        ("plain", ILLEGAL["reason"]),
        ("_bad:x", "Only reserved document ids may start with underscore."),
        ("bad:", "Document id must not be empty"),
        ("bad:_x", "Only reserved document ids may start with underscore."),
    ],
)
async def test_ids_must_name_a_partition(parts, doc_id, reason):
    expected = (400, "illegal_docid", reason)
    assert await refused(parts, "PUT", f"/parts/{doc_id}", {}) == expected
    assert await refused(parts, "POST", "/parts", {"_id": doc_id}) == expected
    assert await refused(parts, "POST", "/parts/_bulk_docs", {"docs": [{"_id": "a:9"}, {"_id": doc_id}]}) == expected
    pushed = {"docs": [{"_id": doc_id, "_rev": "1-a"}], "new_edits": False}
    assert await refused(parts, "POST", "/parts/_bulk_docs", pushed) == expected
    assert await refused(parts, "GET", f"/parts/{doc_id}") == expected
    assert await refused(parts, "POST", "/parts/_purge", {doc_id: ["1-a"]}) == expected
    assert (await call(parts, "GET", "/parts")).json()["doc_count"] == 8


async def test_an_empty_partition_is_none(parts):
    expected = (400, "illegal_partition", "Partition must not be empty")
    assert await refused(parts, "PUT", "/parts/:x", {}) == expected
    answer = await call(parts, "COPY", "/parts/a:1", {"destination": ":x"})
    assert answer.json()["error"] == "illegal_partition"
    assert (await call(parts, "PUT", "/parts/plain/att", {}, b"x")).json() == ILLEGAL


async def test_design_and_local_documents_are_in_no_partition(parts):
    assert (await call_json(parts, "PUT", "/parts/_design/x", {})).status == 201
    assert (await call_json(parts, "PUT", "/parts/_local/x", {})).status == 201
    assert (await call(parts, "GET", "/parts/_local/x")).status == 200


async def test_a_partition_is_described_in_numbers(parts):
    rev = (await call(parts, "GET", "/parts/a:1")).json()["_rev"]
    await call(parts, "DELETE", f"/parts/a:1?rev={rev}")
    told = (await call(parts, "GET", "/parts/_partition/a")).json()
    assert told.pop("sizes").keys() == {"active", "external"}
    assert told == {"db_name": "parts", "partition": "a", "doc_count": 3, "doc_del_count": 1}
    assert (await call(parts, "GET", "/parts/_partition/none")).json()["doc_count"] == 0


async def test_wrong_names_and_databases_are_refused(parts):
    underscored = (400, "illegal_partition", "Partition must not start with an underscore")
    assert await refused(parts, "GET", "/parts/_partition/_find") == underscored
    assert await refused(parts, "GET", "/parts/_partition/_a/_all_docs") == underscored
    assert await refused(parts, "GET", "/parts/_partition") == (400, "bad_request", "invalid_partition_req")
    whole = (400, "bad_request", "database is not partitioned")
    assert await refused(parts, "GET", "/db/_partition/a") == whole
    assert await refused(parts, "GET", "/db/_partition/a/_all_docs") == whole
    assert (await call(parts, "GET", "/parts/_partition/a/_changes")).status == 404
    assert (await call(parts, "DELETE", "/parts/_partition/a")).status == 405
    answer = await call(parts, "GET", "/parts/_partition/a/_all_docs?partition=b")
    assert answer.json()["reason"] == "Conflicting value for `partition` in query string"


async def test_all_docs_of_a_partition(parts):
    base = "/parts/_partition/a/_all_docs"
    assert await ids(parts, base) == ["a:0", "a:1", "a:2", "a:3"]
    assert await ids(parts, f"{base}?descending=true&limit=2") == ["a:3", "a:2"]
    assert await ids(parts, f'{base}?start_key="a:2"&end_key="b:9"') == ["a:2", "a:3"]
    assert await ids(parts, f'{base}?key="b:1"') == []
    assert await ids(parts, base, {"keys": ["a:3", "a:0"]}) == ["a:3", "a:0"]


async def test_the_list_of_all_documents_may_name_a_partition(parts):
    assert await ids(parts, "/parts/_all_docs?partition=a") == ["a:0", "a:1", "a:2", "a:3"]
    status, error, reason = await refused(parts, "GET", "/db/_all_docs?partition=a")
    assert (status, error) == (400, "query_parse_error")
    assert reason == "`partition` parameter is not supported on this db"


@pytest.fixture(params=[1, 100, 1_000_000])
async def views(parts, request, monkeypatch):
    """Views of a partition, and of the whole database; so many bytes of their rows are read at once."""
    monkeypatch.setattr("couchette.server.views.LISTING_PAGE_BYTES", request.param)
    views = {"v": {"map": MAP}, "sum": {"map": MAP, "reduce": "_sum"}}
    assert (await call_json(parts, "PUT", "/parts/_design/p", {"views": views})).status == 201
    whole = {"views": views, "options": {"partitioned": False}}
    assert (await call_json(parts, "PUT", "/parts/_design/g", whole)).status == 201
    return parts


async def test_a_view_of_a_partition(views):
    base = "/parts/_partition/a/_design/p/_view/v"
    assert await ids(views, base) == ["a:0", "a:2", "a:1", "a:3"]
    assert await ids(views, f"{base}?descending=true&skip=1&limit=2") == ["a:1", "a:2"]
    assert await ids(views, f'{base}?start_key=["odd"]') == ["a:1", "a:3"]
    assert await ids(views, base, {"keys": [["odd", 3], ["even", 0]]}) == ["a:3", "a:0"]
    (row,) = (await call(views, "GET", f"{base}?limit=1&include_docs=true")).json()["rows"]
    assert (row["id"], row["doc"]["n"]) == ("a:0", 0)


async def test_a_view_of_a_partition_is_reduced_over_the_partition(views):
    base = "/parts/_partition/b/_design/p/_view/sum"
    assert (await call(views, "GET", base)).json() == {"rows": [{"key": None, "value": 6}]}
    grouped = [{"key": ["even"], "value": 2}, {"key": ["odd"], "value": 4}]
    assert (await call(views, "GET", f"{base}?group_level=1")).json()["rows"] == grouped
    assert (await call(views, "GET", f"{base}?group=true&skip=1&limit=1")).json()["rows"] == [
        {"key": ["even", 2], "value": 2}
    ]
    assert (await call(views, "GET", "/parts/_partition/none/_design/p/_view/sum")).json() == {"rows": []}
    several = {"queries": [{"reduce": False, "limit": 1}, {"group_level": 1, "descending": True}]}
    answer = (await call_json(views, "POST", f"{base}/queries", several)).json()
    assert [len(one["rows"]) for one in answer["results"]] == [1, 2]


async def test_a_view_is_for_partitions_or_for_the_whole(views):
    mandatory = (400, "query_parse_error", "`partition` parameter is mandatory for queries to this view.")
    assert await refused(views, "GET", "/parts/_design/p/_view/v") == mandatory
    unsupported = (400, "query_parse_error", "`partition` parameter is not supported in this design doc")
    assert await refused(views, "GET", "/parts/_partition/a/_design/g/_view/v") == unsupported
    assert len(await ids(views, "/parts/_design/g/_view/v")) == 8
    assert await ids(views, "/parts/_design/p/_view/v?partition=a&limit=1") == ["a:0"]


async def test_a_design_document_may_be_partitioned_only_where_the_database_is(views):
    design = {"options": {"partitioned": True}}
    assert (await call_json(views, "PUT", "/parts/_design/q", design)).status == 201
    assert (await call_json(views, "POST", "/parts/_bulk_docs", {"docs": [{"_id": "_design/r", **design}]})).json()[0][
        "ok"
    ]
    reason = "partitioned option cannot be true in a non-partitioned database."
    assert await refused(views, "PUT", "/db/_design/q", design) == (400, "invalid_design_doc", reason)


async def test_finding_in_a_partition(parts):
    base = "/parts/_partition/a"
    asked = {"selector": {"n": {"$gte": 2}}}
    assert await ids(parts, f"{base}/_find", asked) == ["a:2", "a:3"]
    assert len(await ids(parts, "/parts/_find", asked)) == 4
    assert (await call_json(parts, "POST", f"{base}/_index", {"index": {"fields": ["n"]}, "name": "n"})).status == 200
    assert await ids(parts, f"{base}/_find", asked) == ["a:2", "a:3"]
    told = (await call_json(parts, "POST", f"{base}/_explain", asked)).json()
    assert (told["index"]["name"], told["partitioned"]) == ("n", True)
    assert (told["mrargs"]["partition"], told["opts"]["partition"]) == ("a", "a")
    assert await ids(parts, "/parts/_find", {**asked, "partition": "b"}) == ["b:2", "b:3"]
    assert (await refused(parts, "POST", "/parts/_find", {**asked, "partition": 1}))[0] == 400


async def test_an_index_of_partitions_may_be_asked_for_where_the_database_has_some(parts):
    wanted = {"index": {"fields": ["n"]}, "name": "n", "partitioned": True}
    assert (await call_json(parts, "POST", "/parts/_index", wanted)).json()["result"] == "created"
    assert await ids(parts, "/parts/_partition/a/_find", {"selector": {"n": {"$gte": 2}}}) == ["a:2", "a:3"]
    told = (await call_json(parts, "POST", "/parts/_partition/a/_explain", {"selector": {"n": 2}})).json()
    assert told["index"]["name"] == "n"
    reason = "partitioned option cannot be true in a non-partitioned database."
    assert await refused(parts, "POST", "/db/_index", wanted) == (400, "bad_request", reason)
