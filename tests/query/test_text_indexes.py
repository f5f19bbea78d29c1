"""Text indexes: how they are declared, kept up and cleaned up."""

from __future__ import annotations

import logging

import pytest

from couchette import Database
from couchette.errors import BadRequest, CompilationFailed, CouchetteError

INDEX = "function (doc) { if (doc.text) index('default', doc.text); }"


@pytest.fixture
def db():
    with Database() as database:
        database.bulk_docs([{"_id": "a", "text": "one fox"}, {"_id": "b", "text": "two dogs"}, {"_id": "c", "n": 1}])
        yield database


def declare(db, name="_design/d", **index):
    known = db.get(name) if name in db else {}
    doc = {"_id": name, "indexes": {"i": index}}
    db.put({**doc, **({"_rev": known["_rev"]} if known else {})})


def ids(answer):
    return [row["id"] for row in answer["rows"]]


def groups(db):
    return db._pool.read(lambda conn: conn.execute("SELECT count(*) FROM index_groups").get)


def test_fields_may_be_named(db):
    db.put({"_id": "book", "title": "A fox", "author": {"name": "Ann"}, "tags": ["x", None, "y z"], "pages": 5})
    db.text_index("books", ["title", "author.name", "tags", "pages"])
    for query in ("fox", "ann", "author.name:ann", "tags:y", "z", "pages:[4 TO 6]", "5"):
        assert ids(db.search("books", query)) == ["book"]
    [row] = db.search("books", "fox", counts=["tags"])["rows"]
    assert row["fields"] == {"title": "A fox", "author.name": "Ann", "tags": ["x", "y z"], "pages": 5}


def test_a_function_may_yield_pairs_triples_or_return_a_dict(db):
    db.text_index("dicts")(lambda doc: {"default": [doc["text"], "more"], "flag": True} if "text" in doc else None)
    assert ids(db.search("dicts", "fox AND more AND flag:true")) == ["a"]

    @db.text_index("pairs", analyzer="english", default_fields=["x", "y"])
    def pairs(doc):
        yield "x", doc.get("text")
        yield "y", doc.get("n"), {"store": True}

    assert ids(db.search("pairs", "dog")) == ["b"]
    assert db.search("pairs", "1")["rows"][0]["fields"] == {"y": 1}


def test_an_index_follows_the_documents(db):
    db.text_index("texts", ["text"])
    assert ids(db.search("texts", "fox")) == ["a"]
    db.put({**db.get("a"), "text": "a cat"})
    db.put({**db.get("b"), "text": "a fox"})
    assert ids(db.search("texts", "fox", update=False)) == ["a"]
    assert ids(db.search("texts", "fox")) == ["b"]
    db.remove(db.get("b"))
    assert ids(db.search("texts", "fox")) == []
    db.purge({"a": [db.get("a")["_rev"]]})
    assert db.search("texts", "*:*")["total_rows"] == 0


def test_without_an_update_an_index_that_was_never_built_is_empty(db):
    db.text_index("texts", ["text"])
    assert db.search("texts", "*:*", update=False) == {"total_rows": 0, "bookmark": "nil", "rows": []}


def test_a_lazy_search_updates_afterwards(db):
    db.text_index("texts", ["text"])
    assert db.search("texts", "fox", update="lazy")["rows"] == []
    for thread in db._texts._updaters.values():
        thread.join()
    assert ids(db.search("texts", "fox", update=False)) == ["a"]


def test_progress_is_told_and_may_end_a_build(db):
    db.text_index("texts", ["text"])
    told = []
    db.search("texts", "fox", progress=lambda seq, newest: told.append((seq, newest)))
    assert told == [(3, 3)]


def test_design_documents_are_not_indexed(db):
    declare(db, index="function (doc) { index('default', 'x') }")
    assert db.search("d/i", "x")["total_rows"] == 3


def test_a_document_on_which_the_function_throws_is_left_out(db, caplog):
    declare(db, index="function (doc) { index('default', doc.text); }")
    with caplog.at_level(logging.WARNING, "couchette.functions"):
        assert ids(db.search("d/i", "*:*")) == ["a", "b"]
    assert "with doc._id c" in caplog.text


def test_a_document_with_a_wrong_option_is_left_out(db, caplog):
    declare(db, index="function (doc) { index('default', 'x', {boost: doc.n || 'high'}); }")
    with caplog.at_level(logging.WARNING, "couchette.index"):
        assert ids(db.search("d/i", "x")) == ["c"]
    assert "must be a positive number" in caplog.text


def test_a_function_may_require_the_library(db):
    lib = {"words": "exports.of = function (doc) { return doc.text || 'none'; };"}
    index = "function (doc) { index('default', require('views/lib/words').of(doc)); }"
    db.put({"_id": "_design/d", "views": {"lib": lib}, "indexes": {"i": {"index": index}}})
    assert ids(db.search("d/i", "none")) == ["c"]


@pytest.mark.parametrize("definition", [{}, {"index": 5}, 5, {"index": INDEX, "analyzer": "klingon"}])
def test_a_malformed_index_is_refused(db, definition):
    db.put({"_id": "_design/d", "_rev": "1-a", "indexes": {"i": definition}}, new_edits=False)
    with pytest.raises(BadRequest):
        db.search("d/i", "fox")
    assert db.view_cleanup()["dropped"] == 0


def test_a_function_that_does_not_compile_is_an_error(db):
    db.put({"_id": "_design/d", "_rev": "1-a", "indexes": {"i": {"index": "function("}}}, new_edits=False)
    with pytest.raises(CompilationFailed):
        db.search("d/i", "fox")


def test_indexes_are_in_javascript_only(db):
    db.put({"_id": "_design/d", "language": "erlang", "indexes": {"i": {"index": INDEX}}})
    with pytest.raises(CouchetteError, match="unknown_query_language"):
        db.search("d/i", "fox")


def test_clean_up_drops_the_indexes_that_nobody_declares(db):
    declare(db, index=INDEX)
    db.text_index("texts", ["text"])
    for name in ("d/i", "texts"):
        db.search(name, "fox")
    assert db.view_cleanup()["dropped"] == 0
    declare(db, index=INDEX, analyzer="simple")
    db.text_index("texts", ["text"], version="2")
    for name in ("d/i", "texts"):
        db.search(name, "fox")
    assert groups(db) == 4
    assert db.view_cleanup()["dropped"] == 2
    assert ids(db.search("texts", "fox", update=False)) == ids(db.search("d/i", "fox", update=False)) == ["a"]
    tables = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'text\\_%' ESCAPE '\\' AND type='table'"
    before = db._pool.read(lambda conn: conn.execute(tables).get)
    db.remove(db.get("_design/d"))
    assert db.view_cleanup()["dropped"] == 1
    assert db._pool.read(lambda conn: conn.execute(tables).get) == before // 2


def test_the_info_tells_how_far_an_index_is(db):
    declare(db, index=INDEX)
    before = db.search_info("d/i")
    assert before["name"] == "_design/d/i"
    assert before["search_index"]["committed_seq"] == 0
    db.search("d/i", "fox")
    after = db.search_info(("d", "i"))["search_index"]
    assert (after["doc_count"], after["committed_seq"], after["pending_seq"]) == (3 - 1, 4, 4)
    assert after["disk_size"] > 0


@pytest.mark.parametrize("name", ["", "a/b", 5])
def test_a_name_must_be_text_without_a_slash(db, name):
    with pytest.raises(BadRequest):
        db.text_index(name, ["text"])


@pytest.mark.parametrize("fields", ["text", [], [5]])
def test_fields_must_be_names(db, fields):
    with pytest.raises(BadRequest, match="names of fields"):
        db.text_index("texts", fields)


def test_an_analyzer_can_be_tried(db):
    assert db.search_analyze("english", "Running dogs") == {"tokens": ["run", "dog"]}
    with pytest.raises(BadRequest):
        db.search_analyze("english", 5)
