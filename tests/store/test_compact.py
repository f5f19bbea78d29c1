"""Compaction: what it drops, what it leaves, and that others work meanwhile."""

from __future__ import annotations

import os

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import AsyncDatabase, Database, Environment, limits
from couchette.document.revision import new_rev
from couchette.errors import BadRequest, NotFound


def stored_revs(db):
    """The revs whose bodies are stored, by id."""
    found = {}
    for id, rev in db._pool.read(lambda conn: conn.execute("SELECT id, rev FROM docs ORDER BY id, rev").fetchall()):
        found.setdefault(id, []).append(rev)
    return found


def contents(db):
    return db._pool.read(lambda conn: conn.execute("SELECT count(*) FROM att").get)


def chunks(db):
    return db._pool.read(lambda conn: conn.execute("SELECT count(*) FROM att_chunk").get)


def edited(db, id, times):
    """A document with so many revisions; its revs, newest first."""
    revs = []
    for n in range(times):
        revs.insert(0, db.put({"_id": id, "n": n, **({"_rev": revs[0]} if revs else {})})["rev"])
    return revs


def branch(db, id, *paths, **fields):
    """Replicated revisions, each path newest first."""
    for path in paths:
        start = int(path[0].partition("-")[0])
        ids = [rev.partition("-")[2] for rev in path]
        assert db.bulk_docs([{"_id": id, "_revisions": {"start": start, "ids": ids}, **fields}], new_edits=False) == []


def readable(db):
    """All that peers and users see of the documents' leaves."""
    shown = {}
    for row in db.changes(style="all_docs", include_docs=True)["results"]:
        id = row["id"]
        shown[id] = [row, db.get(id, open_revs="all", revs=True, attachments=True)]
        if not row.get("deleted"):
            shown[id].append(db.get(id, conflicts=True, deleted_conflicts=True, local_seq=True))
    numbers = {name: value for name, value in db.info().items() if name not in ("sizes", "update_seq")}
    return shown, numbers, db.all_docs(update_seq=True, include_docs=True)


# -- Bodies ---------------------------------------------------------------------------------------


def test_superseded_bodies_of_a_linear_history_are_dropped_and_their_revs_stay_known(db):
    revs = edited(db, "a", 4)
    before = readable(db)
    assert db.compact()["bodies"] == 3
    assert stored_revs(db) == {"a": [revs[0]]}
    assert readable(db) == before
    statuses = [(one["rev"], one["status"]) for one in db.get("a", revs_info=True)["_revs_info"]]
    assert statuses == [(revs[0], "available"), *((rev, "missing") for rev in revs[1:])]
    assert db.revs_diff({"a": revs}) == {}
    with pytest.raises(NotFound, match="missing"):
        db.get("a", rev=revs[1])
    assert db.get("a", open_revs=[revs[1]]) == [{"missing": revs[1]}]
    assert db.verify() == []


def test_every_leaf_of_a_branched_document_keeps_its_body(db):
    branch(db, "a", ["1-a"], ["2-b", "1-a"], ["3-c", "2-b"], ["2-d", "1-a"], ["3-e", "2-d"])
    before = readable(db)
    assert db.compact()["bodies"] == 3
    assert stored_revs(db) == {"a": ["3-c", "3-e"]}
    assert readable(db) == before
    assert db.revs_diff({"a": ["1-a", "2-b", "2-d"]}) == {}
    assert db.compact()["bodies"] == 0
    assert db.verify() == []


def test_a_document_can_be_edited_after_compaction(db):
    revs = edited(db, "a", 3)
    branch(db, "b", ["2-b", "1-a"], ["2-c", "1-a"])
    db.compact()
    rev = db.put({"_id": "a", "_rev": revs[0]})["rev"]
    assert [one["status"] for one in db.get("a", revs_info=True)["_revs_info"]] == [
        "available", "available", "missing", "missing",
    ]  # fmt: skip
    db.put({"_id": "b", "_rev": "2-b"})
    db.compact()
    assert stored_revs(db)["a"] == [rev]
    assert db.get("b", conflicts=True)["_conflicts"] == ["2-c"]
    assert db.verify() == []


def test_the_body_of_a_compacted_revision_may_come_again(db):
    branch(db, "a", ["1-a"], ["2-b", "1-a"], ["2-c", "1-a"])
    db.compact()
    branch(db, "a", ["1-a"], v=1)
    assert db.get("a", rev="1-a")["v"] == 1
    assert db.get("a")["_rev"] == "2-c"


def test_bodies_that_stemming_cut_off_are_dropped_too(tmp_path):
    with Database(tmp_path / "a", revs_limit=2) as db:
        revs = edited(db, "a", 5)
        assert len(stored_revs(db)["a"]) == 5
        assert db.compact()["bodies"] == 4
        assert stored_revs(db) == {"a": [revs[0]]}


def test_a_branched_document_drops_a_body_with_its_rev(tmp_path):
    with Database(tmp_path / "a", revs_limit=2) as db:
        branch(db, "a", ["1-a"], ["2-b", "1-a"], ["3-c", "2-b"])
        assert stored_revs(db) == {"a": ["2-b", "3-c"]}
        edited(db, "b", 5)
        branch(db, "b", ["9-x"])
        assert len(stored_revs(db)["b"]) == 3
        assert db.verify() == []


histories = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.booleans(), st.booleans(), st.booleans()), max_size=25
)


@pytest.mark.slow
@given(histories, st.integers(1, 4), st.booleans())
def test_whatever_the_histories_all_leaves_read_the_same_after_compaction(edits, revs_limit, auto):
    """Edits on any revision, live or deleted, with and without an attachment; compacted between and after."""
    with Database(revs_limit=revs_limit, auto_compaction=auto) as db:
        paths = {}
        for n, (id, parent, deleted, attached, compacted) in enumerate(edits):
            known = paths.setdefault(id, [])
            history = known[parent % len(known)] if known else []
            fields = {"n": n, **({"_attachments": {"x": {"data": bytes([n]) * 50}}} if attached else {})}
            path = [new_rev({"n": n}, parent=history[0] if history else None, deleted=deleted), *history]
            known.append(path)
            branch(db, id, path, _deleted=deleted, **fields)
            if compacted:
                db.compact()
        before = readable(db)
        db.compact()
        assert readable(db) == before
        leaves = {id: sorted(row["ok"]["_rev"] for row in db.get(id, open_revs="all")) for id in paths}
        assert stored_revs(db) == leaves
        assert contents(db) <= len(edits)
        assert db.verify() == []


# -- Attachments ----------------------------------------------------------------------------------


def test_content_that_no_stored_revision_names_is_freed(db):
    rev = db.put_attachment("a", "x", b"old" * 200_000)["rev"]
    db.put_attachment("a", "x", b"new", rev=rev)
    db.put_attachment("b", "y", b"other")
    assert contents(db) == 3
    assert db.compact()["attachments"] == 1
    assert (contents(db), chunks(db)) == (2, 2)
    assert db.get_attachment("a", "x").data == b"new"
    assert db.get_attachment("b", "y").data == b"other"


def test_content_that_another_document_or_a_losing_leaf_names_stays(db):
    rev = db.put_attachment("a", "x", b"shared")["rev"]
    db.put_attachment("b", "x", b"shared")
    db.remove("a", rev)
    branch(db, "c", ["2-a", "1-a"], _attachments={"x": {"data": b"lost"}})
    branch(db, "c", ["2-b", "1-a"])
    assert db.compact()["attachments"] == 0
    assert db.get_attachment("b", "x").data == b"shared"
    assert db.get_attachment("c", "x", rev="2-a").data == b"lost"


@pytest.mark.parametrize("losing", [False, True])
def test_content_that_is_named_again_while_compaction_runs_stays(db, losing):
    rev = db.put_attachment("a", "x", b"content")["rev"]
    db.remove("a", rev)

    def store_again(freed):
        if freed["bodies"] and "b" not in stored_revs(db):
            branch(db, "b", ["2-b", "1-a"])
            path = ["2-a", "1-a"] if losing else ["2-c", "1-a"]
            branch(db, "b", path, _attachments={"x": {"data": b"content"}})

    # The body is dropped, then equal content comes again before what is unnamed is looked for, or after.
    db.compact(progress=store_again)
    assert db.get_attachment("b", "x", rev="2-a" if losing else "2-c").data == b"content"
    assert db.verify() == []


@pytest.mark.parametrize("path", [["2-a", "1-a"], ["2-c", "1-a"]])
def test_content_that_is_named_again_after_it_was_found_unnamed_stays(db, path):
    branch(db, "b", ["2-b", "1-a"], ["2-aa", "1-a"])
    for n in range(2):
        rev = db.put_attachment(f"a{n}", "x", b"content %d" % n)["rev"]
        db.remove(f"a{n}", rev)
    dropped = []

    def store_again(freed):
        if freed["attachments"] and not dropped:
            dropped.append(freed)
            branch(db, "b", path, _attachments={"x": {"data": b"content 1"}})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("couchette.store.compact.COMPACT_CONTENT_BYTES", 1)
        assert db.compact(progress=store_again)["attachments"] == 1
    assert db.get_attachment("b", "x", rev=path[0]).data == b"content 1"
    assert db.verify() == []


# -- Beside others --------------------------------------------------------------------------------


def test_compaction_goes_in_short_transactions_and_tells_of_each(db, monkeypatch):
    monkeypatch.setattr("couchette.store.compact.COMPACT_BODIES", 2)
    edited(db, "a", 6)
    told = []
    assert db.compact(progress=told.append) == told[-1]
    assert [freed["bodies"] for freed in told][:3] == [2, 4, 5]


def test_others_write_between_its_transactions_and_compaction_still_ends(db, monkeypatch):
    monkeypatch.setattr("couchette.store.compact.COMPACT_BODIES", 1)
    revs = edited(db, "a", 4)

    def write(freed):
        revs.insert(0, db.put({"_id": "a", "_rev": revs[0]})["rev"])

    assert db.compact(progress=write)["bodies"] == 4
    assert db.get("a")["_rev"] == revs[0]
    assert db.verify() == []


def test_a_progress_that_raises_ends_it_and_the_next_run_goes_on(db, monkeypatch):
    monkeypatch.setattr("couchette.store.compact.COMPACT_BODIES", 1)
    edited(db, "a", 4)

    def stop(freed):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        db.compact(progress=stop)
    assert len(stored_revs(db)["a"]) == 3
    assert db.verify() == []
    assert db.compact()["bodies"] == 2


@pytest.mark.anyio
async def test_the_asynchronous_one_can_be_cancelled_between_transactions(tmp_path, monkeypatch):
    monkeypatch.setattr("couchette.store.compact.COMPACT_BODIES", 1)
    async with AsyncDatabase(tmp_path / "a") as db:
        edited(db.database, "a", 5)
        with anyio.CancelScope() as scope:
            await db.compact(progress=lambda freed: scope.cancel())
        assert scope.cancelled_caught
        assert len(stored_revs(db.database)["a"]) == 4
        assert (await db.compact())["bodies"] == 3
        assert stored_revs(db.database)["a"] == [(await db.get("a"))["_rev"]]


def test_free_pages_go_back_to_the_file_system(tmp_path):
    path = tmp_path / "a"
    with Database(path) as db:
        rev = db.put_attachment("a", "x", os.urandom(3_000_000))["rev"]
        db.remove("a", rev)
        before = db.info()["sizes"]
        freed = db.compact()
        after = db.info()["sizes"]
        assert freed["bytes"] == before["file"] - after["file"] > 2_900_000
        assert after["file"] == after["active"]
    assert path.stat().st_size == after["file"]


def test_pages_are_returned_some_at_a_time(db, monkeypatch):
    monkeypatch.setattr("couchette.store.compact.COMPACT_PAGES", 10)
    rev = db.put_attachment("a", "x", os.urandom(limits.PAGE_BYTES * 30))["rev"]
    db.remove("a", rev)
    told = []
    db.compact(progress=told.append)
    assert len({freed["bytes"] for freed in told}) > 2


# -- Auto-compaction ------------------------------------------------------------------------------


def test_with_auto_compaction_a_write_drops_what_it_supersedes(tmp_path):
    with Database(tmp_path / "a", auto_compaction=True) as db:
        revs = edited(db, "a", 3)
        assert stored_revs(db) == {"a": [revs[0]]}
        branch(db, "b", ["1-a"], ["2-b", "1-a"], ["2-c", "1-a"], ["3-d", "2-c"])
        assert stored_revs(db)["b"] == ["2-b", "3-d"]
        assert [one["status"] for one in db.get("b", revs_info=True)["_revs_info"]] == [
            "available", "missing", "missing",
        ]  # fmt: skip
        seq = db.info()["update_seq"]
        branch(db, "b", ["1-a"])
        assert db.info()["update_seq"] == seq
        assert db.verify() == []


def test_auto_compaction_is_off_at_first_and_kept_in_the_file(tmp_path):
    with Database(tmp_path / "a") as db:
        edited(db, "a", 3)
        assert len(stored_revs(db)["a"]) == 3
    with Database(tmp_path / "a", auto_compaction=True) as db:
        revs = [db.put({"_id": "a", "_rev": db.get("a")["_rev"]})["rev"]]
        assert stored_revs(db)["a"] == revs
    with Database(tmp_path / "a") as db:
        db.put({"_id": "a", "_rev": revs[0]})
        assert len(stored_revs(db)["a"]) == 1
    with Database(tmp_path / "a", auto_compaction=False) as db:
        db.put({"_id": "a", "_rev": db.get("a")["_rev"]})
        assert len(stored_revs(db)["a"]) == 2


def test_an_environment_hands_it_to_its_databases(tmp_path):
    with Environment(tmp_path / "all", auto_compaction=True) as env:
        edited(env["one"], "a", 3)
        assert len(stored_revs(env["one"])["a"]) == 1


# -- revs_limit -----------------------------------------------------------------------------------


def test_revs_limit_is_read_and_set(db):
    assert db.get_revs_limit() == limits.REVS_LIMIT
    db.set_revs_limit(2)
    assert db.get_revs_limit() == 2
    edited(db, "a", 4)
    assert len(db.get("a", revs=True)["_revisions"]["ids"]) == 2


@pytest.mark.parametrize("wrong", [0, -1, "3", 1.5, None, True, 2**63])
def test_a_revs_limit_that_is_no_positive_integer_is_refused(db, wrong):
    with pytest.raises(BadRequest, match="must be a positive integer") as caught:
        db.set_revs_limit(wrong)
    assert repr(wrong) in caught.value.hint
    assert db.get_revs_limit() == limits.REVS_LIMIT


# -- Conflicts counted ----------------------------------------------------------------------------


def test_info_counts_the_documents_with_several_live_leaves(db):
    branch(db, "a", ["2-b", "1-a"], ["2-c", "1-a"], ["2-d", "1-a"])
    branch(db, "b", ["2-b", "1-a"], ["2-c", "1-a"])
    db.put({"_id": "c"})
    assert db.info()["conflict_count"] == 2
    db.remove("b", "2-c")
    assert db.info()["conflict_count"] == 1
    db.remove("a", "2-d")
    assert db.info()["conflict_count"] == 1
    db.remove("a", "2-c")
    assert db.info()["conflict_count"] == len(db.conflicts()) == 0
