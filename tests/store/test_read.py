"""Reading: one document in all its views, open_revs, many at once, and what is missing."""

from __future__ import annotations

from typing import Any

import pytest

from couchette import store
from couchette.errors import BadRequest, IllegalDocId, InvalidRev, NotFound


@pytest.fixture
def tree(db):
    """a: 1-a <- 2-b <- 3-c (the winner), 1-a <- 2-d, 1-a <- 2-e (deleted); body v names the rev."""
    paths = [["c", "b", "a"], ["d", "a"], ["e", "a"], ["a"]]
    docs: list[dict[str, Any]] = [
        {"_id": "a", "v": ids[0], "_revisions": {"start": len(ids), "ids": ids}} for ids in paths
    ]
    docs[2]["_deleted"] = True
    assert db.bulk_docs(docs, new_edits=False) == []
    return db


def revs(rows):
    return [row["ok"]["_rev"] if "ok" in row else row["missing"] for row in rows]


def test_get_shows_the_winner_with_what_was_asked_for(tree):
    assert tree.get("a") == {"_id": "a", "_rev": "3-c", "v": "c"}
    assert tree.get("a", revs=True)["_revisions"] == {"start": 3, "ids": ["c", "b", "a"]}
    assert tree.get("a", conflicts=True)["_conflicts"] == ["2-d"]
    assert tree.get("a", deleted_conflicts=True)["_deleted_conflicts"] == ["2-e"]
    assert tree.get("a", local_seq=True)["_local_seq"] == 1
    assert tree.get("a", revs_info=True)["_revs_info"] == [
        {"rev": "3-c", "status": "available"},
        {"rev": "2-b", "status": "missing"},
        {"rev": "1-a", "status": "available"},
    ]
    assert tree.get("a", meta=True).keys() == {"_id", "_rev", "v", "_revs_info", "_conflicts", "_deleted_conflicts"}


def test_get_shows_any_stored_revision(tree):
    assert tree.get("a", rev="2-d") == {"_id": "a", "_rev": "2-d", "v": "d"}
    assert tree.get("a", rev="2-e") == {"_id": "a", "_rev": "2-e", "_deleted": True, "v": "e"}
    assert tree.get("a", rev="1-a", revs=True) == {
        "_id": "a", "_rev": "1-a", "v": "a", "_revisions": {"start": 1, "ids": ["a"]}
    }  # fmt: skip
    assert tree.get("a", rev="2-d", conflicts=True) == tree.get("a", rev="2-d")
    for rev in ("2-b", "9-x", "1-"):
        with pytest.raises(NotFound, match="missing"):
            tree.get("a", rev=rev)


def test_latest_is_the_winner_even_for_an_unknown_rev(tree):
    assert tree.get("a", rev="9-x", latest=True)["_rev"] == "3-c"


def test_a_deleted_document_says_so_and_its_tombstone_is_there(db):
    gone = db.remove("a", db.put({"_id": "a"})["rev"])["rev"]
    with pytest.raises(NotFound, match="deleted") as caught:
        db.get("a")
    assert (caught.value.status, caught.value.error, caught.value.reason) == (404, "not_found", "deleted")
    assert gone in caught.value.hint
    with pytest.raises(NotFound) as caught:
        db.get("b")
    assert caught.value.reason == "missing"
    assert db.get("a", rev=gone, revs=True)["_deleted"] is True


def test_latest_shows_a_tombstone_only_beside_a_rev(db):
    gone = db.remove("a", db.put({"_id": "a"})["rev"])["rev"]
    with pytest.raises(NotFound, match="deleted"):
        db.get("a", latest=True)
    assert db.get("a", rev="1-x", latest=True)["_rev"] == gone


def test_open_revs_all_is_every_leaf_ascending(tree):
    assert revs(tree.get("a", open_revs="all")) == ["2-d", "2-e", "3-c"]
    with pytest.raises(NotFound):
        tree.get("b", open_revs="all")


def test_open_revs_are_those_found_ascending_then_those_missing(tree):
    assert tree.get("a", open_revs=["9-z", "3-c", "2-b", "1-a", "3-c"]) == [
        {"ok": {"_id": "a", "_rev": "1-a", "v": "a"}},
        {"ok": {"_id": "a", "_rev": "3-c", "v": "c"}},
        {"missing": "2-b"},
        {"missing": "9-z"},
    ]
    assert tree.get("b", open_revs=["2-b", "1-a", "2-b"]) == [{"missing": "1-a"}, {"missing": "2-b"}]
    assert tree.get("a", open_revs=[])["_rev"] == "3-c"


def test_open_revs_latest_are_the_leaves_that_descend(tree):
    assert revs(tree.get("a", open_revs=["1-a"], latest=True)) == ["2-d", "2-e", "3-c"]
    assert revs(tree.get("a", open_revs=["2-b", "3-c", "7-x"], latest=True)) == ["3-c", "7-x"]


@pytest.mark.parametrize(
    "options", [{"rev": "x"}, {"open_revs": ["x"]}, {"open_revs": "3-c"}, {"open_revs": [None]}, {"rev": 3}]
)
@pytest.mark.parametrize("id", ["a", "missing"])
def test_a_bad_rev_is_refused(tree, options, id):
    if id == "missing" and "rev" in options:
        return
    with pytest.raises(InvalidRev, match="Invalid rev format"):
        tree.get(id, **options)


@pytest.mark.parametrize("id", [None, 5, b"a", ["a"], {}, "", "_x", "\ud800"])
def test_a_bad_id_is_refused(tree, id):
    for call in (tree.get, tree.__getitem__, lambda id: tree.get(id, revs=True)):
        with pytest.raises(IllegalDocId):
            call(id)


def test_an_id_of_digits_is_not_found_by_the_number(db):
    """SQLite would compare them as equal."""
    db.put({"_id": "5"})
    with pytest.raises(IllegalDocId):
        db.get(5)
    assert 5 not in db
    with pytest.raises(IllegalDocId):
        db.revs_diff({5: ["1-a"]})
    assert db.all_docs(keys=[5])["rows"] == [{"key": 5, "error": "not_found"}]


# -- bulk_get -------------------------------------------------------------------------------------


def test_bulk_get_answers_entry_by_entry(tree):
    tree.put({"_id": "b"})
    found = tree.bulk_get(
        [{"id": "a", "rev": "2-d"}, {"id": "zz"}, {"id": "a", "rev": "2-d"}, {"id": "a", "rev": "2-b"}, {"id": "b"}]
    )["results"]
    assert [row["id"] for row in found] == ["a", "zz", "a", "a", "b"]
    assert found[0] == found[2] == {"id": "a", "docs": [{"ok": {"_id": "a", "_rev": "2-d", "v": "d"}}]}
    assert found[1]["docs"] == [{"error": {"id": "zz", "rev": "undefined", "error": "not_found", "reason": "missing"}}]
    assert found[3]["docs"] == [{"error": {"id": "a", "rev": "2-b", "error": "not_found", "reason": "missing"}}]


def test_bulk_get_without_a_rev_gives_all_leaves(tree):
    docs = tree.bulk_get([{"id": "a"}], revs=True)["results"][0]["docs"]
    assert sorted(revs(docs)) == ["2-d", "2-e", "3-c"]
    assert all("_revisions" in row["ok"] for row in docs)


def test_bulk_get_latest_gives_the_leaves_that_descend(tree):
    docs = tree.bulk_get([{"id": "a", "rev": "1-a"}], latest=True)["results"][0]["docs"]
    assert sorted(revs(docs)) == ["2-d", "2-e", "3-c"]


def test_bulk_get_gives_a_tombstone_without_being_asked_for_its_rev(db):
    gone = db.remove("a", db.put({"_id": "a"})["rev"])["rev"]
    assert db.bulk_get([{"id": "a"}])["results"][0]["docs"] == [{"ok": {"_id": "a", "_rev": gone, "_deleted": True}}]


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (1, {"id": None, "rev": None, "error": "bad_request", "reason": "document must be a JSON object"}),
        ({}, {"id": None, "rev": None, "error": "bad_request", "reason": "document id missed"}),
        ({"id": "a", "rev": None}, {"id": "a", "rev": None, "error": "bad_request", "reason": "Invalid rev format"}),
        ({"id": "a", "rev": 1}, {"id": "a", "rev": 1, "error": "bad_request", "reason": "Invalid rev format"}),
        ({"id": "a", "atts_since": "x"},
         {"id": "a", "rev": "x", "error": "bad_request", "reason": "att_since value must be array of revs."}),
        ({"id": "_x"}, {"id": None, "rev": None, "error": "illegal_docid",
                        "reason": "Only reserved document ids may start with underscore."}),
    ],
)  # fmt: skip
def test_a_bad_entry_of_bulk_get_has_an_error_row(tree, entry, error):
    found = tree.bulk_get([entry, {"id": "a", "rev": "3-c"}])["results"]
    assert found[0] == {"id": error["id"], "docs": [{"error": error}]}
    assert revs(found[1]["docs"]) == ["3-c"]


# -- revs_diff ------------------------------------------------------------------------------------


def test_revs_diff_lists_what_is_missing_and_what_may_be_its_ancestors(tree):
    tree.put({"_id": "known"})
    answer = tree.revs_diff(
        {
            "a": ["4-d", "3-c", "1-q", "2-b"],
            "known": [tree.get("known")["_rev"]],
            "new": ["2-y", "1-z", "2-y"],
            "none": [],
        }
    )
    assert answer == {
        "a": {"missing": ["1-q", "4-d"], "possible_ancestors": ["3-c", "2-e", "2-d"]},
        "new": {"missing": ["1-z", "2-y", "2-y"]},
    }


def test_possible_ancestors_are_leaves_below_the_highest_missing(tree):
    assert tree.revs_diff({"a": ["3-z"]}) == {"a": {"missing": ["3-z"], "possible_ancestors": ["2-e", "2-d"]}}
    assert tree.revs_diff({"a": ["1-z"]}) == {"a": {"missing": ["1-z"]}}


@pytest.mark.parametrize("asked", [{"a": "1-a"}, {"a": None}, {"a": ["x"]}, {"a": [5]}, [], "a", None, {5: ["1-a"]}])
def test_bad_questions_are_refused(tree, asked):
    with pytest.raises(BadRequest):
        tree.revs_diff(asked)
    with pytest.raises(BadRequest):
        tree.revs_diff({"\ud800": ["1-a"]})


def test_missing_revs_is_the_same_without_ancestors(tree):
    asked = {"a": ["3-z", "1-a", "1-z"], "none": ["1-a"]}
    assert tree.missing_revs(asked) == {"missing_revs": {"a": ["1-z", "3-z"], "none": ["1-a"]}}
    assert tree.missing_revs({"a": ["1-a"]}) == {"missing_revs": {}}


def test_ordinary_winners_come_as_they_are_stored_and_say_what_bulk_get_says(db):
    rows = db.bulk_docs([{"_id": "a", "v": 1}, {"_id": "big", "n": 2**70}, {"_id": "file"}, {"_id": "gone"}])
    revs = {row["id"]: row["rev"] for row in rows}
    revs["a"] = db.put({"_id": "a", "_rev": revs["a"], "v": 2})["rev"]
    revs["gone"] = db.remove("gone", revs["gone"])["rev"]
    revs["file"] = db.put_attachment("file", "x", b"1", rev=revs["file"])["rev"]
    db.bulk_docs([{"_id": "forked", "_rev": f"1-{digit * 32}"} for digit in "ab"], new_edits=False)
    asked = [*revs.items(), ("forked", f"1-{'b' * 32}"), ("a", f"1-{'c' * 32}"), ("none", f"1-{'c' * 32}")]
    stored, others = db._pool.read(store.stored_docs, asked)
    assert [doc["_id"] for doc in stored] == ["a", "gone"]
    assert [id for id, _ in others] == ["big", "file", "forked", "a", "none"]
    for doc in stored:
        [result] = db.bulk_get([{"id": doc["_id"], "rev": doc["_rev"]}], revs=True)["results"]
        assert dict(doc) == result["docs"][0]["ok"]
    assert db._pool.read(store.stored_docs, asked[:1])[1] == []
