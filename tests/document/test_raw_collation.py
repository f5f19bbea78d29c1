"""Erlang's order of terms, in which views with raw collation are sorted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from couchette.document.raw_collation import raw_key
from couchette.errors import BadRequest
from tests.document.strategies import json_values

ORDERED: list[Any] = [-3.5, 0, 1, 2**70, False, None, True, {}, {"a": 1}, {"a": 2}, {"b": 0}]
ORDERED += [[], [1], [1, 2], [2], ["a"], "", "\0", "\0a", "\1", "A", "a", "a\0", "aa", "é"]


def test_values_sort_as_erlang_terms():
    assert sorted(ORDERED, key=raw_key) == ORDERED
    assert len({raw_key(value) for value in ORDERED}) == len(ORDERED)


@given(json_values)
def test_no_key_is_the_beginning_of_another_one(value):
    """So keys can be joined, which is how arrays are made of them."""
    assert not raw_key([value, None]).startswith(raw_key([value]))
    assert raw_key([value]) < raw_key([value, None])


def test_what_is_no_json_has_no_key():
    with pytest.raises(BadRequest):
        raw_key([object()])
