"""New edits: what they build on, what they are refused for, and how a batch is one transaction."""

from __future__ import annotations

from pathlib import Path

import pytest

from couchette import Database, jsonio
from couchette.errors import BadRequest, Conflict, DocValidation, IllegalDocId, InvalidRev, MissingStub, NotFound

VECTORS = jsonio.loads(Path(__file__).parents[1].joinpath("document", "revisions.json").read_bytes())
MISSING_REV = "5-0123456789abcdef0123456789abcdef"


def seq(db):
    return int(db.info()["update_seq"].partition("-")[0])


def test_a_first_edit_has_number_one(db):
    assert db.put({"_id": "a", "v": 1}) == {"ok": True, "id": "a", "rev": "1-7a7e4b29f3af401e69b6f86e4c26b727"}
    assert db.get("a") == {"_id": "a", "_rev": "1-7a7e4b29f3af401e69b6f86e4c26b727", "v": 1}


@pytest.mark.parametrize(("parent", "body", "rev"), VECTORS, ids=range(len(VECTORS)))
def test_revisions_are_those_of_couchdb(db, parent, body, rev):
    doc = body
    if parent is not None:
        history = {"_id": "doc", "_rev": parent}
        if parent == "1-a81b2398112931feb4447d011c9d480d":
            history["_attachments"] = {
                "a.txt": {"content_type": "text/plain", "data": "aGVsbG8="},
                "b.png": {"content_type": "image/png", "data": "aGk="},
            }
        deleted = parent.startswith("2-d9b15b23")
        db.bulk_docs([{**history, "_deleted": True} if deleted else history], new_edits=False)
        doc |= {} if deleted else {"_rev": parent}
    assert db.put({"_id": "doc", **doc})["rev"] == rev


def test_an_edit_extends_the_leaf_it_names(db):
    first = db.put({"_id": "a", "v": 1})["rev"]
    second = db.put({"_id": "a", "_rev": first, "v": 2})["rev"]
    third = db.put({"v": 3}, id="a", rev=second)["rev"]
    assert db.get("a", revs=True)["_revisions"] == {"start": 3, "ids": [rev[2:] for rev in (third, second, first)]}
    assert db.get("a", rev=first)["v"] == 1
    assert db.get("a", rev=second)["v"] == 2


@pytest.mark.parametrize("rev", [None, MISSING_REV, "1-abc", "old"])
def test_an_edit_that_does_not_build_on_the_leaf_conflicts_and_changes_nothing(db, rev):
    old = db.put({"_id": "a", "v": 1})["rev"]
    current = db.put({"_id": "a", "_rev": old, "v": 2})["rev"]
    before = seq(db)
    doc = {"_id": "a", "v": 3} | ({} if rev is None else {"_rev": old if rev == "old" else rev})
    with pytest.raises(Conflict, match="Document update conflict.") as caught:
        db.put(doc)
    assert (caught.value.status, caught.value.error) == (409, "conflict")
    assert "'a'" in caught.value.hint
    assert db.bulk_docs([doc]) == [{"id": "a", "error": "conflict", "reason": "Document update conflict."}]
    assert seq(db) == before
    assert db.get("a")["_rev"] == current


def test_a_deletion_leaves_a_tombstone_with_its_body(db):
    rev = db.put({"_id": "a", "v": 1})["rev"]
    gone = db.put({"_id": "a", "_rev": rev, "_deleted": True, "why": "sold"})["rev"]
    with pytest.raises(NotFound, match="deleted"):
        db.get("a")
    assert db.get("a", rev=gone) == {"_id": "a", "_rev": gone, "_deleted": True, "why": "sold"}
    assert (db.info()["doc_count"], db.info()["doc_del_count"]) == (0, 1)


def test_a_first_revision_may_be_a_deletion(db):
    assert db.put({"_id": "a", "_deleted": True})["rev"].startswith("1-")
    with pytest.raises(NotFound, match="deleted"):
        db.get("a")


def test_a_deleted_document_is_made_anew_on_top_of_its_tombstone(db):
    rev = db.put({"_id": "a", "v": 1})["rev"]
    assert rev == "1-7a7e4b29f3af401e69b6f86e4c26b727"
    gone = db.remove("a", rev)["rev"]
    assert gone == "2-d9b15b235a7d0afdfe6058d5fb8afbd1"
    assert db.put({"_id": "a", "v": 2})["rev"] == "3-67738dadce07b296ee5510c66239e11b"
    assert (db.info()["doc_count"], db.info()["doc_del_count"]) == (1, 0)


def test_a_tombstone_takes_no_edit_that_names_it(db):
    gone = db.remove("a", db.put({"_id": "a"})["rev"])["rev"]
    before = seq(db)
    for doc in ({"_rev": gone}, {"_rev": gone, "_deleted": True}, {"_deleted": True}):
        with pytest.raises(Conflict):
            db.put({"_id": "a", **doc})
    with pytest.raises(Conflict):
        db.put_attachment("a", "x", b"", rev=gone)
    for rev in (gone, None, MISSING_REV):
        with pytest.raises(NotFound, match="deleted"):
            db.remove("a", rev)
    assert seq(db) == before


def test_remove_wants_the_rev_of_a_leaf(db):
    rev = db.put({"_id": "a"})["rev"]
    for given in (None, MISSING_REV):
        with pytest.raises(Conflict):
            db.remove("a", given)
    with pytest.raises(NotFound, match="missing"):
        db.remove("b", rev)
    assert db.remove({"_id": "a", "_rev": rev, "x": 1})["rev"].startswith("2-")
    with pytest.raises(NotFound, match="deleted"):
        db.remove("a", rev)


def test_removing_the_winner_of_a_conflict_lets_the_loser_win(db):
    db.bulk_docs([{"_id": "a", "_rev": "1-a", "v": "a"}, {"_id": "a", "_rev": "1-b", "v": "b"}], new_edits=False)
    assert db.get("a", conflicts=True) == {"_id": "a", "_rev": "1-b", "v": "b", "_conflicts": ["1-a"]}
    gone = db.remove("a", "1-b")["rev"]
    assert db.get("a", meta=True)["_deleted_conflicts"] == [gone]
    assert db.get("a")["v"] == "a"


def test_a_losing_leaf_may_be_extended_and_a_tombstone_beside_a_live_leaf(db):
    db.bulk_docs([{"_id": "a", "_rev": "1-a"}, {"_id": "a", "_rev": "1-b"}], new_edits=False)
    extended = db.put({"_id": "a", "_rev": "1-a", "v": 1})["rev"]
    gone = db.remove("a", extended)["rev"]
    with pytest.raises(Conflict):
        db.put({"_id": "a", "v": 2})
    back = db.put({"_id": "a", "_rev": gone, "v": 2})["rev"]
    assert db.get("a", conflicts=True) == {"_id": "a", "_rev": back, "v": 2, "_conflicts": ["1-b"]}


# -- Revisions that were never here ---------------------------------------------------------------


def test_an_edit_may_build_on_a_rev_that_was_never_here(db):
    db.put({"_id": "other"})
    rev = db.put({"_id": "a", "_rev": "1-abc"})["rev"]
    assert rev == "2-4a197020586a4dd9ea6eb97053f996e4"
    assert db.get("a", revs_info=True)["_revs_info"] == [
        {"rev": rev, "status": "available"},
        {"rev": "1-abc", "status": "missing"},
    ]
    rev = db.put({"_id": "b", "_rev": MISSING_REV})["rev"]
    assert db.get("b", revs=True)["_revisions"] == {"start": 6, "ids": [rev[2:], MISSING_REV[2:]]}


@pytest.mark.parametrize("doc", [{"_id": "a", "_attachments": {"x": {"data": ""}}}, {"_id": "_design/a"}])
def test_but_not_with_attachments_nor_as_a_design_document(db, doc):
    db.put({"_id": "other"})
    for rev in ("1-abc", MISSING_REV):
        with pytest.raises(Conflict):
            db.put({**doc, "_rev": rev})


def test_nor_in_an_empty_database(db):
    with pytest.raises(Conflict):
        db.put({"_id": "a", "_rev": "1-abc"})
    assert seq(db) == 0


# -- Batches --------------------------------------------------------------------------------------


def test_each_document_of_a_batch_has_its_row_in_order(db):
    rev = db.put({"_id": "b"})["rev"]
    rows = db.bulk_docs([{"_id": "c"}, {"_id": "b"}, {"v": 1}, {"_id": "a"}, {"_id": "b", "_rev": rev}])
    assert [row.get("error") for row in rows] == [None, "conflict", None, None, None]
    assert [rows[index]["id"] for index in (0, 1, 3, 4)] == ["c", "b", "a", "b"]
    assert len(rows[2]["id"]) == 32


def test_a_batch_gives_one_seq_a_document_in_the_order_of_the_ids_bytes(db):
    ids = ["z", "a", "m", "B", "_design/q", "10", "9", "é", "\uffff", "\U0001f600", "a\0", "z"]
    db.bulk_docs([{"_id": id} for id in ids])
    rows = db.changes()["results"]
    assert [row["id"] for row in rows] == sorted(set(ids), key=str.encode)
    assert [int(row["seq"].partition("-")[0]) for row in rows] == list(range(1, 12))


def test_of_two_equal_ids_in_a_batch_the_later_conflicts_unless_the_first_is_deleted(db):
    first, second = db.bulk_docs([{"_id": "a", "v": 1}, {"_id": "a", "v": 2}])
    assert (first["ok"], second["error"]) == (True, "conflict")
    first, second = db.bulk_docs([{"_id": "f", "_deleted": True}, {"_id": "f", "v": 1}])
    assert (first["rev"][:2], second["rev"][:2]) == ("1-", "2-")
    assert seq(db) == 2
    rev = db.get("f")["_rev"]
    first, second = db.bulk_docs([{"_id": "f", "_rev": rev, "v": 1}, {"_id": "f", "_rev": rev, "v": 2}])
    assert (first["ok"], second["error"]) == (True, "conflict")


def test_a_batch_may_build_on_its_own_revisions(db):
    rev = "1-7a7e4b29f3af401e69b6f86e4c26b727"
    db.put({"_id": "other"})
    first, second = db.bulk_docs([{"_id": "a", "v": 1}, {"_id": "a", "_rev": rev, "v": 2}])
    assert first["rev"] == rev
    assert db.get("a", revs=True)["_revisions"] == {"start": 2, "ids": [second["rev"][2:], rev[2:]]}
    assert db.get("a", rev=rev)["v"] == 1


@pytest.mark.parametrize(
    ("doc", "kind"),
    [
        ({"_id": "b", "_foo": 1}, DocValidation),
        ({"_id": "_b"}, IllegalDocId),
        ({"_id": "b", "_rev": "x"}, InvalidRev),
        ({"_id": "b", "x": float("nan")}, BadRequest),
        ("b", BadRequest),
        ({"_id": "b", "_attachments": {"x": {"stub": True}}}, MissingStub),
        ({"_id": "_local/b", "_rev": "1-x"}, BadRequest),
    ],
)
@pytest.mark.parametrize("new_edits", [True, False])
def test_a_malformed_document_fails_the_batch_and_nothing_is_stored(db, doc, kind, new_edits):
    good: list = [{"_id": "a"}, {"_id": "c"}, {"_id": "_local/x"}]
    if not new_edits:
        good = [{**one, "_rev": "0-1"} for one in good]
        doc = {"_rev": "1-a", **doc} if isinstance(doc, dict) else doc
    before = db.info()
    with pytest.raises(kind):
        db.bulk_docs([good[0], doc, *good[1:]], new_edits=new_edits)
    assert db.info() == before
    assert list(db) == []
    assert "_local/x" not in db


@pytest.mark.parametrize("docs", [{"docs": [{"_id": "a"}]}, "abc", b"abc"])
def test_what_is_no_list_of_documents_is_refused(db, docs):
    with pytest.raises(BadRequest, match="must be an array") as caught:
        db.bulk_docs(docs)
    assert type(docs).__name__ in caught.value.hint


def test_documents_may_come_from_a_generator_and_an_empty_batch_changes_nothing(db):
    assert len(db.bulk_docs({"_id": str(n)} for n in range(10))) == 10
    assert db.bulk_docs([]) == []
    assert db.bulk_docs([], new_edits=False) == []
    assert seq(db) == 10


# -- put and post ---------------------------------------------------------------------------------


def test_put_wants_an_id_and_post_makes_one(db):
    with pytest.raises(BadRequest, match="must have an _id"):
        db.put({"v": 1})
    first, second = db.post({"v": 1}), db.post({"v": 2})
    assert list(db) == [first["id"], second["id"]]
    assert db.post({"_id": "given"})["id"] == "given"
    with pytest.raises(Conflict):
        db.post({"_id": "given"})


def test_the_id_argument_overrides_the_documents_and_two_revs_must_agree(db):
    rev = db.put({"_id": "ignored"}, id="a")["rev"]
    assert list(db) == ["a"]
    with pytest.raises(BadRequest, match="have different values"):
        db.put({"_id": "a", "_rev": rev}, rev=MISSING_REV)
    assert db.put({"_id": "a", "_rev": rev.upper()}, rev=rev)["ok"]


def test_the_given_document_is_not_changed(db):
    doc = {"_id": "a", "_attachments": {"x": {"data": b"y"}}, "v": [1]}
    copy = {**doc, "_attachments": {"x": {"data": b"y"}}}
    db.put(doc)
    db.put(doc, id="b")
    assert doc == copy


# -- Fidelity -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "id",
    [
        "a\0b",
        "\0",
        "\U0001f600",
        "e\u0301",
        "\u00e9",
        "a/b?c#d%2F+",
        " ",
        "\n",
        "\ufffe",
        "\u200b",
        "x" * 100_000,
        "'\";--",
        "0",
    ],
)
def test_odd_ids_are_kept_apart_and_exact(db, id):
    rev = db.put({"_id": id, "v": 1})["rev"]
    assert db.get(id) == {"_id": id, "_rev": rev, "v": 1}
    assert list(db) == [id]
    assert id in db
    assert db.changes()["results"][0]["id"] == id
    assert db.revs_diff({id: [rev, "9-x"]}) == {id: {"missing": ["9-x"], "possible_ancestors": [rev]}}
    assert db.all_docs(keys=[id])["rows"][0]["value"] == {"rev": rev}
    assert db.bulk_get([{"id": id}])["results"][0]["docs"] == [{"ok": {"_id": id, "_rev": rev, "v": 1}}]
    assert db.bulk_docs([{"_id": id, "_rev": rev, "v": 2}])[0]["ok"]


def test_composed_and_decomposed_ids_are_two(db):
    db.bulk_docs([{"_id": "\u00e9", "v": 1}, {"_id": "e\u0301", "v": 2}])
    assert (db.get("\u00e9")["v"], db.get("e\u0301")["v"]) == (1, 2)


@pytest.mark.parametrize(
    "value",
    [2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 2**200, 1.0, 1e22, 1e-7, 5e-324, -0.0, 0.1, "", "\0", None,
     "\u2028", {"b": 1, "a": {"é": [[], {}]}}, [[[]]], {"": 0}, "12345678901234567890123"],
    ids=repr,
)  # fmt: skip
def test_values_are_kept_exactly(db, value):
    rev = db.put({"_id": "a", "x": value})["rev"]
    docs = [
        db.get("a"),
        db.get("a", rev=rev),
        db.all_docs(include_docs=True)["rows"][0]["doc"],
        db.changes(include_docs=True)["results"][0]["doc"],
        db.bulk_get([{"id": "a"}])["results"][0]["docs"][0]["ok"],
    ]
    for doc in docs:
        assert repr(doc["x"]) == repr(value)
        assert doc.keys() == {"_id", "_rev", "x"}


def test_a_body_with_and_without_large_integers_extends_the_other(db):
    rev = None
    for value in (1, 2**70, 2, 2**71):
        rev = db.put({"_id": "a", "x": value}, rev=rev)["rev"]
    assert db.get("a")["x"] == 2**71
    assert len(db.get("a", revs=True)["_revisions"]["ids"]) == 4


def test_a_deep_document_comes_back(db):
    deep: list = []
    for _ in range(990):
        deep = [deep]
    db.put({"_id": "a", "x": deep})
    for doc in (db.get("a"), db.all_docs(include_docs=True)["rows"][0]["doc"]):
        assert jsonio.dumps(doc["x"]) == b"[" * 991 + b"]" * 991


def test_everything_is_there_after_reopening(tmp_path):
    path = tmp_path / "a.couchette"
    with Database(path) as db:
        db.bulk_docs([{"_id": f"{n}", "n": n} for n in range(100)])
        db.bulk_docs([{"_id": "1", "_rev": "1-z", "n": -1}], new_edits=False)
    with Database(path) as db:
        assert len(db) == 100
        assert db.get("1", conflicts=True)["_conflicts"]
