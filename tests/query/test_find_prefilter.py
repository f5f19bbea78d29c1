"""Discarding by the stored text loses no match."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given

from couchette.document import selector as selectors
from couchette.document.normal_selector import normalize
from couchette.query.find_prefilter import prefilter
from tests.query import find_strategies as drawn


@given(drawn.selectors, drawn.documents)
def test_what_is_discarded_does_not_match(selector, doc):
    may_match = prefilter(normalize(selector))
    if may_match is not None and not may_match(orjson.dumps(doc)):
        assert not selectors.compile(selector)({**doc, "_id": "a", "_rev": "1-a"})


@pytest.mark.parametrize(
    ("selector", "passes", "discarded"),
    [
        (
            {"a": "x"},
            [{"a": "x"}, {"a": "x\u200b"}, {"a": "\x00x"}, {"a": "x\x7f"}],
            [{"a": "y"}, {"b": "x"}, {"é": "x"}],
        ),
        ({"a": 5}, [{"a": 5}, {"a": 5.0}, {"a": 51}], [{"a": "5"}, {"a": 4}, {}]),
        ({"a": None}, [{"a": None}], [{"a": "null"}, {}]),
        ({"a": {"$gt": 1}}, [{"a": 0}], [{"b": 2}]),
        ({"a.b": True}, [{"a": {"b": True}}], [{"a": True}, {"b": False}]),
        ({"a": 0}, [{"a": -0.0}], [{}]),
        ({"a": {"$exists": True}}, [{"a": 0}], [{}]),
    ],
)
def test_what_passes(selector, passes, discarded):
    may_match = prefilter(normalize(selector))
    assert may_match is not None
    assert [bool(may_match(orjson.dumps(doc))) for doc in passes] == [True] * len(passes)
    assert [bool(may_match(orjson.dumps(doc))) for doc in discarded] == [False] * len(discarded)


@pytest.mark.parametrize(
    "selector", [{}, {"a": {"$exists": False}}, {"_id": "x"}, {"a.0": 1}, {"é": 1}, {"$or": [{"a": 1}]}, {'a"': 1}]
)
def test_where_nothing_can_be_told(selector):
    assert prefilter(normalize(selector)) is None
