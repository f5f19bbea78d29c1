"""Results: dicts with attributes, at all depths, and plain again for the engine."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.pouchdb.results import Result, Results, plain, wrapped

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def made() -> Any:
    return wrapped({"rows": [{"id": "a", "value": {"rev": "1-x"}}], "total": 1})


def test_members_are_attributes_at_all_depths():
    result = made()
    assert result.rows[0].value.rev == "1-x"
    assert result["rows"][0].id == "a"
    assert [row.id for row in result.rows] == ["a"]
    assert [value.rev for value in list(result.rows[0].values())[1:]] == ["1-x"]
    assert result.get("rows")[-1].id == "a"


def test_a_member_that_is_missing_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'nope'"):
        _ = made().nope
    assert not hasattr(made(), "nope")
    with pytest.raises(AttributeError, match="'nope'"):
        del made().nope


def test_a_change_to_a_part_is_a_change_to_the_whole():
    result = made()
    result.rows[0].value.rev = "2-y"
    result["rows"].append({"id": "b"})
    for row in result.rows:
        row["seen"] = True
    result.extra = {"n": [1]}
    result.extra.n.append(2)
    del result.total
    assert plain(result) == {
        "rows": [{"id": "a", "value": {"rev": "2-y"}, "seen": True}, {"id": "b", "seen": True}],
        "extra": {"n": [1, 2]},
    }


def test_every_way_of_taking_a_part_gives_one_with_attributes():
    result = wrapped({"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}})
    assert dict(result.items())["a"].n == 1
    assert result.setdefault("d", {"n": 4}).n == 4
    assert result.pop("d").n == 4
    assert result.popitem()[1].n == 3
    assert result.copy().a.n == 1
    assert (result | {"e": {"n": 5}}).e.n == 5
    listed = wrapped([{"n": 1}, {"n": 2}, [{"n": 3}]])
    assert listed[0:1][0].n == 1
    assert list(reversed(listed))[1].n == 2
    assert listed.pop()[0].n == 3
    assert listed.copy()[1].n == 2


def test_a_result_is_a_dict_to_whoever_looks():
    result = made()
    assert isinstance(result, dict)
    assert result == {"rows": [{"id": "a", "value": {"rev": "1-x"}}], "total": 1}
    assert json.loads(json.dumps(result)) == result
    assert pickle.loads(pickle.dumps(result)).rows[0].id == "a"
    deep: Any = copy.deepcopy(result)
    flat: Any = copy.copy(result)
    deep.rows[0].id = "b"
    assert flat.rows[0].id == "a"


def test_what_holds_no_result_is_not_copied():
    value = {"a": [1, {"b": None}], "c": b"bytes", "d": (1, 2)}
    assert plain(value) is value


def test_what_holds_itself_is_handed_on_to_be_refused():
    value: dict = {}
    value["self"] = value
    assert plain(value) is value


@given(JSON)
def test_plain_undoes_wrapped(value):
    before = copy.deepcopy(value)
    looked_at = wrapped(value)
    walk(looked_at)
    again = plain({"held": looked_at})
    assert again == {"held": before}
    assert types(again) <= {dict, list}


def walk(value):
    for part in value.values() if isinstance(value, Result) else value if isinstance(value, Results) else ():
        walk(part)


def types(value):
    if not isinstance(value, (dict, list)):
        return set()
    parts = value.values() if isinstance(value, dict) else value
    return {type(value)}.union(*(types(part) for part in parts))
