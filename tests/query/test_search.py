"""Searches: which documents are found, in which order and shape."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database
from couchette.errors import BadRequest, NotFound

DOCS: list[dict[str, Any]] = [
    {"_id": "ann", "title": "The quick brown fox", "year": 2001, "tags": ["red", "Big Blue"], "place": "Oslo"},
    {"_id": "bob", "title": "Lazy dogs, and the fox", "year": 2005.5, "tags": ["red"], "place": "Rome"},
    {"_id": "cat", "title": "A brown cat; cats are quick", "year": -3, "tags": []},
    {"_id": "dan", "title": "Nothing here", "tags": ["Green"], "place": "Rome"},
]
INDEX = """function (doc) {
    index("default", doc.title, {store: true});
    if (doc.year !== undefined) index("year", doc.year, {store: true, facet: true});
    for (const tag of doc.tags) index("tag", tag, {facet: true});
    if (doc.place) index("place", doc.place, {facet: true});
}"""
ANALYZER = {"name": "perfield", "default": "english", "fields": {"tag": "keyword", "place": "keyword"}}


@pytest.fixture(scope="module")
def db():
    with Database() as database:
        database.bulk_docs(DOCS)
        database.put({"_id": "_design/d", "indexes": {"i": {"index": INDEX, "analyzer": ANALYZER}}})
        yield database


def ids(answer):
    return [row["id"] for row in answer["rows"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("fox", "ann bob"),
        ("Dog", "bob"),
        ("dogs OR cats", "bob cat"),
        ("brown AND quick", "ann cat"),
        ("brown -cat", "ann"),
        ("+brown +cat", "cat"),
        ("+brown cat", "ann cat"),
        ('"brown fox"', "ann"),
        ('"fox brown"', ""),
        ('"fox quick"~2', "ann"),
        ("qui*", "ann cat"),
        ("f?x", "ann bob"),
        ("*o*", "ann bob cat dan"),
        ("fix~1", "ann bob"),
        ("/(fox|cat)/", "ann bob cat"),
        ("tag:red", "ann bob"),
        ('tag:"Big Blue"', "ann"),
        ("tag:Big*", "ann"),
        ("tag:[A TO Z]", "ann dan"),
        ("tag:{Big\\ Blue TO r}", "dan"),
        ("tag:*", "ann bob dan"),
        ("year:2001", "ann"),
        ("year:[2000 TO 2005.5]", "ann bob"),
        ("year:[2000 TO 2005.5}", "ann"),
        ("year:[* TO 0]", "cat"),
        ("year:>2001", "bob"),
        (r"year:\-3", "cat"),
        ("year:[* TO *]", "ann bob cat"),
        ("fox AND year:[2002 TO *]", "bob"),
        ("fox -year:[2002 TO *]", "ann"),
        ("nothing OR year:[2000 TO 2002]", "ann dan"),
        ("*:*", "ann bob cat dan"),
        ("*:* -fox", "cat dan"),
        ("*:* AND NOT (fox OR tag:Green)", "cat"),
        ("(fox AND (year:2001 OR tag:Green)) OR cat", "ann cat"),
        ("-fox", ""),
        ("...", ""),
        ("nosuch:fox", ""),
        ("zzz*y", ""),
        ("fox AND zzz*y", ""),
        ("fox OR zzz*y", "ann bob"),
    ],
)
def test_a_query_finds_documents(db, query, found):
    answer = db.search("d/i", query)
    assert sorted(ids(answer)) == found.split()
    assert answer["total_rows"] == len(answer["rows"])


def test_rows_show_what_was_stored(db):
    [row] = db.search("d/i", "lazy")["rows"]
    assert row["fields"] == {"default": "Lazy dogs, and the fox", "year": 2005.5}
    score, number = row["order"]
    assert score > 0
    assert number == 2
    assert db.search("d/i", "lazy", include_fields=["year"])["rows"][0]["fields"] == {"year": 2005.5}


def test_the_best_come_first_and_boosts_decide(db):
    assert ids(db.search("d/i", "cat brown"))[0] == "cat"
    assert ids(db.search("d/i", "nothing lazy^5"))[0] == "bob"
    assert ids(db.search("d/i", "nothing^5 lazy"))[0] == "dan"
    assert ids(db.search("d/i", "+brown cat^3"))[0] == "cat"


def test_a_boost_of_all_terms_changes_no_order_and_multiplies_the_score(db):
    plain, boosted = (db.search("d/i", query)["rows"] for query in ("brown cat", "(brown cat)^4"))
    assert [row["id"] for row in plain] == [row["id"] for row in boosted]
    for one, other in zip(plain, boosted, strict=True):
        assert other["order"][0] == pytest.approx(4 * one["order"][0])


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        ("year", "cat ann bob dan"),
        ("-year", "bob ann cat dan"),
        ("-year<number>", "bob ann cat dan"),
        (["place<string>", "-year"], "ann bob dan cat"),
        (["-place", "-year"], "bob dan ann cat"),
        ("<doc>", "ann bob cat dan"),
        ("-<doc>", "dan cat bob ann"),
        ("relevance", "ann bob cat dan"),
    ],
)
def test_rows_are_sorted_by_fields_and_bookmarks_lead_on(db, sort, found):
    assert ids(db.search("d/i", "*:*", sort=sort)) == found.split()
    pages, bookmark = [], None
    for _ in range(5):
        answer = db.search("d/i", "*:*", sort=sort, limit=1, bookmark=bookmark)
        assert answer["total_rows"] == 4
        pages += ids(answer)
        bookmark = answer["bookmark"]
    assert pages == found.split()


def test_a_bookmark_of_ranked_rows_goes_on_after_them(db):
    everything = ids(db.search("d/i", "fox brown quick"))
    first = db.search("d/i", "fox brown quick", limit=2)
    second = db.search("d/i", "fox brown quick", limit=2, bookmark=first["bookmark"])
    assert ids(first) + ids(second) == everything
    assert ids(db.search("d/i", "fox brown quick", skip=1, limit=1)) == everything[1:2]


def test_an_order_shows_what_was_sorted_by(db):
    rows = db.search("d/i", "*:*", sort="year")["rows"]
    assert [row["order"][0] for row in rows] == [-3, 2001, 2005.5, None]


def test_documents_come_along(db):
    [row] = db.search("d/i", "lazy", include_docs=True)["rows"]
    assert row["doc"] == db.get("bob")
    assert "value" not in row


def test_facets_are_counted_and_narrow(db):
    answer = db.search("d/i", "*:*", counts=["tag", "place"], limit=0)
    assert answer["counts"] == {"tag": {"Big Blue": 1, "Green": 1, "red": 2}, "place": {"Oslo": 1, "Rome": 2}}
    assert answer["rows"] == []
    narrowed = db.search("d/i", "*:*", drilldown=[["place", "Rome"]], counts=["tag"])
    assert ids(narrowed) == ["bob", "dan"]
    assert narrowed["counts"] == {"tag": {"Green": 1, "red": 1}}
    assert ids(db.search("d/i", "fox", drilldown=[["tag", "Big Blue", "Green"]])) == ["ann"]
    assert ids(db.search("d/i", "fox", drilldown=[["tag", "red"], ["place", "Oslo"]])) == ["ann"]
    assert ids(db.search("d/i", "*:*", drilldown=[["year", 2001]])) == ["ann"]


def test_facets_may_be_booleans(db):
    db.text_index("dated")(lambda doc: [("dated", "year" in doc, {"facet": True})])
    assert db.search("dated", "*:*", counts=["dated"])["counts"] == {"dated": {"false": 1, "true": 3}}
    for false in (False, "false"):
        assert ids(db.search("dated", "*:*", drilldown=[["dated", false]])) == ["dan"]
    assert len(ids(db.search("dated", "*:*", drilldown=[["dated", True]]))) == 3


def test_ranges_are_counted(db):
    ranges = {"year": {"old": "[-100 TO 2001}", "new": "[2001 TO Infinity]"}}
    assert db.search("d/i", "*:*", ranges=ranges)["ranges"] == {"year": {"old": 1, "new": 2}}
    assert db.search("d/i", "fox", ranges=ranges)["ranges"] == {"year": {"old": 0, "new": 2}}


@pytest.mark.parametrize(
    ("query", "highlights"),
    [
        ("dog", {"default": ["Lazy [dogs], and the fox"]}),
        ('"the fox" AND lazy', {"default": ["[Lazy] dogs, and [the] [fox]"]}),
        ("la* fix~1 -cat", {"default": ["[Lazy] dogs, and the [fox]"]}),
        ("year:2005.5", {}),
    ],
)
def test_what_was_found_is_marked_up(db, query, highlights):
    options: Any = {"highlight_fields": ["default", "year"], "highlight_pre_tag": "[", "highlight_post_tag": "]"}
    rows = {row["id"]: row for row in db.search("d/i", query, **options)["rows"]}
    assert rows["bob"]["highlights"] == highlights


def test_long_texts_are_shown_in_fragments():
    with Database() as db:
        db.text_index("texts", ["text"])
        db.put({"_id": "a", "text": "start " + "and so on " * 20 + "a fox and a fox " + "or not " * 20 + "fox"})
        options: Any = {"highlight_fields": ["text"], "highlight_size": 30, "highlight_number": 2}
        [row] = db.search("texts", "fox", **options)["rows"]
        first, second = row["highlights"]["text"]
        assert first.count("<em>fox</em>") == 2
        assert second.count("<em>fox</em>") == 1
        assert all(len(one.replace("<em>", "").replace("</em>", "")) <= 31 for one in (first, second))


def test_a_document_may_boost_its_fields():
    with Database() as db:

        @db.text_index("texts")
        def texts(doc):
            yield "default", doc["text"], {"boost": doc["boost"]}

        db.bulk_docs([{"_id": f"d{boost}", "text": "a fox", "boost": boost} for boost in (1, 5, 2)])
        db.bulk_docs([{"_id": f"e{at}", "text": "a dog", "boost": 1} for at in range(5)])
        rows = db.search("texts", "fox")["rows"]
        assert [row["id"] for row in rows] == ["d5", "d2", "d1"]
        assert rows[0]["order"][0] == pytest.approx(5 * rows[2]["order"][0])


@pytest.mark.parametrize(
    "options",
    [
        {"sort": "<distance,x,y,1,2,km>"},
        {"sort": "year<date>"},
        {"sort": 5},
        {"sort": [5]},
        {"limit": -1},
        {"skip": True},
        {"bookmark": "abc"},
        {"counts": "tag"},
        {"counts": [1]},
        {"ranges": {"year": "[0 TO 5]"}},
        {"ranges": {"year": {"x": "0 to 5"}}},
        {"drilldown": ["tag"]},
        {"drilldown": [["tag"]]},
        {"include_fields": "year"},
        {"highlight_fields": "default"},
        {"highlight_fields": ["default"], "highlight_size": 0},
        {"update": "later"},
    ],
)
def test_wrong_options_are_refused(db, options):
    with pytest.raises(BadRequest):
        db.search("d/i", "fox", **options)


def test_a_bookmark_of_another_sort_is_refused(db):
    bookmark = db.search("d/i", "*:*", sort="year", limit=1)["bookmark"]
    with pytest.raises(BadRequest, match="Invalid bookmark value"):
        db.search("d/i", "*:*", bookmark=bookmark)


@pytest.mark.parametrize("place", [[{"a": 1}, 3], [1.0, 2**63], [True, 3], [1.0], []])
def test_a_bookmark_of_a_place_that_is_none_is_refused(db, place):
    bookmark = urlsafe_b64encode(orjson.dumps([1, [[None, False, False]], place])).decode()
    with pytest.raises(BadRequest, match="Invalid bookmark value"):
        db.search("d/i", "*:*", bookmark=bookmark)


def test_a_number_beyond_all_doubles_is_not_indexed():
    with Database() as db:
        db.bulk_docs([{"_id": "a", "n": 10**400, "text": "fox"}, {"_id": "b", "n": 5, "text": "fox"}])
        db.text_index("all", ["n", "text"])
        db.create_index(type="text")
        assert ids(db.search("all", "text:fox")) == ["a", "b"]
        assert ids(db.search("all", "n:[* TO *]")) == ["b"]
        assert len(db.find({"$text": "fox"})["docs"]) == 2


@pytest.mark.parametrize("name", ["d/nosuch", "x/i", "nosuch", ("d", "nosuch")])
def test_an_index_that_is_not_there_is_not_found(db, name):
    with pytest.raises(NotFound):
        db.search(name, "fox")


def test_a_term_must_not_stand_for_too_many(db, monkeypatch):
    monkeypatch.setattr("couchette.index.text_matching.TEXT_EXPANDED_MAX", 3)
    with pytest.raises(BadRequest, match="must not stand for more than 3"):
        db.search("d/i", "*o*")


@pytest.mark.slow
def test_terms_may_be_many_and_nest(db):
    def nested(inner, levels):
        return "".join(f"({part}" for part in inner * levels) + "x" + ")" * (levels * len(inner))

    assert ids(db.search("d/i", " ".join(f"w{at}" for at in range(1000)) + " fox")) == ["ann", "bob"]
    assert ids(db.search("d/i", " ".join(f"year:>{at}" for at in range(800)))) == ["ann", "bob"]
    assert ids(db.search("d/i", " ".join(f"+year:>{at}" for at in range(700)))) == ["ann", "bob"]
    for inner in (["a AND ", "a OR "], ["(a b) -"], ["+(a b) -(b AND c) year:5 "], ["year:5 -", "fox AND "]):
        db.search("d/i", nested(inner, 13 // len(inner)))
    with pytest.raises(BadRequest, match="nests too deeply"):
        db.search("d/i", nested(["a AND "], 30))
    with pytest.raises(BadRequest, match="too many different boosts"):
        db.search("d/i", " ".join(f"w^{at}" for at in range(1, 500)))


@pytest.mark.slow
@given(st.text(st.sampled_from("ab *?~^:\"'()[]{}+-!&|/\\.TO5<>=é\x00"), max_size=12))
def test_any_text_is_a_query_or_refused(db, query):
    with suppress(BadRequest):
        answer = db.search("d/i", query, highlight_fields=["default"])
        assert len(answer["rows"]) == answer["total_rows"]
