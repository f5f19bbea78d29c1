"""Lines beside lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from couchette.server.pages.differences import AROUND, Pair, differences

LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12).map("\n".join)


def test_a_changed_line_stands_beside_the_new_one() -> None:
    assert differences("a\nb\nc", "a\nB\nc") == [Pair("a", "a"), Pair("b", "B"), Pair("c", "c")]


def test_a_line_that_only_one_has_stands_alone() -> None:
    assert differences("a\nb", "a") == [Pair("a", "a"), Pair("b", None)]


def test_long_equal_parts_are_counted_instead_of_shown() -> None:
    same = "\n".join(map(str, range(100)))
    pairs = differences(f"{same}\nx\n{same}", f"{same}\ny\n{same}")
    assert [pair.skipped for pair in pairs if pair.skipped] == [100 - AROUND, 100 - AROUND]
    assert len(pairs) == 2 * (AROUND + 1) + 1


@given(LINES, LINES)
def test_either_side_read_down_is_its_text(left: str, right: str) -> None:
    pairs = differences(left, right)
    if not any(pair.skipped for pair in pairs):
        assert [pair.left for pair in pairs if pair.left is not None] == left.splitlines()
        assert [pair.right for pair in pairs if pair.right is not None] == right.splitlines()
