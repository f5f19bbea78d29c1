"""A text index that followed random changes equals one made anew, and finds what a plain look at the texts finds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from couchette import Database
from tests.query.test_view_model import take

WORDS = ("fox", "dog", "cat", "foxes")
IDS = st.sampled_from("abcde")
BODIES = st.fixed_dictionaries(
    {"n": st.integers(-3, 3)},
    optional={
        "text": st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join),
        "boost": st.sampled_from([1, 2]),
    },
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), IDS, BODIES),
        st.tuples(st.just("delete"), IDS),
        st.tuples(st.just("conflict"), IDS, BODIES, st.sampled_from("0f")),
        st.tuples(st.just("purge"), IDS),
        st.tuples(st.just("compact")),
        st.tuples(st.just("query")),
    ),
    max_size=25,
)
QUERIES = {
    "fox": lambda words, n: "fox" in words,
    "fox dog": lambda words, n: {"fox", "dog"} & set(words),
    "+fox -dog": lambda words, n: "fox" in words and "dog" not in words,
    "fox^3 AND cat": lambda words, n: {"fox", "cat"} <= set(words),
    '"dog cat"': lambda words, n: ("dog", "cat") in pairwise(words),
    "fox*": lambda words, n: {"fox", "foxes"} & set(words),
    "n:[0 TO 2}": lambda words, n: 0 <= n < 2,
    "n:[0 TO *] AND NOT cat": lambda words, n: n >= 0 and "cat" not in words,
    "*:*": lambda words, n: True,
}


def index(doc):
    """The function of the tests' indexes."""
    yield "default", doc.get("text"), {"store": True, "boost": doc.get("boost", 1)}
    yield "n", doc["n"], {"facet": True}


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_an_index_that_followed_changes_equals_one_made_anew(steps):
    with Database() as db:
        db.text_index("followed")(index)
        for step in steps:
            if step == ("query",):
                db.search("followed", "*:*")
            else:
                take(db, step)
        db.text_index("anew")(index)
        docs = [row["doc"] for row in db.all_docs(include_docs=True)["rows"]]
        for query, finds in QUERIES.items():
            options: Any = {"counts": ["n"], "highlight_fields": ["default"]}
            found = db.search("followed", query, **options)
            assert found == db.search("anew", query, **options)
            expected = {doc["_id"] for doc in docs if finds(doc.get("text", "").split(), doc["n"])}
            assert {row["id"] for row in found["rows"]} == expected
            assert found["total_rows"] == len(expected)
        assert db.search_info("followed")["search_index"]["doc_count"] == len(docs)
        assert db.verify() == []
