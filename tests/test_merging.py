"""Merge functions: what they make of leaves, and that the order of the leaves does not matter."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import jsonio
from couchette.merging import newest_by, three_way


def leaf(rev, **fields):
    return {"_id": "a", "_rev": rev, **fields}


def own(doc):
    return {name: value for name, value in doc.items() if name not in ("_id", "_rev")}


BASE = leaf("1-a", a=1, b=1, c=1)


def test_the_newest_leaf_is_kept_by_couchdbs_collation():
    leaves = [leaf("2-c", at="2024-05-01"), leaf("2-b", at="2024-11-01"), leaf("2-a")]
    assert newest_by("at")(leaves, None) is leaves[1]
    assert newest_by("at")([leaf("2-b", at=9), leaf("2-a", at=10)], None)["_rev"] == "2-a"
    assert newest_by("at")([leaf("2-b"), leaf("2-a", at=None)], None)["_rev"] == "2-a"


def test_of_equally_new_leaves_the_better_one_is_kept():
    assert newest_by("at")([leaf("9-b", at=1), leaf("10-a", at=1.0)], None)["_rev"] == "10-a"
    assert newest_by("none")([leaf("2-b"), leaf("2-a")], None)["_rev"] == "2-b"


def test_changes_of_different_fields_are_joined():
    winner = leaf("2-c", a=2, b=1, c=1, new="x")
    second = leaf("2-b", a=1, b=[2], c=1)
    third = leaf("2-a", a=1, b=1, other="y")
    merged = three_way()([winner, second, third], BASE)
    assert merged == {"a": 2, "b": [2], "new": "x", "other": "y"}
    assert list(merged) == ["a", "b", "new", "other"]


def test_where_several_changed_a_field_the_better_leaf_decides():
    assert three_way()([leaf("2-c", a=2), leaf("2-b", a=3)], BASE)["a"] == 2
    assert three_way()([leaf("2-c", a=1), leaf("2-b", a=3), leaf("2-a", a=4)], BASE)["a"] == 3
    assert three_way()([leaf("2-c", b=1), leaf("2-b", a=3, b=1)], BASE) == {"b": 1}
    assert three_way()([leaf("2-c", a=3, b=1), leaf("2-b", b=1)], BASE) == {"a": 3, "b": 1}


def test_numbers_that_json_tells_apart_are_a_change():
    merged = three_way()([leaf("2-b", a=1, b=1, c=1), leaf("2-a", a=1.0, b=True, c=1)], BASE)
    assert jsonio.dumps(merged) == b'{"a":1.0,"b":true,"c":1}'


def test_without_an_ancestor_all_fields_are_kept():
    assert three_way()([leaf("2-b", a=1), leaf("2-a", a=2, b=2)], None) == {"a": 1, "b": 2}


def test_a_clash_may_be_decided_by_a_function():
    asked = []

    def clash(field, base, values):
        asked.append((field, base, values))
        return sum(values)

    leaves = [leaf("2-d", a=2, b=2, n=1), leaf("2-c", a=3, b=2, n=5), leaf("2-b", a=2, b=1, n=1), leaf("2-a", a=1, b=1)]
    assert three_way(clash)(leaves, BASE) == {"a": 5, "b": 2, "n": 6}
    assert asked == [("a", 1, [2, 3]), ("n", None, [1, 5])]


def stub(digest, revpos=1):
    return {"stub": True, "content_type": "text/plain", "digest": f"md5-{digest}", "length": 1, "revpos": revpos}


def test_attachments_are_joined_like_fields_and_known_by_their_content():
    base = leaf("1-a", _attachments={"same": stub("s"), "changed": stub("x"), "dropped": stub("d")})
    winner = leaf(
        "2-c", _attachments={"same": stub("s"), "changed": stub("x", 2), "dropped": stub("d"), "new": stub("n")}
    )
    loser = leaf("2-b", _attachments={"same": stub("s"), "changed": stub("y")})
    merged = three_way()([winner, loser], base)["_attachments"]
    assert {name: one["digest"] for name, one in merged.items()} == {
        "same": "md5-s", "changed": "md5-y", "new": "md5-n"
    }  # fmt: skip
    assert three_way(lambda *clash: pytest.fail("not asked"))([winner, loser], None)["_attachments"].keys() == {
        "same", "changed", "dropped", "new"
    }  # fmt: skip
    assert "_attachments" not in three_way()([leaf("2-b"), leaf("2-a")], base)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(0, 2), st.sampled_from([0.0, 1.0, "", "a", [], [1]]))
FIELDS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@given(base=st.none() | FIELDS, contents=st.lists(FIELDS, min_size=1, max_size=4))
@pytest.mark.parametrize("merge", [three_way(), newest_by("a"), three_way(lambda field, base, values: values)])
def test_the_order_of_the_leaves_does_not_matter(merge, base, contents):
    leaves = [leaf(f"2-{number}", **fields) for number, fields in enumerate(contents)]
    ancestor = None if base is None else leaf("1-a", **base)
    texts = {jsonio.dumps(own(merge(list(order), ancestor))) for order in permutations(leaves)}
    assert len(texts) == 1


@given(base=FIELDS, changed=FIELDS)
def test_a_change_on_one_side_alone_is_taken_whole(base, changed):
    for better, worse in ((base, changed), (changed, base)):
        merged = three_way()([leaf("2-b", **better), leaf("2-a", **worse)], leaf("1-a", **base))
        assert {name: jsonio.dumps(value) for name, value in merged.items()} == {
            name: jsonio.dumps(value) for name, value in changed.items()
        }
