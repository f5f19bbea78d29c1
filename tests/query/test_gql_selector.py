"""The part of GQL's conditions that find does, through its indexes."""

from __future__ import annotations

import pytest

from couchette.query.gql_grammar import read_query
from couchette.query.gql_selector import selector_of


@pytest.mark.parametrize(
    ("where", "selector"),
    [
        ("a = 1", {"a": {"$eq": 1}}),
        ("1 < a.b", {"a.b": {"$gt": 1}}),
        ("`a.b` >= 'x'", {"a\\.b": {"$gte": "x"}}),
        ("a is not null", {"a": {"$gt": None}}),
        ("a starts with 'x'", {"a": {"$beginsWith": "x"}}),
        ("a = true and upper(b) = 'X' and c < 2", {"$and": [{"a": {"$eq": True}}, {"c": {"$lt": 2}}]}),
        ("a = 1 or b = 2", {"$or": [{"a": {"$eq": 1}}, {"b": {"$eq": 2}}]}),
        ("a = 1 or b + 1 = 2", {}),
        ("not a = 1", {}),
        ("a != 1", {}),
        ("a is null", {}),
        ("a < date '2020-01-01'", {}),
        ("a < 9007199254740993", {}),
        ("_id > 'a'", {}),
        ("`$a` = 1", {}),
        ("a.`b\\` = 1", {}),
        ("a = b", {}),
        ("a", {}),
    ],
)
def test_what_mango_understands_alike_is_left_to_find(where, selector):
    assert selector_of(read_query(f"where {where}").where) == selector
