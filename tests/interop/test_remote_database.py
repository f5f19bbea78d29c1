"""A remote database and server as npm's pouchdb-server knows them: the same calls, on somebody else's server."""

from __future__ import annotations

import io
import uuid

import pytest

from couchette import Database, RemoteDatabase, RemoteServer, errors, merging

pytestmark = [pytest.mark.interop, pytest.mark.slow]

MAP = "function (doc) { if (doc.kind) { emit(doc.kind, doc.n); } }"


@pytest.fixture
def there(pouchdb_server):
    """A new database on pouchdb-server, whose name needs quoting."""
    with RemoteDatabase(f"{pouchdb_server}/a%2B{uuid.uuid4().hex}", create=True) as db:
        yield db
        if not db.closed:
            db.destroy()


@pytest.fixture(params=["here", "there"])
def db(request):
    """A database here, and one there: what follows holds for both."""
    if request.param == "there":
        yield request.getfixturevalue("there")
    else:
        with Database() as database:
            yield database


def test_documents_are_written_read_listed_and_deleted(db):
    doc = {"kind": "cat"}
    db["mittens"] = doc
    assert db["mittens"] == {"kind": "cat", "_id": "mittens", "_rev": doc["_rev"]}
    with pytest.raises(errors.Conflict):
        db.put({"_id": "mittens"})
    assert [row.get("ok") for row in db.bulk_docs([{"_id": "a/b"}, {"_id": "ü+?"}])] == [True, True]
    assert list(db) == ["a/b", "mittens", "ü+?"]
    assert [row["key"] for row in db.all_docs(keys=["ü+?", "a/b"])["rows"]] == ["ü+?", "a/b"]
    assert len(db) == 3
    assert db.remove(db["mittens"])["ok"]
    with pytest.raises(errors.NotFound):
        db.get("mittens")
    found = db.bulk_get([{"id": "a/b"}, {"id": "none"}])["results"]
    assert found[0]["docs"][0]["ok"]["_id"] == "a/b"
    assert db.revs_diff({"a/b": ["1-" + "0" * 32]})["a/b"]["missing"] == ["1-" + "0" * 32]


def test_attachments_are_streamed_and_read_as_files(db):
    content = bytes(range(256)) * 1000
    written = db.put_attachment("a", "x/y", io.BytesIO(content), "application/x")
    assert db.get_attachment("a", "x/y").data == content
    with db.open_attachment("a", "x/y") as file:
        file.seek(1000)
        assert file.read(10) == content[1000:1010]
        assert file.seek(0, io.SEEK_END) == len(content)
    db.put({"_id": "b", "_attachments": {"t": {"content_type": "text/plain", "data": b"text"}}})
    assert db.get("b", attachments=True, binary=True)["_attachments"]["t"]["data"] is not None
    db.remove_attachment("a", "x/y", written["rev"])
    with pytest.raises(errors.NotFound):
        db.get_attachment("a", "x/y")


def test_conflicts_are_found_and_ended(db):
    for letter in "ab":
        db.put({"_id": "doc", "_rev": f"1-{letter * 32}", "by": letter}, new_edits=False)
    assert db.conflicts() == [{"id": "doc", "rev": f"1-{'b' * 32}", "conflicts": [f"1-{'a' * 32}"]}]
    assert {one["rev"] for one in db.history("doc") if one["leaf"]} == {f"1-{letter * 32}" for letter in "ab"}
    merged = db.resolve("doc", merge=merging.newest_by("by"))
    assert merged["deleted"] == [f"1-{'a' * 32}"]
    assert db.conflicts() == []


def test_views_selectors_and_changes_are_asked(db):
    db.put({"_id": "_design/d", "views": {"kinds": {"map": MAP, "reduce": "_sum"}}})
    db.bulk_docs([{"_id": str(n), "kind": "cat" if n % 2 else "dog", "n": n} for n in range(6)])
    assert db.query("d/kinds", group=True)["rows"] == [{"key": "cat", "value": 9}, {"key": "dog", "value": 6}]
    rows = db.query("d/kinds", reduce=False, key="cat", include_docs=True)["rows"]
    assert [row["doc"]["n"] for row in rows] == [1, 3, 5]
    db.create_index(["kind", "n"])
    assert [doc["n"] for doc in db.find({"kind": "dog", "n": {"$gt": 0}}, fields=["n"])["docs"]] == [2, 4]
    assert len(db.changes(filter=lambda doc: doc.get("n") == 5, doc_ids=["5", "4"])["results"]) == 1
    with db.changes(live=True, since="now", limit=2) as feed:
        db["new"] = {}
        assert next(feed)["id"] == "new"
        db["newer"] = {}
        assert next(feed)["id"] == "newer"


def test_it_replicates_with_a_database_here(there):
    with Database() as here:
        here["a"] = {"n": 1}
        there["b"] = {"n": 2}
        here.sync(there)
        assert list(here) == list(there) == ["a", "b"]


def test_a_server_is_a_mapping_of_its_databases(pouchdb_server):
    name = f"db{uuid.uuid4().hex}"
    with RemoteServer(pouchdb_server) as server:
        server[name]["a"] = {}
        assert name in server
        assert name in list(server)
        assert server.session()["ok"]
        assert len(server.uuids(2)) == 2
        del server[name]
        assert name not in server
