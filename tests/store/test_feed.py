"""The changes feed, and the sequence."""

from __future__ import annotations

import pytest

from couchette import Database, store
from couchette.errors import BadRequest


@pytest.fixture
def fed(db):
    """a changed last, b deleted, c in conflict; the seqs are 1 b, 3 b deleted, 4 c, 5 a, in this order."""
    db.put({"_id": "b"})
    rev = db.put({"_id": "a"})["rev"]
    db.remove("b", db.get("b")["_rev"])
    db.bulk_docs([{"_id": "c", "_rev": f"1-{id}", "v": id} for id in "xyz"], new_edits=False)
    db.put({"_id": "a", "_rev": rev, "v": 1})
    return db


def rows(answer):
    return [(row["id"], int(row["seq"].partition("-")[0])) for row in answer["results"]]


def number(answer):
    return int(answer["last_seq"].partition("-")[0])


ALL = [("b", 3), ("c", 4), ("a", 5)]


def test_each_document_has_one_row_at_its_latest_seq(fed):
    answer = fed.changes()
    assert rows(answer) == ALL
    assert answer["results"][0]["deleted"] is True
    assert "deleted" not in answer["results"][1]
    assert answer["results"][1]["changes"] == [{"rev": "1-z"}]
    assert answer["last_seq"] == fed.info()["update_seq"] == answer["results"][-1]["seq"]
    assert answer["pending"] == 0


def test_all_docs_style_lists_every_leaf_best_first(fed):
    fed.remove("c", "1-z")
    row = fed.changes(style="all_docs")["results"][-1]
    assert [change["rev"][:3] for change in row["changes"]] == ["1-y", "1-x", "2-" + row["changes"][2]["rev"][2]]
    assert "deleted" not in row


@pytest.mark.parametrize(
    ("options", "expected", "last", "pending"),
    [
        ({"since": 3}, ALL[1:], 5, 0),
        ({"since": 5}, [], 5, 0),
        ({"since": 99}, [], 5, 0),
        ({"since": "now"}, [], 5, 0),
        ({"since": "0"}, ALL, 5, 0),
        ({"limit": 1}, ALL[:1], 3, 2),
        ({"limit": 3}, ALL, 5, 0),
        ({"limit": 2**62}, ALL, 5, 0),
        ({"limit": 0}, [], 0, 3),
        ({"limit": -1}, ALL, 5, 0),
        ({"since": 3, "limit": 1}, ALL[1:2], 4, 1),
        ({"since": 3, "limit": 0}, [], 3, 2),
        ({"descending": True}, ALL[::-1], 3, 0),
        ({"descending": True, "since": 5}, ALL[::-1], 3, 0),
        ({"descending": True, "limit": 1}, ALL[:1:-1], 5, 2),
        ({"doc_ids": ["a", "nope", "b"]}, [ALL[0], ALL[2]], 5, 1),
        ({"doc_ids": ["a"] * 4}, [ALL[2]] * 4, 5, 0),
        ({"doc_ids": ["a", "b"], "since": 3}, ALL[2:], 5, 1),
        ({"doc_ids": ["a", "b"], "descending": True}, [ALL[2], ALL[0]], 3, 1),
        ({"doc_ids": []}, [], 5, 3),
    ],
    ids=repr,
)
def test_pages(fed, options, expected, last, pending):
    answer = fed.changes(**options)
    assert rows(answer) == expected
    assert (number(answer), answer["pending"]) == (last, pending)


def test_paging_by_last_seq_meets_every_document_once(db):
    db.bulk_docs([{"_id": f"{n:03}"} for n in range(50)])
    since, seen, pendings = 0, [], []
    while True:
        answer = db.changes(since=since, limit=7)
        if not answer["results"]:
            break
        seen += [row["id"] for row in answer["results"]]
        pendings.append(answer["pending"])
        since = answer["last_seq"]
    assert seen == [f"{n:03}" for n in range(50)]
    assert pendings == [43, 36, 29, 22, 15, 8, 1, 0]


def test_docs_are_the_winners_with_tombstones(fed):
    fed.bulk_docs([{"_id": "d", "_rev": "1-d", "_deleted": True, "why": "x"}], new_edits=False)
    docs = {row["id"]: row["doc"] for row in fed.changes(include_docs=True, conflicts=True)["results"]}
    assert docs["a"] == fed.get("a")
    assert docs["c"] == {"_id": "c", "_rev": "1-z", "v": "z", "_conflicts": ["1-y", "1-x"]}
    assert docs["d"] == {"_id": "d", "_rev": "1-d", "_deleted": True, "why": "x"}


def test_docs_may_bring_their_attachments(db):
    db.put_attachment("a", "x", b"hello", "text/plain")
    shown = db.changes(include_docs=True, attachments=True, att_encoding_info=True)["results"][0]["doc"]
    assert shown["_attachments"]["x"]["data"] == "aGVsbG8="
    assert shown["_attachments"]["x"]["encoding"] == "gzip"


def test_seq_interval_leaves_most_seqs_out(db):
    db.bulk_docs([{"_id": f"{n}"} for n in range(5)])
    seqs = [row["seq"] for row in db.changes(seq_interval=3)["results"]]
    assert [seq is None for seq in seqs] == [False, True, True, False, True]


def test_the_seq_of_another_database_means_the_start(fed):
    with Database() as other:
        other.put({"_id": "x"})
        assert rows(fed.changes(since=other.info()["update_seq"])) == ALL
    assert rows(fed.changes(since=fed.info()["update_seq"])) == []
    assert rows(fed.changes(since=f'"{fed.info()["update_seq"]}"')) == []


def test_the_seq_of_a_database_that_was_made_anew_means_the_start(tmp_path):
    path = tmp_path / "a.couchette"
    with Database(path) as db:
        db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
        seq = db.info()["update_seq"]
        db.destroy()
    with Database(path) as db:
        db.put({"_id": "c"})
        assert rows(db.changes(since=seq)) == [("c", 1)]


@pytest.mark.parametrize(
    "since", [-1, 1.0, True, None, "", "x", "5", "-1", "5-", "-abc", "٣-x", 2**63, "9" * 30 + "-x", [], b"0"]
)
def test_any_other_since_is_refused(fed, since):
    for call in (lambda: fed.changes(since=since), lambda: fed.wait_changes(since, 0)):
        with pytest.raises(BadRequest, match="Malformed sequence") as caught:
            call()
        assert caught.value.status == 400


@pytest.mark.parametrize(
    "options",
    [{"style": "nope"}, {"limit": "x"}, {"limit": True}, {"doc_ids": "ab"}, {"doc_ids": [5]}, {"seq_interval": "x"}],
)
def test_other_bad_options_are_refused(fed, options):
    with pytest.raises(BadRequest):
        fed.changes(**options)


def test_local_documents_are_not_in_the_feed(db):
    db.put({"_id": "_local/x"})
    assert db.changes()["results"] == []
    assert number(db.changes()) == 0


def test_pending_far_from_the_end_is_an_upper_bound(db, monkeypatch):
    db.bulk_docs([{"_id": f"{n}"} for n in range(20)])
    for n in range(5):
        db.put({"_id": f"{n}", "_rev": db.get(f"{n}")["_rev"], "v": 1})
    monkeypatch.setattr("couchette.store.feed.PENDING_EXACT_MAX", 10)
    assert db.changes(since=10, limit=2)["pending"] >= 13
    assert db.changes(since=20, limit=2)["pending"] == 3


def test_info_counts_documents_and_tombstones(fed):
    info = fed.info()
    assert (info["doc_count"], info["doc_del_count"]) == (2, 1)
    assert info["db_name"] == "test"
    assert info["update_seq"] == f"5-{info['uuid']}"
    assert info["purge_seq"] == f"0-{info['uuid']}"
    assert info["instance_start_time"].isdecimal()
    assert info["sizes"]["file"] >= info["sizes"]["active"] > 0


@pytest.mark.parametrize("style", ["main_only", "all_docs"])
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_the_leaves_of_a_page_are_those_of_its_rows(db, style, limit):
    db.bulk_docs([{"_id": f"{n}"} for n in range(3)])
    db.bulk_docs(
        [{"_id": "0", "_rev": f"1-{'a' * 32}"}, {"_id": "9", "_rev": "2-b", "_deleted": True}], new_edits=False
    )
    since = 0
    while True:
        page = db.changes(since=since, limit=limit, style=style)
        leaves = db._pool.read(store.changed_leaves, since=since, limit=limit, style=style)
        assert leaves.revs == {row["id"]: [one["rev"] for one in row["changes"]] for row in page["results"]}
        assert leaves.deleted == [row["id"] for row in page["results"] if "deleted" in row]
        assert (leaves.last_seq, leaves.pending) == (page["last_seq"], page["pending"])
        if not page["results"]:
            break
        since = page["last_seq"]
