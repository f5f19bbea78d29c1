"""What an index is told to follow: winners, deletions and purges, each once."""

from __future__ import annotations

import pytest

from couchette import Database, index
from couchette.index import Position

GROUP = index.Group("any")


@pytest.fixture
def db():
    with Database() as database:
        yield database


def batch_of(db, seq=0, purge_seq=0, group=GROUP, limit=100):
    return db._pool.read(index.read_batch, group, Position(seq, purge_seq), limit)


def test_there_is_nothing_to_follow_in_an_empty_database(db):
    assert batch_of(db) is None


def test_winners_come_with_their_conflicts_and_without_design_documents(db):
    db.put({"_id": "a", "_rev": "1-b", "v": 1}, new_edits=False)
    db.put({"_id": "a", "_rev": "1-a", "v": 2}, new_edits=False)
    db.put({"_id": "a", "_rev": "1-0", "_deleted": True}, new_edits=False)
    db.put({"_id": "_design/x"})
    batch = batch_of(db)
    shown = {"_id": "a", "_rev": "1-b", "v": 1, "_conflicts": ["1-a"], "_deleted_conflicts": ["1-0"]}
    assert batch.docs == [shown]
    assert list(batch.docs[0]) == list(shown)
    assert batch.ids == ["a", "_design/x"]
    assert batch.end == index.Position(4, 0)


def test_options_show_design_documents_and_sequences(db):
    db.put({"_id": "_design/x"})
    [doc] = batch_of(db, group=index.Group("any", include_design=True, local_seq=True)).docs
    assert (doc["_id"], doc["_local_seq"]) == ("_design/x", 1)


def test_a_deleted_document_is_named_and_not_shown(db):
    db.put({"_id": "a"})
    db.remove(db.get("a"))
    batch = batch_of(db, seq=1)
    assert (batch.docs, batch.ids) == ([], ["a"])


def test_a_batch_ends_where_it_is_full_and_the_next_goes_on_there(db):
    db.bulk_docs([{"_id": f"{at}"} for at in range(5)])
    first = batch_of(db, limit=2)
    assert (first.doc_ids, first.end.seq, first.newest) == (["0", "1"], 2, 5)
    assert batch_of(db, seq=2).doc_ids == ["2", "3", "4"]


def test_a_purged_document_is_named_unless_something_is_left_of_it(db):
    db.bulk_docs([{"_id": "a"}, {"_id": "b"}, {"_id": "c"}])
    db.put({"_id": "b", "_rev": "1-f", "v": 1}, new_edits=False)
    db.purge({"a": [db.get("a")["_rev"]], "b": ["1-f"]})
    batch = batch_of(db, seq=4)
    assert sorted(batch.ids) == ["a", "b"]
    assert batch.doc_ids == ["b"]
    assert batch_of(db, *batch.end) is None


def test_an_index_of_another_signature_has_tables_of_its_own_and_dropping_leaves_nothing(db):
    one, other = (index.Group(name, (index.IndexedView(reduced=True),)) for name in "ab")
    tables = "SELECT count(*) FROM sqlite_schema"
    before = db._pool.read(lambda conn: conn.execute(tables).get)
    first = db._pool.write(index.open_group, one)
    second = db._pool.write(index.open_group, other)
    assert first == db._pool.write(index.open_group, one)
    assert first.num != second.num
    assert db._pool.write(index.drop_groups, ["a", "b", "never"]) == 2
    assert db._pool.read(lambda conn: conn.execute(tables).get) == before
    assert db._pool.write(index.open_group, one).num not in (first.num, second.num)
