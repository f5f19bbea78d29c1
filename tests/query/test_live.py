"""Live queries: the first answer, then what changes in it, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import AsyncDatabase, Database
from couchette.errors import BadRequest, NotFound, QueryParseError
from tests.query import find_strategies as drawn
from tests.query.test_view_model import STEPS, take

TAGS = "function (doc) { (doc.tags || []).forEach(function (tag) { emit(tag, doc.n); }); }"


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr("couchette.query.live.FEED_PAGE_DOCS", 2)


def told(feed):
    """The events that are there already, without their seqs."""
    feed._timeout = 0
    return [{name: value for name, value in event.items() if name != "seq"} for event in feed]


def names(events):
    return [(event["type"], event.get("id")) for event in events]


def apply(held, events):
    """Keep what a consumer keeps: documents by id, rows by id and number."""
    for event in events:
        place = (event.get("id"), event.get("n"))
        if event["type"] == "removed":
            del held[place]
        elif event["type"] != "complete":
            assert (event["type"] == "changed") == (place in held)
            held[place] = event.get("doc") or (event["key"], event["value"])


# -- Selectors ------------------------------------------------------------------------------------


def test_the_answer_comes_first_and_then_what_changes_in_it(db):
    db.bulk_docs([{"_id": "a", "n": 1}, {"_id": "b", "n": 5}])
    feed = db.live({"n": {"$gt": 3}})
    first = next(feed)
    assert (first["type"], first["doc"]) == ("added", db["b"])
    assert next(feed) == {"type": "complete", "seq": first["seq"]}
    assert first["seq"] == db.info()["update_seq"]
    db["a"] = {**db["a"], "n": 9}
    assert told(feed) == [{"type": "added", "id": "a", "doc": db["a"]}]
    db["a"] = {**db["a"], "n": 10}
    db["c"] = {"n": 0}
    assert told(feed) == [{"type": "changed", "id": "a", "doc": db["a"]}]
    db["b"] = {**db["b"], "n": 0}
    del db["a"]
    assert told(feed) == [{"type": "removed", "id": "b"}, {"type": "removed", "id": "a"}]
    del db["c"]
    assert told(feed) == []


def test_a_document_that_left_and_came_back_unseen_is_not_told_again(db):
    db["a"] = {"n": 1}
    feed = db.live({"n": 1})
    assert names(told(feed)) == [("added", "a"), ("complete", None)]
    rev = db["a"]["_rev"]
    db.purge({"a": [rev]})
    db.put({"_id": "a", "n": 1})
    assert db["a"]["_rev"] == rev
    assert told(feed) == []


def test_conflicts_are_told_when_they_change_the_winner(db):
    db.put({"_id": "a", "_rev": "1-b", "n": 1}, new_edits=False)
    feed = db.live({"n": {"$exists": True}})
    told(feed)
    db.put({"_id": "a", "_rev": "1-a", "n": 2}, new_edits=False)
    assert told(feed) == []
    db.put({"_id": "a", "_rev": "1-c", "n": 3}, new_edits=False)
    [event] = told(feed)
    assert (event["type"], event["doc"]) == ("changed", {"_id": "a", "_rev": "1-c", "n": 3})
    db.purge({"a": ["1-c"]})
    assert told(feed)[0]["doc"]["_rev"] == "1-b"
    db.purge({"a": ["1-b", "1-a"]})
    assert told(feed) == [{"type": "removed", "id": "a"}]


def test_an_index_serves_the_first_answer_and_the_documents_do_while_others_keep_it_behind(db, monkeypatch):
    db.bulk_docs([{"_id": f"{n}", "n": n} for n in range(20)])
    db.create_index("n", build=False)
    assert names(told(db.live({"n": {"$gt": 17}}))) == [("added", "18"), ("added", "19"), ("complete", None)]
    read = []
    monkeypatch.setattr("couchette.query.find.build_index", lambda *what: read.append(db.put({"_id": "x", "n": 18})))
    db["y"] = {"n": 20}
    monkeypatch.setattr("couchette.query.find.FIND_ALL_TRIES", 1)
    events = told(db.live({"n": {"$gt": 17}}))
    assert names(events) == [("added", "18"), ("added", "19"), ("added", "x"), ("added", "y"), ("complete", None)]
    assert len(read) == 1


def test_design_documents_are_in_no_answer(db):
    feed = db.live({})
    db["_design/a"] = {"n": 1}
    assert names(told(feed)) == [("complete", None)]


def test_attachments_are_stubs_and_changes_are_read_in_pages(db, small_pages):
    feed = db.live({"n": {"$gte": 0}})
    db.bulk_docs([{"_id": f"{n}", "n": n, "_attachments": {"x": {"data": b"y"}}} for n in range(5)])
    events = told(feed)
    assert names(events) == [("complete", None), *(("added", f"{n}") for n in range(5))]
    assert events[1]["doc"] == db["0"]


@pytest.mark.slow
@given(
    before=st.dictionaries(drawn.ids, drawn.documents, max_size=6),
    steps=st.lists(st.tuples(drawn.ids, st.one_of(st.none(), drawn.documents)), max_size=8),
    selector=drawn.selectors,
    indexed=st.booleans(),
)
def test_the_set_that_was_told_is_what_a_find_answers_after_each_step(before, steps, selector, indexed):
    with Database() as db:
        db.bulk_docs([{"_id": doc_id, **doc} for doc_id, doc in before.items()])
        if indexed:
            db.create_index("a")
        feed = db.live(selector)
        held: dict = {}
        apply(held, told(feed))
        for doc_id, doc in steps:
            if doc is not None:
                db[doc_id] = {**doc, **({"_rev": db[doc_id]["_rev"]} if doc_id in db else {})}
            elif doc_id in db:
                del db[doc_id]
            apply(held, told(feed))
            assert held == {(found["_id"], None): found for found in db.find(selector, limit=None)["docs"]}


@pytest.mark.slow
@given(STEPS)
def test_so_it_is_with_conflicts_and_purges(steps):
    with Database() as db:
        db.view("tags")(lambda doc: [(tag, doc["n"]) for tag in doc["tags"]])
        feed = db.live({"n": {"$gte": 0}})
        held: dict = {}
        for step in steps:
            take(db, step)
            apply(held, told(feed))
            assert held == {(doc["_id"], None): doc for doc in db.find({"n": {"$gte": 0}}, limit=None)["docs"]}


# -- Views ----------------------------------------------------------------------------------------


def test_rows_of_a_view_are_told_by_document_and_number(db):
    db["_design/x"] = {"views": {"tags": {"map": TAGS, "reduce": "_count"}}}
    db["a"] = {"n": 1, "tags": ["red", "blue"]}
    feed = db.live("x/tags")
    events = told(feed)
    assert sorted(events[:2], key=lambda event: event["n"]) == [
        {"type": "added", "id": "a", "n": 0, "key": "red", "value": 1},
        {"type": "added", "id": "a", "n": 1, "key": "blue", "value": 1},
    ]
    assert events[2] == {"type": "complete"}
    db["a"] = {**db["a"], "tags": ["red", "green"]}
    assert told(feed) == [{"type": "changed", "id": "a", "n": 1, "key": "green", "value": 1}]
    db["a"] = {**db["a"], "other": 1}
    assert told(feed) == []
    db["a"] = {**db["a"], "tags": ["red"]}
    assert told(feed) == [{"type": "removed", "id": "a", "n": 1}]
    db.purge({"a": [db["a"]["_rev"]]})
    assert told(feed) == [{"type": "removed", "id": "a", "n": 0}]


def test_a_range_of_keys_is_left_and_entered(db):
    db["_design/x"] = {"views": {"tags": {"map": TAGS}}}
    feed = db.live(("x", "tags"), start_key="b", end_key="d", inclusive_end=False)
    db["a"] = {"n": 1, "tags": ["a", "b"]}
    assert names(told(feed)) == [("complete", None), ("added", "a")]
    db["a"] = {**db["a"], "tags": ["c", "d"]}
    events = told(feed)
    assert [(event["type"], event["n"]) for event in events] == [("removed", 1), ("added", 0)]
    keyed = db.live("x/tags", keys=["c", "d", "c"])
    assert sorted(event["key"] for event in told(keyed)[:-1]) == ["c", "d"]


def test_large_values_are_told_once(db):
    db.view("texts")(lambda doc: [(doc["n"], doc["text"])])
    db["a"] = {"n": 1, "text": "x" * 5000}
    feed = db.live("texts")
    assert told(feed)[0]["value"] == "x" * 5000
    db["a"] = {**db["a"], "other": 1}
    assert told(feed) == []
    db["a"] = {**db["a"], "text": "y" * 5000}
    assert told(feed)[0]["value"] == "y" * 5000


def test_what_is_otherwise_in_a_changed_view_is_told(db):
    db["_design/x"] = {"views": {"v": {"map": "function (doc) { emit(doc.n); }"}}}
    db.bulk_docs([{"_id": "a", "n": 1, "m": 1}, {"_id": "b", "n": 2, "m": 3}])
    feed = db.live("x/v")
    assert len(told(feed)) == 3
    db["_design/x"] = {**db["_design/x"], "views": {"v": {"map": "function (doc) { emit(doc.m); }"}}}
    db.view_cleanup()
    assert told(feed) == [{"type": "changed", "id": "b", "n": 0, "key": 3, "value": None}]
    del db["_design/x"]
    with pytest.raises(NotFound, match="deleted"):
        told(feed)


def test_an_index_that_was_dropped_and_made_anew_tells_nothing_twice(db):
    db.view("n")(lambda doc: [(doc["n"], None)])
    db["a"] = {"n": 1}
    feed = db.live("n")
    assert len(told(feed)) == 2
    [signature] = [signature for signature, _ in db._pool.read(_groups)]
    db._pool.write(_drop, signature)
    db["b"] = {"n": 2}
    assert names(told(feed)) == [("added", "b")]


def _groups(conn):
    from couchette import index

    return index.list_groups(conn)


def _drop(conn, signature):
    from couchette import index

    return index.drop_groups(conn, [signature])


@pytest.mark.slow
@given(STEPS, st.booleans())
def test_the_rows_that_were_told_are_what_a_query_answers_after_each_step(steps, ranged):
    options: dict[str, Any] = {"start_key": "", "end_key": "b"} if ranged else {}
    with Database() as db, pytest.MonkeyPatch.context() as patch:
        patch.setattr("couchette.query.live.FEED_PAGE_DOCS", 2)
        db.view("tags")(lambda doc: [(tag, doc["n"]) for tag in doc["tags"]])
        feed = db.live("tags", **options)
        held: dict = {}
        for step in steps:
            take(db, step)
            apply(held, told(feed))
            rows = [(doc_id, key, value) for (doc_id, _), (key, value) in held.items()]
            answered = [(row["id"], row["key"], row["value"]) for row in db.query("tags", **options)["rows"]]
            assert sorted(rows, key=repr) == sorted(answered, key=repr)


# -- The three forms, and errors ------------------------------------------------------------------


def test_a_callback_is_told_on_a_thread_of_its_own(db):
    db["a"] = {"n": 1}
    seen: list = []
    listener = db.live({"n": 1}, timeout=0, on_change=seen.append)
    assert listener.join(5)
    listener.cancel()
    assert names(seen) == [("added", "a"), ("complete", None)]


def test_cancelling_ends_it(db):
    with db.live({"n": 1}) as feed:
        assert next(feed)["type"] == "complete"
        feed.cancel()
        assert list(feed) == []


@pytest.mark.anyio
async def test_it_is_iterated_over_asynchronously():
    async with AsyncDatabase() as db:
        await db.put({"_id": "a", "n": 1})
        seen = []
        async with db.live({"n": {"$gt": 0}}) as feed:
            async for event in feed:
                seen.append((event["type"], event.get("id")))
                if event["type"] == "complete":
                    await db.put({"_id": "b", "n": 2})
                elif event["id"] == "b":
                    feed.cancel()
        assert seen == [("added", "a"), ("complete", None), ("added", "b")]
        events: list = []
        assert db.live({}, timeout=0, on_change=events.append).join(5)
        assert [event["type"] for event in events] == ["added", "added", "complete"]


def test_what_cannot_be_followed_is_refused_at_once(db):
    with pytest.raises(BadRequest, match="Invalid operator"):
        db.live({"a": {"$nope": 1}})
    with pytest.raises(BadRequest, match="`key` is an option of a view"):
        db.live({}, key=None)
    with pytest.raises(BadRequest, match="selector or the name of a view") as caught:
        db.live(lambda doc: [])
    assert "@db.view" in caught.value.hint
    with pytest.raises(BadRequest, match="Only stored views"):
        db.live("function (doc) { emit(1); }")
    with pytest.raises(NotFound):
        db.live("x/tags")
    db.view("n")(lambda doc: [])
    with pytest.raises(QueryParseError, match="reverse your start_key"):
        db.live("n", start_key=2, end_key=1)
