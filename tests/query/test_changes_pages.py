"""Changes in pages are those of one read, whatever the size of a page; and what is written meanwhile comes later."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database, store
from couchette.query.changes_pages import changes_pages, up_to_newest
from couchette.query.filtered_changes import filtered_changes, filtered_pages


@pytest.fixture(scope="module")
def shared():
    """Ten documents, of which one is deleted and one in conflict."""
    with Database(":memory:") as db:
        fill(db)
        yield db


def fill(db):
    db.bulk_docs([{"_id": f"{n}", "n": n} for n in range(10)])
    db.remove(db["4"])
    db.bulk_docs([{"_id": "7", "_rev": "1-x", "n": 70}, {"_id": "7", "_rev": "1-y", "n": 71}], new_edits=False)


OPTIONS = st.fixed_dictionaries(
    {
        "since": st.integers(0, 14),
        "limit": st.none() | st.integers(0, 12),
        "style": st.sampled_from(["main_only", "all_docs"]),
        "descending": st.booleans(),
    }
)


def joined(pages):
    """All rows, and what the last page says of the whole."""
    pages = list(pages)
    return {**pages[-1], "results": [row for page in pages for row in page["results"]]}


@given(options=OPTIONS, doc_ids=st.none() | st.sets(st.sampled_from("0479x")), rows_max=st.integers(1, 12))
def test_pages_together_are_one_read(shared, options, doc_ids, rows_max):
    doc_ids = doc_ids and sorted(doc_ids)
    pages = list(changes_pages(shared._pool, **options, doc_ids=doc_ids, rows_max=rows_max))
    assert joined(pages) == shared._pool.read(store.changes, **options, doc_ids=doc_ids)
    assert doc_ids is not None or max(len(page["results"]) for page in pages) <= rows_max


@given(options=OPTIONS, wanted=st.sets(st.integers(0, 9)), rows_max=st.integers(1, 12))
def test_pages_through_a_filter_of_one_document_together_are_one_read(shared, options, wanted, rows_max):
    def accepts(doc):
        return doc.get("n") in wanted

    pages = changes_pages(shared._pool, **options, accepts=accepts, rows_max=rows_max)
    assert joined(pages) == shared._pool.read(store.changes, **options, accepts=accepts)


@given(options=OPTIONS, wanted=st.sets(st.integers(0, 9)), rows_max=st.integers(1, 12))
def test_pages_through_a_filter_of_many_together_are_one_read(shared, options, wanted, rows_max):
    def passes(docs):
        return [doc.get("n") in wanted for doc in docs]

    expected = filtered_changes(shared._pool, passes, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("couchette.query.filtered_changes.FEED_PAGE_DOCS", rows_max)
        pages = list(filtered_pages(shared._pool, passes, **options))
    found = joined(pages)
    assert {name: found[name] for name in expected} == expected
    if options["limit"] is None:
        everything = shared._pool.read(store.changes, **options)
        assert sum(page["scanned"] for page in pages) == len(everything["results"])


def test_an_ascending_feed_ends_at_what_was_the_newest_when_it_began(db):
    fill(db)
    before = db.changes()
    pages = up_to_newest(db._pool, changes_pages(db._pool, rows_max=3))
    read = [next(pages)]
    db["8"] = {**db["8"], "n": "later"}
    db["new"] = {}
    found = joined([*read, *pages])
    assert [row["id"] for row in before["results"] if row not in found["results"]] == ["8"]
    assert (found["last_seq"], found["pending"]) == (before["last_seq"], 2)
    assert {row["id"] for row in db.changes(since=found["last_seq"])["results"]} == {"8", "new"}


def test_it_ends_though_somebody_writes_all_the_time(db):
    fill(db)
    found = []
    for page in up_to_newest(db._pool, changes_pages(db._pool, rows_max=1)):
        found.append(page)
        db.post({"n": len(found)})
    assert len(found) == 11
    assert found[-1]["pending"] == 10


def test_nothing_new_ends_a_feed_that_already_was_at_the_newest(db):
    fill(db)
    assert joined(up_to_newest(db._pool, changes_pages(db._pool, since="now"))) == db.changes(since="now")


def test_a_descending_feed_goes_down_from_what_was_the_newest(db):
    fill(db)
    before = db.changes(descending=True)
    pages = changes_pages(db._pool, descending=True, rows_max=3)
    read = [next(pages)]
    db["new"] = {}
    db["1"] = {**db["1"], "n": "later"}
    found = joined([*read, *pages])
    assert [row["id"] for row in before["results"] if row not in found["results"]] == ["1"]
    assert (found["last_seq"], found["pending"]) == (before["last_seq"], 0)
