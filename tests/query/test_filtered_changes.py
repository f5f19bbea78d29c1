"""Changes through a filter of many documents are those of a filter of one, whatever the pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database, store
from couchette.errors import BadRequest
from couchette.query.filtered_changes import filtered_changes

pytestmark = pytest.mark.usefixtures("small_pages")


@pytest.fixture(scope="module")
def small_pages():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("couchette.query.filtered_changes.FEED_PAGE_DOCS", 3)
        yield


@pytest.fixture(scope="module")
def db():
    """Ten documents, of which one is deleted and one in conflict."""
    with Database(":memory:") as db:
        db.bulk_docs([{"_id": f"{n}", "n": n} for n in range(10)])
        db.remove(db["4"])
        db.bulk_docs([{"_id": "7", "_rev": "1-x", "n": 70}, {"_id": "7", "_rev": "1-y", "n": 71}], new_edits=False)
        yield db


def passing(accepts):
    return lambda docs: [accepts(doc) for doc in docs]


OPTIONS = st.fixed_dictionaries(
    {
        "since": st.integers(0, 14),
        "limit": st.none() | st.integers(0, 12),
        "style": st.sampled_from(["main_only", "all_docs"]),
        "include_docs": st.booleans(),
        "conflicts": st.booleans(),
        "seq_interval": st.none() | st.integers(1, 4),
    }
)


@pytest.mark.parametrize(("size", "calls"), [(1, [1] * 10), (10**6, [3, 3, 3, 1]), (100, [2, 1, 2, 1, 2, 1, 1])])
def test_large_documents_are_judged_a_few_at_a_time(monkeypatch, size, calls):
    monkeypatch.setattr("couchette.query.filtered_changes.FUNCTION_BATCH_BYTES", size)
    seen = []

    def passes(docs):
        seen.append(len(docs))
        return [doc["_id"] != "5" for doc in docs]

    with Database(":memory:") as db:
        db.bulk_docs([{"_id": f"{n}", "text": "x" * 30} for n in range(10)])
        rows = filtered_changes(db._pool, passes)["results"]
    assert [row["id"] for row in rows] == [f"{n}" for n in range(10) if n != 5]
    assert [count for count in seen if count] == calls


@given(options=OPTIONS, wanted=st.sets(st.integers(0, 9)) | st.just({70}), deleted=st.booleans())
def test_a_page_is_that_of_a_filter_of_one_document(db, options, wanted, deleted):
    def accepts(doc):
        return doc["n"] in wanted if "n" in doc else deleted

    expected = db._pool.read(store.changes, accepts=accepts, **options)
    found = filtered_changes(db._pool, passing(accepts), **options)
    assert found["results"] == expected["results"]
    # Where the limit was reached at a later row than the last one listed, what passes nothing may be skipped or not.
    if len(found["results"]) != options["limit"]:
        assert (found["last_seq"], found["pending"]) == (expected["last_seq"], 0)


@given(options=OPTIONS, wanted=st.sets(st.integers(0, 9)))
def test_whoever_goes_on_at_last_seq_sees_each_change_once(db, options, wanted):
    def accepts(doc):
        return doc.get("n") in wanted

    options = {**options, "limit": max(options["limit"] or 2, 1), "seq_interval": None}
    seen, since, pending = [], options.pop("since"), 1
    everything = [row["id"] for row in db.changes(since=since, filter=accepts, style=options["style"])["results"]]
    while pending:
        page = filtered_changes(db._pool, passing(accepts), since=since, scan_max=2, **options)
        seen += [row["id"] for row in page["results"]]
        since, pending = page["last_seq"], page["pending"]
    assert seen == everything


def test_descending_begins_with_the_newest(db):
    page = filtered_changes(db._pool, passing(lambda doc: doc.get("n", 0) % 2), descending=True, limit=4, scan_max=1)
    assert [row["id"] for row in page["results"]] == ["7", "9", "5", "3"]
    assert page["last_seq"] == page["results"][-1]["seq"]
    assert page["pending"] == 3
    assert filtered_changes(db._pool, passing(lambda doc: False), descending=True)["results"] == []


def test_an_empty_database_has_no_changes():
    with Database(":memory:") as db:
        for descending in (False, True):
            page = filtered_changes(db._pool, passing(lambda doc: True), descending=descending)
            assert (page["results"], page["pending"]) == ([], 0)


def test_the_filter_is_given_a_page_at_a_time_with_history_and_tombstones(db):
    calls = []

    def passes(docs):
        calls.append(docs)
        return [False] * len(docs)

    filtered_changes(db._pool, passes)
    assert [len(docs) for docs in calls] == [3, 3, 3, 1]
    given = {doc["_id"]: doc for docs in calls for doc in docs}
    assert len(given) == 10
    assert all("_revisions" in doc for doc in given.values())
    assert given["4"]["_deleted"] is True


def test_a_change_that_is_overtaken_is_left_to_the_next_page():
    with Database(":memory:") as db:
        db.put({"_id": "a"})

        def passes(docs):
            db.put({**db["a"], "edited": True})
            return [True] * len(docs)

        page = filtered_changes(db._pool, passes, include_docs=True)
        assert page["results"] == []
        [row] = db.changes(since=page["last_seq"])["results"]
        assert row["id"] == "a"


def test_a_revision_that_was_purged_meanwhile_is_not_judged(monkeypatch):
    with Database(":memory:") as db:
        rev = db.put({"_id": "a"})["rev"]
        read = store.changes

        def changes(conn, **options):
            page = read(conn, **options)
            store.purge(conn, {"a": [rev]})
            return page

        monkeypatch.setattr(store, "changes", changes)
        monkeypatch.setattr(db._pool, "read", db._pool.write)
        assert filtered_changes(db._pool, passing(lambda doc: True))["results"] == []


def test_what_is_no_sequence_is_refused(db):
    with pytest.raises(BadRequest):
        filtered_changes(db._pool, passing(bool), since="x")
