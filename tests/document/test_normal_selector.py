"""The normal form of selectors is CouchDB's, and means what the selector means."""

from __future__ import annotations

import pytest
from hypothesis import given

from couchette.document import selector as selectors
from couchette.document.normal_selector import all_fields, conditions, constant_fields, normalize, required_fields
from couchette.errors import BadRequest
from tests.query import find_strategies as drawn


@pytest.mark.parametrize(
    ("selector", "normal"),
    [
        ({}, {}),
        ({"a": 1}, {"a": {"$eq": 1}}),
        ({"a": {"b": 1}}, {"a.b": {"$eq": 1}}),
        ({"a": {}}, {"a": {"$eq": {}}}),
        ({"a": 1, "b": {"$gt": 2}}, {"$and": [{"a": {"$eq": 1}}, {"b": {"$gt": 2}}]}),
        ({"a": {"$gte": 1, "$lt": 2}}, {"$and": [{"a": {"$gte": 1}}, {"a": {"$lt": 2}}]}),
        ({"$not": {"a": 1, "b": 2}}, {"$or": [{"a": {"$ne": 1}}, {"b": {"$ne": 2}}]}),
        ({"$nor": [{"a": {"$lt": 1}}, {"b": {"$in": []}}]}, {"$and": [{"a": {"$gte": 1}}, {"b": {"$nin": []}}]}),
        ({"a": {"$not": {"$exists": True}}}, {"a": {"$exists": False}}),
        ({"a": {"$not": {"$regex": "x"}}}, {"a": {"$not": {"$regex": "x"}}}),
        ({"a": {"$not": {"$not": {"$regex": "x"}}}}, {"a": {"$regex": "x"}}),
        ({"a": {"$elemMatch": {"$not": {"b": 1}}}}, {"a": {"$elemMatch": {"b": {"$ne": 1}}}}),
        ({"a": {"$allMatch": {"$gt": 1}}}, {"a": {"$allMatch": {"": {"$gt": 1}}}}),
    ],
)
def test_fields_and_negations_go_down(selector, normal):
    assert normalize(selector) == normal
    assert normalize(normal) == normal


@given(drawn.selectors, drawn.documents)
def test_the_normal_form_matches_the_same_documents(selector, doc):
    doc = {"_id": "x", "_rev": "1-x", **doc}
    assert selectors.compile(normalize(selector))(doc) == selectors.compile(selector)(doc)


@given(drawn.selectors, drawn.documents)
def test_a_document_that_matches_has_the_required_fields(selector, doc):
    doc = {"_id": "x", "_rev": "1-x", **doc}
    if selectors.compile(selector)(doc):
        for path in required_fields(normalize(selector)):
            assert selectors.field_getter(path)(doc) is not selectors.NOT_THERE


def test_what_is_required_constant_and_named():
    selector = normalize({"a": 1, "b": {"$exists": False}, "$or": [{"c": 1, "d": 2}, {"c": {"$gt": 3}}]})
    assert required_fields(selector) == {"a", "c"}
    assert constant_fields(selector) == {"a"}
    assert all_fields(selector) == {"a", "b", "c", "d"}
    assert conditions(selector) == [("a", "$eq", 1), ("b", "$exists", False)]
    assert required_fields(normalize({"$or": []})) == frozenset()


def test_a_malformed_selector_has_no_normal_form():
    with pytest.raises(BadRequest, match="Invalid operator"):
        normalize({"a": {"$nope": 1}})
