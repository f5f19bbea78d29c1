"""Analyzers: which terms a text becomes, and where they stand."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.errors import BadRequest, MissingExtra
from couchette.index.text_analysis import read_analyzer, read_analyzers


@pytest.mark.parametrize(
    ("analyzer", "text", "terms"),
    [
        ("standard", "The Quick-brown fox's 3.14, a_b", ["the", "quick", "brown", "fox's", "3.14", "a_b"]),
        ("standard", "東京 Größe हिन्दी", ["東", "京", "größe", "हिन्दी"]),
        ("email", "Mail Ann@Example.com or x", ["mail", "ann@example.com", "or", "x"]),
        ("keyword", "New York", ["New York"]),
        ("keyword", "", []),
        ("simple", "Route 66, R2D2", ["route", "r", "d"]),
        ("whitespace", "Foo-Bar  baz.", ["Foo-Bar", "baz."]),
        ("english", "Running dogs", ["run", "dog"]),
        ("german", "Häuser", ["haus"]),
        ({"name": "standard", "stopwords": ["the"]}, "The fox", ["fox"]),
    ],
)
def test_an_analyzer_makes_terms(analyzer, text, terms):
    assert read_analyzer(analyzer).terms(text) == terms


@given(st.text(max_size=30), st.sampled_from(["standard", "email", "keyword", "simple", "whitespace", "english"]))
def test_places_are_in_order_and_of_the_text(text, name):
    analyzer = read_analyzer(name)
    done = 0
    for first, last, term in analyzer.places(text):
        assert done <= first < last <= len(text)
        done = last
        if name in ("keyword", "whitespace"):
            assert text[first:last] == term


def test_each_field_may_have_its_own():
    analyzers = read_analyzers({"name": "perfield", "default": "english", "fields": {"tag": "keyword"}})
    assert analyzers.of("title").terms("Dogs run") == ["dog", "run"]
    assert analyzers.of("tag").terms("Dogs run") == ["Dogs run"]
    assert read_analyzers(None).of("x").name == "standard"


def test_a_wildcard_is_lowered_where_terms_are():
    assert read_analyzer("english").normal("Fo") == "fo"
    assert read_analyzer("keyword").normal("Fo") == "Fo"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("klingon", "There is no analyzer 'klingon'."),
        (5, "There is no analyzer 5."),
        ({"name": "standard", "stopwords": "the"}, "must be an array of strings"),
        ({"name": "perfield", "fields": ["x"]}, "must be an object"),
    ],
)
def test_what_is_no_analyzer_is_refused(given, reason):
    with pytest.raises(BadRequest, match=reason):
        read_analyzers(given)


def test_without_stemmers_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "Stemmer", None)
    with pytest.raises(MissingExtra, match=r"pip install 'couchette\[search\]'"):
        read_analyzer("finnish").terms("koirat")
