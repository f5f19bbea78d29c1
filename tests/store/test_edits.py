"""What a write would build on, and the database's _security object."""

from __future__ import annotations

import io

import pytest

from couchette import Database, load, store
from couchette.errors import BadRequest, Conflict


def edits(db, *docs, new_edits=True):
    return db._pool.read(store.edits_of, docs, new_edits)


def test_a_new_document_builds_on_nothing(db):
    (edit,) = edits(db, {"_id": "a", "v": 1})
    assert edit == store.Edit({"_id": "a", "v": 1, "_revisions": {"start": 0, "ids": []}}, None)


def test_an_edit_builds_on_the_leaf_that_it_names(db):
    first = db.put({"_id": "a", "v": 1})["rev"]
    second = db.put({"_id": "a", "_rev": first, "v": 2})["rev"]
    (edit,) = edits(db, {"_id": "a", "_rev": second})
    assert (edit.old["_rev"], edit.old["v"], edit.old["_revisions"]["start"]) == (second, 2, 2)
    for doc in ({"_id": "a", "_rev": first}, {"_id": "a", "_rev": "9-x"}, {"_id": "a"}):
        (conflict,) = edits(db, doc)
        assert isinstance(conflict, Conflict)


def test_a_losing_leaf_is_a_leaf_and_a_deleted_document_begins_anew(db):
    for rev, v in (("1-a", 1), ("1-b", 2)):
        db.put({"_id": "a", "_rev": rev, "v": v}, new_edits=False)
    (edit,) = edits(db, {"_id": "a", "_rev": "1-a"})
    assert edit.old["v"] == 1
    db.remove("a", all_leaves=True)
    (edit,) = edits(db, {"_id": "a"})
    assert edit.old is None


def test_a_replicated_revision_builds_on_the_newest_ancestor_that_is_stored(db):
    db.put({"_id": "a", "_rev": "1-a", "v": 1}, new_edits=False)
    (edit,) = edits(db, {"_id": "a", "_revisions": {"start": 3, "ids": ["c", "b", "a"]}}, new_edits=False)
    assert (edit.doc["_rev"], edit.old["_rev"]) == ("3-c", "1-a")
    (edit,) = edits(db, {"_id": "a", "_rev": "1-z"}, new_edits=False)
    assert edit.old is None
    assert edits(db, {"_id": "a", "_rev": "1-a"}, new_edits=False) == [None]


def test_content_of_attachments_is_not_shown(db):
    (edit,) = edits(db, {"_id": "a", "_attachments": {"f": {"data": "eA==", "content_type": "text/plain"}}})
    assert edit.doc["_attachments"] == {"f": {"content_type": "text/plain", "stub": True}}


def test_design_documents_are_known_by_their_revisions(db):
    rev = db.put({"_id": "_design/b"})["rev"]
    db.put({"_id": "a"})
    db.remove(db.put({"_id": "_design/a"})["id"], db["_design/a"]["_rev"])
    assert db._pool.read(store.design_revs) == [("_design/b", rev)]


def test_security_is_kept_and_comes_along_in_a_dump(db, tmp_path):
    assert db.get_security() is None
    security = {"members": {"names": ["ä"]}, "other": 1}
    db.set_security(security)
    output = io.BytesIO()
    db.dump(output)
    path = tmp_path / "restored.couchette"
    load(io.BytesIO(output.getvalue()), path)
    with Database(path) as restored:
        assert restored.get_security() == security
    with pytest.raises(BadRequest):
        db.set_security([])
