"""_local documents: revs 0-N, no conflicts, never replicated."""

from __future__ import annotations

import pytest

from couchette.errors import BadRequest, NotFound


def test_a_local_document_counts_its_revs_from_the_one_supplied(db):
    assert db.put({"_id": "_local/x", "v": 1}) == {"ok": True, "id": "_local/x", "rev": "0-1"}
    assert db.get("_local/x") == {"_id": "_local/x", "_rev": "0-1", "v": 1}
    assert db.put({"_id": "_local/x", "_rev": "0-1", "v": 2})["rev"] == "0-2"
    assert db.put({"_id": "_local/x", "v": 3})["rev"] == "0-1"
    assert db.put({"_id": "_local/x"}, rev="0-41")["rev"] == "0-42"
    revisions = {"start": 0, "ids": ["7"]}
    assert db.put({"_id": "_local/x", "_rev": "0-7", "_revisions": revisions})["rev"] == "0-8"
    assert db.get("_local/x", revs=True)["_revisions"] == {"start": 0, "ids": ["8"]}


def test_another_rev_is_missing(db):
    db.put({"_id": "_local/x"})
    assert db.get("_local/x", rev="0-1")["_rev"] == "0-1"
    for id, options in [("_local/x", {"rev": "0-2"}), ("_local/y", {})]:
        with pytest.raises(NotFound, match="missing"):
            db.get(id, **options)


def test_removing_needs_no_rev_and_takes_any(db):
    for rev in (None, "0-9"):
        db.put({"_id": "_local/x"})
        assert db.remove("_local/x", rev) == {"ok": True, "id": "_local/x", "rev": "0-0"}
        with pytest.raises(NotFound, match="missing"):
            db.get("_local/x")
    with pytest.raises(NotFound, match="missing"):
        db.remove("_local/x")
    db.put({"_id": "_local/x"})
    assert db.put({"_id": "_local/x", "_deleted": True})["rev"] == "0-0"
    assert "_local/x" not in db


def test_a_replicated_write_answers_the_rev_that_came_and_stores_its_successor(db):
    assert db.put({"_id": "_local/x", "_rev": "0-5"}, new_edits=False)["rev"] == "0-5"
    assert db.get("_local/x")["_rev"] == "0-6"


@pytest.mark.parametrize(
    ("rev", "status"), [("1-abc", 500), ("0-x", 500), ("0-", 500), ("0-" + "9" * 30, 500), ("0-٣", 500), ("x", 400)]
)
def test_a_rev_of_another_form_is_refused(db, rev, status):
    with pytest.raises(BadRequest, match="Invalid rev format") as caught:
        db.put({"_id": "_local/x", "_rev": rev})
    assert caught.value.status == status
    assert "_local/x" not in db


def test_attachments_are_dropped_but_not_taken_alone(db):
    db.put({"_id": "_local/x", "v": 1, "_attachments": {"a": {"data": ""}}})
    assert db.get("_local/x") == {"_id": "_local/x", "_rev": "0-1", "v": 1}
    for call in (
        lambda: db.put_attachment("_local/x", "a", b""),
        lambda: db.get_attachment("_local/x", "a"),
        lambda: db.remove_attachment("_local/x", "a", "0-1"),
    ):
        with pytest.raises(BadRequest, match="_local documents do not accept attachments"):
            call()


def test_local_documents_are_in_no_listing_and_move_no_sequence(db):
    before = db.info()
    assert db.bulk_docs([{"_id": "_local/x", "v": 1}, {"_id": "_local/é"}])[0]["rev"] == "0-1"
    assert {**db.info(), "sizes": 0} == {**before, "sizes": 0}
    assert list(db) == []
    assert db.all_docs(keys=["_local/x"])["rows"] == [{"key": "_local/x", "error": "not_found"}]


def test_large_integers_stay_exact(db):
    db.put({"_id": "_local/x", "n": 2**70, "seq": 1.0})
    doc = db.get("_local/x")
    assert (repr(doc["n"]), repr(doc["seq"])) == ("1180591620717411303424", "1.0")


@pytest.mark.parametrize("id", ["_local", "_local/"])
def test_a_local_id_needs_a_name(db, id):
    for call in (lambda: db.put({"_id": id}), lambda: db.get(id), lambda: db.remove(id)):
        with pytest.raises(BadRequest, match="Invalid _local document id"):
            call()


def test_the_count_of_revs_ends_where_integers_end(db):
    assert db.put({"_id": "_local/x", "_rev": f"0-{2**63 - 2}"})["rev"] == f"0-{2**63 - 1}"
    with pytest.raises(BadRequest, match="Invalid rev format"):
        db.put(db.get("_local/x"))
