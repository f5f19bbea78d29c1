"""Purging: leaves disappear as if they never were, and a log tells of it."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database
from couchette.errors import BadRequest, IllegalDocId, InvalidRev, NotFound
from couchette.store import schema


def push(db, id, *paths, **fields):
    """Replicated revisions, each path newest first."""
    for path in paths:
        ids = [rev.partition("-")[2] for rev in path]
        start = int(path[0].partition("-")[0])
        assert db.bulk_docs([{"_id": id, "_revisions": {"start": start, "ids": ids}, **fields}], new_edits=False) == []


def rows(db):
    return db._pool.read(lambda conn: conn.execute("SELECT count(*) FROM docs").get)


def counts(db):
    info = db.info()
    return info["doc_count"], info["doc_del_count"], info["conflict_count"]


def purged(db, revs):
    answer = db.purge(revs)
    assert answer["purge_seq"] is None
    return answer["purged"]


# -- Whole documents ------------------------------------------------------------------------------


def test_a_document_without_leaves_is_gone_as_if_it_never_was(db):
    rev = db.put({"_id": "a"})["rev"]
    rev = db.put({"_id": "a", "_rev": rev})["rev"]
    seq = db.info()["update_seq"]
    assert purged(db, {"a": [rev]}) == {"a": [rev]}
    assert counts(db) == (0, 0, 0)
    assert db.changes()["results"] == []
    assert db.info()["update_seq"] == seq
    assert rows(db) == 0
    with pytest.raises(NotFound, match="missing"):
        db.get("a")
    with pytest.raises(NotFound, match="missing"):
        db.get("a", open_revs="all")
    assert db.revs_diff({"a": [rev]}) == {"a": {"missing": [rev]}}
    assert db.put({"_id": "a", "again": 1})["rev"].startswith("1-")
    assert db.verify() == []


def test_a_tombstone_can_be_purged(db):
    rev = db.remove("a", db.put({"_id": "a"})["rev"])["rev"]
    assert purged(db, {"a": [rev]}) == {"a": [rev]}
    assert counts(db) == (0, 0, 0)
    assert rows(db) == 0


def test_what_was_purged_may_come_back_from_a_peer(db):
    push(db, "a", ["2-b", "1-a"])
    purged(db, {"a": ["2-b"]})
    push(db, "a", ["2-b", "1-a"])
    assert db.get("a", revs=True)["_revisions"] == {"start": 2, "ids": ["b", "a"]}


def test_all_leaves_may_be_purged_at_once(db):
    push(db, "a", ["2-b", "1-a"], ["2-c", "1-a"])
    push(db, "b", ["1-b"])
    assert purged(db, {"b": ["1-b"], "a": ["2-c", "2-b"]}) == {"b": ["1-b"], "a": ["2-c", "2-b"]}
    assert rows(db) == 0
    assert counts(db) == (0, 0, 0)


# -- Branches -------------------------------------------------------------------------------------


def test_a_branch_goes_up_to_the_fork_and_the_next_leaf_wins(db):
    push(db, "a", ["1-a"], ["2-b", "1-a"], v=2)
    push(db, "a", ["2-c", "1-a"], ["3-d", "2-c"])
    assert db.get("a")["_rev"] == "3-d"
    assert purged(db, {"a": ["3-d"]}) == {"a": ["3-d"]}
    assert db.get("a", conflicts=True, revs=True) == {
        "_id": "a", "_rev": "2-b", "v": 2, "_revisions": {"start": 2, "ids": ["b", "a"]},
    }  # fmt: skip
    assert db.revs_diff({"a": ["1-a", "2-b", "2-c", "3-d"]})["a"]["missing"] == ["2-c", "3-d"]
    assert db.get("a", rev="1-a")["v"] == 2
    assert rows(db) == 2
    assert db.verify() == []


def test_a_document_that_keeps_a_leaf_shows_up_in_the_changes(db):
    push(db, "a", ["2-b", "1-a"], ["2-c", "1-a"])
    since = db.info()["update_seq"]
    purged(db, {"a": ["2-b"]})
    changes = db.changes(since=since, style="all_docs")
    assert [(row["id"], row["changes"]) for row in changes["results"]] == [("a", [{"rev": "2-c"}])]
    assert changes["pending"] == 0


def test_the_document_may_come_to_life_or_die_by_it(db):
    push(db, "a", ["2-b", "1-a"])
    push(db, "a", ["2-c", "1-a"], _deleted=True)
    assert counts(db) == (1, 0, 0)
    purged(db, {"a": ["2-b"]})
    assert counts(db) == (0, 1, 0)
    push(db, "a", ["2-b", "1-a"])
    assert counts(db) == (1, 0, 0)


# -- What is not purged ---------------------------------------------------------------------------


def test_what_is_no_leaf_or_not_known_is_left_alone(db):
    push(db, "a", ["1-a"], ["2-b", "1-a"])
    first = db.put({"_id": "b"})["rev"]
    db.put({"_id": "b", "_rev": first})
    before = db.info(), db.changes()
    asked = {"a": ["1-a", "2-zz"], "b": [first], "none": ["1-a"], "_local/x": ["0-1"], "empty": []}
    assert purged(db, asked) == {id: [] for id in asked}
    assert (db.info(), db.changes()) == before
    assert purged(db, {}) == {}
    assert db.purged_infos() == []


def test_an_ancestor_is_no_leaf_even_when_its_leaf_is_purged_with_it(db):
    push(db, "a", ["2-b", "1-a"], ["2-c", "1-a"])
    assert purged(db, {"a": ["2-b", "1-a", "2-b"]}) == {"a": ["2-b"]}
    assert db.get("a", revs=True)["_revisions"]["ids"] == ["c", "a"]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ([], BadRequest),
        ({"a": "1-a"}, BadRequest),
        ({"a": None}, BadRequest),
        ({"a": ["x"]}, InvalidRev),
        ({"a": [1]}, BadRequest),
        ({1: ["1-a"]}, IllegalDocId),
        ({"\ud800": ["1-a"]}, BadRequest),
    ],
)
def test_a_malformed_request_purges_nothing(db, wrong, error):
    push(db, "first", ["1-a"])
    with pytest.raises(error):
        db.purge({"first": ["1-a"], **wrong} if isinstance(wrong, dict) else wrong)
    assert db.get("first")["_rev"] == "1-a"
    assert db.purged_infos() == []


# -- The log --------------------------------------------------------------------------------------


def test_the_log_can_be_followed(db):
    push(db, "b", ["2-b", "1-a"], ["2-c", "1-a"])
    push(db, "a", ["1-a"])
    assert db.info()["purge_seq"].startswith("0-")
    db.purge({"b": ["2-b"], "a": ["1-a"]})
    first = db.purged_infos()
    assert [(one["id"], one["revs"]) for one in first] == [("a", ["1-a"]), ("b", ["2-b"])]
    assert db.info()["purge_seq"] == first[-1]["purge_seq"]
    assert db.purged_infos(first[-1]["purge_seq"]) == db.purged_infos("now") == []
    db.purge({"b": ["2-c"]})
    (second,) = db.purged_infos(first[-1]["purge_seq"])
    assert (second["id"], second["revs"]) == ("b", ["2-c"])
    assert db.purged_infos(f"7-{'0' * 32}") == [*first, second]
    assert db.purged_infos(1) == [first[1], second]
    with pytest.raises(BadRequest, match="Malformed sequence"):
        db.purged_infos("soon")


def test_compaction_keeps_the_log_and_frees_the_attachments_of_what_was_purged(db):
    rev = db.put_attachment("a", "x", b"content")["rev"]
    db.purge({"a": [rev]})
    assert db.compact()["attachments"] == 1
    assert [one["id"] for one in db.purged_infos()] == ["a"]


edits = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 6), st.booleans()), min_size=1, max_size=15)


def purged_ids(db):
    return [one["id"] for one in db.purged_infos()]


def test_compaction_shortens_the_log_to_its_limit(db):
    for doc_id in "abcd":
        db.purge({doc_id: [db.put({"_id": doc_id})["rev"]]})
    assert db.get_purged_infos_limit() == 1000
    db.compact()
    assert purged_ids(db) == list("abcd")
    db.set_purged_infos_limit(2)
    assert purged_ids(db) == list("abcd")
    db.compact()
    assert purged_ids(db) == list("cd")
    assert db.verify() == []
    db.purge({"e": [db.put({"_id": "e"})["rev"]]})
    db.compact()
    assert purged_ids(db) == list("de")


def test_compaction_leaves_the_purges_that_an_index_has_still_to_follow(db):
    revs = db.bulk_docs([{"_id": doc_id, "n": 1} for doc_id in "abc"])
    db.create_index(["n"])
    assert len(db.find({"n": 1})["docs"]) == 3
    db.set_purged_infos_limit(1)
    for row in revs[:2]:
        db.purge({row["id"]: [row["rev"]]})
    db.compact()
    assert purged_ids(db) == list("ab")
    assert [doc["_id"] for doc in db.find({"n": 1})["docs"]] == ["c"]
    db.compact()
    assert purged_ids(db) == ["b"]
    assert [doc["_id"] for doc in db.find({"n": 1})["docs"]] == ["c"]


@pytest.mark.parametrize("wrong", [0, -1, "5", 1.5, None, True, 2**63])
def test_a_limit_of_the_log_that_is_no_positive_integer_is_refused(db, wrong):
    with pytest.raises(BadRequest, match="must be positive integer"):
        db.set_purged_infos_limit(wrong)
    assert db.get_purged_infos_limit() == 1000


@pytest.mark.slow
@given(edits, st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 6)), max_size=6), st.booleans())
def test_after_any_purges_the_database_is_sound_and_holds_the_other_leaves(edits, asked, auto):
    with Database(auto_compaction=auto) as db:
        paths = {}
        for n, (id, parent, deleted) in enumerate(edits):
            known = paths.setdefault(id, [])
            history = known[parent % len(known)] if known else []
            known.append([f"{len(history) + 1}-{n:032x}", *history])
            push(db, id, known[-1], _deleted=deleted)
        leaves = {
            id: {path[0] for path in known} - {rev for path in known for rev in path[1:]} for id, known in paths.items()
        }
        for id, choice in asked:
            if known := paths.get(id):
                rev = known[choice % len(known)][0]
                assert purged(db, {id: [rev]}) == {id: [rev] if rev in leaves[id] else []}
                leaves[id].discard(rev)
        for id, left in leaves.items():
            if left:
                shown = db.get(id, open_revs="all", revs=True)
                assert {row["ok"]["_rev"] for row in shown} == left
            else:
                with pytest.raises(NotFound, match="missing"):
                    db.get(id)
        assert db.verify() == []
        assert len(db) + db.info()["doc_del_count"] == sum(map(bool, leaves.values()))
        assert db.info()["conflict_count"] == len(db.conflicts())


# -- Files from before ----------------------------------------------------------------------------


def test_a_file_of_version_1_learns_to_purge_and_counts_its_conflicts(tmp_path, monkeypatch):
    path = tmp_path / "a"
    conn = apsw.Connection(str(path))
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        schema.migrate(conn, str(path))
    tree = '{"revs":["2-c","2-b","1-a"],"parents":[2,2,null],"seqs":[2,-1,null],"deleted":[]}'
    row = "INSERT INTO docs(seq, id, cur, rev, deleted, tree, body) VALUES(?,'a',?,?,0,?,x'7b7d')"
    conn.executemany(row, [(2, 1, "2-c", tree), (-1, 0, "2-b", None)])
    conn.execute("UPDATE meta SET update_seq=2, doc_count=1")
    assert conn.pragma("user_version") == 1
    conn.close()
    with Database(path) as db:
        assert counts(db) == (1, 0, 1)
        assert purged(db, {"a": ["2-c"]}) == {"a": ["2-c"]}
        assert counts(db) == (1, 0, 0)
        assert db.get("a")["_rev"] == "2-b"
        assert db.verify() == []
