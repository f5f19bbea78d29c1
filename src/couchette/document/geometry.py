"""GeoJSON geometries: where they lie, and whether one meets a box. https://www.rfc-editor.org/rfc/rfc7946

Coordinates are those of a plane: a geometry across the date line is to be cut there, as RFC 7946 asks. A third
coordinate is ignored. Edges belong to what they bound, on both sides.

A geometry meets a box in one of three ways: one of its positions lies in it, one of its lines passes through it, or
the box lies within a polygon and outside its holes. A line and a box are convex, so they are apart exactly when they
are apart along an axis or across the line (the separating axis theorem); and where no edge of a polygon meets the box,
one corner of the box speaks for all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from couchette.errors import BadRequest
from couchette.limits import SPATIAL_DIMENSIONS_MAX, SPATIAL_NESTING_MAX, SPATIAL_NUMBER_MAX

Geometry = Mapping[str, Any]
Range = tuple[float, float]
Position = tuple[float, float]
Box = tuple[float, float, float, float]
"""West, south, east, north."""

_DEPTHS: Final = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
"""By type, the levels of arrays around its positions."""


def read_key(key: Any) -> tuple[list[Range], Geometry | None]:
    """What a spatial function emitted as a key: a range for each dimension, and the geometry, if there is one.

    A key is a geometry, or an array of dimensions: the first may be a geometry, which makes two, and each other is a
    number or a pair, from and to. Raises BadRequest for anything else.
    """
    parts = list(key) if isinstance(key, (list, tuple)) else [key]
    geometry = parts.pop(0) if parts and isinstance(parts[0], Mapping) else None
    ranges: list[Range] = []
    if geometry is not None:
        west, south, east, north = bounds(geometry)
        ranges += [(west, east), (south, north)]
    ranges += map(_range, parts)
    if not 1 <= len(ranges) <= SPATIAL_DIMENSIONS_MAX:
        hint = f"There may be 1 to {SPATIAL_DIMENSIONS_MAX}, of which a geometry is two; it is {key!r:.80}."
        raise BadRequest(f"A spatial key has {len(ranges)} dimensions.", hint)
    return ranges, geometry


def _range(value: Any) -> Range:
    """One dimension beside those of a geometry."""
    if isinstance(value, (list, tuple)) and len(value) == 2:
        low, high = number(value[0]), number(value[1])
        if low > high:
            raise BadRequest("A range ends before it begins.", f"It is {value!r:.80}.")
        return low, high
    one = number(value)
    return one, one


def number(value: Any) -> float:
    """A coordinate. Raises BadRequest."""
    if type(value) in (int, float) and abs(value) <= SPATIAL_NUMBER_MAX:
        return float(value)
    raise BadRequest("A coordinate must be a number.", f"Got {value!r:.80}; the largest is {SPATIAL_NUMBER_MAX:g}.")


def bounds(geometry: Geometry) -> Box:
    """The smallest box around a geometry. Raises BadRequest for what is no geometry, or has no position."""
    positions = [position for part in _parts(geometry) for position in _positions(*part)]
    if not positions:
        raise BadRequest("A geometry must have a position.", f"It is {geometry!r:.80}.")
    xs, ys = zip(*positions, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _parts(geometry: Any, nesting: int = 0) -> Iterator[tuple[str, Any]]:
    """Type and coordinates of the simple geometries in one."""
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    if kind == "GeometryCollection" and nesting < SPATIAL_NESTING_MAX:
        members = geometry.get("geometries")
        if isinstance(members, (list, tuple)):
            for member in members:
                yield from _parts(member, nesting + 1)
            return
    if not isinstance(kind, str) or kind not in _DEPTHS or not isinstance(geometry.get("coordinates"), (list, tuple)):
        raise BadRequest("A spatial key must be a GeoJSON geometry.", f"Got {geometry!r:.80}.")
    yield kind, geometry["coordinates"]


def _positions(kind: str, coordinates: Any) -> Iterator[Position]:
    return _flat(coordinates, _DEPTHS[kind])


def _flat(coordinates: Any, depth: int) -> Iterator[Position]:
    if not isinstance(coordinates, (list, tuple)) or (depth == 0 and len(coordinates) < 2):
        raise BadRequest("The coordinates do not have the shape of their geometry.", f"They hold {coordinates!r:.80}.")
    if depth == 0:
        yield number(coordinates[0]), number(coordinates[1])
        return
    for part in coordinates:
        yield from _flat(part, depth - 1)


# -- Whether it meets a box -----------------------------------------------------------------------


def meets(geometry: Geometry, box: Box) -> bool:
    """Whether a geometry, which has bounds, and a box have a point in common."""
    return any(_MEETS[kind](coordinates, box) for kind, coordinates in _parts(geometry))


def _holds(position: Sequence[float], box: Box) -> bool:
    return box[0] <= position[0] <= box[2] and box[1] <= position[1] <= box[3]


def _line_meets(line: Sequence[Sequence[float]], box: Box) -> bool:
    if len(line) == 1:
        return _holds(line[0], box)
    return any(_segment_meets(begin, end, box) for begin, end in pairwise(line))


def _segment_meets(begin: Sequence[float], end: Sequence[float], box: Box) -> bool:
    west, south, east, north = box
    x, y = begin[0], begin[1]
    dx, dy = end[0] - x, end[1] - y
    if max(x, end[0]) < west or min(x, end[0]) > east or max(y, end[1]) < south or min(y, end[1]) > north:
        return False
    sides = [dx * (cy - y) - dy * (cx - x) for cx in (west, east) for cy in (south, north)]
    return min(sides) <= 0 <= max(sides)


def _polygon_meets(rings: Sequence[Sequence[Sequence[float]]], box: Box) -> bool:
    return any(_line_meets(ring, box) for ring in rings if ring) or _is_within((box[0], box[1]), rings)


def _is_within(position: Position, rings: Sequence[Sequence[Sequence[float]]]) -> bool:
    """Whether a line from here to the right crosses the rings, outer and holes alike, an odd number of times."""
    x, y = position
    within = False
    for ring in rings:
        for begin, end in pairwise(ring):
            if (begin[1] > y) != (end[1] > y):
                crossing = begin[0] + (y - begin[1]) / (end[1] - begin[1]) * (end[0] - begin[0])
                within ^= crossing > x
    return within


def _any_of(check: Callable[[Any, Box], bool]) -> Callable[[Any, Box], bool]:
    return lambda parts, box: any(check(part, box) for part in parts if part)


_MEETS: Final[Mapping[str, Callable[[Any, Box], bool]]] = {
    "Point": _holds,
    "MultiPoint": _any_of(_holds),
    "LineString": _line_meets,
    "MultiLineString": _any_of(_line_meets),
    "Polygon": _polygon_meets,
    "MultiPolygon": _any_of(_polygon_meets),
}
