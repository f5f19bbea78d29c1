"""A view that follows the database is what it would be if it were made anew, whatever happened before."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from couchette import Database
from couchette.document.collation import sort_key
from couchette.errors import NotFound
from tests.index import model

IDS = st.sampled_from(["a", "b", "c", "d", "é", "10", "9"])
TAGS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["a", "A", "b", "é", ""]), st.just([]), st.just({})
)
BODY = st.fixed_dictionaries({"n": st.integers(-5, 5), "tags": st.lists(TAGS, max_size=4)})
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), IDS, BODY),
        st.tuples(st.just("delete"), IDS),
        st.tuples(st.just("conflict"), IDS, BODY, st.sampled_from("0af")),
        st.tuples(st.just("purge"), IDS),
        st.tuples(st.just("compact")),
        st.tuples(st.just("query")),
    ),
    max_size=25,
)


def take(db, step):
    """One change of the database."""
    match step:
        case ("put", doc_id, body):
            known = db.get(doc_id) if doc_id in db else {}
            db.put({**body, "_id": doc_id, **({"_rev": known["_rev"]} if known else {})})
        case ("delete", doc_id):
            if doc_id in db:
                db.remove(db.get(doc_id))
        case ("conflict", doc_id, body, digit):
            db.put({**body, "_id": doc_id, "_rev": f"1-{digit * 32}"}, new_edits=False)
        case ("purge", doc_id):
            with suppress(NotFound):
                db.purge({doc_id: [db.get(doc_id)["_rev"]]})
        case ("compact",):
            db.compact()
        case ("query",):
            db.query("tags")


def check(db, low, high):
    """The view answers as the model does: rows, a range of them, sums of all, of the range, and by group."""
    expected = model.rows_of(db, model.map_tags)
    answer = db.query("tags", reduce=False)
    assert answer["rows"] == expected
    assert answer["total_rows"] == len(expected)
    assert db.query("tags", reduce=False, descending=True)["rows"] == expected[::-1]
    assert db.query(model.map_tags)["rows"] == expected
    ranged = model.in_range(expected, low, high)
    options = {"start_key": low, "end_key": high}
    shown = db.query("tags", reduce=False, exact_offset=True, **options)
    assert shown["rows"] == ranged
    if ranged:
        assert shown["offset"] == expected.index(ranged[0])
    total = [{"key": None, "value": sum(row["value"] for row in ranged)}] if ranged else []
    assert db.query("tags", **options)["rows"] == total
    for level in (1, 2, None):
        groups = model.groups(ranged, level)
        grouping = {"group": True} if level is None else {"group_level": level}
        assert db.query("tags", **grouping, **options)["rows"] == groups
        assert db.query("tags", descending=True, **grouping, start_key=high, end_key=low)["rows"] == groups[::-1]
        assert db.query("tags", skip=1, limit=2, **grouping, **options)["rows"] == groups[1:3]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, TAGS, TAGS)
def test_a_view_that_followed_changes_equals_one_made_anew(steps, one, other):
    """Partial results stand for two rows each here, so that a few rows make several levels of them."""
    low, high = sorted((one, other), key=sort_key)
    with pytest.MonkeyPatch.context() as patch, Database() as db:
        patch.setattr("couchette.index.reductions.INDEX_FAN_OUT_BITS", 1)
        patch.setattr("couchette.query.reduced.INDEX_GROUP_ROWS", 2)
        db.view("tags", reduce="_sum")(model.map_tags)
        for step in steps:
            take(db, step)
        check(db, low, high)
        assert db.verify() == []
