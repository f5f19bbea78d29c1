"""Terms as FTS5 has them: they come back as they were, in the order of their texts."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.errors import BadRequest
from couchette.index.text_terms import (
    TOKENIZER,
    check_field,
    decode,
    document_text,
    encode,
    number_term,
    phrase,
    prefix_of,
    read_number,
)

TEXTS = st.text(st.one_of(st.characters(max_codepoint=127), st.characters(codec="utf-8")), min_size=1, max_size=8)


def table():
    conn = apsw.Connection(":memory:")
    quoted = TOKENIZER.replace('"', '""')
    conn.execute(f"CREATE VIRTUAL TABLE t USING fts5(terms, content='', contentless_delete=1, tokenize=\"{quoted}\")")
    conn.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, instance)")
    return conn


@given(TEXTS, TEXTS)
def test_terms_are_encoded_reversibly_and_in_order(one, other):
    assert decode(encode(one)) == one
    assert (encode(one).encode() < encode(other).encode()) == (one.encode() < other.encode())


@given(st.lists(TEXTS, min_size=1, max_size=4), TEXTS)
def test_fts5_takes_each_term_as_one_and_finds_it(terms, field):
    conn = table()
    conn.execute("INSERT INTO t(rowid, terms) VALUES(1,?)", (document_text(prefix_of(field), terms),))
    found = conn.execute("SELECT term FROM v ORDER BY offset").fetchall()
    assert [decode(term[len(prefix_of(field)) :]) for (term,) in found] == terms
    assert conn.execute("SELECT rowid FROM t WHERE t MATCH ?", (phrase(prefix_of(field), terms),)).get == 1


@given(TEXTS, TEXTS, TEXTS)
def test_the_terms_of_two_fields_are_never_the_same(one, other, term):
    assert (prefix_of(one) + encode(term) == prefix_of(other) + encode(term)) == (one == other)
    assert not prefix_of(one).startswith(prefix_of(other)) or one == other


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5.0), ("-2.50", -2.5), ("1e3", 1000.0), ("Infinity", float("inf")), ("nan", None), ("x1", None), ("", None)],
)
def test_numbers_are_read_as_they_are_written(text, number):
    assert read_number(text) == number


def test_a_number_is_one_term_however_it_was_written():
    assert [number_term(value) for value in (5.0, -2.5, 1e300)] == ["5", "-2.5", "1e+300"]
    assert read_number("1_000") is None


def test_a_field_needs_a_name():
    with pytest.raises(BadRequest, match="must not be empty"):
        check_field("")
