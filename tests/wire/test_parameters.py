"""Query strings are read as CouchDB reads them."""

from __future__ import annotations

from contextlib import suppress
from inspect import signature

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database
from couchette.errors import BadRequest, QueryParseError
from couchette.wire.parameters import Query, all_docs_options, document_options, view_options


def test_values_are_unquoted_and_a_name_without_a_value_is_empty():
    query = Query(b"a=1&b&&c=%22x+y%22&a=2")
    assert query.pairs == [("a", "1"), ("b", ""), ("c", '"x y"'), ("a", "2")]
    assert (query.first("a"), query.first("b"), query.first("z")) == ("1", "", None)
    assert query.json("c") == "x y"


def test_a_query_string_that_is_not_utf8_is_refused():
    with pytest.raises(BadRequest, match="not UTF-8"):
        Query(b"a=%ff")


def test_document_flags_are_on_only_when_true_and_stay_on():
    options = document_options(Query(b"revs=true&revs=false&conflicts=1&latest=maybe&meta=true&nonsense=1"))
    assert options == {"revs": True, "meta": True}


@pytest.mark.parametrize(
    ("query", "options"),
    [
        (b"open_revs=all", {"open_revs": "all"}),
        (b'open_revs=["1-a"]&rev=2-b', {"open_revs": ["1-a"], "rev": "2-b"}),
        (b"open_revs=[]", {}),
        (b'atts_since=["1-a"]', {"atts_since": ["1-a"]}),
        (b"atts_since=[]&attachments=true", {"atts_since": [], "attachments": True}),
        (b"rev=01-a", {"rev": "1-a"}),
    ],
)
def test_document_options(query, options):
    assert document_options(Query(query)) == options


@pytest.mark.parametrize("query", [b"open_revs=x", b"open_revs={}", b"open_revs=[1]", b"atts_since=5", b"rev="])
def test_malformed_revisions_and_lists_are_refused(query):
    with pytest.raises(BadRequest):
        document_options(Query(query))


def test_all_docs_takes_both_spellings_and_a_body_of_the_same_options():
    assert all_docs_options(Query(b'startkey="a"&end_key="b"&limit=2&descending=TRUE&nonsense=1')) == {
        "start_key": "a",
        "end_key": "b",
        "limit": 2,
        "descending": True,
    }
    body = {"keys": ["a"], "include_docs": True, "skip": 1, "limit": "3", "nonsense": 1}
    assert all_docs_options(Query(b""), body) == {"keys": ["a"], "include_docs": True, "skip": 1, "limit": 3}


def test_keys_win_over_key_and_exclude_a_range():
    assert all_docs_options(Query(b'key="a"&keys=["b"]')) == {"keys": ["b"]}
    with pytest.raises(QueryParseError, match="`keys` is incompatible"):
        all_docs_options(Query(b'keys=["a"]&startkey="b"'))


@pytest.mark.parametrize("read", [all_docs_options, view_options])
def test_a_query_string_counts_more_than_a_body_but_less_than_one_of_several_queries(read):
    body = {"limit": 2, "descending": True}
    assert read(Query(b"limit=1"), body) == {"limit": 1, "descending": True}
    assert read(Query(b"limit=1"), body, is_one_of_several=True) == {"limit": 2, "descending": True}


def test_a_key_is_both_ends_of_a_range_of_which_a_later_parameter_moves_one():
    assert all_docs_options(Query(b'key="a"&endkey="b"')) == {"start_key": "a", "end_key": "b"}
    assert all_docs_options(Query(b'key="a"&start_key="b"')) == {"start_key": "b", "end_key": "a"}
    assert all_docs_options(Query(b'endkey="b"&key="a"')) == {"end_key": "b", "key": "a"}
    assert view_options(Query(b'key="a"&endkey="b"')) == {"start_key": "a", "end_key": "b"}


def test_keys_of_a_view_that_are_one_are_a_key():
    assert view_options(Query(b'endkey="b"&keys=["a"]')) == {"start_key": "a", "end_key": "a"}
    assert view_options(Query(b""), {"keys": ["a"], "group": True}) == {"start_key": "a", "end_key": "a", "group": True}
    assert view_options(Query(b""), {"keys": ["a"], "end_key": "b"}) == {"start_key": "a", "end_key": "a"}
    assert view_options(Query(b'keys=["a","b"]')) == {"keys": ["a", "b"]}
    assert view_options(Query(b"keys=[]")) == {"keys": []}
    assert all_docs_options(Query(b'keys=["a"]')) == {"keys": ["a"]}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (b"limit=-1", 'Invalid value for positive integer: "-1"'),
        (b"limit=x", 'Invalid value for integer: "x"'),
        (b"limit=1.5", 'Invalid value for integer: "1.5"'),
        (b"limit=", "Invalid value for integer: []"),
        (b"limit=9999999999999999999", 'Invalid value for integer: "9999999999999999999"'),
        (b"descending=maybe", 'Invalid boolean parameter: "maybe"'),
        (b"keys=5", "`keys` parameter must be an array."),
        (b"keys=null", "`keys` parameter must be an array."),
        (b"startkey=b", "invalid UTF-8 JSON"),
        (b"group=true", "Invalid use of grouping on a map view."),
        (b"reduce=true", "Reduce is invalid for map-only views."),
    ],
)
def test_malformed_options_of_all_docs_have_couchdbs_sentences(query, reason):
    with pytest.raises(BadRequest) as caught:
        all_docs_options(Query(query))
    assert caught.value.reason == reason


@given(st.binary())
def test_any_query_string_is_read_or_refused(data):
    for read, method in ((document_options, Database.get), (all_docs_options, Database.all_docs)):
        with suppress(BadRequest):
            assert read(Query(data)).keys() <= signature(method).parameters.keys()
