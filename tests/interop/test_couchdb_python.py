"""couchdb-python (PyPI ``couchdb``), the oldest client in Python, at its ordinary work with our server."""

from __future__ import annotations

from io import BytesIO

import couchdb
import couchdb.design
import couchdb.mapping
import pytest

from tests.interop.conftest import with_credentials

pytestmark = pytest.mark.interop

CONTENT = bytes(range(256)) * 40
NUMBERS = [{"_id": f"d{number}", "n": number} for number in range(5)]


class Note(couchdb.mapping.Document):  # type: ignore[misc] # It is untyped.
    text = couchdb.mapping.TextField()
    tags = couchdb.mapping.ListField(couchdb.mapping.TextField())
    by_tag = couchdb.mapping.ViewField(
        "tagged", "function (doc) { doc.tags.forEach(function (tag) { emit(tag, doc); }); }"
    )


@pytest.fixture
def server(administered: str):
    server = couchdb.Server(with_credentials(administered))
    yield server
    # It leaves its connections open, which the interpreter would warn of.
    for connections in server.resource.session.connection_pool.conns.values():
        for connection in connections:
            connection.close()


@pytest.fixture
def db(server):
    return server.create("notes")


def test_documents_one_by_one(server, db):
    assert "notes" in server
    assert server.version()
    db["a b/ü"] = {"n": 1}
    doc = db["a b/ü"]
    first = doc.rev
    doc["n"] = 2
    db.save(doc)
    assert db.get("a b/ü")["n"] == 2
    with pytest.raises(couchdb.ResourceConflict):
        db.save({"_id": "a b/ü", "_rev": first, "n": 3})
    assert [revision["n"] for revision in db.revisions("a b/ü")] == [2, 1]
    assert db.copy("a b/ü", "copied") == db["copied"].rev
    db.delete(doc)
    assert "a b/ü" not in db
    assert len(db) == 1
    server.delete("notes")
    assert "notes" not in server


def test_many_documents(db):
    assert [ok for ok, _, _ in db.update([dict(doc) for doc in NUMBERS])] == [True] * 5
    assert [ok for ok, _, _ in db.update([{"_id": "d0", "n": 9}])] == [False]
    assert list(db) == ["d0", "d1", "d2", "d3", "d4"]
    assert [row.doc["n"] for row in db.view("_all_docs", include_docs=True, startkey="d3")] == [3, 4]
    assert db.purge([db["d4"]])["purged"]["d4"]
    assert [row["id"] for row in db.changes()["results"]] == ["d0", "d1", "d2", "d3"]


def test_a_continuous_feed(db):
    db.update([dict(doc) for doc in NUMBERS])
    since = db.changes(limit=2)["last_seq"]
    feed = db.changes(feed="continuous", since=since, limit=3)
    *rows, end = feed
    assert [row["id"] for row in rows] == ["d2", "d3", "d4"]
    assert end["last_seq"] == rows[-1]["seq"]


def test_views_lists_shows_and_updates(db):
    db.update([dict(doc) for doc in NUMBERS])
    by_n = couchdb.design.ViewDefinition("views", "by-n", "function (doc) { emit(doc.n, 1); }", "_count")
    by_n.sync(db)
    assert [row.key for row in by_n(db, reduce=False, descending=True, limit=2)] == [4, 3]
    assert [row.value for row in db.view("views/by-n")] == [5]
    assert [row.key for row in db.iterview("views/by-n", 2, reduce=False)] == [0, 1, 2, 3, 4]
    design = db["_design/views"]
    design["shows"] = {"n": "function (doc) { return 'n is ' + doc.n; }"}
    list_keys = "function () { var keys = [], row; while (row = getRow()) { keys.push(row.key); } send(toJSON(keys)); }"
    design["lists"] = {"keys": list_keys}
    design["updates"] = {"more": "function (doc, req) { doc.n += 10; return [doc, 'now ' + doc.n]; }"}
    db.save(design)
    assert db.show("views/n", "d3")[1].read() == b"n is 3"
    assert db.list("views/keys", "views/by-n", reduce=False)[1] == [0, 1, 2, 3, 4]
    assert db.update_doc("views/more", "d3")[1].read() == b"now 13"
    assert db["d3"]["n"] == 13
    assert db.compact("views")
    assert db.cleanup()
    assert db.compact()
    assert db.info("views")["view_index"]["language"] == "javascript"


def test_find(db):
    db.update([dict(doc) for doc in NUMBERS])
    db.index()["finding", "by-n"] = ["n"]
    assert [(index["ddoc"], index["name"]) for index in db.index()][1:] == [("_design/finding", "by-n")]
    assert [doc["n"] for doc in db.find({"selector": {"n": {"$gt": 2}}, "sort": ["n"]})] == [3, 4]
    assert db.explain({"selector": {"n": 1}})["index"]["name"] == "by-n"


def test_attachments(db):
    doc = dict(NUMBERS[0])
    db.save(doc)
    db.put_attachment(doc, BytesIO(CONTENT), "p q.bin", "application/x-data")
    db.put_attachment(doc, "text", "t.txt", "text/plain")
    assert db.get_attachment("d0", "p q.bin").read() == CONTENT
    assert db.get_attachment(doc, "t.txt").read() == b"text"
    db.delete_attachment(doc, "t.txt")
    assert list(db["d0"]["_attachments"]) == ["p q.bin"]


def test_mapped_documents(db):
    Note(text="milk", tags=["shop"]).store(db)
    Note.by_tag.sync(db)
    [note] = Note.by_tag(db, key="shop")
    assert (note.text, list(note.tags)) == ("milk", ["shop"])


def test_users_and_sessions(server, administered):
    server.add_user("ada", "lovelace", roles=["reader"])
    assert server["_users"]["org.couchdb.user:ada"]["roles"] == ["reader"]
    db = server.create("notes")
    db.security = {"members": {"names": ["ada"], "roles": []}, "admins": {"names": [], "roles": []}}
    assert db.security["members"]["names"] == ["ada"]
    hers = couchdb.Server(administered.replace("://", "://ada:lovelace@"))
    hers["notes"].save({"_id": "hers"})
    with pytest.raises(couchdb.Unauthorized):
        couchdb.Server(administered)["notes"]
    server.remove_user("ada")
    with pytest.raises(couchdb.Unauthorized):
        couchdb.Server(administered.replace("://", "://ada:lovelace@"))["notes"]


def test_replication(server, db):
    db.update([dict(doc) for doc in NUMBERS])
    there = server.create("there")
    base = with_credentials(server.resource.url.rstrip("/"))
    told = server.replicate(f"{base}/notes", f"{base}/there")
    assert told["ok"]
    assert sorted(there) == sorted(db)
    assert server.tasks() == []
    assert len(server.uuids(3)) == 3
