"""Views in JavaScript: of design documents, and for one query."""

from __future__ import annotations

import pytest

from couchette import Database
from couchette.errors import CouchetteError

MAP = "function(doc) { emit(doc.k, doc.n); }"


@pytest.fixture
def db():
    with Database() as database:
        database.bulk_docs([{"_id": f"d{at}", "k": k, "n": n} for at, (k, n) in enumerate([("b", 1), ("a", 2)])])
        yield database


def declare(db, **members):
    known = db.get("_design/x") if "_design/x" in db else {}
    db.put({**members, "_id": "_design/x", **({"_rev": known["_rev"]} if known else {})})


@pytest.mark.parametrize(
    "source", [MAP, f"  ({MAP})", f"// by k\n{MAP}", f"/* a/b */ {MAP}", "(doc) => emit(doc.k, doc.n)", {"map": MAP}]
)
def test_javascript_may_be_asked_as_it_is(db, source):
    assert [row["key"] for row in db.query(source)["rows"]] == ["a", "b"]


def test_a_temporary_view_reduces_with_javascript_or_a_built_in(db):
    count = "function(keys, values, rereduce) { return rereduce ? sum(values) : values.length; }"
    for reduce in ("_count", count):
        assert db.query({"map": MAP, "reduce": reduce}) == {"rows": [{"key": None, "value": 2}]}
        assert db.query(MAP, reduce=reduce, group=True)["rows"][0] == {"key": "a", "value": 1}


def test_all_views_of_a_design_document_are_built_in_one_pass(db):
    declare(db, views={"n": {"map": "function(d) { emit(d.n) }"}, "k": {"map": MAP, "reduce": "_sum"}})
    assert db.query("x/k") == {"rows": [{"key": None, "value": 3}]}
    assert db.query("x/n", update=False)["total_rows"] == 2


def test_a_changed_design_document_has_another_index(db):
    declare(db, views={"v": {"map": MAP}})
    before = db.view_info("x")["view_index"]["signature"]
    assert db.query("x/v", key="a")["total_rows"] == 2
    declare(db, views={"v": {"map": "function(doc) { emit(doc.n); }"}}, note="another map")
    assert db.query("x/v", key=1)["rows"][0]["id"] == "d0"
    after = db.view_info("x")["view_index"]
    assert after["signature"] != before
    declare(db, views={"v": {"map": "function(doc) { emit(doc.n); }"}}, note="the same map")
    assert db.view_info("x")["view_index"] == after | {"update_seq": after["update_seq"]} | {
        "updates_pending": {"minimum": 1, "preferred": 0, "total": 1}
    }
    assert db.view_cleanup()["dropped"] == 1


def test_two_design_documents_with_the_same_views_share_an_index(db):
    declare(db, views={"v": {"map": MAP}})
    db.put({"_id": "_design/y", "views": {"v": {"map": MAP}}})
    db.query("x/v")
    assert db.query(("y", "v"), update=False)["total_rows"] == 2


def test_raw_collation_is_an_option_of_the_view(db):
    declare(db, views={"v": {"map": "function(d) { emit(d.n); emit(d.k); emit(null); emit([]) }"}})
    assert [row["key"] for row in db.query("x/v", limit=4)["rows"]] == [None, None, 1, 2]
    declare(
        db, views={"v": {"map": "function(d) { emit(d.n); emit(null); emit('B') }", "options": {"collation": "raw"}}}
    )
    assert [row["key"] for row in db.query("x/v")["rows"]] == [1, 2, None, None, "B", "B"]
    assert db.query("x/v", start_key="A", end_key="a")["rows"][0]["key"] == "B"


def test_an_unknown_reducer_or_a_source_that_does_not_compile_fails_that_design_document_only(db):
    declare(db, views={"v": {"map": MAP, "reduce": "_nope"}})
    db.put({"_id": "_design/y", "views": {"v": {"map": "function("}}})
    for view in ("x/v", "y/v"):
        with pytest.raises(CouchetteError):
            db.query(view)
    assert db.query(MAP)["total_rows"] == 2


def test_a_value_that_a_reducer_refuses_fails_what_it_is_in_and_nothing_else(db):
    declare(db, views={"v": {"map": "function(d) { emit(d.k, d.n) }", "reduce": "_stats"}})
    db.put({"_id": "bad", "k": "x", "n": "text"})
    with pytest.raises(CouchetteError):
        db.query("x/v")
    assert db.query("x/v", end_key="c")["rows"][0]["value"]["sum"] == 3
    assert db.query("x/v", reduce=False)["total_rows"] == 3
    db.remove(db.get("bad"))
    assert db.query("x/v")["rows"][0]["value"]["count"] == 2


def test_a_map_function_that_ends_everything_is_an_error_and_the_next_query_works(db):
    with pytest.raises(CouchetteError):
        db.query("function(doc) { throw ['fatal', 'stop', 'now'] }")
    assert db.query(MAP)["total_rows"] == 2
