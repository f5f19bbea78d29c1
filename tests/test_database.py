"""The facade: a mapping of ids to documents, and CouchDB's operations as methods."""

from __future__ import annotations

import types
from collections.abc import MutableMapping
from typing import Any

import pytest

from couchette import Database
from couchette.errors import BadRequest, Conflict, CouchetteError, DocValidation, IllegalDocId, InvalidRev, NotFound

# -- A mapping ------------------------------------------------------------------------------------


def test_a_database_is_a_mutable_mapping(db):
    assert isinstance(db, MutableMapping)
    db["mytest"] = {"test": "ok"}
    assert list(db) == ["mytest"]
    assert len(db) == 1
    assert "mytest" in db
    assert "abc" not in db
    assert db["mytest"]["test"] == "ok"


def test_setting_leaves_id_and_rev_in_the_dict(db):
    doc: dict[str, Any] = {"v": 1}
    db["a"] = doc
    assert doc == db["a"] == db.get("a")
    first = doc["_rev"]
    doc["v"] = 2
    db["a"] = doc
    assert doc["_rev"].startswith("2-")
    assert doc["_rev"] != first


def test_setting_without_a_rev_replaces_the_current_one(db):
    db["a"] = {"v": 1}
    db["a"] = {"v": 2}
    db["a"] = {"v": 3, "_rev": None}
    assert db["a"]["v"] == 3
    assert db["a"]["_rev"].startswith("3-")


def test_setting_with_a_stale_rev_conflicts_and_leaves_the_dict_alone(db):
    db["a"] = doc = {"v": 1}
    db["a"] = {"v": 2}
    stale = dict(doc)
    with pytest.raises(Conflict):
        db["a"] = doc
    assert doc == stale
    assert db["a"]["v"] == 2


def test_setting_overrides_another_id(db):
    doc = {"_id": "other"}
    db["a"] = doc
    assert doc["_id"] == "a"
    assert list(db) == ["a"]


def test_setting_a_deleted_document_makes_it_anew(db):
    db["a"] = {"v": 1}
    del db["a"]
    db["a"] = {"v": 2}
    assert db["a"]["_rev"].startswith("3-")


def test_local_documents_work_as_items_but_are_not_listed(db):
    db["_local/x"] = {"v": 1}
    db["_local/x"] = {"v": 2}
    assert db["_local/x"] == {"_id": "_local/x", "_rev": "0-2", "v": 2}
    assert (list(db), len(db)) == ([], 0)
    assert "_local/x" in db
    del db["_local/x"]
    assert "_local/x" not in db


@pytest.mark.parametrize("id", ["nothing", "gone", "_local/nothing"])
def test_a_missing_item_is_a_key_error_that_tells_why(db, id):
    db["gone"] = {}
    del db["gone"]
    for call in (lambda: db[id], lambda: db.__delitem__(id), lambda: db.pop(id)):
        with pytest.raises(KeyError) as caught:
            call()
        assert isinstance(caught.value, NotFound)
        assert (caught.value.status, caught.value.error) == (404, "not_found")
        assert caught.value.reason == ("deleted" if id == "gone" else "missing")


def test_other_errors_are_no_key_errors(db):
    for call in (lambda: db["_x"], lambda: db.__delitem__(""), lambda: db.__setitem__("a", {"_x": 1})):
        with pytest.raises(BadRequest) as caught:
            call()
        assert not isinstance(caught.value, KeyError)


def test_deleting_takes_the_winner_and_a_conflict_comes_to_light(db):
    db.bulk_docs([{"_id": "a", "_rev": f"1-{id}"} for id in "xy"], new_edits=False)
    del db["a"]
    assert db["a"]["_rev"] == "1-x"
    del db["a"]
    assert "a" not in db


def test_iteration_and_length_skip_deleted_documents_and_count_design_documents(db):
    for id in ["b", "a", "_design/d", "é"]:
        db[id] = {}
    del db["b"]
    assert list(db) == list(db.keys()) == ["_design/d", "a", "é"]
    assert len(db) == 3
    assert [doc["_id"] for doc in db.values()] == ["_design/d", "a", "é"]
    assert dict(db.items()) == {id: db[id] for id in db}


def test_iteration_goes_on_over_many_pages_while_documents_change(db, monkeypatch):
    monkeypatch.setattr("couchette.document_mapping.ITERATED_PAGE_DOCS", 3)
    db.bulk_docs([{"_id": f"{n:02}"} for n in range(10)])
    seen = []
    for id in db:
        seen.append(id)
        del db[id]
        if id == "05":
            db["99"] = {}
    assert seen == [f"{n:02}" for n in range(10)] + ["99"]
    assert len(db) == 0


def test_the_methods_that_mutable_mapping_adds(db):
    db.update({"a": {"v": 1}, "b": {"v": 2}}, c={"v": 3})
    assert db.pop("a")["v"] == 1
    assert db.pop("a", None) is None
    assert db.setdefault("b", {})["v"] == 2
    assert db.setdefault("d", {"v": 4})["_rev"].startswith("1-")
    assert db.popitem()[0] == "b"
    assert list(db) == ["c", "d"]
    db.clear()
    assert list(db) == []
    with pytest.raises(KeyError):
        db.popitem()


def test_get_raises_unlike_that_of_a_dict(db):
    with pytest.raises(NotFound):
        db.get("a")


def test_equality_is_identity(db):
    with Database() as other:
        assert db == db
        assert db != other
        assert len({db, other}) == 2


@pytest.mark.parametrize("key", [None, 5, b"a", ("a",), "", "_x", "\ud800", []])
def test_what_cannot_be_an_id_is_not_in_the_database(db, key):
    assert key not in db


@pytest.mark.parametrize("doc", [None, 5, "{}", [], types.MappingProxyType({})])
def test_an_item_is_a_dict(db, doc):
    with pytest.raises(BadRequest, match="Document must be a JSON object"):
        db["a"] = doc
    assert list(db) == []


# -- Opening --------------------------------------------------------------------------------------


def test_the_name_is_the_files_unless_given(tmp_path):
    with Database(tmp_path / "notes.couchette") as db:
        assert db.name == db.info()["db_name"] == "notes"
        assert db.path == str(tmp_path / "notes.couchette")
    with Database(tmp_path / "notes.couchette", name="other") as db:
        assert db.info()["db_name"] == "other"


def test_a_database_in_memory_ends_with_its_object(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Database() as db, Database() as other:
        db["a"] = {}
        assert list(other) == []
    assert list(tmp_path.iterdir()) == []


def test_the_revs_limit_stays_with_the_file(tmp_path):
    path = tmp_path / "a.couchette"
    Database(path, revs_limit=2).close()
    with Database(path) as db:
        for n in range(5):
            db["a"] = {"n": n}
        assert len(db.get("a", revs=True)["_revisions"]["ids"]) == 2


def test_destroying_deletes_the_file(tmp_path):
    path = tmp_path / "a.couchette"
    db = Database(path)
    db["a"] = {}
    db.destroy()
    assert db.closed
    assert list(tmp_path.iterdir()) == []
    with Database(path) as again:
        assert list(again) == []
        assert again.info()["uuid"]


def test_repr_names_the_file(db):
    assert repr(db) == f"<couchette.Database {db.path!r}>"
    db.close()
    assert repr(db) == f"<couchette.Database {db.path!r} closed>"


# -- Bad input ------------------------------------------------------------------------------------

STALE = "1-" + "0" * 32
DEEP: list = []
for _ in range(5000):
    DEEP = [DEEP]

BAD = [
    ({"_id": ""}, IllegalDocId, 400, "illegal_docid"),
    ({"_id": "_x"}, IllegalDocId, 400, "illegal_docid"),
    ({"_id": 5}, IllegalDocId, 400, "illegal_docid"),
    ({"_id": "\ud800"}, IllegalDocId, 400, "illegal_docid"),
    ({"_id": "_local/"}, BadRequest, 400, "bad_request"),
    ({"_id": "a"}, Conflict, 409, "conflict"),
    ({"_id": "a", "_rev": STALE}, Conflict, 409, "conflict"),
    ({"_id": "a", "_rev": "x"}, InvalidRev, 400, "bad_request"),
    ({"_id": "a", "_rev": 1}, InvalidRev, 400, "bad_request"),
    ({"_id": "a", "_rev": None}, InvalidRev, 400, "bad_request"),
    ({"_id": "b", "_foo": 1}, DocValidation, 400, "doc_validation"),
    ({"_id": "b", "_deleted": 1}, DocValidation, 400, "doc_validation"),
    ({"_id": "b", "_attachments": []}, DocValidation, 400, "doc_validation"),
    ({"_id": "b", "_revisions": 1}, DocValidation, 400, "doc_validation"),
    ({"_id": "b", "_attachments": {"_x": {"data": ""}}}, BadRequest, 400, "bad_request"),
    ({"_id": "b", "_attachments": {"x": {"data": "%"}}}, BadRequest, 400, "bad_request"),
    ({"_id": "b", "_attachments": {"x": {"stub": True}}}, CouchetteError, 412, "missing_stub"),
    ({"_id": "b", "x": float("nan")}, BadRequest, 400, "bad_request"),
    ({"_id": "b", "x": float("-inf")}, BadRequest, 400, "bad_request"),
    ({"_id": "b", "x": "\ud800"}, BadRequest, 400, "bad_request"),
    ({"_id": "b", "x": {"\udfff": 1}}, BadRequest, 400, "bad_request"),
    ({"_id": "b", "x": {1: 2}}, BadRequest, 400, "bad_request"),
    ({"_id": "b", 1: 2}, BadRequest, 400, "bad_request"),
    ({"_id": "b", "x": b"bytes"}, BadRequest, 400, "bad_request"),
    ({"_id": "b", "x": {"a", "set"}}, BadRequest, 400, "bad_request"),
    ({"_id": "b", "x": DEEP}, BadRequest, 400, "bad_request"),
    ({"_id": "b", "x": "y" * 8_000_001}, CouchetteError, 413, "document_too_large"),
    ([("_id", "b")], BadRequest, 400, "bad_request"),
    ("b", BadRequest, 400, "bad_request"),
    (None, BadRequest, 400, "bad_request"),
]


@pytest.mark.parametrize(("doc", "kind", "status", "error"), BAD, ids=range(len(BAD)))
def test_bad_input_is_refused_with_status_reason_and_hint_and_changes_nothing(db, doc, kind, status, error):
    db.put({"_id": "a", "v": 1})
    before = db.info()
    for call in (lambda: db.put(doc), lambda: db.post(doc)):
        with pytest.raises(kind) as caught:
            call()
        told = caught.value
        assert (told.status, told.error) == (status, error)
        assert told.reason
        assert told.hint
        assert told.as_json() == {"error": error, "reason": told.reason}
        assert str(told) == f"{told.reason.removesuffix('.')}. {told.hint}"
    assert db.info() == before


@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.remove("a"),
        lambda db: db.remove("a", STALE),
        lambda db: db.remove("a", "x"),
        lambda db: db.remove("b", STALE),
        lambda db: db.remove({}),
        lambda db: db.remove(None),
        lambda db: db.remove({"_id": "a"}),
        lambda db: db.get("a", rev="x"),
        lambda db: db.get("a", rev=STALE),
        lambda db: db.put({"_id": "a", "_rev": STALE}, rev="2-x"),
        lambda db: db.put({"_id": "a"}, rev="x"),
        lambda db: db.put({}, id=""),
        lambda db: db.bulk_docs([{"_id": "c"}, {"_id": "d"}], new_edits=False),
        lambda db: db.changes(since="x"),
        lambda db: db.all_docs(limit=-1),
        lambda db: db.revs_diff({"a": ["x"]}),
        lambda db: db.put_attachment("a", "x", b"", rev=STALE),
        lambda db: db.get_attachment("a", "x"),
    ],
)
def test_other_bad_calls_are_refused_with_our_errors_and_change_nothing(db, call):
    db.put({"_id": "a", "v": 1})
    before = db.info()
    with pytest.raises(CouchetteError) as caught:
        call(db)
    assert 400 <= caught.value.status < 500
    assert caught.value.hint
    assert db.info() == before
