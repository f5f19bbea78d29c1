"""Which changes a feed or a replication is about: PouchDB's filters, as the engine takes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from couchette.errors import BadRequest
from couchette.pouchdb.arguments import known
from couchette.pouchdb.core import DatabaseCore

Doc = dict[str, Any]
Filter = Callable[[Doc], bool]

FEED: Final = (
    "since",
    "limit",
    "descending",
    "style",
    "include_docs",
    "conflicts",
    "attachments",
    "doc_ids",
    "seq_interval",
    "selector",
    "filter",
    "query_params",
    "view",
)
BY_OPTION: Final = ("_doc_ids", "_selector")
"""CouchDB's names for the filters that the options of the same names are by themselves."""


def feed_options(core: DatabaseCore, given: Mapping[str, Any]) -> Doc:
    """The options of ``changes`` as the facade takes them. Raises NotFound or BadRequest for a filter that is not."""
    chosen = known(given, FEED)
    if not core.is_remote:
        chosen.pop("seq_interval", None)  # It spares a server's work; PouchDB's own rows all have their sequence.
    params = chosen.pop("query_params", None)
    named_view(chosen)
    filter, view = chosen.pop("filter", None), chosen.pop("view", None)
    if callable(filter):
        chosen["filter"] = with_request(filter, params)
    elif core.is_remote:
        chosen.update({"filter": filter} if filter else {}, **({"view": view} if view else {}))
        if filter and params:
            chosen["query_params"] = params
    elif filter or view:
        chosen["filter"] = _design_filter(core, filter, view, params)
    return chosen


def named_view(chosen: Doc) -> None:
    """Make PouchDB's two options for a view, ``filter="_view"`` and ``view``, one; and give a short name both parts.

    ``view`` is a filter by itself, too, where no other is named. Raises BadRequest for ``"_view"`` without it.
    """
    filter = chosen.pop("filter", None)
    if filter == "_view" and not chosen.get("view"):
        raise BadRequest("`view` filter parameter is not provided.", "Give it as `design/view`.")
    if filter not in (None, "_view"):
        chosen.pop("view", None)
        if filter not in BY_OPTION:
            chosen["filter"] = filter
    for option in ("filter", "view"):
        name = chosen.get(option)
        if isinstance(name, str) and "/" not in name and not name.startswith("_"):
            chosen[option] = f"{name}/{name}"


def with_request(filter: Callable[..., Any], params: Mapping[str, Any] | None) -> Filter:
    """A Python filter as the engine calls it: one with a second parameter gets ``{"query": params}`` there."""
    return partial(_filtered, filter, dict(params or {})) if positional_count(filter) == 2 else filter


def _filtered(filter: Callable[..., Any], params: Doc, doc: Doc) -> bool:
    return bool(filter(doc, {"query": params}))


def positional_count(function: Callable[..., Any]) -> int:
    """How many arguments a function has to be given; 1 for a built-in one that does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in positional and one.default is one.empty for one in parameters)


def _design_filter(core: DatabaseCore, filter: str | None, view: str | None, params: Any) -> Filter:
    """The function of a local design document: a filter, or the map function of a view."""
    from couchette.design.designs import designs_of
    from couchette.design.filters import filter_function, filter_view
    from couchette.design.request import DesignRequest, admin_context, security_of, write_query

    db = core.database
    designs = designs_of(db._pool)
    if view is not None:
        judge = filter_view(db, designs, view)
    else:
        asked = DesignRequest(
            "GET",
            [core.name.encode(), b"_changes"],
            admin_context(core.name),
            security_of(db),
            query_string=write_query(params),
        )
        judge = filter_function(db, designs, filter or "", asked)
    return lambda doc: bool(judge([doc])[0])
