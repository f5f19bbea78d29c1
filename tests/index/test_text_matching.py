"""How far terms are apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.index.text_matching import is_within

WORDS = st.text("abc", max_size=6)


def distance(one, other):
    """The least number of edits, by the whole table."""
    table = [[i + j if not i or not j else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            replaced = table[i - 1][j - 1] + (one[i - 1] != other[j - 1])
            table[i][j] = min(replaced, table[i - 1][j] + 1, table[i][j - 1] + 1)
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("fox", "fox", 0), ("fox", "fix", 1), ("fox", "fo", 1), ("fox", "ofx", 1), ("", "ab", 2), ("roam", "foams", 2)],
)
def test_terms_are_as_far_apart_as_edits_between_them(one, other, edits):
    assert is_within(one, other, edits)
    assert not is_within(one, other, edits - 1)


@given(WORDS, WORDS, st.integers(0, 3))
def test_a_look_near_the_diagonal_sees_the_same_as_one_at_all(one, other, edits):
    assert is_within(one, other, edits) == (distance(one, other) <= edits)
