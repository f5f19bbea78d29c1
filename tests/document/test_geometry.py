"""Geometries of GeoJSON: their bounds, what is none, and whether they meet a box as shapely says."""

from __future__ import annotations

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from couchette.document.geometry import bounds, meets, read_key
from couchette.errors import BadRequest

SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
HOLE = [[2, 2], [2, 8], [8, 8], [8, 2], [2, 2]]

positions = st.tuples(st.integers(-6, 6), st.integers(-6, 6)).map(list)
rings = (
    st.lists(positions, min_size=3, max_size=6, unique_by=tuple)
    .map(lambda ring: [*ring, ring[0]])
    .filter(lambda ring: shapely.Polygon(ring).is_valid and shapely.Polygon(ring).area > 0)
)
polygons = rings.map(lambda ring: [ring])
lines = st.lists(positions, min_size=2, max_size=4, unique_by=tuple)
simple = st.one_of(
    st.builds(lambda one: {"type": "Point", "coordinates": one}, positions),
    st.builds(lambda many: {"type": "MultiPoint", "coordinates": many}, st.lists(positions, min_size=1, max_size=3)),
    st.builds(lambda line: {"type": "LineString", "coordinates": line}, lines),
    st.builds(lambda many: {"type": "MultiLineString", "coordinates": many}, st.lists(lines, min_size=1, max_size=2)),
    st.builds(lambda rings: {"type": "Polygon", "coordinates": rings}, polygons),
    st.just({"type": "Polygon", "coordinates": [SQUARE, HOLE]}),
)
geometries = st.one_of(
    simple,
    st.builds(
        lambda members: {"type": "GeometryCollection", "geometries": members}, st.lists(simple, min_size=1, max_size=3)
    ),
)
boxes = st.tuples(*[st.integers(-7, 11)] * 4).map(
    lambda box: (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3]))
)


@given(geometries, boxes)
def test_a_geometry_meets_a_box_and_has_bounds_as_shapely_says(geometry, box):
    known = shapely.geometry.shape(geometry)
    assert bounds(geometry) == known.bounds
    assert meets(geometry, box) == known.intersects(shapely.box(*box))


def test_a_box_in_a_hole_meets_nothing_and_one_in_the_ring_does():
    ring = {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE]]}
    assert not meets(ring, (4, 4, 5, 5))
    assert meets(ring, (0.5, 0.5, 1, 1))
    assert meets(ring, (4, 4, 8, 5))
    assert meets(ring, (-1, -1, 20, 20))


def test_a_line_of_one_position_and_a_third_coordinate():
    assert meets({"type": "LineString", "coordinates": [[1, 2, 99]]}, (1, 2, 3, 3))
    assert bounds({"type": "MultiPoint", "coordinates": [[1, 2, 99], [3, 1]]}) == (1, 1, 3, 2)


def test_a_key_is_a_geometry_or_a_list_of_dimensions():
    point = {"type": "Point", "coordinates": [1, 2]}
    assert read_key(point) == ([(1, 1), (2, 2)], point)
    assert read_key([point, 5, [6, 7]]) == ([(1, 1), (2, 2), (5, 5), (6, 7)], point)
    assert read_key([[1, 2]]) == ([(1, 2)], None)
    assert read_key(7) == ([(7, 7)], None)


@pytest.mark.parametrize(
    "key",
    [
        None,
        "text",
        True,
        [],
        [1, 2, 3, 4, 5, 6],
        [[2, 1]],
        [[1, 2, 3]],
        [1, {"type": "Point", "coordinates": [1, 2]}],
        1e39,
        10**400,
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}},
        {"type": "Point"},
        {"type": "Point", "coordinates": [1]},
        {"type": "Point", "coordinates": ["1", "2"]},
        {"type": "Polygon", "coordinates": [[1, 2], [3, 4]]},
        {"type": "Polygon", "coordinates": []},
        {"type": ["Point"], "coordinates": [1, 2]},
        {"type": "GeometryCollection", "geometries": []},
        {"type": "GeometryCollection", "geometries": {}},
        {"type": "GeometryCollection", "geometries": [None]},
    ],
)
def test_what_is_no_key_is_refused(key):
    with pytest.raises(BadRequest):
        read_key(key)


def test_collections_nest_so_deep_and_no_deeper():
    nested = {"type": "Point", "coordinates": [1, 2]}
    for _ in range(16):
        nested = {"type": "GeometryCollection", "geometries": [nested]}
    assert bounds(nested) == (1, 2, 1, 2)
    with pytest.raises(BadRequest):
        bounds({"type": "GeometryCollection", "geometries": [nested]})
