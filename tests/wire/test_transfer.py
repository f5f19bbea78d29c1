"""Reading a peer's answers, and cutting what goes to it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.errors import NotCouchDB
from couchette.wire.transfer import (
    Refusal,
    portions,
    read_bulk_docs,
    read_bulk_get,
    read_changes,
    read_open_revs,
    read_revs_diff,
)


@given(st.lists(st.integers(0, 20)), st.integers(1, 30))
def test_portions_keep_order_and_stay_below_the_bound(sizes, bytes_max):
    cut = list(portions(sizes, lambda size: size, bytes_max))
    assert [size for portion in cut for size in portion] == sizes
    assert all(sum(portion) <= bytes_max or len(portion) == 1 for portion in cut)
    assert all(sum(first) + later[0] > bytes_max for first, later in itertools.pairwise(cut))


def test_a_changes_page_holds_every_leaf():
    page = read_changes(
        {
            "results": [{"seq": 1, "id": "a", "changes": [{"rev": "2-x"}, {"rev": "1-y"}]}],
            "last_seq": "1-u",
            "pending": 7,
        }
    )
    assert (page.leaves, page.last_seq, page.pending) == ({"a": ["2-x", "1-y"]}, "1-u", 7)


def test_a_source_need_not_tell_what_is_pending():
    assert read_changes({"results": [], "last_seq": 12}).pending is None


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"results": [5], "last_seq": 1}, {"results": []}, {"results": [{"id": "a"}], "last_seq": 1}],
)
def test_an_answer_that_is_no_changes_page_is_named(answer):
    with pytest.raises(NotCouchDB, match="_changes"):
        read_changes(answer)


def test_every_form_of_a_row_without_a_document_is_a_refusal():
    rows = {
        "a": {"error": {"id": "a", "rev": "1-x", "error": "not_found", "reason": "missing"}},
        "b": {"error": "forbidden", "reason": "no"},
        "c": {"missing": "3-z"},
        "d": {},
    }
    fetched = read_bulk_get({"results": [{"id": doc_id, "docs": [row]} for doc_id, row in rows.items()]})
    assert fetched.docs == []
    assert fetched.refused == [
        Refusal("a", "1-x", "not_found", "missing"),
        Refusal("b", None, "forbidden", "no"),
        Refusal("c", "3-z", "not_found", "missing"),
        Refusal("d", None, "unknown_error", ""),
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"ok": {"_id": "a", "_rev": "1-x"}},
        {"ok": {"_id": "a", "_rev": "1-x", "_revisions": {"start": "1", "ids": []}}},
        {"ok": {"_rev": "1-x", "_revisions": {"start": 1, "ids": ["x"]}}},
        {"ok": 5},
        5,
    ],
)
def test_a_document_that_cannot_be_written_elsewhere_is_named(row):
    with pytest.raises(NotCouchDB, match="_bulk_get"):
        read_bulk_get({"results": [{"id": "a", "docs": [row]}]})


def test_open_revs_give_documents_and_missing_revs():
    one = {"_id": "d", "_rev": "1-a", "_revisions": {"start": 1, "ids": ["a"]}}
    fetched = read_open_revs([{"ok": one}, {"missing": "9-z"}], "d")
    assert fetched.docs == [one]
    assert fetched.refused == [Refusal("d", "9-z", "not_found", "missing")]


def test_revs_diff_names_what_is_wanted():
    (wanted,) = read_revs_diff({"a": {"missing": ["2-x"], "possible_ancestors": ["1-y"]}})
    assert (wanted.id, wanted.revs, wanted.ancestors) == ("a", ["2-x"], ["1-y"])


def test_only_failures_count_in_an_answer_to_bulk_docs():
    rows = [
        {"ok": True, "id": "a", "rev": "1-x"},
        {"id": "b", "rev": "1-y", "error": "forbidden", "reason": "no"},
        {"id": "c", "error": True, "name": "unauthorized", "message": "who?"},
    ]
    assert read_bulk_docs(rows) == [
        Refusal("b", "1-y", "forbidden", "no"),
        Refusal("c", None, "unauthorized", "who?"),
    ]
