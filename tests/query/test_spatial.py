"""Spatial views: what meets a box, exactly; an index that followed changes is one made anew."""

from __future__ import annotations

import logging
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import AsyncDatabase, Database
from couchette.document.geometry import meets
from couchette.errors import BadRequest, CouchetteError, FunctionFailed, NotFound, QueryParseError
from couchette.index import list_groups
from tests.document.test_geometry import geometries

POINTS = "function (doc) { if (doc.at) emit({type: 'Point', coordinates: doc.at}, doc.name); }"
TIMES = "function (doc) { if (doc.at) emit([{type: 'Point', coordinates: doc.at}, doc.time], null); }"


def ids(answer):
    return [row["id"] for row in answer["rows"]]


@pytest.fixture
def places(db):
    db["_design/geo"] = {"spatial": {"points": POINTS, "times": {"map": TIMES}}}
    db.bulk_docs(
        [
            {"_id": "fiji", "at": [179.9, -17], "name": "Suva", "time": 5},
            {"_id": "oslo", "at": [10.75, 59.9], "name": "Oslo", "time": [3, 8]},
            {"_id": "rome", "at": [12.5, 41.9], "name": "Roma", "time": 1700000000123},
            {"_id": "samoa", "at": [-172.1, -13.8], "name": "Apia", "time": 6},
            {"_id": "nowhere"},
        ]
    )
    return db


def test_rows_have_geocouchs_members(places):
    [row] = places.spatial("geo/points", bbox=[10, 59, 11, 60], include_docs=True)["rows"]
    assert row == {
        "id": "oslo",
        "key": [[10.75, 10.75], [59.9, 59.9]],
        "bbox": [10.75, 59.9, 10.75, 59.9],
        "geometry": {"type": "Point", "coordinates": [10.75, 59.9]},
        "value": "Oslo",
        "doc": places["oslo"],
    }
    answer = places.spatial(("geo", "points"))
    assert ids(answer) == ["fiji", "oslo", "rome", "samoa"]
    assert answer["update_seq"] == places.info()["update_seq"]


def test_pages_and_counts(places):
    assert ids(places.spatial("geo/points", skip=1, limit=2)) == ["oslo", "rome"]
    assert ids(places.spatial("geo/points", bbox=[0, 0, 20, 90], skip=1)) == ["rome"]
    assert ids(places.spatial("geo/points", limit=0)) == []
    assert places.spatial("geo/points", bbox=[0, 0, 20, 90], count=True) == {"count": 2}
    assert places.spatial("geo/points", count=True, include_docs=True) == {"count": 4}


def test_a_box_goes_over_the_edge_of_the_plane(places):
    assert ids(places.spatial("geo/points", bbox=[170, -30, -170, 0])) == ["fiji", "samoa"]
    assert ids(places.spatial("geo/points", start_range=[170, -30], end_range=[-170, 0])) == ["fiji", "samoa"]
    assert places.spatial("geo/points", bbox=[170, -30, -170, 0], count=True) == {"count": 2}
    assert ids(places.spatial("geo/points", bbox=[170, -30, -170, 0], plane_bounds=[-175, -90, 175, 90])) == ["samoa"]
    assert ids(places.spatial("geo/points", bbox=[-180, 50, 180, -15])) == ["fiji", "oslo"]


def test_what_both_boxes_meet_is_one_row(db):
    db["belt"] = {}
    line = {"type": "LineString", "coordinates": [[-179, 0], [179, 0]]}
    assert ids(db.spatial(lambda doc: [(line, None)], bbox=[170, -5, -170, 5])) == ["belt"]


def test_more_dimensions_are_asked_for_by_ranges(places):
    assert ids(places.spatial("geo/times", start_range=[None, None, 4], end_range=[None, None, 6])) == [
        *("fiji", "oslo", "samoa")
    ]
    assert ids(places.spatial("geo/times", start_range=[0, 0, 4], end_range=[20, 90, 6])) == ["oslo"]
    assert ids(places.spatial("geo/times", start_range=[0])) == ["fiji", "oslo", "rome"]
    assert ids(places.spatial("geo/times", end_range=[None, 0])) == ["fiji", "samoa"]
    assert ids(places.spatial("geo/times", bbox=[0, 0, 20, 90])) == ["oslo", "rome"]
    assert ids(places.spatial("geo/points", start_range=[0, 0, 0])) == []
    times = {"start_range": [None, None, 1700000000122], "end_range": [None, None, 1700000000123]}
    assert ids(places.spatial("geo/times", **times)) == ["rome"]
    times["end_range"][2] = 1700000000122
    assert ids(places.spatial("geo/times", **times)) == []


def test_without_a_geometry_there_are_only_ranges(db):
    db.bulk_docs([{"_id": "a", "n": 1}, {"_id": "b", "n": 2**70}])
    answer = db.spatial(lambda doc: [(7, {"n": doc["n"]}), ([[1, 2], 3], None)], start_range=[7])
    assert answer["rows"] == [
        {"id": "a", "key": [[7, 7]], "value": {"n": 1}},
        {"id": "b", "key": [[7, 7]], "value": {"n": 2**70}},
    ]
    assert len(db.spatial(lambda doc: [(7, None), ([[1, 2], 3], None)], start_range=[1])["rows"]) == 4


def test_numbers_that_32_bits_cannot_hold_are_told_apart(db):
    db["a"] = {"at": [0.1, 0.1]}
    just_beyond = 0.1 + 1e-12
    answer = db.spatial(POINTS, bbox=[just_beyond, 0, 1, 1])
    assert ids(answer) == []
    assert ids(db.spatial(POINTS, bbox=[0.1, 0.1, 0.1, 0.1])) == ["a"]
    assert db.spatial(POINTS, bbox=[just_beyond, 0, 1, 1], count=True) == {"count": 0}


# -- Following the documents ----------------------------------------------------------------------


def test_an_index_is_kept_follows_and_is_dropped(places):
    places.spatial("geo/points")
    del places["oslo"]
    places["fiji"] = {**places["fiji"], "at": [12, 42]}
    places.purge({"samoa": [places["samoa"]["_rev"]]})
    assert ids(places.spatial("geo/points", update=False)) == ["fiji", "oslo", "rome", "samoa"]
    assert ids(places.spatial("geo/points", bbox=[11, 41, 13, 43])) == ["fiji", "rome"]
    assert ids(places.spatial("geo/points")) == ["fiji", "rome"]
    assert places.view_cleanup()["dropped"] == 0
    places["_design/geo"] = {**places["_design/geo"], "spatial": {"points": POINTS.replace("name", "time")}}
    assert places.spatial("geo/points")["rows"][0]["value"] == 5
    assert places.view_cleanup()["dropped"] == 1
    del places["_design/geo"]
    assert places.view_cleanup()["dropped"] == 1
    assert places._pool.read(list_groups) == []
    left = "SELECT name FROM sqlite_schema WHERE name GLOB 'spatial*' OR name GLOB 'rtree*'"
    assert places.sql(left).rows == []
    assert places.verify() == []


def test_a_program_declares_views_in_python(places):
    def named(doc):
        if "name" in doc:
            yield {"type": "Point", "coordinates": doc["at"]}, doc["name"]

    assert places.spatial_view("named")(named) is named
    assert [row["value"] for row in places.spatial("named", bbox=[0, 0, 20, 90])["rows"]] == ["Oslo", "Roma"]
    places.spatial_view("named", version="2")(named)
    places.spatial("named")
    assert places.view_cleanup()["dropped"] == 1
    assert len(places.spatial("named")["rows"]) == 4
    told: list = []
    places.spatial_view("told")(named)
    places.spatial("told", progress=lambda done, total: told.append((done, total)))
    assert told == [(6, 6)]


def test_a_key_that_is_none_leaves_its_document_out_and_is_logged(db, caplog):
    db.bulk_docs([{"_id": "a", "at": [1, 2]}, {"_id": "b", "at": [1]}])
    with caplog.at_level(logging.WARNING, "couchette.index"):
        assert ids(db.spatial(POINTS)) == ["a"]
    assert "'b'" in caplog.text


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abcd"), st.lists(geometries, max_size=2), st.integers(0, 3)),
        st.tuples(st.just("delete"), st.sampled_from("abcd")),
        st.tuples(st.just("conflict"), st.sampled_from("abcd"), st.lists(geometries, max_size=2)),
        st.tuples(st.just("purge"), st.sampled_from("abcd")),
        st.tuples(st.just("query")),
    ),
    max_size=12,
)
BOXES = st.tuples(*[st.integers(-7, 7)] * 4).map(
    lambda box: [min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])]
)


def shapes(doc):
    for number, shape in enumerate(doc["shapes"]):
        yield ([shape, doc["t"]] if doc["t"] and number else shape), number


def take(db, step):
    match step:
        case ("put", doc_id, many, time):
            known = {"_rev": db[doc_id]["_rev"]} if doc_id in db else {}
            db[doc_id] = {"shapes": many, "t": time, **known}
        case ("delete", doc_id):
            with suppress(NotFound):
                db.remove(db.get(doc_id))
        case ("conflict", doc_id, many):
            db.put({"_id": doc_id, "_rev": f"1-{'c' * 32}", "shapes": many, "t": 0}, new_edits=False)
        case ("purge", doc_id):
            with suppress(NotFound):
                db.purge({doc_id: [db.get(doc_id)["_rev"]]})
        case ("query",):
            db.spatial("shapes")


@pytest.mark.slow
@given(STEPS, BOXES)
def test_an_index_that_followed_finds_what_looking_at_every_geometry_finds(steps, box):
    with Database() as db:
        db.spatial_view("shapes")(shapes)
        for step in steps:
            take(db, step)
        expected = [
            (doc_id, shape)
            for doc_id in sorted(db)
            for shape in db[doc_id]["shapes"]
            if meets(shape, (box[0], box[1], box[2], box[3]))
        ]
        rows = db.spatial("shapes", bbox=box)["rows"]
        assert [(row["id"], row["geometry"]) for row in rows] == expected
        assert db.spatial("shapes", bbox=box, count=True) == {"count": len(expected)}
        assert db.spatial(shapes, bbox=box)["rows"] == rows
        assert db.spatial("shapes")["rows"] == db.spatial(shapes)["rows"]


# -- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"bbox": [1, 2, 3]}, "`bbox` must have 4 numbers"),
        ({"bbox": "1234"}, "`bbox` must have 4 numbers"),
        ({"bbox": [1, 2, 3, "4"]}, "`bbox` must have numbers"),
        ({"bbox": [0, 0, 1, 1], "plane_bounds": [1]}, "`plane_bounds` must have 4 numbers"),
        ({"bbox": [0, 0, 1, 1], "start_range": [1]}, "incompatible"),
        ({"start_range": [1], "end_range": [1, 2]}, "same number of dimensions"),
        ({"start_range": "1"}, "array of numbers"),
        ({"start_range": [1] * 6}, "array of numbers"),
        ({"start_range": [0, 0, 2], "end_range": [1, 1, 1]}, "reverse your start_range"),
        ({"skip": -1}, "skip"),
        ({"limit": -1}, "limit"),
    ],
)
def test_wrong_options_are_refused(places, options, reason):
    with pytest.raises(QueryParseError, match=reason):
        places.spatial("geo/points", **options)


def test_what_is_not_there_or_is_no_function_is_refused(places):
    with pytest.raises(NotFound, match="missing_named_view"):
        places.spatial("geo/other")
    with pytest.raises(NotFound):
        places.spatial("other/points")
    with pytest.raises(BadRequest, match="needs a function"):
        places.spatial(7)
    with pytest.raises(BadRequest, match="without a slash"):
        places.spatial_view("a/b")(lambda doc: [])
    with pytest.raises(BadRequest, match="needs a function"):
        places.spatial_view("a")(None)
    with pytest.raises(FunctionFailed):
        places.spatial("function (doc) {")
    places["_design/erl"] = {"language": "erlang", "spatial": {"x": "fun"}}
    with pytest.raises(CouchetteError, match="unknown_query_language"):
        places.spatial("erl/x")
    assert places.view_cleanup()["ok"]


@pytest.mark.anyio
async def test_it_is_awaited():
    async with AsyncDatabase() as db:
        await db.put({"_id": "a", "at": [1, 2]})
        db.spatial_view("points")(lambda doc: [({"type": "Point", "coordinates": doc["at"]}, None)])
        assert ids(await db.spatial("points", bbox=[0, 0, 3, 3])) == ["a"]
