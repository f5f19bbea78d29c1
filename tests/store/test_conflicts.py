"""Listing conflicts, looking at them, ending them, on one replica and on two apart."""

from __future__ import annotations

from itertools import count
from typing import Any

import apsw
import pytest

from couchette import Database, store
from couchette.errors import BadRequest, Conflict, IllegalDocId, InvalidRev, MissingStub, NotFound, QueryParseError
from couchette.merging import newest_by, three_way
from couchette.store import content, schema


def graft(db, *revisions, id="a"):
    """Store revisions given as ``("3-c 2-b 1-a", fields)``, one after the other."""
    for path, fields in revisions:
        revs = path.split()
        history = {"start": int(revs[0].partition("-")[0]), "ids": [rev.partition("-")[2] for rev in revs]}
        assert db.bulk_docs([{"_id": id, "_revisions": history, **fields}], new_edits=False) == []


def forked(db, id="a"):
    """1-a, stored; on it 3-c (over 2-b, whose body never came), which wins, 2-e and 2-d, and a deleted 2-f."""
    graft(
        db,
        ("1-a", {"v": "a", "kept": 1}),
        ("2-d 1-a", {"v": "d", "kept": 1}),
        ("2-e 1-a", {"v": "e", "kept": 1}),
        ("2-f 1-a", {"_deleted": True}),
        ("3-c 2-b 1-a", {"v": "c", "kept": 1}),
        id=id,
    )


def leaves(db, id="a"):
    return [row["ok"] for row in db.get(id, open_revs="all", revs=True, attachments=True)]


@pytest.fixture
def other():
    with Database(":memory:") as database:
        yield database


# -- Listing ------------------------------------------------------------------------------------------


def test_conflicts_lists_documents_with_several_live_leaves(db):
    forked(db)
    forked(db, "z")
    graft(db, ("1-a", {}), ("1-b", {"_deleted": True}), id="one live leaf")
    graft(db, ("1-a", {"_deleted": True}), ("1-b", {"_deleted": True}), id="deleted")
    db["linear"] = {}
    db["linear"] = {"v": 1}
    entry = {"id": "a", "rev": "3-c", "conflicts": ["2-e", "2-d"]}
    assert db.conflicts() == [entry, {**entry, "id": "z"}]


def test_conflicts_come_in_pages(db):
    for name in ("", "1", "2", "é"):
        forked(db, f"id{name}")
    assert [row["id"] for row in db.conflicts(limit=2)] == ["id", "id1"]
    assert [row["id"] for row in db.conflicts(start_key="id1\0")] == ["id2", "idé"]
    assert [row["id"] for row in db.conflicts(start_key="id2", limit=1)] == ["id2"]
    assert db.conflicts(limit=0) == db.conflicts(start_key="z") == []
    with pytest.raises(QueryParseError):
        db.conflicts(limit=-1)
    with pytest.raises(QueryParseError):
        db.conflicts(limit="1")
    with pytest.raises(BadRequest):
        db.conflicts(start_key="\ud800")
    with pytest.raises(QueryParseError, match="start_key"):
        db.conflicts(start_key=1)


def test_conflicts_looks_only_at_documents_that_branched(db):
    db.bulk_docs({"_id": f"{n:04}"} for n in range(500))
    forked(db)

    def steps(conn):
        """How many instructions SQLite runs."""
        taken = count()
        conn.set_progress_handler(lambda: next(taken) < 0, 1)
        try:
            assert len(store.list_conflicts(conn)) == 1
        finally:
            conn.set_progress_handler(None)
        return next(taken)

    assert db._pool.read(steps) < 100


def test_a_file_from_before_the_index_lists_its_conflicts(tmp_path, monkeypatch):
    path = tmp_path / "old.couchette"
    migrations = list(schema.MIGRATIONS)
    with Database(path) as db:
        forked(db)
    conn = apsw.Connection(str(path))
    conn.execute("DROP INDEX docs_branched")
    conn.close()
    monkeypatch.setattr(schema, "MIGRATIONS", [*migrations, schema._branched])
    with Database(path) as db:
        assert [row["id"] for row in db.conflicts()] == ["a"]


# -- History ------------------------------------------------------------------------------------------


def test_history_is_the_tree_newest_first(db):
    forked(db)
    assert [(one["rev"], one["parents"]) for one in db.history("a")] == [
        ("3-c", ["2-b"]), ("2-f", ["1-a"]), ("2-e", ["1-a"]), ("2-d", ["1-a"]), ("2-b", ["1-a"]), ("1-a", [])
    ]  # fmt: skip

    def marked(what):
        return [one["rev"] for one in db.history("a") if one[what]]

    assert marked("winner") == ["3-c"]
    assert marked("leaf") == ["3-c", "2-f", "2-e", "2-d"]
    assert marked("deleted") == ["2-f"]
    assert marked("available") == ["3-c", "2-f", "2-e", "2-d", "1-a"]


def test_history_of_linear_and_deleted_documents(db):
    first = db.put({"_id": "a"})["rev"]
    second = db.put({"_id": "a", "_rev": first, "v": 1})["rev"]
    gone = db.remove("a", second)["rev"]
    flags = {"deleted": False, "available": True, "leaf": False, "winner": False}
    assert db.history("a") == [
        {**flags, "rev": gone, "parents": [second], "deleted": True, "leaf": True, "winner": True},
        {**flags, "rev": second, "parents": [first]},
        {**flags, "rev": first, "parents": []},
    ]
    with pytest.raises(NotFound, match="missing"):
        db.history("b")


# -- Resolving ----------------------------------------------------------------------------------------


def test_keeping_the_winner_deletes_the_others_and_writes_nothing_else(db):
    forked(db)
    before = db.info()["update_seq"]
    assert db.resolve("a", keep="3-c") == {"ok": True, "id": "a", "rev": "3-c", "deleted": ["2-e", "2-d"]}
    assert db.get("a", conflicts=True) == {"_id": "a", "_rev": "3-c", "v": "c", "kept": 1}
    assert len(db.get("a", deleted_conflicts=True)["_deleted_conflicts"]) == 3
    assert db.conflicts() == []
    assert int(db.info()["update_seq"].partition("-")[0]) == int(before.partition("-")[0]) + 1


def test_keeping_a_losing_leaf_writes_its_content_over_the_winner(db):
    forked(db)
    result = db.resolve("a", keep="2-d")
    assert result["deleted"] == ["2-e", "2-d"]
    assert db.get("a", conflicts=True) == {"_id": "a", "_rev": result["rev"], "v": "d", "kept": 1}
    assert db.get("a", revs=True)["_revisions"]["ids"][1:] == ["c", "b", "a"]
    assert db.conflicts() == []


def test_a_losing_leaf_equal_to_the_winner_needs_no_new_revision(db):
    graft(db, ("1-a", {"v": 1}), ("1-b", {"v": 1}))
    assert db.resolve("a", keep="1-a") == {"ok": True, "id": "a", "rev": "1-b", "deleted": ["1-a"]}


def test_numbers_that_json_tells_apart_are_different_content(db):
    graft(db, ("1-a", {"v": 1.0}), ("1-b", {"v": 1}))
    assert db.resolve("a", keep="1-a")["rev"].startswith("2-")
    assert str(db["a"]["v"]) == "1.0"


def test_a_merge_sees_the_leaves_and_their_common_ancestor(db):
    forked(db)
    seen = []

    def merge(leaves, ancestor):
        seen.append((leaves, ancestor))
        return {"v": "".join(leaf["v"] for leaf in leaves), "_id": "other", "_rev": "9-x", "_revisions": {}}

    result = db.resolve("a", merge=merge)
    (docs, ancestor), = seen  # fmt: skip
    assert [doc["_rev"] for doc in docs] == ["3-c", "2-e", "2-d"]
    assert ancestor == {"_id": "a", "_rev": "1-a", "v": "a", "kept": 1}
    assert db["a"] == {"_id": "a", "_rev": result["rev"], "v": "ced"}
    assert result["rev"].startswith("4-")


@pytest.mark.parametrize(
    "paths",
    [["2-b 1-a", "2-c 1-a"], ["1-a", "1-b"]],
    ids=["the ancestor's body never came", "the leaves have no common ancestor"],
)
def test_a_merge_gets_none_for_an_ancestor_that_is_not_there(db, paths):
    graft(db, *((path, {}) for path in paths))
    seen = []
    db.resolve("a", merge=lambda leaves, ancestor: seen.append(ancestor))
    assert seen == [None]
    assert db.conflicts() == []


@pytest.mark.parametrize("merge", [lambda leaves, base: None, lambda leaves, base: leaves[0]])
def test_a_merge_may_keep_the_winner(db, merge):
    forked(db)
    assert db.resolve("a", merge=merge)["rev"] == "3-c"


def test_a_merge_may_change_what_it_was_given(db):
    forked(db)

    def merge(leaves, ancestor):
        winner = leaves[0]
        winner["more"] = winner.pop("_rev")
        return winner

    db.resolve("a", merge=merge)
    assert (db["a"]["v"], db["a"]["more"]) == ("c", "3-c")


def test_a_merge_may_delete_the_document(db):
    forked(db)
    result = db.resolve("a", merge=lambda leaves, base: {**leaves[0], "_deleted": True})
    assert result["deleted"] == ["3-c", "2-e", "2-d"]
    with pytest.raises(NotFound, match="deleted"):
        db.get("a")
    assert db.history("a")[0]["rev"] == result["rev"]


@pytest.mark.parametrize("answer", [[], "text", {"_unknown": 1}, {"v": float("nan")}, {"_attachments": 1}])
def test_a_merge_that_returns_no_document_changes_nothing(db, answer):
    forked(db)
    before = leaves(db)
    with pytest.raises(BadRequest):
        db.resolve("a", merge=lambda leaves, base: answer)
    assert leaves(db) == before


def test_a_merge_that_raises_changes_nothing_and_its_error_comes_through(db):
    forked(db)
    with pytest.raises(ZeroDivisionError):
        db.resolve("a", merge=lambda leaves, base: 1 // 0)
    assert len(db.conflicts()) == 1
    db["b"] = {}


def test_without_a_conflict_nothing_is_written(db):
    rev = db.put({"_id": "a"})["rev"]
    before = db.info()["update_seq"]
    nothing = {"ok": True, "id": "a", "rev": rev, "deleted": []}
    assert db.resolve("a", keep=rev) == nothing
    assert db.resolve("a", merge=lambda leaves, base: {"never": "called"}) == nothing
    forked(db, "b")
    again = db.resolve("b", keep="2-d")
    assert db.resolve("b", keep="2-d") == {**again, "deleted": []}
    assert int(db.info()["update_seq"].partition("-")[0]) == int(before.partition("-")[0]) + 6


def test_what_cannot_be_resolved_says_why(db):
    forked(db)
    for rev in ("2-f", "1-a", "9-x"):
        with pytest.raises(Conflict, match="no live leaf"):
            db.resolve("a", keep=rev)
    with pytest.raises(InvalidRev):
        db.resolve("a", keep="one")
    with pytest.raises(BadRequest, match="Give either"):
        db.resolve("a")
    with pytest.raises(BadRequest, match="Give either"):
        db.resolve("a", keep="3-c", merge=newest_by("v"))
    with pytest.raises(NotFound, match="missing"):
        db.resolve("b", keep="1-a")
    with pytest.raises(IllegalDocId):
        db.resolve("_b", keep="1-a")
    db.remove("a", all_leaves=True)
    with pytest.raises(NotFound, match="deleted"):
        db.resolve("a", keep="3-c")


# -- Attachments --------------------------------------------------------------------------------------


def attached(**contents):
    described = {"content_type": "text/plain", "revpos": 1}
    return {"_attachments": {name: {**described, "data": data} for name, data in contents.items()}}


@pytest.fixture
def with_files(db):
    """1-b wins with `same` and `f`; the losing 1-a has `same`, another `f`, and `only`."""
    graft(db, ("1-a", attached(same=b"same", f=b"losing", only=b"only")), ("1-b", attached(same=b"same", f=b"winning")))
    return db


def test_keeping_a_losing_leaf_keeps_its_attachments(with_files):
    with_files.resolve("a", keep="1-a")
    shown = with_files.get("a")["_attachments"]
    assert list(shown) == ["same", "f", "only"]
    assert [with_files.get_attachment("a", name).data for name in shown] == [b"same", b"losing", b"only"]
    assert [one["revpos"] for one in shown.values()] == [1, 2, 2]
    assert with_files.get("a", att_encoding_info=True)["_attachments"]["only"]["encoding"] == "gzip"


def test_a_merge_may_list_any_leafs_stubs_under_any_name(with_files):
    def merge(leaves, ancestor):
        winner, loser = (leaf["_attachments"] for leaf in leaves)
        fresh = {"content_type": "image/x", "data": b"fresh"}
        listed = {"f": winner["f"], "f of the other": loser["f"], "only": {"stub": True}, "fresh": fresh}
        return {**leaves[0], "_attachments": listed}

    with_files.resolve("a", merge=merge)
    found = {name: with_files.get_attachment("a", name).data for name in with_files["a"]["_attachments"]}
    assert found == {"f": b"winning", "f of the other": b"losing", "only": b"only", "fresh": b"fresh"}


def test_attachments_alone_can_make_the_difference(with_files):
    result = with_files.resolve("a", merge=lambda leaves, base: {"_attachments": {"same": {"stub": True}}})
    assert result["rev"].startswith("2-")
    assert list(with_files["a"]["_attachments"]) == ["same"]


def test_a_stub_that_no_leaf_has_is_refused(with_files):
    for stub in ({"stub": True}, {"stub": True, "digest": "md5-none"}):
        with pytest.raises(MissingStub):
            with_files.resolve("a", merge=lambda leaves, base, stub=stub: {"_attachments": {"none": stub}})
    assert len(with_files.conflicts()) == 1


# -- Two replicas -------------------------------------------------------------------------------------


DECISIONS: dict[str, dict[str, Any]] = {
    "keep the winner": {"keep": "3-c"},
    "keep a loser": {"keep": "2-d"},
    "newest": {"merge": newest_by("v")},
    "three-way": {"merge": three_way()},
    "delete": {"merge": lambda leaves, base: {"_deleted": True}},
}


@pytest.mark.parametrize("decision", DECISIONS)
def test_replicas_that_resolve_alike_make_the_same_revisions(db, other, decision):
    for replica in (db, other):
        forked(replica)
    results = [replica.resolve("a", **DECISIONS[decision]) for replica in (db, other)]
    assert results[0] == results[1]
    assert leaves(db) == leaves(other)
    before = leaves(db)
    assert db.sync(other).push.docs_written == 0
    assert db.conflicts() == other.conflicts() == []
    assert leaves(db) == leaves(other) == before


def test_attachments_are_the_same_revision_too(with_files, other):
    with_files.replicate_to(other)
    assert with_files.resolve("a", keep="1-a") == other.resolve("a", keep="1-a")
    assert leaves(with_files) == leaves(other)


@pytest.mark.parametrize("one", ["3-c", "2-d"])
@pytest.mark.parametrize("another", ["3-c", "2-e"])
def test_replicas_that_decide_otherwise_lose_nothing(db, other, one, another):
    """The winner is kept only if both say so; two other choices are a conflict again, of just these two."""
    for replica in (db, other):
        forked(replica)
    db.resolve("a", keep=one)
    other.resolve("a", keep=another)
    db.sync(other)
    assert leaves(db) == leaves(other)
    chosen = {rev for rev in (one, another) if rev != "3-c"} or {"3-c"}
    live = [leaf["v"] for leaf in leaves(db) if not leaf.get("_deleted")]
    assert sorted(live) == sorted(rev[-1] for rev in chosen)


def test_an_edit_of_a_leaf_made_meanwhile_is_a_conflict_again(db, other):
    for replica in (db, other):
        forked(replica)
    db.resolve("a", keep="3-c")
    rev = other.put({"_id": "a", "_rev": "2-d", "v": "edited"})["rev"]
    db.sync(other)
    assert db.conflicts() == other.conflicts()
    assert rev in (db.conflicts()[0]["rev"], *db.conflicts()[0]["conflicts"])


# -- Removing and copying -----------------------------------------------------------------------------


def test_removing_all_leaves_deletes_a_conflicted_document_for_good(db):
    forked(db)
    result = db.remove("a", all_leaves=True)
    assert result["deleted"] == ["3-c", "2-e", "2-d"]
    assert result["rev"] == db.history("a")[0]["rev"]
    assert "a" not in db
    assert all(leaf["_deleted"] for leaf in leaves(db))
    assert (db.info()["doc_count"], db.info()["doc_del_count"]) == (0, 1)


def test_removing_all_leaves_of_an_unbranched_document_is_removing_it(db, other):
    rev = db.put({"_id": "a"})["rev"]
    other.put({"_id": "a"})
    result = db.remove(db["a"], all_leaves=True)
    assert result.pop("deleted") == [rev]
    assert result == other.remove("a", rev)
    db["_local/x"] = {"v": 1}
    assert db.remove("_local/x", all_leaves=True)["deleted"] == []
    assert "_local/x" not in db


def test_removing_all_leaves_minds_the_rev_that_is_named(db):
    forked(db)
    with pytest.raises(Conflict, match="no live leaf"):
        db.remove("a", "2-b", all_leaves=True)
    with pytest.raises(Conflict, match="no live leaf"):
        db.remove({"_id": "a", "_rev": "2-f"}, all_leaves=True)
    assert db.remove("a", "2-d", all_leaves=True)["ok"]
    with pytest.raises(NotFound, match="deleted"):
        db.remove("a", all_leaves=True)
    with pytest.raises(NotFound, match="missing"):
        db.remove("b", all_leaves=True)
    with pytest.raises(IllegalDocId):
        db.remove({}, all_leaves=True)


def test_copy_writes_a_revision_under_another_id_with_its_attachments(with_files):
    winner = with_files.copy("a", "b")
    assert winner["id"] == "b"
    assert with_files.get_attachment("b", "f").data == b"winning"
    with pytest.raises(Conflict):
        with_files.copy("a", "b", rev="1-a")
    copied = with_files.copy("a", "b", rev="1-a", target_rev=winner["rev"])
    assert copied["rev"].startswith("2-")
    assert with_files.get_attachment("b", "only").data == b"only"
    assert with_files.conflicts()[0]["id"] == "a"


def test_copying_and_resolving_do_not_read_the_content_of_attachments(with_files, monkeypatch):
    """It may be larger than memory, and others wait for the lock meanwhile."""

    def read(conn, att):
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(content, "read", read)
        with_files.copy("a", "b", rev="1-a")
        with_files.resolve("a", keep="1-a")
    for doc in ("a", "b"):
        assert with_files.get_attachment(doc, "only").data == b"only"
    assert with_files.get("b", att_encoding_info=True)["_attachments"] == {
        name: {**member, "revpos": 1}
        for name, member in with_files.get("a", att_encoding_info=True)["_attachments"].items()
    }
    with_files.compact()
    assert (with_files.get_attachment("b", "f").data, with_files.verify()) == (b"losing", [])


def test_a_merge_that_gives_content_another_type_has_it_stored_as_any_of_that_type(with_files):
    graft(with_files, ("2-z", {"_attachments": {"y": {"content_type": "image/x", "data": b"other"}}}))

    def merge(leaves, ancestor):
        listed = next(leaf["_attachments"] for leaf in leaves if "y" in leaf["_attachments"])
        return {"_attachments": {"y": {**listed["y"], "content_type": "text/plain"}}}

    with_files.resolve("a", merge=merge)
    shown = with_files.get("a", att_encoding_info=True)["_attachments"]["y"]
    assert (shown["content_type"], shown["encoding"], shown["length"]) == ("text/plain", "gzip", 5)
    assert with_files.get_attachment("a", "y").data == b"other"


def test_copy_refuses_what_is_not_there(db):
    rev = db.put({"_id": "a", "v": 1})["rev"]
    assert db.copy("a", "b")["rev"] == rev
    for source in ({"id": "c"}, {"id": "a", "rev": "9-x"}):
        with pytest.raises(NotFound):
            db.copy(**source, new_id="d")
    with pytest.raises(IllegalDocId):
        db.copy("a", "_b")
    with pytest.raises(Conflict):
        db.copy("a", "b")
