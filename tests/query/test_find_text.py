"""``$text`` in find: documents by their words, and by the rest of the selector."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import AsyncDatabase, Database
from couchette.document import selector as selectors
from couchette.errors import BadRequest, CouchetteError, NotFound

DOCS: list[dict[str, Any]] = [
    {"_id": "ann", "title": "The quick brown fox", "year": 2001, "tags": ["red", {"kind": "Big Blue"}], "open": True},
    {"_id": "bob", "title": "Fox, fox and fox", "year": 2005, "tags": ["red"], "by": {"name": "Rob"}},
    {"_id": "cat", "title": "A brown cat", "year": 2003, "x.y": "dotted", "": "nameless"},
    {"_id": "dan", "title": "Nothing", "year": None},
]


@pytest.fixture
def animals(db):
    db.bulk_docs(DOCS)
    db.create_index(type="text", ddoc="t", name="all")
    return db


def ids(answer):
    return [doc["_id"] for doc in answer["docs"]]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ({"$text": "fox"}, "bob ann"),
        ({"$text": "FOX brown"}, "ann bob cat"),
        ({"$text": '"brown fox"'}, "ann"),
        ({"$text": "fox AND NOT quick"}, "bob"),
        ({"$text": "big"}, "ann"),
        ({"$text": "rob"}, "bob"),
        ({"$text": "dotted"}, "cat"),
        ({"$text": "dan"}, "dan"),
        ({"$text": "year:[2002 TO 2004]"}, "cat"),
        ({"$text": "by.name:Rob"}, "bob"),
        ({"$text": "tags:red AND open:true"}, "ann"),
        ({"$text": "fox", "year": {"$gt": 2001}}, "bob"),
        ({"$and": [{"$text": "fox"}, {"$text": "quick"}]}, "ann"),
        ({"$and": [{"$text": "brown"}, {"$or": [{"year": 2003}, {"open": False}]}]}, "cat"),
        ({"$and": [{"$text": "fox"}], "tags.1.kind": "Big Blue"}, "ann"),
        ({"$text": "nowhere"}, ""),
        ({"$text": "..."}, ""),
    ],
)
def test_words_find_documents_the_best_first(animals, selector, found):
    assert sorted(ids(animals.find(selector))) == sorted(found.split())
    if selector == {"$text": "fox"}:
        assert ids(animals.find(selector)) == found.split()


def test_documents_are_whole_or_some_fields_of_them(animals):
    [doc] = animals.find({"$text": "quick"})["docs"]
    assert doc == animals["ann"]
    assert animals.find({"$text": "quick"}, fields=["_id", "year"])["docs"] == [{"_id": "ann", "year": 2001}]


def test_limit_skip_and_a_sort(animals):
    words = {"$text": "fox brown nothing"}
    ranked = ids(animals.find(words))
    assert len(ranked) == 4
    assert ids(animals.find(words, limit=2)) == ranked[:2]
    assert ids(animals.find(words, limit=2, skip=1)) == ranked[1:3]
    assert ids(animals.find(words, limit=0)) == []
    assert ids(animals.find(words, limit=None)) == ranked
    assert ids(animals.find(words, sort=[{"year": "desc"}], limit=2)) == ["bob", "cat"]
    assert ids(animals.find(words, sort=["year:number"], limit=2)) == ["dan", "ann"]


@pytest.mark.parametrize("sort", [None, ["title"]])
@pytest.mark.parametrize("rest", [{}, {"year": {"$gt": 0}}])
def test_bookmarks_lead_through_all_pages(animals, sort, rest):
    words = {"$text": "fox brown", **rest}
    whole, paged, bookmark = ids(animals.find(words, sort=sort)), [], None
    while page := animals.find(words, sort=sort, limit=1, bookmark=bookmark):
        if not page["docs"]:
            break
        bookmark = page["bookmark"]
        paged += ids(page)
    assert paged == whole
    assert len(whole) == 3


def test_a_bookmark_of_another_query_is_refused(animals):
    sorted_page = animals.find({"$text": "fox"}, sort=["title"], limit=1)["bookmark"]
    by_id = animals.find({"year": 2001})["bookmark"]
    for bookmark in (sorted_page, by_id, "nonsense"):
        with pytest.raises(BadRequest) as refused:
            animals.find({"$text": "fox"}, bookmark=bookmark)
        assert refused.value.error == "invalid_bookmark"


def test_a_bookmark_whose_place_is_none_of_a_text_index_is_refused(animals):
    animals.create_index("year", ddoc="t", name="all2")
    bookmark = animals.find({"year": 2001}, use_index=["t", "all2"])["bookmark"]
    animals.delete_index("t", "all2")
    animals.delete_index("t", "all", "text")
    animals.create_index(type="text", ddoc="t", name="all2")
    with pytest.raises(BadRequest) as refused:
        animals.find({"$text": "fox"}, bookmark=bookmark)
    assert refused.value.error == "invalid_bookmark"


def test_the_index_follows_the_documents(animals):
    assert ids(animals.find({"$text": "nothing"})) == ["dan"]
    animals["dan"] = {**animals["dan"], "title": "fox"}
    animals.remove("bob", animals["bob"]["_rev"])
    assert ids(animals.find({"$text": "nothing"}, update=False)) == ["dan"]
    assert ids(animals.find({"$text": "fox"}, update=False)) == ["ann"]
    assert ids(animals.find({"$text": "nothing"})) == []
    assert sorted(ids(animals.find({"$text": "fox"}))) == ["ann", "dan"]


def test_an_index_that_is_not_there_is_built_even_without_an_update(db):
    db.bulk_docs(DOCS)
    db.create_index(type="text", build=False)
    assert sorted(ids(db.find({"$text": "fox"}, update=False))) == ["ann", "bob"]


def test_conflicts_and_attachments_are_shown(animals):
    animals.put_attachment("ann", "a.txt", b"hi", rev=animals["ann"]["_rev"], content_type="text/plain")
    animals.bulk_docs([{"_id": "ann", "_rev": "1-a", "title": "other"}], new_edits=False)
    [doc] = animals.find({"$text": "quick"}, conflicts=True)["docs"]
    assert doc["_conflicts"] == ["1-a"]
    assert doc["_attachments"]["a.txt"]["stub"] is True


def test_statistics_count_the_documents_examined(animals):
    stats = animals.find({"$text": "fox", "year": 2001}, execution_stats=True)["execution_stats"]
    assert (stats["total_docs_examined"], stats["results_returned"]) == (2, 1)


# -- Choosing the index ---------------------------------------------------------------------------


def test_without_a_text_index_there_is_no_answer(db):
    db.create_index("title")
    db.create_index(type="text", default_field={"enabled": False})
    for ask in (db.find, db.explain):
        with pytest.raises(BadRequest) as refused:
            ask({"$text": "fox"})
        assert refused.value.error == "no_usable_index"


def test_one_of_several_is_named(animals):
    animals.create_index(["by.name"], type="text", ddoc="u", name="names")
    with pytest.raises(BadRequest) as refused:
        animals.find({"$text": "fox"})
    assert refused.value.error == "multiple_text_indexes"
    assert ids(animals.find({"$text": "fox"}, use_index=["u", "names"])) == []
    assert ids(animals.find({"$text": "rob"}, use_index="u")) == ["bob"]
    animals.delete_index("u", "names", "text")
    answer = animals.find({"$text": "rob"}, use_index="u")
    assert ids(answer) == ["bob"]
    assert "_design/u was not used" in answer["warning"]
    with pytest.raises(BadRequest) as refused:
        animals.find({"$text": "rob"}, use_index="u", allow_fallback=False)
    assert refused.value.error == "invalid_index"


@pytest.mark.parametrize("member", ["partial_filter_selector", "selector"])
def test_a_partial_index_has_the_documents_that_match(animals, member):
    animals["_design/p"] = {
        "language": "query",
        "indexes": {"p": {"index": {member: {"year": {"$lt": 2004}}, "default_field": True}, "analyzer": "x"}},
    }
    assert len(ids(animals.find({"$text": "fox"}))) == 2
    assert ids(animals.find({"$text": "fox"}, use_index="p")) == ["ann"]


def test_fields_and_analyzers_decide_what_is_found(db):
    db.bulk_docs(DOCS)
    fields = [{"name": "tags.[].kind", "type": "string"}, {"name": "title", "type": "string"}]
    db.create_index([*fields, {"name": "year", "type": "number"}], type="text", default_field={"analyzer": "english"})
    assert ids(db.find({"$text": "foxes AND browns"})) == ["ann"]
    assert ids(db.find({"$text": "big"})) == ["ann"]
    assert ids(db.find({"$text": "rob OR red OR dotted"})) == []
    assert ids(db.find({"$text": "year:2003"})) == ["cat"]
    assert ids(db.find({"$text": "title:Nothing"})) == ["dan"]
    assert ids(db.find({"$text": "title:fox"})) == []


# -- Making, listing and deleting -----------------------------------------------------------------


def test_an_index_is_stored_as_couchdb_stores_it(animals):
    doc = animals["_design/t"]
    definition = {
        "default_analyzer": "keyword",
        "default_field": {},
        "partial_filter_selector": {},
        "selector": {},
        "fields": "all_fields",
        "index_array_lengths": True,
    }
    analyzer = {"name": "perfield", "default": "keyword", "fields": {"$default": "standard"}}
    assert doc["language"] == "query"
    assert doc["indexes"] == {"all": {"index": definition, "analyzer": analyzer}}


def test_indexes_are_listed_and_deleted(animals):
    made = animals.create_index(["title", {"name": "year", "type": "number"}], type="text")
    assert made["id"] == f"_design/{made['name']}"
    again = animals.create_index(["title", {"name": "year", "type": "number"}], type="text")
    assert again == {**made, "result": "exists"}
    animals.create_index("year", ddoc="t", name="by year")
    listed = {one["name"]: one for one in animals.get_indexes()["indexes"]}
    assert listed[made["name"]]["type"] == "text"
    assert listed[made["name"]]["def"]["fields"] == [{"title": "string"}, {"year": "number"}]
    assert listed["all"]["def"]["fields"] == []
    assert "partial_filter_selector" not in listed["all"]["def"]
    with pytest.raises(NotFound):
        animals.delete_index("t", "all")
    animals.delete_index("t", "all", type="text")
    assert "indexes" not in animals["_design/t"]
    animals.delete_index("t", "by year")
    animals.delete_index(made["name"], made["name"], type="text")
    assert "_design/t" not in animals
    assert animals._pool.read(lambda conn: conn.execute("SELECT count(*) FROM index_groups").get) == 0


def test_a_clean_up_keeps_what_a_design_document_asks_for(animals):
    groups = animals._pool.read(lambda conn: conn.execute("SELECT signature FROM index_groups").fetchall())
    animals.view_cleanup()
    assert animals._pool.read(lambda conn: conn.execute("SELECT signature FROM index_groups").fetchall()) == groups
    animals.remove("_design/t", animals["_design/t"]["_rev"])
    animals.view_cleanup()
    assert animals._pool.read(lambda conn: conn.execute("SELECT count(*) FROM index_groups").get) == 0


def test_malformed_indexes_that_others_wrote_are_passed_over(animals):
    animals["_design/bad"] = {
        "language": "query",
        "indexes": {"a": 5, "b": {"index": 5}, "c": {"index": {"fields": 5}}, "d": {"index": {"more": 1}}},
    }
    animals["_design/worse"] = {"language": "query", "indexes": 5}
    assert len(ids(animals.find({"$text": "fox"}))) == 2


@pytest.mark.parametrize(
    ("definition", "error"),
    [
        ({"fields": [{"name": "", "type": "string"}]}, "invalid_index_fields_definition"),
        ({"fields": [{"name": "a", "type": "date"}]}, "invalid_index_fields_definition"),
        ({"fields": [{"a": "asc"}]}, "invalid_index_fields_definition"),
        ({"default_analyzer": "klingon"}, "bad_request"),
        ({"default_field": {"analyzer": "klingon"}}, "bad_request"),
        ({"default_field": {"enabled": 5}}, "invalid_boolean"),
        ({"default_field": 5}, "bad_request"),
        ({"index_array_lengths": 5}, "invalid_boolean"),
        ({"partial_filter_selector": {"a": {"$nope": 1}}}, "invalid_operator"),
        ({"ddoc": "js"}, "invalid_ddoc_lang"),
    ],
)
def test_a_malformed_index_is_refused(db, definition, error):
    db["_design/js"] = {"views": {}}
    with pytest.raises(CouchetteError) as refused:
        db.create_index(type="text", **definition)
    assert refused.value.error == error


def test_members_of_a_text_index_are_none_of_other_indexes(db):
    with pytest.raises(BadRequest) as refused:
        db.create_index("a", default_field=True)
    assert refused.value.error == "invalid_key"


# -- Asking wrongly, and explaining ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "error"),
    [
        ({"$text": 5}, "bad_arg"),
        ({"title": {"$text": "fox"}}, "bad_field"),
        ({"$or": [{"$text": "fox"}, {"year": 2001}]}, "bad_field"),
        ({"$not": {"$text": "fox"}}, "bad_field"),
        ({"$text": "(fox"}, "bad_request"),
    ],
)
def test_text_out_of_place_is_refused(animals, selector, error):
    with pytest.raises(BadRequest) as refused:
        animals.find(selector)
    assert refused.value.error == error


def test_a_deep_selector_is_refused(animals):
    selector: dict[str, Any] = {"$text": "fox"}
    for _ in range(500):
        selector = {"$and": [selector]}
    with pytest.raises(BadRequest) as refused:
        animals.find(selector)
    assert refused.value.error == "invalid_selector"


def test_live_queries_do_not_take_words(animals):
    with pytest.raises(BadRequest) as refused, animals.live({"$text": "fox"}):
        pass
    assert refused.value.error == "not_supported"


def test_explain_tells_the_index(animals):
    animals.create_index("year")
    told = animals.explain({"$text": "fox", "year": 2001}, sort=["year"])
    assert told["index"] == animals.get_indexes()["indexes"][-1]
    assert told["selector"] == {"$and": [{"$default": {"$text": "fox"}}, {"year": {"$eq": 2001}}]}
    assert (told["query"], told["sort"]) == ("(fox)", ["year"])
    assert {one["analysis"]["reasons"][0]["name"] for one in told["index_candidates"]} == {"needs_text_search"}
    assert told["explanation"].startswith("The text index 'all' of _design/t is searched for 'fox'.")
    told = animals.explain({"$text": "fox"}, strict=True)
    assert (told["selector"], told["sort"]) == ({"$default": {"$text": "fox"}}, "relevance")
    assert "explanation" not in told


@pytest.mark.anyio
async def test_async_finds_by_words(tmp_path):
    async with AsyncDatabase(tmp_path / "a") as db:
        await db.bulk_docs(DOCS)
        await db.create_index(type="text", default_field={"analyzer": "english"})
        assert ids(await db.find({"$text": "foxes"})) == ["bob", "ann"]


_WORDS = st.sampled_from(["fox", "dog", "cat", "red"])
_DOC = st.fixed_dictionaries({"t": st.lists(_WORDS, max_size=4).map(" ".join), "n": st.integers(0, 3)})


@given(st.lists(_DOC, max_size=12), _WORDS, st.integers(0, 3))
def test_words_and_conditions_find_what_matches_both(docs, word, n):
    with Database() as db:
        db.bulk_docs([{"_id": str(at), **doc} for at, doc in enumerate(docs)])
        db.create_index(["t"], type="text")
        rest = {"n": {"$gte": n}}
        accepts = selectors.compile(rest)
        expected = {str(at) for at, doc in enumerate(docs) if word in doc["t"].split() and accepts(doc)}
        assert set(ids(db.find({"$text": word, **rest}))) == expected
