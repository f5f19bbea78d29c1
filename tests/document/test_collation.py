"""Sort keys of JSON values: the orders recorded from CouchDB 3.5.0, and a comparison made without keys."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import example, given

from couchette.document.collation import COLLATOR, compare, sort_key
from couchette.errors import BadRequest
from tests.document.strategies import json_values, numbers, texts

# Keys of a view over all types, in CouchDB's order. The values of one row are equal in it.
RECORDED: list[Any] = [
    *([None], [False], [True]),
    *([-10000000000], [-2], [-1.5], [0, -0.0, 0.0], [1, 1.0], [1.5], [2], [10], [10000000000, 1e10]),
    *(["", "\0", "\u200b"], [" "], ["_"], ["-"], ["!"], ["~"], ["😀"], ["1"], ["10"], ["2"]),
    *(["a", "a\0", "a\u200b"], ["A"], ["á"], ["Á"], ["à"], ["ä"], ["a b"], ["a_b"], ["a-b"], ["a.b"]),
    *(["aa"], ["AA"], ["ab"], ["aB"], ["Ab"], ["ae"], ["æ"], ["b"], ["B"], ["ba"], ["co-op"], ["CO-OP"], ["coop"]),
    *(["e"], ["é", "e\u0301"], ["l"], ["ł"], ["n"], ["ñ"], ["o"], ["ö"], ["ø"], ["ss"], ["ß"], ["z"], ["Z"]),
    *(["α"], ["Ω"], ["я"], ["א"], ["ا"], ["あ"], ["ア"], ["日"], ["本"], ["\ufff0"], ["\uffff"]),
    *([[]], [[None]], [[1]], [[1, 2]], [[1, "a"], [1.0, "a"]], [[1, []]], [[10]]),
    *([["a"]], [["a", "b"]], [["A"]], [["b"]], [[[]]], [[{}]]),
    *([{}], [{"": 0}], [{"a": None}], [{"a": 1}, {"a": 1.0}], [{"a": 1, "b": 1}], [{"a": 2}], [{"a": [1]}]),
    *([{"a": {"b": 1}}], [{"A": 1}], [{"b": 1}], [{"b": 1, "a": 1}]),
]


def sign(number: int) -> int:
    return (number > 0) - (number < 0)


def by_keys(a: object, b: object) -> int:
    return (sort_key(a) > sort_key(b)) - (sort_key(a) < sort_key(b))


def test_the_order_recorded_from_couchdb():
    rows = [(row, value) for row, values in enumerate(RECORDED) for value in values]
    for (row_a, a), (row_b, b) in itertools.product(rows, rows):
        assert by_keys(a, b) == sign(row_a - row_b), (a, b)
        assert sign(compare(a, b)) == sign(row_a - row_b), (a, b)


@pytest.mark.parametrize(
    ("low", "inside", "high"),
    [
        ("a", ["a", "A", "ä", "a b", "aa", "AA", "azzz"], "a\ufff0"),
        (["a"], [["a"], ["a", None], ["a", "b"], ["a", [1]]], ["a", {}]),
        ([2024], [[2024, 1], [2024, 12, "x"]], [2024, {}]),
        (None, [False, 0, "", []], {}),
    ],
)
def test_the_usual_high_keys_close_a_range(low, inside, high):
    assert all(sort_key(low) <= sort_key(value) < sort_key(high) for value in inside)


@given(json_values, json_values)
@example(2**53, 2.0**53)
@example(2**53 + 1, 2.0**53)
@example(-(2**53) - 1, -(2.0**53))
@example(10**400, 10**400 + 1)
@example(-(10**400), -(10**400) - 1)
@example(1.7976931348623157e308, 10**400)
@example("z", "я")
@example("zя", "zz")
@example(["a"], ["a\u0301"])
@example({"a": 1}, {"á": 0})
def test_keys_order_values_as_direct_comparison_does(a, b):
    assert by_keys(a, b) == sign(compare(a, b))


@given(json_values)
def test_a_value_equals_itself(value):
    assert compare(value, value) == 0


@given(texts, texts)
def test_strings_with_one_key_are_equal_and_only_those(a, b):
    assert (sort_key(a) == sort_key(b)) == (compare(a, b) == 0)


@given(numbers, numbers)
def test_numbers_go_by_exact_value(a, b):
    assert by_keys(a, b) == (a > b) - (a < b)


def test_integers_of_any_size_differ_from_their_neighbours():
    edges = [0, 255, 256, 2**31, 2**53, 2**63, 2**64, 10**30, 2**1023, 2**1024 - 1, 2**1024, 10**1000]
    integers = sorted({sign * edge + step for edge in edges for sign in (1, -1) for step in (-2, -1, 0, 1, 2)})
    keys = [sort_key(integer) for integer in integers]
    assert keys == sorted(set(keys))


@given(json_values, json_values, json_values)
def test_keys_end_by_themselves(a, b, c):
    """Joined keys order pairs: what follows a value cannot change its order."""
    if compare(a, b):
        assert by_keys([a, c], [b, c]) == by_keys(a, b)
        assert (sort_key(a) + b"\xff" < sort_key(b)) == (sort_key(a) < sort_key(b))


def test_deep_nesting_needs_no_deep_recursion():
    deep: list[object] = []
    deeper: list[object] = [[]]
    for _ in range(20_000):
        deep, deeper = [deep], [deeper]
    assert sort_key(deep) < sort_key(deeper)
    assert compare(deep, deeper) < 0


@pytest.mark.parametrize("value", [b"bytes", b"\0", {1}, object(), math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value], lambda value: {"a": [1, value]}])
def test_what_is_no_json_has_no_key(value, wrap):
    with pytest.raises(BadRequest, match="no JSON value"):
        sort_key(wrap(value))


def test_what_is_no_json_cannot_be_compared():
    with pytest.raises(BadRequest, match=r"b'x' \(bytes\) is no JSON value"):
        compare([b"x"], [b"x"])


def test_the_collator_names_all_that_the_keys_depend_on():
    assert COLLATOR.startswith("ducet-10.0+cldr, ucd-")
