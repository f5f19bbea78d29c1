"""Lucene's syntax: which expressions texts become, and how errors show their place."""

from __future__ import annotations

import re
import sys
from typing import Any, cast

import pytest

from couchette.errors import BadRequest, MissingExtra
from couchette.index.text_analysis import read_analyzers
from couchette.index.text_expressions import Between, Clauses, Everything, Terms, Words
from couchette.query.text_syntax import read_query, read_range

ANALYZERS = read_analyzers({"name": "perfield", "default": "standard", "fields": {"tag": "keyword"}})


def word(text, field="default", **options):
    return Words(field, (text,), **options)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("Fox", word("fox")),
        ("a b", Clauses(should=(word("a"), word("b")))),
        ("a AND b", Clauses(must=(word("a"), word("b")))),
        ("a && b", Clauses(must=(word("a"), word("b")))),
        ("a || b", Clauses(should=(word("a"), word("b")))),
        ("+a -b c", Clauses((word("a"),), (word("c"),), (word("b"),))),
        ("a AND NOT b", Clauses(must=(word("a"),), must_not=(word("b"),))),
        ("a !b", Clauses(should=(word("a"),), must_not=(word("b"),))),
        ("a!b", Clauses(should=(word("a"),), must_not=(word("b"),))),
        ('"a"&&"b"', Clauses(must=(word("a"), word("b")))),
        ("tag:a&&b", word("a&&b", "tag")),
        ("tag:a||b", word("a||b", "tag")),
        ("'a'", word("a")),
        ("a !'b", Clauses(should=(word("a"),), must_not=(word("b"),))),
        ("tag:'t*", word("'t", "tag", prefix=True)),
        ("tag:['a TO 'z]", Between("tag", "'a", "'z")),
        ("title:fox^2.5", word("fox", "title", weight=2.5)),
        ("(a b)^2", Clauses(should=(word("a", weight=2.0), word("b", weight=2.0)))),
        ("title:(a AND b)", Clauses(must=(word("a", "title"), word("b", "title")))),
        ('"Big Bear"', Words("default", ("big", "bear"))),
        ('"big bear"~3', Words("default", ("big", "bear"), slop=3)),
        ("big-bear", Words("default", ("big", "bear"))),
        ("fo*", word("fo", prefix=True)),
        ("*", word("", prefix=True)),
        ("title:*", word("", "title", prefix=True)),
        ("tag:Fo*", word("Fo", "tag", prefix=True)),
        ('tag:"New York"', word("New York", "tag")),
        (r"tag:New\ York", word("New York", "tag")),
        (r"tag:a\*", word("a*", "tag")),
        ('"a && b !c"', Words("default", ("a", "b", "c"))),
        ("*:*", Everything()),
        ("n:5", word("5", "n")),
        ("n:5.0", Clauses(should=(word("5.0", "n"), word("5", "n")))),
        (r"n:\-5", Clauses(should=(word("5", "n"), word("-5", "n")))),
        ("n:[1 TO 5]", Between("n", 1.0, 5.0)),
        ("n:{1 TO 5}", Between("n", 1.0, 5.0, False, False)),
        ("n:[-5 TO *]", Between("n", -5.0, None)),
        ("n:>=5", Between("n", 5.0, None)),
        ("n:<5", Between("n", None, 5.0, True, False)),
        ("tag:[a TO b}", Between("tag", "a", "b", True, False)),
        ('tag:["a b" TO 5]', Between("tag", "a b", "5")),
        ("n:[* TO *]", word("", "n", prefix=True)),
        ("roam~1", Terms("default", "", near="roam", edits=1)),
        ("roam~", Terms("default", "", near="roam", edits=2)),
        ("fox~", Terms("default", "", near="fox", edits=2)),
        ("a - b", Clauses(should=(word("a"), word("b")))),
        ("+ (- a)", word("a")),
        ("tag:(a + b)", Clauses(should=(word("a", "tag"), word("+", "tag"), word("b", "tag")))),
        ("roam~0.8", word("roam")),
        ("...", Clauses()),
        ("a ...", word("a")),
        ("-a", Clauses(must_not=(word("a"),))),
    ],
)
def test_a_text_becomes_an_expression(text, expression):
    assert read_query(text, ANALYZERS) == expression


def test_a_term_without_a_field_is_looked_for_in_each_of_several():
    assert read_query("a", ANALYZERS, ("x", "y")) == Clauses(should=(word("a", "x"), word("a", "y")))


def pattern_of(text):
    expression = read_query(text, ANALYZERS)
    assert isinstance(expression, Terms)
    assert expression.pattern is not None
    return expression.pattern


@pytest.mark.parametrize(
    ("text", "matching", "others"),
    [
        ("te?t", ["test", "text"], ["tet", "tests"]),
        ("t*s*t", ["tst", "test", "trusty toast"], ["ts", "tests"]),
        ("*fox*", ["fox", "foxes", "a fox"], ["fo"]),
        (r"a\**b", ["a*b", "a*xb"], ["ab"]),
        ("/j[ao]n.*/", ["jan", "jonas"], ["jen"]),
        ("/a&&b|c!d|'e/", ["a&&b", "c!d", "'e"], ["aANDb"]),
    ],
)
def test_a_wildcard_matches_whole_terms(text, matching, others):
    pattern = pattern_of(text)
    assert [term for term in matching + others if pattern.fullmatch(term)] == matching


def test_many_stars_take_no_more_time():
    pattern = pattern_of("x" + "*a" * 30 + "*b")
    assert not pattern.fullmatch("x" + "a" * 5000)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("(fox AND dog", "syntax error at its end"),
        ("", "syntax error at its end"),
        ("fox )", "at character 5, before ')'"),
        ('a "fox', "at character 3, before '\"fox'"),
        ("n:[1 5]", "at character 6, before '5]'"),
        ("fox " * 3000, "too long"),
        ("fox^.", "a number after ^ or ~ is none"),
        ("/a(/", "missing ) at position 2"),
        ("(" * 150 + "a" + ")" * 150, "nests too deeply"),
        ("n:-5", "'n' must be followed by a value"),
        ("time:12:30", "'time' must be followed by a value"),
    ],
)
def test_an_error_shows_the_place(text, place):
    with pytest.raises(BadRequest, match=re.escape(place)):
        read_query(text, ANALYZERS)


def test_a_range_may_stand_alone():
    assert read_range("n", "{0 TO 5]") == Between("n", 0.0, 5.0, False, True)
    wrong: Any
    for wrong in ("5", 5, "[0 TO"):
        with pytest.raises(BadRequest):
            read_range("n", wrong)


def test_a_query_that_is_no_text_is_refused():
    with pytest.raises(BadRequest, match="must be a string"):
        read_query(cast("Any", 5), ANALYZERS)


def test_without_luqum_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "luqum.thread", None)
    with pytest.raises(MissingExtra, match=r"pip install 'couchette\[search\]'"):
        read_query("a", ANALYZERS)
