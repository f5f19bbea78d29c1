"""Selectors match what CouchDB 3.5's ``_find`` answered, operator by operator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.document import selector
from couchette.document.collation import compare
from couchette.errors import BadRequest
from couchette.limits import SELECTOR_NESTING_MAX
from tests.document.strategies import json_values

GOLDEN = Path(__file__).parents[1] / "conformance" / "golden" / "mango.json"
# Errors of a request's other members, which are not the selector's.
SELECTOR_ERRORS = {"bad_arg", "bad_field", "invalid_operator", "invalid_selector", "invalid_selector_json"}


def recorded():
    """Each ``_find`` of the recordings that asks for a selector alone: name, documents, selector, answer."""
    for scenario in json.loads(GOLDEN.read_text(encoding="utf-8"))["scenarios"]:
        docs: list[dict] = []
        for number, exchange in enumerate(scenario["exchanges"]):
            request, response = exchange["request"], exchange["response"]
            sent = request.get("json")
            if request["path"].endswith("_bulk_docs"):
                docs = sent["docs"]
            elif isinstance(sent, dict) and "selector" in sent and set(sent) <= {"selector", "fields"}:
                yield pytest.param(docs, sent["selector"], response, id=f"{scenario['name']}-{number}")


RECORDED = [case for case in recorded() if not str(case.id).startswith("partial")]
FOUND = [case for case in RECORDED if case.values[2]["status"] == 200]
REFUSED = [case for case in RECORDED if case.values[2].get("json", {}).get("error") in SELECTOR_ERRORS]


def test_the_recordings_are_used():
    assert len(FOUND) > 80
    assert len(REFUSED) > 20


@pytest.mark.parametrize(("docs", "query", "response"), FOUND)
def test_a_selector_finds_what_couchdb_found(docs, query, response):
    matches = selector.compile(query)
    rows = response["json"]["docs"]
    if all("_id" in row for row in rows):
        assert {doc["_id"] for doc in docs if matches(doc)} == {row["_id"] for row in rows}
    else:
        assert sum(map(matches, docs)) == len(rows)


@pytest.mark.parametrize(("docs", "query", "response"), REFUSED)
def test_a_selector_is_refused_as_couchdb_refused_it(docs, query, response):
    with pytest.raises(BadRequest) as caught:
        selector.compile(query)
    assert (caught.value.status, caught.value.error) == (response["status"], response["json"]["error"])
    assert response["json"]["reason"] in (caught.value.reason, "<any>")
    assert caught.value.hint


def matches(query, **doc):
    return selector.compile(query)(doc)


NEGATIONS: list[Any] = [
    {"$not": {"a": 1}},
    {"$nor": [{"a": 1}]},
    {"a": {"$not": {"$regex": "x"}}},
    {"$not": {"a": {"$elemMatch": {"$eq": 1}}}},
    {"$not": {"$or": [{"a": 1}, {"a": 2}]}},
    {"a": {"$ne": 1}},
    {"a": {"$nin": [1]}},
    {"$not": {"a": {"$exists": False}}},
]


@pytest.mark.parametrize("query", NEGATIONS)
def test_negations_do_not_match_a_missing_field(query):
    assert not matches(query, b=1)
    assert matches(query, a=3)


def test_a_missing_field_matches_its_absence_however_it_is_written():
    present: Any = {"a": {"$exists": True}}
    queries: list[Any] = [{"a": {"$exists": False}}, {"$not": present}, {"$nor": [present]}]
    for query in queries:
        assert matches(query, b=1)
        assert not matches(query, a=None)


def test_two_negations_are_none():
    query: Any = {"$not": {"$not": {"a": {"$gt": 1}}}}
    assert [value for value in range(4) if matches(query, a=value)] == [2, 3]
    query = {"$not": {"$nor": [{"a": 1}, {"a": 2}]}}
    assert [value for value in range(4) if matches(query, a=value)] == [1, 2]


def test_negation_turns_and_into_or():
    query = {"$not": {"a": {"$gt": 1, "$lt": 3}}}
    assert [value for value in range(5) if matches(query, a=value)] == [0, 1, 3, 4]


def test_conditions_on_elements_members_and_names():
    assert matches({"a": {"$elemMatch": {"$gt": 1, "$lt": 3}}}, a=[1, 2])
    assert not matches({"a": {"$elemMatch": {"$gt": 2, "$lt": 3}}}, a=[2, 3])
    assert matches({"a": {"$elemMatch": {"b.c": 1}}}, a=[{}, {"b": {"c": 1}}])
    assert not matches({"a": {"$elemMatch": {"b": 1}}}, a={"b": 1})
    assert matches({"a": {"$allMatch": {"$gt": 0}}}, a=[1, 2])
    assert not matches({"a": {"$allMatch": {"$gt": 0}}}, a=[])
    assert not matches({"a": {"$allMatch": {"$gt": 1}}}, a=[1, 2])
    assert matches({"a": {"$keyMapMatch": {"$beginsWith": "x"}}}, a={"b": 1, "xy": 2})
    assert not matches({"a": {"$keyMapMatch": {"$eq": "x"}}}, a=["x"])
    assert matches({"a": {"$elemMatch": {"$exists": True}}}, a=[None])
    assert matches({"a": {"$not": {"$elemMatch": {"$eq": 1}}}}, a=[2])


def test_all_takes_exact_elements_or_the_whole_array():
    assert matches({"a": {"$all": [1, 2]}}, a=[2, 3, 1])
    assert not matches({"a": {"$all": [1]}}, a=[1.0, True])
    assert matches({"a": {"$all": [[1, 2]]}}, a=[1, 2])
    assert not matches({"a": {"$all": []}}, a=[1])
    assert not matches({"a": {"$all": ["a"]}}, a="a")


def test_objects_are_partial_in_a_selector_and_whole_under_eq():
    assert matches({"a": {"b": 1}}, a={"b": 1, "c": 2})
    assert not matches({"a": {"$eq": {"b": 1}}}, a={"b": 1, "c": 2})
    assert not matches({"a": {"$in": [{"b": 1}]}}, a={"b": 1, "c": 2})
    assert matches({"a": {}}, a={})
    assert not matches({"a": {}}, a={"b": 1})


@pytest.mark.parametrize("query", [{"$and": []}, {"$or": []}, {"$nor": []}, {"$not": {"$or": []}}])
def test_an_empty_list_of_conditions_matches_nothing(query):
    assert not matches(query, a=1)


def test_a_remainder_has_the_sign_of_the_value():
    assert matches({"a": {"$mod": [3, -1]}}, a=-7)
    assert not matches({"a": {"$mod": [3, 2]}}, a=-7)
    assert matches({"a": {"$mod": [-3, 1]}}, a=2**70)
    assert not matches({"a": {"$mod": [2, 0]}}, a=4.0)
    assert not matches({"a": {"$mod": [2, 1]}}, a=True)


def test_ids_compare_by_bytes_and_other_strings_by_collation():
    assert matches({"_id": {"$lt": "a"}}, _id="B")
    assert not matches({"x": {"$lt": "a"}}, x="B")
    assert matches({"_id": {"$gt": None}}, _id="B")
    assert not matches({"_id": {"$lt": "B"}}, _id="B")
    equal = ["a\u200b", "b"]  # The first is equal to "a" by collation.
    assert matches({"x": {"$in": equal}}, x="a")
    assert not matches({"_id": {"$in": equal}}, _id="a")
    assert matches({"_id": {"$in": equal}}, _id="b")
    assert matches({"_id": {"$nin": equal}}, _id="a")
    assert not matches({"_id": {"$nin": equal}}, _id="b")
    assert matches({"_id": {"$not": {"$in": equal}}}, _id="a")
    assert matches({"_id": {"$nin": []}}, _id="a")
    assert not matches({"x": {"$elemMatch": {"_id": {"$nin": equal}}}}, _id="a", x=[{}])


def test_names_with_dots_and_backslashes():
    assert matches({"a\\.b.c": 1}, **{"a.b": {"c": 1}})
    assert matches({"\\$eq": 1}, **{"$eq": 1})
    for path in ("a..b", "a.", ".a"):
        with pytest.raises(BadRequest, match="Invalid field name"):
            selector.compile({path: 1})


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"$eq": 1}, "invalid_selector"),
        ({"$exists": True}, "invalid_selector"),
        ({"a": {"$where": "x"}}, "not_supported"),
        ({"a": {"$mod": [0, 1]}}, "bad_arg"),
        ({"a": {"$mod": [True, 1]}}, "bad_arg"),
        ({"a": {"$size": -1}}, "bad_arg"),
        ({"a": {"$nin": "x"}}, "bad_arg"),
        ({"a": {"$regex": "a{99999999999999999999}"}}, "bad_arg"),
        ({"a": float("nan")}, "bad_request"),
    ],
)
def test_other_errors(query, error):
    with pytest.raises(BadRequest) as caught:
        selector.compile(query)
    assert caught.value.error == error


def test_arguments_are_shown_as_couchdb_shows_them():
    with pytest.raises(BadRequest) as caught:
        selector.compile({"a": {"$in": {"b": [None, True, "x", 1.5]}}})
    assert caught.value.reason == "Bad argument for operator $in: {[{<<98>>,[null,true,<<120>>,1.5]}]}"


def test_a_selector_may_be_nested_up_to_a_bound():
    query: dict = {"a": 1}
    for _ in range(SELECTOR_NESTING_MAX - 1):
        query = {"$not": query}
    assert matches(query, a=1) == (SELECTOR_NESTING_MAX % 2 == 1)
    with pytest.raises(BadRequest, match="nested too deeply"):
        selector.compile({"$not": {"$not": query}})


def test_later_changes_of_the_selector_have_no_effect():
    wanted = [1]
    compiled = selector.compile({"a": {"$in": wanted}})
    wanted.append(2)
    assert not compiled({"a": 2})


@given(json_values, json_values)
def test_comparisons_agree_with_the_collation(value, other):
    order = compare(value, other)
    for name, holds in (("$lt", order < 0), ("$lte", order <= 0), ("$eq", order == 0), ("$ne", order != 0)):
        assert matches({"a": {name: other}}, a=value) == holds
        assert matches({"$not": {"a": {name: other}}}, a=value) == (not holds)


@given(st.lists(json_values, max_size=3), json_values)
def test_nin_is_the_negation_of_in(wanted, value):
    assert matches({"a": {"$in": wanted}}, a=value) != matches({"a": {"$nin": wanted}}, a=value)
