"""The facades' spatial queries, and the declaration of spatial views."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from couchette import workers

if TYPE_CHECKING:
    from couchette.database import Database
    from couchette.pool import Pool
    from couchette.query.spatial import SpatialEngine

Doc = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., Any])

_MAKING: Final = threading.Lock()
"""Held while a database's engine is made, which is done once, when the first spatial view is asked for."""


class SpatialQueries:
    """What :class:`~couchette.Database` can find in space."""

    _pool: Pool
    _spatial_engine: SpatialEngine | None = None

    def spatial(
        self,
        view: str | tuple[str, str] | Callable[[Doc], Any],
        *,
        bbox: Sequence[float] | None = None,
        start_range: Sequence[float | None] | None = None,
        end_range: Sequence[float | None] | None = None,
        plane_bounds: Sequence[float] | None = None,
        skip: int = 0,
        limit: int | None = None,
        include_docs: bool = False,
        count: bool = False,
        update: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> Doc:
        """The rows of a spatial view that meet a box, in the order of their documents' ids.

        Return ``{"update_seq", "rows": [{"id", "key", "bbox", "geometry", "value", "doc"?}]}``, or with ``count``
        ``{"count"}``. ``key`` is ``[from, to]`` for each dimension; where nothing but numbers was emitted there is
        no ``bbox`` and no ``geometry``. A geometry meets a box when they have a point in common, edges included.

        Args:
            view: ``"design/view"`` of a design document's ``spatial`` functions, or the two names as a pair; the name
                of one declared with :meth:`spatial_view`; or for this query only, a function of a document that
                returns or yields pairs of key and value, or JavaScript source. A key is a GeoJSON geometry, or a list
                of dimensions, of which the first may be a geometry, and each other a number or ``[from, to]``.
            bbox: west, south, east and north.
            start_range, end_range: for views of any dimensions, where to begin and to end in each; None is open, and
                so are dimensions that are not named.
            plane_bounds: the bounds of the plane, as ``bbox``. A box with west beyond east, or south beyond north, goes
                over the edge and on from the other. They are degrees by default: -180, -90, 180, 90.
            skip, limit: leave out so many rows, and give at most so many.
            include_docs: add each row's document, or the one that its value names with ``_id``.
            count: only how many rows there are.
            update: False answers from the index as it is.
            progress: called while an index is built, as in :meth:`query`.

        Raises:
            NotFound: there is no such design document or view.
            QueryParseError: options that are wrong or do not go together.
            FunctionFailed, CompilationFailed: a function does not compile, or ran out of its bounds.
        """
        from couchette.query.spatial import spatial_query

        query = spatial_query(
            bbox=bbox,
            start_range=start_range,
            end_range=end_range,
            plane_bounds=plane_bounds,
            skip=skip,
            limit=limit,
            include_docs=include_docs,
            count=count,
            update=update,
        )
        return self._spatial.query(view, query, progress)

    def spatial_view(self, name: str, *, version: str = "") -> Callable[[Function], Function]:
        """Declare a spatial view in Python under a name: a decorator for a function of a document.

        Its index is kept in the file and follows the documents, as that of :meth:`view` does.

        >>> @db.spatial_view("places")
        ... def places(doc):
        ...     yield {"type": "Point", "coordinates": doc["lonlat"]}, doc["name"]

        Raises:
            BadRequest: the name has a slash.
        """

        def declare(function: Function) -> Function:
            self._spatial.register(name, function, version)
            return function

        return declare

    @property
    def _spatial(self) -> SpatialEngine:
        with _MAKING:
            if self._spatial_engine is None:
                from couchette.query.spatial import SpatialEngine

                self._spatial_engine = SpatialEngine(self._pool)
                self._pool.on_close(self._spatial_engine.close)
            return self._spatial_engine


class AsyncSpatialQueries:
    """The same for :class:`~couchette.AsyncDatabase`."""

    database: Database

    async def spatial(
        self,
        view: str | tuple[str, str] | Callable[[Doc], Any],
        *,
        bbox: Sequence[float] | None = None,
        start_range: Sequence[float | None] | None = None,
        end_range: Sequence[float | None] | None = None,
        plane_bounds: Sequence[float] | None = None,
        skip: int = 0,
        limit: int | None = None,
        include_docs: bool = False,
        count: bool = False,
        update: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> Doc:
        """Async :meth:`Database.spatial`. ``progress`` is called in the worker thread."""
        return await workers.in_thread(
            self.database.spatial,
            view,
            bbox=bbox,
            start_range=start_range,
            end_range=end_range,
            plane_bounds=plane_bounds,
            skip=skip,
            limit=limit,
            include_docs=include_docs,
            count=count,
            update=update,
            progress=progress,
        )

    def spatial_view(self, name: str, *, version: str = "") -> Callable[[Function], Function]:
        """As :meth:`Database.spatial_view`; it touches no file, so it is not awaited."""
        return self.database.spatial_view(name, version=version)
