"""Regular expressions of clients: what they match, and that none takes for ever."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database
from couchette.document import patterns
from couchette.document.patterns import Pattern
from couchette.errors import BadRequest

SLOW = "^(a|aa)+$"
TEXT = "a" * 100 + "!"


@given(st.text("ab.*|()[]^$", max_size=12), st.text("ab", max_size=8))
def test_what_python_knows_means_the_same(source, text):
    try:
        known = re.compile(source)
    except (re.error, FutureWarning):
        return
    pattern = Pattern.compile(source)
    assert pattern.search(text) is (known.search(text) is not None)
    assert pattern.fullmatch(text) is (known.fullmatch(text) is not None)


@pytest.mark.parametrize("source", ["(", "*", "a{99999999999999999999}", "(" * 3000 + ")" * 3000, r"\L<x>", "[z-a]"])
def test_what_is_no_expression_is_refused(source):
    with pytest.raises(ValueError, match="."):
        Pattern.compile(source)


def test_what_couchdb_knows_is_known():
    assert Pattern.compile("^[[:alpha:]]++$", ascii_only=True).search("abc")
    assert not Pattern.compile(r"^\w+$", ascii_only=True).search("é")
    assert Pattern.compile(r"^\w+$").search("é")
    assert Pattern.compile("a.b", dotall=True).fullmatch("a\nb")
    assert Pattern.compile("a") == Pattern.compile("a")


def test_an_expression_that_would_take_years_is_given_up(monkeypatch):
    monkeypatch.setattr(patterns, "PATTERN_S", 0.01)
    for method in ("search", "fullmatch"):
        with pytest.raises(BadRequest, match="takes too long"):
            getattr(Pattern.compile(SLOW), method)(TEXT)
    with Database(":memory:") as db:
        db["x"] = {"text": TEXT}
        with pytest.raises(BadRequest, match="takes too long"):
            db.find({"text": {"$regex": SLOW}})
        with pytest.raises(BadRequest, match="takes too long"):
            db.changes(selector={"text": {"$regex": SLOW}})
