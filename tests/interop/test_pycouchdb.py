"""pycouchdb, a client on requests, at its ordinary work with our server."""

from __future__ import annotations

import pycouchdb
import pytest
from pycouchdb.client import Server

from tests.interop.conftest import with_credentials

pytestmark = pytest.mark.interop

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def server(administered: str):
    server = Server(with_credentials(administered), authmethod="basic")
    yield server
    server.resource.session.close()


@pytest.fixture
def db(server):
    return server.create("notes")


@pytest.fixture
def filled(db):
    db.save_bulk([{"_id": f"d{number}", "n": number} for number in range(5)])
    return db


def test_documents_one_by_one(server, db):
    assert "notes" in server
    assert server.info()["couchdb"] == "Welcome"
    assert server.version()
    doc = db.save({"_id": "a b ü", "n": 1})
    db.save({**doc, "n": 2})
    assert db.get("a b ü")["n"] == 2
    with pytest.raises(pycouchdb.exceptions.Conflict):
        db.save({**doc, "n": 3})
    assert [revision["n"] for revision in db.revisions("a b ü")] == [2, 1]
    db.delete("a b ü")
    assert "a b ü" not in db
    assert len(db) == 0
    server.delete("notes")
    with pytest.raises(pycouchdb.exceptions.NotFound):
        server.database("notes")


def test_many_documents(filled):
    assert [row["id"] for row in filled.all()] == ["d0", "d1", "d2", "d3", "d4"]
    assert [row["doc"]["n"] for row in filled.all(keys=["d3", "d1"])] == [3, 1]
    gone = [filled.get("d1"), filled.get("d2")]
    filled.delete_bulk(gone)
    assert len(filled) == 3


def test_changes_as_a_list_and_as_a_feed(filled):
    last, rows = filled.changes_list()
    assert [row["id"] for row in rows] == ["d0", "d1", "d2", "d3", "d4"]
    assert last == rows[-1]["seq"]

    class Reader(pycouchdb.feedreader.BaseFeedReader):
        seen: list[str] = []  # noqa: RUF012

        def on_message(self, message):
            self.seen.append(message["id"])
            if message["id"] == "d4":
                raise pycouchdb.exceptions.FeedReaderExited

    reader = Reader()
    filled.changes_feed(reader, timeout=1000)
    assert reader.seen == ["d0", "d1", "d2", "d3", "d4"]


def test_views_page_by_page(filled):
    by_n = {"map": "function (doc) { emit(doc.n, 1); }", "reduce": "_sum"}
    filled.save({"_id": "_design/views", "views": {"by-n": by_n}})
    assert [row["key"] for row in filled.query("views/by-n", reduce="false", descending="true", limit=2)] == [4, 3]
    assert filled.one("views/by-n", flat="value") == 5
    assert list(filled.query("views/by-n", reduce="true", group="true", flat="key")) == [0, 1, 2, 3, 4]
    assert [row["key"] for row in filled.query("views/by-n", pagesize=2, reduce="false")] == [0, 1, 2, 3, 4]
    assert filled.compact_view("views")
    assert filled.cleanup()
    assert filled.compact()
    assert filled.commit()


def test_find_page_by_page(filled):
    assert {doc["_id"] for doc in filled.find({"n": {"$gt": 2}})} == {"d3", "d4"}
    pages = list(filled.mango_pages({"n": {"$gte": 0}}, 2))
    assert [doc["n"] for page in pages for doc in page] == [0, 1, 2, 3, 4]


def test_attachments(db):
    doc = db.put_attachment(db.save({"_id": "a"}), CONTENT, "p q.bin", "application/x-data")
    assert db.get_attachment(doc, "p q.bin") == CONTENT
    assert b"".join(db.get_attachment(doc, "p q.bin", stream=True).iter_content(1000)) == CONTENT
    assert "_attachments" not in db.delete_attachment(doc, "p q.bin")


def test_users_and_replication(server, filled, administered):
    server.database("_users").save(
        {"_id": "org.couchdb.user:ada", "name": "ada", "password": "lovelace", "roles": [], "type": "user"}
    )
    hers = Server(administered.replace("://", "://ada:lovelace@"), authmethod="basic")
    with pytest.raises(pycouchdb.exceptions.GenericError):
        hers.database("notes")
    hers.resource.session.close()
    there = server.create("there")
    base = with_credentials(administered)
    assert server.replicate(f"{base}/notes", f"{base}/there")["ok"]
    assert len(there) == 5
