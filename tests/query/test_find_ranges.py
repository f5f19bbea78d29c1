"""The ranges of an index hold every match."""

from __future__ import annotations

import pytest
from hypothesis import given

from couchette.document import selector as selectors
from couchette.document.collation import sort_key
from couchette.document.normal_selector import normalize
from couchette.limits import FIND_RANGES_MAX
from couchette.query.find_ranges import ALL, couchdb_ranges, id_range, index_ranges, intersection, union, values_of
from tests.query import find_strategies as drawn


@given(drawn.selectors, drawn.documents)
def test_what_matches_has_its_values_in_the_ranges(selector, doc):
    doc = {"_id": "ab", "_rev": "1-x", **doc}
    normal = normalize(selector)
    if not selectors.compile(selector)(doc):
        return
    assert id_range(normal) is not None
    key = []
    for path in drawn.PATHS:
        value = selectors.field_getter(path)(doc)
        if value is not selectors.NOT_THERE:
            assert any(low <= sort_key(value) < high for low, high in values_of(normal, path))
        key.append(value)
    if selectors.NOT_THERE not in key:
        k = sort_key(key)
        assert any(low <= k < high for low, high in index_ranges(normal, drawn.PATHS).ranges)


@given(drawn.selectors, drawn.documents)
def test_exact_ranges_hold_nothing_else(selector, doc):
    doc = {"_id": "ab", "_rev": "1-x", **doc}
    columns = ("a", "b", "c.d")
    key = [selectors.field_getter(path)(doc) for path in columns]
    found = index_ranges(normalize(selector), columns)
    if found.exact and selectors.NOT_THERE not in key:
        k = sort_key(key)
        assert any(low <= k < high for low, high in found.ranges) == selectors.compile(selector)(doc)


@pytest.mark.parametrize(
    ("selector", "ranges", "narrowing", "exact"),
    [
        ({"a": 1}, 1, 1, True),
        ({"a": {"$gt": 1, "$lte": 5}}, 1, 1, True),
        ({"a": 1, "b": {"$gt": 2}}, 1, 2, True),
        ({"a": {"$gt": 1}, "b": 2}, 1, 1, False),
        ({"a": {"$ne": 1}}, 2, 1, True),
        ({"a": {"$exists": True}}, 1, 0, True),
        ({"a": {"$in": [1, 2]}, "b": {"$lt": 3}}, 3, 2, False),
        ({"$or": [{"a": 1, "b": {"$gt": 3}}, {"a": 2, "b": 1}]}, 4, 2, False),
        ({"a": {"$beginsWith": "x"}}, 1, 1, False),
        ({"a": {"$regex": "x"}}, 1, 1, False),
        ({"a": {"$in": list(range(FIND_RANGES_MAX))}}, 1, 0, False),
        ({"a": 1, "c": 2}, 1, 1, False),
        ({}, 1, 0, True),
    ],
)
def test_how_an_index_on_two_fields_is_narrowed(selector, ranges, narrowing, exact):
    found = index_ranges(normalize(selector), ("a", "b"))
    assert (len(found.ranges), found.narrowing, found.exact) == (ranges, narrowing, exact)
    assert found.ranges == sorted(found.ranges)


def test_ids_narrow_an_index_by_equality_alone():
    assert index_ranges(normalize({"_id": {"$gt": "a"}}), ("_id",)) == index_ranges({}, ("_id",))._replace(exact=False)
    found = index_ranges(normalize({"_id": "a"}), ("_id",))
    assert (len(found.ranges), found.narrowing, found.exact) == (1, 1, False)


def test_an_operator_on_texts_leaves_other_types_out():
    text, number = sort_key("abc"), sort_key(5)
    for condition in ({"$beginsWith": "a"}, {"$beginsWith": "é"}, {"$regex": "b"}, {"$type": "string"}):
        [(low, high)] = values_of(normalize({"a": condition}), "a")
        assert not low <= number < high
        assert low <= text < high


def test_contradictions_are_found_as_couchdb_finds_them():
    assert couchdb_ranges(normalize({"a": {"$gt": 30, "$lt": 20}, "b": 1})) == {"a": []}
    assert couchdb_ranges(normalize({"a": {"$gte": 1, "$lt": 1}})) == {"a": []}
    assert list(couchdb_ranges(normalize({"b": 1, "a": {"$beginsWith": "x"}, "c": {"$in": [1]}}))) == ["a", "b"]
    assert couchdb_ranges(normalize({"$or": [{"a": 1}]})) == {}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, (None, True, None, True)),
        ({"_id": "a"}, ("a", True, "a", True)),
        ({"_id": {"$gt": "a", "$gte": "a", "$lte": "c"}}, ("a", False, "c", True)),
        ({"_id": {"$gt": "B", "$lt": "a"}}, ("B", False, "a", False)),
        ({"_id": {"$gt": "a", "$lt": "B"}}, None),
        ({"_id": {"$gt": None}}, (None, True, None, True)),
        ({"_id": {"$lt": 5}}, None),
        ({"_id": {"$lt": {}}}, (None, True, None, True)),
        ({"_id": {"$eq": 5}}, None),
        ({"_id": {"$beginsWith": "ab"}}, ("ab", True, "ac", False)),
        ({"_id": {"$beginsWith": "a\ud7ff"}}, ("a\ud7ff", True, "a\ue000", False)),
        ({"_id": {"$beginsWith": "\U0010ffff"}}, ("\U0010ffff", True, None, True)),
        ({"_id": {"$beginsWith": ""}}, ("", True, None, True)),
        ({"$or": [{"_id": "a"}, {"_id": "b"}]}, (None, True, None, True)),
    ],
)
def test_ids_are_read_by_their_bytes(selector, expected):
    assert id_range(normalize(selector)) == expected


def test_sets_of_values():
    one, two, three = (sort_key(number) for number in (1, 2, 3))
    assert intersection(ALL, [(one, three)]) == [(one, three)]
    assert intersection([(one, two)], [(two, three)]) == []
    assert union([[(two, three)], [(one, two)]]) == [(one, three)]
    assert union([]) == []
