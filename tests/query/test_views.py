"""Queries of views: which rows, in which order and shape, of stored, declared and temporary ones."""

from __future__ import annotations

import threading

import pytest

from couchette import AsyncDatabase, Database, limits
from couchette.errors import BadRequest, CouchetteError, NotFound, QueryParseError

DOCS = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5), ("A", 6)]


def by_k(doc):
    return [(doc["k"], doc["n"])]


@pytest.fixture
def db():
    with Database() as database:
        database.bulk_docs([{"_id": f"d{at}", "k": k, "n": n} for at, (k, n) in enumerate(DOCS)])
        database.view("by_k", reduce="_sum")(by_k)
        yield database


def ids(answer):
    return [row["id"] for row in answer["rows"]]


# -- Rows -----------------------------------------------------------------------------------------


def test_what_a_document_emits_under_one_key_is_listed_by_value(db):
    values = ["b", [1], 2, {"x": 1}, None, 10, "a", True, 1.5]
    rows = db.query(lambda doc: [("k", value) for value in values] if doc["_id"] == "d0" else [])["rows"]
    assert [row["value"] for row in rows] == [1.5, 2, 10, None, True, {"x": 1}, [1], "a", "b"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "d0 d2 d5 d1 d4 d3"),
        ({"key": "a"}, "d0 d2"),
        ({"keys": ["b", "a", "zz", "b"]}, "d1 d4 d0 d2 d1 d4"),
        ({"keys": ["b", "a"], "descending": True}, "d2 d0 d4 d1"),
        ({"keys": ["b", "a"], "skip": 3, "limit": 1}, "d2"),
        ({"keys": []}, ""),
        ({"start_key": "b"}, "d1 d4 d3"),
        ({"start_key": "a", "end_key": "b", "inclusive_end": False}, "d0 d2 d5"),
        ({"start_key": "a", "start_key_doc_id": "d2", "limit": 2}, "d2 d5"),
        ({"key": "b", "end_key_doc_id": "d1"}, "d1"),
        ({"key": "b", "end_key_doc_id": "d4", "inclusive_end": False}, "d1"),
        ({"key": "b", "inclusive_end": False}, ""),
        ({"descending": True, "start_key": "b", "end_key": "a"}, "d4 d1 d5 d2 d0"),
        ({"descending": True, "start_key": "b", "start_key_doc_id": "d1", "limit": 1}, "d1"),
        ({"skip": 4, "limit": 9}, "d4 d3"),
        ({"limit": 0}, ""),
        ({"end_key": None}, ""),
    ],
)
def test_options_choose_and_order_rows(db, options, expected):
    for view in ("by_k", by_k):
        assert ids(db.query(view, **{"reduce": False if view == "by_k" else None, **options})) == expected.split()


def test_the_answer_has_couchdbs_shape(db):
    row = {"id": "d3", "key": "c", "value": 4}
    assert db.query(by_k, key="c") == {"total_rows": 6, "offset": None, "rows": [row]}
    assert db.query(by_k, key="c", exact_offset=True, update_seq=True) == {
        "total_rows": 6,
        "offset": 5,
        "rows": [row],
        "update_seq": db.info()["update_seq"],
    }
    assert db.query(by_k, skip=9)["offset"] == 6


def test_several_queries_are_answered_in_one_call(db):
    answer = db.query("by_k", limit=1, queries=[{"reduce": False, "key": "b"}, {"group": True}, {"start_key": "zz"}])
    assert [len(one["rows"]) for one in answer["results"]] == [1, 1, 0]
    with pytest.raises(QueryParseError, match="Unknown option `grop`"):
        db.query("by_k", queries=[{"grop": True}])


def test_documents_come_along_own_and_linked_ones(db):
    db.put({"_id": "link", "to": ["d0", "none", "gone", None], "rev": db.get("d1")["_rev"]})
    db.put({"_id": "gone"})
    db.remove(db.get("gone"))

    def links(doc):
        for at, target in enumerate(doc.get("to", [])):
            yield at, {"_id": target}
        if "rev" in doc:
            yield 9, {"_id": "d1", "_rev": doc["rev"]}

    db.put({**db.get("d1"), "n": 0})
    docs = [row["doc"] for row in db.query(links, include_docs=True)["rows"]]
    assert [doc and doc["_id"] for doc in docs] == ["d0", None, None, None, "d1"]
    assert docs[4]["n"] == 2
    own = db.query(by_k, key="c", include_docs=True)["rows"][0]["doc"]
    assert own == db.get("d3")


def test_conflicts_and_attachments_are_shown_on_request(db):
    db.put({"_id": "d3", "_rev": f"1-{'f' * 32}", "k": "c", "n": 40}, new_edits=False)
    rev = db.get("d3")["_rev"]
    [loser] = db.get("d3", conflicts=True)["_conflicts"]
    db.put_attachment("d3", "x", b"hi", "text/plain", rev=rev)
    doc = db.query(by_k, key="c", include_docs=True, conflicts=True, attachments=True)["rows"][0]["doc"]
    assert doc["_conflicts"] == [loser]
    assert doc["_attachments"]["x"]["data"] == "aGk="


def test_values_of_any_size_and_integers_of_any_length_come_back_exactly(db):
    def whole(doc):
        return [(2**70 + doc["n"], [doc["k"] * 5000, 2**80, 1.0])]

    db.view("whole")(whole)
    for _ in range(2):
        [row] = db.query("whole", limit=1)["rows"]
        assert (row["key"], row["value"]) == (2**70 + 1, ["a" * 5000, 2**80, 1.0])
        db.put({**db.get("d3"), "k": "z"})


def test_a_value_whose_rev_is_none_links_to_no_document(db):
    rows = db.query(lambda doc: [(None, {"_id": "d0", "_rev": "yesterday"})], include_docs=True, limit=2)["rows"]
    assert [row["doc"] for row in rows] == [None, None]


# -- Reducing -------------------------------------------------------------------------------------


def test_a_view_with_a_reduce_function_is_reduced_by_itself(db):
    assert db.query("by_k") == {"rows": [{"key": None, "value": 21}]}
    assert db.query("by_k", start_key="zz") == {"rows": []}
    groups = [{"key": "a", "value": 4}, {"key": "A", "value": 6}, {"key": "b", "value": 7}, {"key": "c", "value": 4}]
    assert db.query("by_k", group=True)["rows"] == groups
    assert db.query("by_k", group=True, descending=True, skip=1, limit=2)["rows"] == groups[2:0:-1]
    assert db.query("by_k", group=True, keys=["c", "a", "x"])["rows"] == [groups[3], groups[0]]


def test_a_python_function_reduces_and_rereduces(db):
    def longest(keys, values, rereduce):
        assert rereduce == (keys is None)
        return max(values)

    assert db.query(by_k, reduce=longest) == {"rows": [{"key": None, "value": 6}]}


def test_a_large_group_is_reduced_by_its_partial_results(monkeypatch):
    monkeypatch.setattr("couchette.query.reduced.INDEX_GROUP_ROWS", 5)
    with Database() as db:
        db.bulk_docs([{"_id": f"{at:04}", "k": [at // 700, at % 2]} for at in range(1500)])
        db.view("large", reduce="_count")(lambda doc: [(doc["k"], None)])
        counts = [700, 700, 100]
        rows = [{"key": [at], "value": count} for at, count in enumerate(counts)]
        assert db.query("large", group_level=1)["rows"] == rows
        assert db.query("large", group_level=1, descending=True)["rows"] == rows[::-1]
        half = db.query("large", group_level=1, start_key=[0, 1], end_key=[1, 0])["rows"]
        assert [row["value"] for row in half] == [350, 350]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"include_docs": True}, "`include_docs` is invalid for reduce"),
        ({"keys": ["a", "b"]}, "Multi-key fetches for reduce views must use `group=true`"),
        ({"reduce": False, "group": True}, "Invalid use of grouping on a map view."),
        ({"start_key": "b", "end_key": "a"}, "No rows can match your key range, reverse your start_key and end_key"),
        ({"limit": -1}, 'Invalid value for positive integer: "-1"'),
        ({"skip": "x"}, 'Invalid value for integer: "x"'),
        ({"keys": "ab"}, "`keys` must be an array of strings."),
        ({"start_key_doc_id": 1}, "`startkey_docid` must be a string."),
        ({"update": "maybe"}, "Invalid value for `update`."),
    ],
)
def test_wrong_options_are_refused_in_couchdbs_words(db, options, reason):
    with pytest.raises(QueryParseError) as caught:
        db.query("by_k", **options)
    assert caught.value.reason.startswith(reason)


def test_a_document_id_that_no_file_can_hold_is_refused(db):
    with pytest.raises(BadRequest, match="lone surrogate"):
        db.query("by_k", reduce=False, start_key="a", start_key_doc_id="\ud800")


# -- Following the database -----------------------------------------------------------------------


def test_update_says_whether_the_index_follows_first(db):
    db.query("by_k")
    db.put({"_id": "new", "k": "n", "n": 100})
    assert db.query("by_k", update=False)["rows"][0]["value"] == 21
    before = threading.enumerate()
    assert db.query("by_k", update="lazy")["rows"][0]["value"] == 21
    for thread in threading.enumerate():
        if thread not in before:
            thread.join()
    assert db.query("by_k", update=False)["rows"][0]["value"] == 121


def test_an_index_that_was_never_built_is_empty_when_it_is_not_to_be_updated(db):
    assert db.query("by_k", reduce=False, update=False) == {"total_rows": 0, "offset": 0, "rows": []}
    assert db.query("by_k", update=False) == {"rows": []}


def test_a_build_tells_its_progress_and_goes_on_after_it_was_cancelled(monkeypatch):
    class Enough(Exception):
        pass

    seen = []

    def progress(seq, newest):
        seen.append((seq, newest))
        if len(seen) == 1:
            raise Enough

    with Database() as db:
        db.bulk_docs([{"n": at} for at in range(2 * limits.INDEX_BATCH_DOCS + 1)])
        db.view("all")(lambda doc: [(doc["n"], None)])
        with pytest.raises(Enough):
            db.query("all", progress=progress)
        assert db.query("all", update=False)["total_rows"] == limits.INDEX_BATCH_DOCS
        assert db.query("all", progress=progress)["total_rows"] == 2 * limits.INDEX_BATCH_DOCS + 1
    assert seen == [(500, 1001), (1000, 1001), (1001, 1001)]


@pytest.mark.slow
def test_threads_that_build_one_index_at_once_do_each_other_no_harm(tmp_path):
    with Database(tmp_path / "a.couchette") as db:
        db.bulk_docs([{"_id": f"{at:05}", "n": at} for at in range(1500)])
        db.view("all", reduce="_sum")(lambda doc: [(doc["n"], 1)])
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(db.query("all"))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [{"rows": [{"key": None, "value": 1500}]}] * 4
        assert db.query("all", reduce=False, limit=0)["total_rows"] == 1500


def test_a_query_in_a_transaction_sees_what_that_wrote(db):
    def work(database):
        database.put({"_id": "t", "k": "t", "n": 1000})
        assert database.query("by_k")["rows"][0]["value"] == 1021
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        db.transaction(work)
    assert db.query("by_k")["rows"][0]["value"] == 21


def test_a_document_on_which_a_function_raises_is_left_out(db, caplog):
    def picky(doc):
        yield doc["n"], 1 / (doc["n"] - 2)

    assert ids(db.query(picky)) == ["d0", "d2", "d3", "d4", "d5"]
    assert "d1" in caplog.text


# -- Which views there are ------------------------------------------------------------------------


def test_a_declared_view_is_kept_in_the_file_by_its_source(tmp_path):
    mapped = []

    def declare(db, version=""):
        @db.view("seen", version=version)
        def seen(doc):
            mapped.append(doc["_id"])
            return [(doc["_id"], None)]

    for version, expected in (("", ["a"]), ("", []), ("2", ["a"])):
        with Database(tmp_path / "a.couchette") as db:
            db.put({"_id": "a"}) if "a" not in db else None
            declare(db, version)
            assert ids(db.query("seen")) == ["a"]
        assert mapped == expected
        mapped.clear()


def test_clean_up_drops_what_nobody_has_any_more(db):
    assert db.view_cleanup() == {"ok": True, "dropped": 0}
    db.query("by_k")
    assert db.view_cleanup()["dropped"] == 0
    db.view("by_k", reduce="_count")(by_k)
    db.query("by_k")
    db.create_index(["n"])
    db.find({"n": {"$gt": 0}})
    assert db.view_cleanup()["dropped"] == 1
    assert db.find({"n": {"$gt": 0}})["docs"]


@pytest.mark.parametrize(
    ("view", "kind", "reason"),
    [
        ("none/v", NotFound, "missing"),
        ("x/none", NotFound, "missing_named_view"),
        ("x", NotFound, "missing_named_view"),
        ("python/v", CouchetteError, "unknown_query_language"),
        (5, BadRequest, "A view needs a map function."),
        ({"reduce": "_sum"}, BadRequest, "A view needs a map function."),
    ],
)
def test_a_view_that_is_not_there_is_named(db, view, kind, reason):
    db.put({"_id": "_design/x", "views": {"lib": {}, "v": {}}})
    db.put({"_id": "_design/python", "language": "python", "views": {"v": {"map": "def fun(doc): pass"}}})
    with pytest.raises(kind) as caught:
        db.query(view)
    assert caught.value.reason == reason


def test_a_stored_view_takes_no_other_reduce_function(db):
    with pytest.raises(BadRequest, match="has its own reduce function"):
        db.query("by_k", reduce="_count")


def test_a_batch_of_large_documents_ends_early(db, monkeypatch):
    monkeypatch.setattr("couchette.index.batches.INDEX_BATCH_BYTES", 30)
    batches = []
    assert db.query(by_k, progress=lambda seq, newest: batches.append(seq))["total_rows"] == 6
    assert len(batches) > 2


def test_a_views_name_has_no_slash(db):
    with pytest.raises(BadRequest, match="without a slash"):
        db.view("a/b")(by_k)


@pytest.mark.anyio
async def test_the_asynchronous_facade_answers_the_same():
    async with AsyncDatabase() as db:
        await db.put({"_id": "a", "k": "x", "n": 1})

        @db.view("by_k", reduce="_sum")
        def by_key(doc):
            yield doc["k"], doc["n"]

        assert await db.query("by_k") == {"rows": [{"key": None, "value": 1}]}
        assert (await db.query(by_k, key="x"))["total_rows"] == 1
        assert await db.view_cleanup() == {"ok": True, "dropped": 0}
