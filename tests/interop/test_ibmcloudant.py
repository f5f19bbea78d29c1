"""ibmcloudant, IBM's present client, at its ordinary work with our server."""

from __future__ import annotations

from io import BytesIO

import pytest
from ibm_cloud_sdk_core import ApiException
from ibmcloudant import CouchDbSessionAuthenticator
from ibmcloudant.cloudant_v1 import CloudantV1
from ibmcloudant.features.changes_follower import ChangesFollower
from ibmcloudant.features.pagination import PagerType, Pagination

from tests.interop.conftest import with_credentials

pytestmark = pytest.mark.interop

CONTENT = bytes(range(256)) * 40
DB = "notes"


@pytest.fixture
def service(administered: str):
    service = CloudantV1(authenticator=CouchDbSessionAuthenticator("admin", "secret"))
    service.set_service_url(administered)
    service.put_database(DB)
    yield service
    service.http_client.close()


@pytest.fixture
def filled(service):
    docs = [{"_id": f"d{number}", "n": number} for number in range(5)]
    assert [row["ok"] for row in service.post_bulk_docs(DB, {"docs": docs}).get_result()] == [True] * 5
    return service


def test_documents_one_by_one(service):
    assert service.get_server_information().get_result()["couchdb"] == "Welcome"
    assert service.get_up_information().get_result()["status"] == "ok"
    assert service.get_session_information().get_result()["userCtx"]["name"] == "admin"
    rev = service.put_document(DB, "a b/ü", {"n": 1}).get_result()["rev"]
    second = service.put_document(DB, "a b/ü", {"n": 2}, rev=rev).get_result()["rev"]
    assert service.get_document(DB, "a b/ü", revs=True).get_result()["n"] == 2
    assert service.head_document(DB, "a b/ü").get_headers()["etag"] == f'"{second}"'
    with pytest.raises(ApiException) as caught:
        service.put_document(DB, "a b/ü", {"n": 3}, rev=rev)
    assert (caught.value.status_code, caught.value.message) == (409, "conflict: Document update conflict.")
    service.delete_document(DB, "a b/ü", rev=second)
    service.put_local_document(DB, "here", {"n": 1})
    assert service.get_local_document(DB, "here").get_result()["n"] == 1
    assert service.post_dbs_info([DB]).get_result()[0]["info"]["doc_del_count"] == 1
    assert service.get_all_dbs().get_result() == ["_users", DB]
    assert service.get_membership_information().get_result()["all_nodes"]
    service.delete_database(DB)


def test_many_documents(filled):
    rows = filled.post_all_docs(DB, include_docs=True, start_key="d3").get_result()["rows"]
    assert [row["doc"]["n"] for row in rows] == [3, 4]
    queries = filled.post_all_docs_queries(DB, [{"keys": ["d1"]}, {"limit": 1}]).get_result()["results"]
    assert [[row["id"] for row in answer["rows"]] for answer in queries] == [["d1"], ["d0"]]
    got = filled.post_bulk_get(DB, [{"id": "d1"}, {"id": "none"}]).get_result()["results"]
    assert [list(result["docs"][0]) for result in got] == [["ok"], ["error"]]
    mixed = filled.post_bulk_get_as_mixed(DB, [{"id": "d1"}]).get_result()
    assert b'"_id":"d1"' in mixed.content
    diff = filled.post_revs_diff(DB, {"d1": ["1-x"]}).get_result()
    assert diff["d1"]["missing"] == ["1-x"]


def test_all_pages(filled):
    pages = Pagination.new_pagination(filled, PagerType.POST_ALL_DOCS, db=DB, limit=2).pages()
    assert [[row.id for row in page] for page in pages] == [["d0", "d1"], ["d2", "d3"], ["d4"]]
    found = Pagination.new_pagination(filled, PagerType.POST_FIND, db=DB, selector={"n": {"$gte": 0}}, limit=2).rows()
    assert [doc.n for doc in found] == [0, 1, 2, 3, 4]


def test_changes_once_and_followed(filled):
    rows = filled.post_changes(DB, filter="_selector", selector={"n": {"$gt": 2}}).get_result()["results"]
    assert [row["id"] for row in rows] == ["d3", "d4"]
    assert [row.id for row in ChangesFollower(filled, db=DB).start_one_off()] == ["d0", "d1", "d2", "d3", "d4"]
    seen = []
    for row in ChangesFollower(filled, db=DB, since="0", limit=6).start():
        seen.append(row.id)
        # A follower that has enough waits for the end of the longpoll that it has begun meanwhile: "last" ends it.
        if row.id in ("d4", "later"):
            filled.put_document(DB, "later" if row.id == "d4" else "last", {})
    assert seen == ["d0", "d1", "d2", "d3", "d4", "later"]
    assert filled.get_db_updates(feed="normal").get_result()["results"]


def test_views_and_search(filled):
    views = {"by-n": {"map": "function (doc) { emit(doc.n, 1); }", "reduce": "_count"}}
    indexes = {"numbers": {"index": "function (doc) { index('n', doc.n); index('text', 'number ' + doc._id); }"}}
    filled.put_design_document(DB, "views", {"views": views, "indexes": indexes})
    rows = filled.post_view(DB, "views", "by-n", reduce=False, descending=True, limit=2).get_result()["rows"]
    assert [row["key"] for row in rows] == [4, 3]
    assert filled.post_view(DB, "views", "by-n").get_result()["rows"][0]["value"] == 5
    pages = Pagination.new_pagination(
        filled, PagerType.POST_VIEW, db=DB, ddoc="views", view="by-n", reduce=False, limit=2
    )
    assert [row.key for row in pages.rows()] == [0, 1, 2, 3, 4]
    answer = filled.post_search(DB, "views", "numbers", query="text:d3 OR n:[4 TO 5]", sort=["n<number>"]).get_result()
    assert [row["id"] for row in answer["rows"]] == ["d3", "d4"]
    assert filled.get_search_info(DB, "views", "numbers").get_result()["search_index"]["doc_count"] == 5
    assert filled.get_design_document_information(DB, "views").get_result()["name"] == "views"
    assert filled.post_design_docs(DB).get_result()["rows"][0]["id"] == "_design/views"


def test_find(filled):
    made = filled.post_index(DB, {"fields": [{"n": "asc"}]}, ddoc="finding", name="by-n").get_result()
    assert made == {"result": "created", "id": "_design/finding", "name": "by-n"}
    answer = filled.post_find(DB, {"n": {"$gt": 2}}, sort=[{"n": "desc"}], execution_stats=True).get_result()
    assert [doc["n"] for doc in answer["docs"]] == [4, 3]
    assert filled.post_explain(DB, {"n": 1}).get_result()["index"]["name"] == "by-n"
    assert filled.delete_index(DB, "finding", "json", "by-n").get_result()["ok"]
    assert filled.get_indexes_information(DB).get_result()["total_rows"] == 1


@pytest.mark.parametrize("packed", [True, False])
def test_attachments(service, packed):
    # It packs what it uploads, unless it is told not to; what came packed is stored so and knows no ranges.
    service.set_enable_gzip_compression(packed)
    rev = service.put_document(DB, "a", {}).get_result()["rev"]
    told = service.put_attachment(DB, "a", "p q.bin", BytesIO(CONTENT), "application/x-data", rev=rev).get_result()
    assert service.get_attachment(DB, "a", "p q.bin").get_result().content == CONTENT
    part = service.get_attachment(DB, "a", "p q.bin", range="bytes=2-4").get_result()
    assert part.content == (CONTENT if packed else b"\2\3\4")
    assert service.head_attachment(DB, "a", "p q.bin").get_headers()["content-type"] == "application/x-data"
    related = service.get_document_as_related(DB, "a", attachments=True).get_result()
    assert (CONTENT in related.content) is not packed
    assert service.delete_attachment(DB, "a", "p q.bin", rev=told["rev"]).get_result()["ok"]


def test_security(service):
    security = {"names": ["ada"], "roles": []}
    assert service.put_security(DB, admins=security, members=security).get_result()["ok"]
    assert service.get_security(DB).get_result()["members"] == security


def test_a_replication_by_the_database_of_replications(filled, administered):
    filled.put_database("_replicator")
    filled.put_database("there")
    base = with_credentials(administered)
    job = {"source": {"url": f"{base}/{DB}"}, "target": {"url": f"{base}/there"}}
    filled.put_replication_document("job", job)
    wait_completed(filled, "job")
    assert filled.get_database_information("there").get_result()["doc_count"] == 5
    assert filled.get_scheduler_document("job").get_result()["state"] == "completed"
    assert filled.get_scheduler_docs(states=["completed"]).get_result()["docs"][0]["doc_id"] == "job"
    assert filled.get_scheduler_jobs().get_result()["jobs"] == []
    assert filled.get_active_tasks().get_result() == []


def wait_completed(service, doc_id: str) -> None:
    """Wait for the end of a replication."""
    since = "0"
    while True:
        answer = service.post_changes("_replicator", feed="longpoll", since=since, include_docs=True).get_result()
        since = answer["last_seq"]
        rows = answer["results"]
        if any(row["id"] == doc_id and row["doc"].get("_replication_state") == "completed" for row in rows):
            return
