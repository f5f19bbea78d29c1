"""What a design function is asked, made of a program's arguments."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from couchette import jsonio
from couchette.design.request import DesignRequest, ask, request_object, write_query
from couchette.errors import BadRequest, TooLarge
from couchette.functions import JSON_PARAMETERS
from couchette.wire.parameters import Query, view_options

ROOT: dict[str, Any] = {"user_ctx": {"name": None, "roles": ["_admin"]}, "sec_obj": {}}
NAMES = st.text(min_size=1).filter(lambda name: name not in JSON_PARAMETERS)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)


@settings(max_examples=30)
@given(st.dictionaries(NAMES, st.text()))
def test_texts_in_a_query_are_read_back_as_they_are(query):
    assert dict(Query(write_query(query)).pairs) == query


@settings(max_examples=30)
@given(st.dictionaries(NAMES, VALUES.filter(lambda value: not isinstance(value, str))))
def test_other_values_in_a_query_are_json(query):
    assert {name: jsonio.loads(text) for name, text in Query(write_query(query)).pairs} == query


@settings(max_examples=30)
@given(VALUES, VALUES)
def test_keys_of_a_view_are_json_whatever_they_are(first, final):
    options = view_options(Query(write_query({"startkey": first, "end_key": final, "limit": 3, "descending": True})))
    assert options == {"start_key": first, "end_key": final, "limit": 3, "descending": True}


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1), min_size=1))
def test_segments_are_escaped_and_read_back(path):
    asked = ask(path, **ROOT)
    assert [segment.decode() for segment in asked.segments] == path
    assert asked.target.count(b"/") == len(path)


def test_a_request_is_a_get_until_it_carries_something():
    assert (ask(["db"], **ROOT).method, ask(["db"], **ROOT, body="").method) == ("GET", "POST")
    assert ask(["db"], **ROOT, form={}).method == "POST"
    assert ask(["db"], **ROOT, body=b"x", method="PUT").method == "PUT"
    asked = ask(["db"], **ROOT, form={"a": 1}, headers={"Content-TYPE": "x/y"})
    assert (asked.body, asked.media_type, asked.header("content-length")) == (b"a=1", "x/y", "3")
    with pytest.raises(BadRequest):
        ask(["db"], **ROOT, form={}, body="")


def test_a_body_that_would_fill_a_functions_memory_is_refused(db, monkeypatch):
    monkeypatch.setattr("couchette.design.request.FUNCTION_BATCH_BYTES", 10)
    with pytest.raises(TooLarge):
        request_object(ask(["db"], **ROOT, body="x" * 11), db)


def test_what_is_told_as_it_is_wins(db):
    asked = DesignRequest("HEAD", [b"db"], {"name": "rex"}, {}, told={"query": {"a": 1}, "info": {"db_name": "x"}})
    req = request_object(asked, db, "a")
    assert (req["method"], req["query"], req["info"], req["id"]) == ("GET", {"a": 1}, {"db_name": "x"}, "a")
    assert req["userCtx"] == {"name": "rex"}


def test_a_query_that_is_no_text_is_refused(db):
    with pytest.raises(BadRequest):
        request_object(DesignRequest("GET", [b"db"], {}, {}, query_string=b"a=%ff"), db)
