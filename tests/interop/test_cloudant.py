"""cloudant, IBM's older client (it ran with CouchDB too), at its ordinary work with our server."""

from __future__ import annotations

import warnings

import pytest

with warnings.catch_warnings():
    # It says of itself that ibmcloudant has replaced it.
    warnings.simplefilter("ignore", DeprecationWarning)
    from cloudant.client import CouchDB
    from cloudant.design_document import DesignDocument
    from cloudant.document import Document
    from cloudant.error import CloudantClientException
    from cloudant.replicator import Replicator

pytestmark = pytest.mark.interop

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def client(administered: str):
    client = CouchDB("admin", "secret", url=administered, connect=True)
    yield client
    client.disconnect()


@pytest.fixture
def db(client):
    return client.create_database("notes")


@pytest.fixture
def filled(db):
    db.bulk_docs([{"_id": f"d{number}", "n": number} for number in range(5)])
    return db


def test_documents_one_by_one(client, db):
    assert client.all_dbs() == ["_users", "notes"]
    assert client.session()["userCtx"] == {"name": "admin", "roles": ["_admin"]}
    with pytest.raises(CloudantClientException):
        client.create_database("notes", throw_on_exists=True)
    doc = db.create_document({"_id": "a b/ü", "n": 1})
    first = doc["_rev"]
    doc["n"] = 2
    doc.save()
    with Document(db, "a b/ü") as edited:
        edited["n"] += 1
    doc.fetch()
    assert doc["n"] == 3
    doc.update_field(doc.field_set, "n", 4)
    assert db.missing_revisions("a b/ü", first, "7-x") == ["7-x"]
    assert db.revisions_diff("a b/ü", first, "7-x")["a b/ü"]["missing"] == ["7-x"]
    doc.fetch()
    doc.delete()
    assert not Document(db, "a b/ü").exists()
    assert db.doc_count() == 0
    client.delete_database("notes")
    assert client.all_dbs() == ["_users"]


def test_many_documents(filled):
    assert [doc["_id"] for doc in filled] == ["d0", "d1", "d2", "d3", "d4"]
    assert filled.keys(remote=True) == ["d0", "d1", "d2", "d3", "d4"]
    rows = filled.all_docs(include_docs=True, startkey="d3")["rows"]
    assert [row["doc"]["n"] for row in rows] == [3, 4]
    assert filled.get_revision_limit() == 1000
    filled.set_revision_limit(20)
    assert filled.get_revision_limit() == 20


def test_changes_once_and_without_end(filled):
    assert [row["id"] for row in filled.changes(since="0")] == ["d0", "d1", "d2", "d3", "d4"]
    seen = []
    feed = filled.infinite_changes(include_docs=True)
    for row in feed:
        if row is not None:
            seen.append(row["doc"]["n"])
            if row["id"] == "d4":
                Document(filled, "d4").update_field(Document.field_set, "n", 9)
            if row["doc"]["n"] == 9:
                feed.stop()
    assert seen == [0, 1, 2, 3, 4, 9]


def test_events_of_databases(client, filled):
    assert "notes" in {event["db_name"] for event in client.db_updates() if event}


def test_design_functions(filled):
    with DesignDocument(filled, "_design/views") as design:
        design.add_view("by-n", "function (doc) { emit(doc.n, 1); }", "_count")
        design.add_show_function("n", "function (doc) { return 'n is ' + doc.n; }")
        design.add_list_function("keys", "function () { var row; while (row = getRow()) { send(row.key + ' '); } }")
        design["updates"] = {"more": "function (doc, req) { doc.n += 10; return [doc, 'now ' + doc.n]; }"}
    result = filled.get_view_result("_design/views", "by-n", reduce=False, descending=True)
    assert [row["key"] for row in result[:2]] == [4, 3]
    assert filled.get_view_result("_design/views", "by-n")[0][0]["value"] == 5
    with filled.custom_result(startkey="d1", endkey="d2") as rows:
        assert [row["id"] for row in rows] == ["d1", "d2"]
    assert filled.get_show_function_result("_design/views", "n", "d3") == "n is 3"
    assert filled.get_list_function_result("_design/views", "keys", "by-n", reduce=False) == "0 1 2 3 4 "
    assert filled.update_handler_result("_design/views", "more", "d3") == "now 13"
    assert filled.list_design_documents() == ["_design/views"]
    assert design.info()["view_index"]["language"] == "javascript"
    assert filled.view_cleanup()["ok"]


def test_find(filled):
    index = filled.create_query_index("finding", "by-n", fields=["n"])
    assert [index.name for index in filled.get_query_indexes()] == ["_all_docs", "by-n"]
    result = filled.get_query_result({"n": {"$gt": 1}}, fields=["n"], sort=[{"n": "desc"}], page_size=2)
    assert [doc["n"] for doc in result] == [4, 3, 2]
    index.delete()
    assert [index.name for index in filled.get_query_indexes()] == ["_all_docs"]


def test_attachments(db):
    doc = db.create_document({"_id": "a"})
    doc.put_attachment("p q.bin", "application/x-data", CONTENT)
    assert doc.get_attachment("p q.bin", attachment_type="binary") == CONTENT
    doc.delete_attachment("p q.bin")
    doc.fetch()
    assert "_attachments" not in doc


def test_security_and_users(client, filled, administered):
    users = client["_users"]
    users.create_document(
        {"_id": "org.couchdb.user:ada", "name": "ada", "password": "lovelace", "roles": [], "type": "user"}
    )
    with filled.get_security_document() as security:
        security["members"] = {"names": ["ada"], "roles": []}
    hers = CouchDB("ada", "lovelace", url=administered, connect=True, use_basic_auth=True)
    assert hers["notes"]["d1"]["n"] == 1
    assert hers.session()["userCtx"]["name"] == "ada"
    hers.disconnect()


def test_a_replication_by_the_database_of_replications(client, filled):
    client.create_database("_replicator")
    there = client.create_database("there")
    replicator = Replicator(client)
    replicator.create_replication(filled, there, repl_id="job")
    states = [doc.get("_replication_state") for doc in replicator.follow_replication("job")]
    assert states[-1] == "completed"
    assert there.doc_count() == 5
