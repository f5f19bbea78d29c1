"""The plug-ins that ask: GQL, full-text search, and search in space; and the upkeep of what they and views keep.

Each translates PouchDB's arguments to the facade's, and what it answers to the plug-in's form. What a server cannot be
asked, and what is asked with a function of its own that the facade would keep, is answered from a copy of the documents
in memory, without their attachments: as slow as it sounds, and as slow as PouchDB does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from couchette.document.docid import DESIGN
from couchette.errors import BadRequest, QueryParseError
from couchette.pouchdb.arguments import known
from couchette.pouchdb.copies import copy_of
from couchette.pouchdb.core import DatabaseCore
from couchette.pouchdb.results import plain
from couchette.query.views import is_javascript

Doc = dict[str, Any]

SEARCH_OPTIONS: Final = (
    *("limit", "skip", "bookmark", "sort", "include_docs", "conflicts", "include_fields", "highlight_fields"),
    *("highlight_pre_tag", "highlight_post_tag", "highlight_number", "highlight_size", "counts", "ranges"),
    *("drilldown", "update"),
)
SPATIAL_OPTIONS: Final = (
    *("bbox", "start_range", "end_range", "plane_bounds", "skip", "limit", "include_docs", "count", "update"),
)
_OWN: Final = "own"


def gql(core: DatabaseCore, /, query: Any, **options: Any) -> Doc:
    """The rows of a GQL query: ``{"rows": [{label: value}]}``.

    ``query`` is an object of clauses, ``{"select": "name, max(pay)", "where": ..., "groupBy": ..., "pivot": ...,
    "orderBy": ..., "label": ...}``, or the text of them all. There are no options, as in the plug-in.

    Raises:
        QueryParseError: it is no query.
        MissingExtra: lark is not installed.
    """
    if not isinstance(query, str | Mapping):
        raise QueryParseError("A query is an object of clauses, or a text.", f"Got {type(query).__name__}.")
    asked = plain(query)
    if core.is_remote:
        with copy_of(core) as copied:
            return {"rows": list(copied.gql(asked))}
    return {"rows": list(core.database.gql(asked))}


def search(core: DatabaseCore, /, func: Any, **options: Any) -> Doc:
    """What a query in Lucene's syntax finds: ``{"total_rows", "bookmark", "rows": [{"id", "order", "fields"}]}``.

    Args:
        func: ``"design/index"`` of a design document's ``indexes``; or an index for this query only: JavaScript that
            calls ``index(field, value)``, the object of an index ``{"index", "analyzer"?}``, or a Python function that
            yields pairs of field and value.
        q: what to look for; ``query`` is another name of it.
        options: CouchDB's, such as ``limit``, ``sort``, ``include_docs`` and ``counts``.

    Raises:
        BadRequest: a query or option that cannot be read.
        NotFound: there is no such index.
        MissingExtra: what searching needs is not installed.
    """
    asked = known(options, ("q", "query", *SEARCH_OPTIONS))
    texts = [asked.pop(name) for name in ("q", "query") if name in asked]
    if not texts:
        raise BadRequest("Search must include a `query` parameter.", "Give it as `q`.")
    found: Doc
    if isinstance(func, str) and not is_javascript(func):
        found = core.database.search(_path(func), texts[0], **asked)
        return found
    with copy_of(core) as copied:
        if callable(func):
            copied.text_index(_OWN)(func)
            return copied.search(_OWN, texts[0], **asked)
        index = {"index": func} if isinstance(func, str) else plain(func)
        copied.put({"_id": DESIGN + _OWN, "indexes": {_OWN: index}})
        return copied.search((_OWN, _OWN), texts[0], **asked)


def spatial(core: DatabaseCore, /, fun: str | Callable[[Doc], Any], **options: Any) -> Doc:
    """The rows of a spatial view within a box: ``{"update_seq", "rows": [{"id", "key", "value", ...}]}``.

    Args:
        fun: ``"design/view"`` of a design document's ``spatial``; or for this query only, a function in JavaScript or
            Python that emits geometries.
        start_range, end_range: the box, a number or None for each dimension.
        bbox: the box, in two dimensions.
        options: the others of :meth:`couchette.Database.spatial`.

    Raises:
        QueryParseError: options that are wrong or do not go together.
        NotFound: there is no such view.
    """
    asked = known(options, SPATIAL_OPTIONS)
    found: Doc
    if isinstance(fun, str) and not is_javascript(fun):
        found = core.database.spatial(_path(fun), **asked)
    elif core.is_remote:
        with copy_of(core) as copied:
            found = copied.spatial(fun, **asked)
    else:
        found = core.database.spatial(fun, **asked)
    return found


def view_cleanup(core: DatabaseCore) -> Doc:
    """Drop the indexes that no design document has any more: ``{"ok": True}``."""
    core.database.view_cleanup()
    return {"ok": True}


def _path(name: str) -> tuple[str, str]:
    """Design document and index of a path; one name stands for both, as with PouchDB's views."""
    design, slash, index = name.partition("/")
    return design, index if slash else design
