"""Spatial queries: which geometries, or points of more dimensions, meet a box.

GeoCouch's: a design document has functions under ``spatial`` that emit as map functions do, with a geometry or an array
of dimensions as the key (:func:`couchette.document.geometry.read_key`), and all of them are one index, which follows
the documents as views do and is known by its own signature. What is asked and answered is GeoCouch's too; but a row is
found only where its geometry meets the box, not only the rectangle around it, and rows come in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from couchette import index, store
from couchette.document.geometry import number
from couchette.errors import BadRequest, QueryParseError
from couchette.index.spatial_rows import (
    Ranges,
    count_spatial,
    find_spatial,
    open_spatial_group,
    spatial_rows,
    write_spatial_batch,
)
from couchette.limits import SPATIAL_DIMENSIONS_MAX
from couchette.pool import Pool
from couchette.query.catching_up import Progress, follow
from couchette.query.compiled import Compiled, close, compile_views
from couchette.query.definitions import PythonMap, Views
from couchette.query.options import ViewQuery
from couchette.query.rows import add_docs
from couchette.query.spatial_definitions import design_spatial, program_spatial, spatial_owner, temporary_spatial
from couchette.query.views import is_javascript
from couchette.store.listing import check_count

if TYPE_CHECKING:
    from couchette.functions.protocols import Mapper

Doc = dict[str, Any]
SpatialView = str | tuple[str, str] | PythonMap
Box = Sequence[float]

PLANE: Final = (-180.0, -90.0, 180.0, 90.0)
"""The bounds of the plane where none are given: degrees."""


@dataclass(frozen=True, slots=True)
class SpatialQuery:
    """The options of one query."""

    boxes: Sequence[Ranges] = ((),)
    """What is asked for meets one of these. A query across the date line has two."""
    skip: int = 0
    limit: int | None = None
    include_docs: bool = False
    count: bool = False
    update: bool = True


def spatial_query(
    *,
    bbox: Box | None,
    start_range: Sequence[float | None] | None,
    end_range: Sequence[float | None] | None,
    plane_bounds: Box | None,
    **options: Any,
) -> SpatialQuery:
    """The options of a query, checked. Raises QueryParseError."""
    check_count("skip", options["skip"])
    if options["limit"] is not None:
        check_count("limit", options["limit"])
    ranges = _ranges(bbox, start_range, end_range)
    plane = PLANE if plane_bounds is None else _numbers("plane_bounds", plane_bounds, 4)
    return SpatialQuery(_split(ranges, [(plane[0], plane[2]), (plane[1], plane[3])]), **options)


def _ranges(bbox: Any, start_range: Any, end_range: Any) -> list[tuple[float | None, float | None]]:
    """From and to of each dimension that is asked for; from may be beyond to."""
    if bbox is None:
        first, final = (_bounds(name, one) for name, one in (("start_range", start_range), ("end_range", end_range)))
        size = max(len(first), len(final))
        if first and final and len(first) != len(final):
            hint = f"There are {len(first)} and {len(final)}; null is an open end."
            raise QueryParseError("`start_range` and `end_range` must have the same number of dimensions.", hint)
        return list(zip(first or [None] * size, final or [None] * size, strict=True))
    if start_range is not None or end_range is not None:
        raise QueryParseError("`bbox` is incompatible with `start_range` and `end_range`", "They name all dimensions.")
    west, south, east, north = _numbers("bbox", bbox, 4)
    return [(west, east), (south, north)]


def _bounds(name: str, values: Any) -> list[float | None]:
    if values is None:
        return []
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence) or len(values) > SPATIAL_DIMENSIONS_MAX:
        hint = f"Got {values!r:.80}; there are at most {SPATIAL_DIMENSIONS_MAX} dimensions."
        raise QueryParseError(f"`{name}` must be an array of numbers and nulls.", hint)
    return [None if value is None else _number(name, value) for value in values]


def _numbers(name: str, values: Any, size: int) -> list[float]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence) or len(values) != size:
        raise QueryParseError(f"`{name}` must have {size} numbers.", f"Got {values!r:.80}: west, south, east, north.")
    return [_number(name, value) for value in values]


def _number(name: str, value: Any) -> float:
    try:
        return number(value)
    except BadRequest as exc:
        raise QueryParseError(f"`{name}` must have numbers.", exc.hint) from exc


def _split(ranges: list[tuple[float | None, float | None]], plane: Sequence[tuple[float, float]]) -> list[Ranges]:
    """The boxes of a query: one that ends before it begins goes over the edge of the plane, and on from the other."""
    boxes: list[list[tuple[float | None, float | None]]] = [[]]
    for axis, (low, high) in enumerate(ranges):
        parts = [(low, high)]
        if low is not None and high is not None and low > high:
            if axis >= len(plane):
                reason = "No rows can match your range, reverse your start_range and end_range"
                raise QueryParseError(reason, f"Dimension {axis + 1} is from {low:g} to {high:g}.")
            parts = [(low, plane[axis][1]), (plane[axis][0], high)]
        boxes = [[*box, part] for box in boxes for part in parts]
    return [box for box in boxes if all(low is None or high is None or low <= high for low, high in box)]


class _Keeper:
    """See :class:`couchette.query.catching_up.Keeper`."""

    task = "indexer"

    def __init__(self, mapper: Mapper) -> None:
        self._mapper = mapper
        self.open = open_spatial_group
        self.write = write_spatial_batch

    def rows(self, group: index.Group, batch: index.Batch) -> Any:
        return spatial_rows(group, batch, self._mapper.map(batch.docs) if batch.docs else [])


class SpatialEngine:
    """The spatial views of one database. Safe to use from many threads."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._compiled = Compiled()
        self._program: dict[str, Views] = {}
        self._designs: dict[str, tuple[str, Views]] = {}
        """Per design document: its rev, and what it declares."""

    def register(self, name: str, function: PythonMap, version: str) -> None:
        """Declare a spatial view of the program's own; it is indexed when it is first asked for."""
        self._program[name] = program_spatial(name, function, version)

    def query(self, view: SpatialView, query: SpatialQuery, progress: Progress | None = None) -> Doc:
        """The answer of a stored view, or of a function that is computed for it."""
        if not isinstance(view, (str, tuple)) or (isinstance(view, str) and is_javascript(view)):
            return self._query_temporary(temporary_spatial(view), query, progress)
        views, at = self._stored(view)
        found = self._pool.read(_read, views.group.signature, at, query, only_current=query.update)
        if found is None:
            with self._compiled.lease(views) as functions:
                follow(self._pool, views.group, _Keeper(functions.mapper), progress=progress)
            found = self._pool.read(_read, views.group.signature, at, query, only_current=False)
        assert found is not None
        return self._answer(found, query)

    def _stored(self, name: str | tuple[str, str]) -> tuple[Views, int]:
        if isinstance(name, str) and name in self._program:
            return self._program[name], 0
        design, slash, view = name.partition("/") if isinstance(name, str) else (name[0], "/", name[1])
        views = self._design(f"_design/{design}")
        return views, views.number(view if slash else design)

    def _design(self, doc_id: str) -> Views:
        doc = self._pool.read(store.get, doc_id)
        known = self._designs.get(doc_id)
        if known is None or known[0] != doc["_rev"]:
            known = self._designs[doc_id] = doc["_rev"], design_spatial(doc)
        return known[1]

    def _query_temporary(self, views: Views, query: SpatialQuery, progress: Progress | None) -> Doc:
        functions = compile_views(views)
        rows_pool = Pool(":memory:")
        try:
            follow(self._pool, views.group, _Keeper(functions.mapper), rows_pool=rows_pool, progress=progress)
            found = rows_pool.read(_read, views.group.signature, 0, query, only_current=False)
        finally:
            rows_pool.close()
            close(functions)
        assert found is not None
        return self._answer(found, query)

    def cleanup(self) -> int:
        """Drop the indexes of this program's names that it declares otherwise by now; return how many there were."""
        ours = {spatial_owner(name) for name in self._program}
        current = {views.group.signature for views in self._program.values()}
        listed = self._pool.read(index.list_groups)
        stale = [signature for signature, owner in listed if owner in ours and signature not in current]
        return self._pool.write(index.drop_groups, stale) if stale else 0

    def close(self) -> None:
        """Close what is compiled, as soon as nobody is using it."""
        self._compiled.close()

    def _answer(self, found: Doc, query: SpatialQuery) -> Doc:
        if query.include_docs and not query.count:
            self._pool.read(add_docs, found["rows"], _WITH_DOCS)
        return found


_WITH_DOCS: Final = ViewQuery(include_docs=True)


def _read(conn: Any, signature: str, at: int, query: SpatialQuery, *, only_current: bool) -> Doc | None:
    """The answer of an index; None where it is to be current, and has something to follow."""
    state, newest = index.find_group_and_newest(conn, signature)
    if only_current and (state is None or state.position != newest):
        return None
    if query.count:
        return {"count": 0 if state is None else count_spatial(conn, state.num, at, query.boxes)}
    found = [] if state is None else find_spatial(conn, state.num, at, query.boxes, skip=query.skip, limit=query.limit)
    seq = store.read_meta(conn).seq_text(0 if state is None else state.position.seq)
    return {"update_seq": seq, "rows": found}
