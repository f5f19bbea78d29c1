"""The filter of a replication whose source is a database of this process: there nobody else runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from couchette import store
from couchette.document import selector as mango
from couchette.functions import DesignFunctions
from couchette.live import Filter
from couchette.query.filtered_changes import Judge
from couchette.wire.selection import Selection
from couchette.wire.transfer import Document


@dataclass(frozen=True)
class LocalFilter:
    """A selection as a function: none where it takes every document, or only names them.

    ``accepts`` is one of a document, ``passes`` one of many at once, for a design document's.
    """

    accepts: Filter | None = None
    passes: Judge | None = None
    close: Callable[[], None] = lambda: None


def local_filter(conn: Any, selection: Selection) -> LocalFilter:
    """The filter for a selection. It must be closed, from any thread.

    Raises NotFound where the database has no such design document. A function that is not in it, or fails, is found
    when it is called.
    """
    if selection.view is not None:
        design, name = selection.view.split("/", 1)
        functions = _functions(conn, design)
        return LocalFilter(passes=lambda docs: functions.filter_view(name, docs), close=functions.close)
    if selection.filter is not None:
        design, name = selection.filter.split("/", 1)
        functions = _functions(conn, design)
        request = {"query": dict(selection.query_params)}
        return LocalFilter(passes=lambda docs: functions.filter(name, docs, request), close=functions.close)
    if selection.selector is not None:
        return LocalFilter(mango.compile(selection.selector))
    return LocalFilter(selection.accepts)


def _functions(conn: Any, design: str) -> DesignFunctions:
    doc: Document = store.get(conn, f"_design/{design}")
    return DesignFunctions(doc)
