"""Replicated revisions: histories merged as they come, stemmed, and written once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database
from couchette.errors import BadRequest, NotFound


def path(start, ids, **members):
    """A revision with its history; ``ids`` has a letter for each, newest first."""
    return {"_id": "a", "_revisions": {"start": start, "ids": list(ids)}, **members}


def push(db, *docs):
    assert db.bulk_docs(docs, new_edits=False) == []


def seq(db):
    return int(db.info()["update_seq"].partition("-")[0])


def histories(db, id="a"):
    return [
        (row["ok"]["_revisions"]["start"], "".join(row["ok"]["_revisions"]["ids"]))
        for row in db.get(id, open_revs="all", revs=True)
    ]


def hexed(letters):
    return [letter * 32 for letter in letters]


def test_a_revision_is_stored_with_its_rev_and_history(db):
    push(db, path(3, "cba", v=1))
    assert db.get("a", revs=True) == {
        "_id": "a", "_rev": "3-c", "v": 1, "_revisions": {"start": 3, "ids": ["c", "b", "a"]}
    }  # fmt: skip
    assert db.get("a", revs_info=True)["_revs_info"] == [
        {"rev": "3-c", "status": "available"},
        {"rev": "2-b", "status": "missing"},
        {"rev": "1-a", "status": "missing"},
    ]


@pytest.mark.parametrize("make", [str, hexed])
def test_pushing_again_changes_nothing_whatever_the_body(db, make):
    def doc(start, ids, **members):
        return {"_id": "a", "_revisions": {"start": start, "ids": list(make(ids))}, **members}

    push(db, doc(3, "cba", v=1), doc(3, "db", v=2))
    push(db, {**doc(1, "a"), "_id": "linear"}, {**doc(3, "ba"), "_id": "linear2"})
    before = db.info()
    push(db, doc(3, "cba", v=9), doc(3, "c", v=9), doc(3, "db", _deleted=True))
    push(db, {**doc(1, "a", v=9), "_id": "linear"}, {**doc(3, "ba", v=9), "_id": "linear2"}, doc(3, "cba"))
    assert db.put(doc(3, "db", v=9), new_edits=False)["ok"]
    assert db.info() == before
    assert db.get("a")["v"] == 2


def test_a_history_joins_the_tree_above_or_below_its_root(db):
    push(db, path(3, "c"))
    push(db, path(5, "edc"))
    push(db, path(3, "cba"))
    assert histories(db) == [(5, "edcba")]
    assert seq(db) == 3


def test_unrelated_histories_are_several_leaves_and_the_greatest_wins(db):
    push(db, path(2, "ba"), path(1, "x"))
    push(db, path(2, "cz"))
    assert histories(db) == [(1, "x"), (2, "ba"), (2, "cz")]
    assert db.get("a", conflicts=True) == {"_id": "a", "_rev": "2-c", "_conflicts": ["2-b", "1-x"]}


def test_several_leaves_of_one_document_in_a_batch_are_one_change(db):
    push(db, path(2, "ba"), path(2, "ca"), path(1, "a", v=1), path(3, "dba", _deleted=True))
    assert seq(db) == 1
    assert histories(db) == [(2, "ca"), (3, "dba")]
    assert db.get("a", deleted_conflicts=True)["_deleted_conflicts"] == ["3-d"]
    assert db.get("a", rev="1-a")["v"] == 1


def test_a_losing_leaf_moves_the_document_in_the_changes_feed(db):
    push(db, path(2, "ba"), {"_id": "b", "_rev": "1-x"})
    push(db, path(1, "c"))
    rows = db.changes(style="all_docs")["results"]
    assert [row["id"] for row in rows] == ["b", "a"]
    assert rows[1]["changes"] == [{"rev": "2-b"}, {"rev": "1-c"}]


@pytest.mark.parametrize("make", [str, hexed])
def test_an_ancestor_known_only_by_name_gets_its_body_and_a_new_seq(db, make):
    top, below = make("b")[0], make("a")[0]
    push(db, {"_id": "a", "_revisions": {"start": 2, "ids": [top, below]}})
    push(db, {"_id": "a", "_rev": f"1-{below}", "v": "old"})
    assert seq(db) == 2
    assert db.get("a", rev=f"1-{below}")["v"] == "old"
    assert db.get("a")["_rev"] == f"2-{top}"
    push(db, {"_id": "a", "_rev": f"1-{below}", "v": "other"})
    assert seq(db) == 2


def test_older_bodies_stay_when_a_linear_history_branches(db):
    rev = None
    revs = [rev := db.put({"_id": "a", "v": n}, rev=rev)["rev"] for n in range(4)]
    push(db, {"_id": "a", "_revisions": {"start": 2, "ids": ["f" * 32, revs[0][2:]]}, "v": "f"})
    assert [db.get("a", rev=rev)["v"] for rev in revs] == [0, 1, 2, 3]
    assert db.get("a", conflicts=True)["_conflicts"] == ["2-" + "f" * 32]


def test_a_live_leaf_beats_a_longer_deleted_one(db):
    push(db, path(5, "edcba", _deleted=True), path(1, "x"))
    assert db.get("a", meta=True)["_deleted_conflicts"] == ["5-e"]
    assert db.get("a")["_rev"] == "1-x"
    push(db, path(2, "yx", _deleted=True))
    with pytest.raises(NotFound, match="deleted"):
        db.get("a")
    assert db.changes()["results"][0]["changes"] == [{"rev": "5-e"}]
    assert (db.info()["doc_count"], db.info()["doc_del_count"]) == (0, 1)


def test_ids_compare_as_bytes(db):
    """Recorded from CouchDB: f..f as hex, raw text, 7..7 as hex, raw, 6..6 as hex, 0..0 as hex."""
    ids = ["f" * 32, "zzz", "7" * 32, "abc", "61" * 16, "0" * 32]
    push(db, *({"_id": "a", "_rev": f"1-{id}"} for id in reversed(ids)))
    assert [change["rev"][2:] for change in db.changes(style="all_docs")["results"][0]["changes"]] == ids


def test_uppercase_hex_is_the_same_revision(db):
    push(db, {"_id": "a", "_rev": "1-" + "AB" * 16})
    before = seq(db)
    push(db, {"_id": "a", "_rev": "01-" + "ab" * 16})
    assert seq(db) == before
    assert db.get("a", rev="1-" + "aB" * 16)["_rev"] == "1-" + "ab" * 16


def test_a_document_without_a_rev_fails_the_whole_batch(db):
    for doc in ({"_id": "a"}, {"_id": "_local/a"}, {"_id": "a", "_revisions": {"start": 0, "ids": []}}):
        with pytest.raises(BadRequest, match="needs `_rev` or `_revisions`"):
            db.bulk_docs([{"_id": "b", "_rev": "1-b"}, doc], new_edits=False)
    assert seq(db) == 0


def test_put_answers_with_the_rev_that_came(db):
    doc = path(2, "ba", _rev="9-ignored")
    assert db.put(doc, new_edits=False) == {"ok": True, "id": "a", "rev": "2-b"}
    assert db.put(doc, new_edits=False) == {"ok": True, "id": "a", "rev": "2-b"}
    assert seq(db) == 1


def test_a_history_with_ids_of_both_kinds_is_linear_all_the_same(db):
    push(db, {"_id": "a", "_revisions": {"start": 3, "ids": ["c" * 32, "b", "a" * 32]}})
    rev = db.put({"_id": "a", "_rev": "3-" + "c" * 32})["rev"]
    assert db.get("a", revs=True)["_revisions"] == {"start": 4, "ids": [rev[2:], "c" * 32, "b", "a" * 32]}
    assert db.revs_diff({"a": ["2-b", "1-" + "a" * 32]}) == {}


# -- Stemming -------------------------------------------------------------------------------------


def limited(db, revs_limit):
    """The same database with another limit."""
    path = db.path
    db.close()
    return Database(path, revs_limit=revs_limit)


def test_edits_are_stemmed_at_the_limit(db):
    with limited(db, 3) as db:
        rev = None
        revs = [rev := db.put({"_id": "a", "n": n}, rev=rev)["rev"] for n in range(6)]
        assert db.get("a", revs=True)["_revisions"] == {"start": 6, "ids": [rev[2:] for rev in revs[:2:-1]]}
        assert [one["rev"] for one in db.get("a", revs_info=True)["_revs_info"]] == revs[:2:-1]
        with pytest.raises(NotFound):
            db.get("a", rev=revs[2])
        assert db.revs_diff({"a": revs}) == {"a": {"missing": revs[:3]}}


def test_a_limit_of_one_keeps_the_leaf_only(db):
    with limited(db, 1) as db:
        rev = db.put({"_id": "a", "v": 1})["rev"]
        rev = db.put({"_id": "a", "v": 2}, rev=rev)["rev"]
        gone = db.remove("a", rev)["rev"]
        assert histories(db) == [(3, gone[2:])]
        assert db.put({"_id": "a"})["rev"].startswith("4-")


def test_stemmed_trees_have_several_roots_and_join_again(db):
    """The course that CouchDB was recorded on."""
    with limited(db, 3) as db:
        push(db, path(6, "fedcba"))
        assert histories(db) == [(6, "fed")]
        push(db, path(4, "qcba"))
        assert histories(db) == [(4, "qcb"), (6, "fed")]
        push(db, path(8, "hgf"))
        assert histories(db) == [(4, "qcb"), (8, "hgf")]
        asked = ["3-c", "4-d", "5-e", "2-b", "6-f"]
        assert db.revs_diff({"a": asked}) == {"a": {"missing": ["4-d", "5-e"], "possible_ancestors": ["4-q"]}}
        statuses = [one["status"] for one in db.get("a", revs_info=True)["_revs_info"]]
        assert statuses == ["available", "missing", "available"]
        push(db, path(12, "lkj"))
        push(db, path(10, "jih"))
        assert histories(db) == [(4, "qcb"), (12, "lkj")]
        before = seq(db)
        push(db, path(12, "lkjihgf"))
        assert seq(db) == before
    with limited(db, 100) as db:
        push(db, path(10, "jihg"))
        assert seq(db) == before + 1
        assert histories(db) == [(4, "qcb"), (12, "lkjihg")]
        assert db.get("a", conflicts=True)["_conflicts"] == ["4-q"]


def test_a_linear_history_is_restored_after_the_limit_was_raised(db):
    docs = [{"_id": "a", "_revisions": {"start": n, "ids": hexed("fedcba"[-n:])}} for n in (5, 6)]
    with limited(db, 2) as db:
        push(db, docs[0])
        before = seq(db)
        push(db, docs[0])
        assert seq(db) == before
    with limited(db, 4) as db:
        push(db, docs[0])
        assert seq(db) == before + 1
        push(db, docs[1])
        assert db.get("a", revs=True)["_revisions"]["ids"] == hexed("fedc")


def test_a_longer_history_under_a_lowered_limit_stems_the_document(db):
    push(db, {"_id": "a", "_revisions": {"start": 6, "ids": hexed("fedc")}})
    before = seq(db)
    with limited(db, 2) as db:
        push(db, {"_id": "a", "_revisions": {"start": 6, "ids": hexed("fed")}})
        assert seq(db) == before
        assert db.get("a", revs=True)["_revisions"]["ids"] == hexed("fedc")
        push(db, {"_id": "a", "_revisions": {"start": 6, "ids": hexed("fedcba")}})
        assert seq(db) == before + 1
        assert db.get("a", revs=True)["_revisions"]["ids"] == hexed("fe")


def test_a_refused_edit_stems_nothing(db):
    push(db, path(3, "cba"), path(3, "dba"))
    before = seq(db)
    with limited(db, 1) as db:
        assert "error" in db.bulk_docs([{"_id": "a", "_rev": "2-b"}])[0]
        assert "error" in db.bulk_docs([{"_id": "a"}, {"_id": "a", "_rev": "1-a"}])[1]
        assert seq(db) == before
        assert histories(db) == [(3, "cba"), (3, "dba")]


@pytest.mark.parametrize("given", [0, -1, "5", 1.5, True])
def test_a_revs_limit_is_a_positive_integer(tmp_path, given):
    with pytest.raises(BadRequest, match="revs_limit"):
        Database(tmp_path / "a", revs_limit=given)


# -- Whatever the order ---------------------------------------------------------------------------


@st.composite
def edits_of_documents(draw):
    """Revisions of a few documents by honest replicas, each with its whole history."""
    made: dict[str, list[dict]] = {}
    for n in range(draw(st.integers(1, 14))):
        id = draw(st.sampled_from(["a", "é", "\U0001f600"]))
        known = made.setdefault(id, [])
        parent = draw(st.none() | st.sampled_from(known)) if known else None
        history = parent["_revisions"]["ids"] if parent else []
        own = draw(st.sampled_from([f"{n:032x}", f"{n:02}", f"{255 - n:02x}" * 16]))
        doc = {"_id": id, "n": n, "_revisions": {"start": len(history) + 1, "ids": [own, *history]}}
        if draw(st.booleans()):
            doc["_deleted"] = True
        if draw(st.booleans()):
            doc["_attachments"] = {"x": {"data": b"%d" % n, "content_type": "text/plain", "revpos": len(history) + 1}}
        known.append(doc)
    return [doc for known in made.values() for doc in known]


@st.composite
def deliveries(draw, docs):
    """All of them in some order, repeated at will, in batches of some size."""
    order = draw(st.permutations(docs)) + draw(st.lists(st.sampled_from(docs), max_size=4))
    size = draw(st.integers(1, len(order)))
    return [order[start : start + size] for start in range(0, len(order), size)]


def all_answers(db, docs):
    ids = sorted({doc["_id"] for doc in docs})
    asked = {id: [f"{doc['_revisions']['start']}-{doc['_revisions']['ids'][0]}" for doc in docs] for id in ids}
    changes = sorted(db.changes(style="all_docs", include_docs=True)["results"], key=lambda row: row["id"])
    return {
        "leaves": {id: db.get(id, open_revs="all", revs=True, attachments=True) for id in ids},
        "meta": [db.get(row["id"], meta=True) for row in db.all_docs()["rows"]],
        "changes": [{**row, "seq": None} for row in changes],
        "all_docs": db.all_docs(include_docs=True, conflicts=True),
        "diff": db.revs_diff(asked),
        "bulk_get": db.bulk_get([{"id": id} for id in ids], revs=True, attachments=True),
        "counts": (db.info()["doc_count"], db.info()["doc_del_count"]),
        "bodies": [db.get(id, open_revs=revs) for id, revs in asked.items()],
    }


@pytest.mark.slow
@given(st.data(), edits_of_documents())
def test_databases_that_received_the_same_revisions_are_the_same(data, docs):
    seen = []
    for _ in range(2):
        with Database() as db:
            for batch in data.draw(deliveries(docs)):
                push(db, *batch)
            seen.append(all_answers(db, docs))
    assert seen[0] == seen[1]
