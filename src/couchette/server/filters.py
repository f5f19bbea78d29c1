"""Filters of ``_changes``: CouchDB's own, and the functions of design documents.

A filter is chosen once, when the feed begins: a design document that is edited later filters later feeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from couchette import jsonio
from couchette.database import Database, Doc
from couchette.document import selector
from couchette.errors import BadRequest
from couchette.query.filtered_changes import Judge, filtered_changes
from couchette.server.request import Request
from couchette.server.request_object import request_object
from couchette.server.shows import open_design

Read = Callable[..., Doc]
"""Reads a page of changes, with the options of ``Database.changes``."""


def filtered(
    request: Request, db: Database, name: str, body: Mapping[str, Any], *, scan_max: int | None = None
) -> Read:
    """How to read changes through the filter ``name``; ``body`` is that of a POST.

    With ``scan_max`` a design document's function is run on about so many documents a page, also where few pass.

    Raises BadRequest, or NotFound for a function that is not there.
    """
    if name == "_doc_ids":
        return partial(db.changes, doc_ids=_doc_ids(request, body))
    if name == "_selector":
        return partial(db.changes, filter=_selector(body))
    if name == "_design":
        return partial(db.changes, filter=lambda doc: doc["_id"].startswith("_design/"))
    if name == "_view":
        return _design_filter(db, _by_view(request, db), scan_max)
    if name.startswith("_"):
        raise BadRequest(
            "unknown builtin filter name", f"Got {name!r}; there are _doc_ids, _selector, _design and _view."
        )
    return _design_filter(db, _by_function(request, db, name), scan_max)


def _design_filter(db: Database, passes: Judge, scan_max: int | None) -> Read:
    passes([])  # A function that is not there is found now, and not when there is something to filter.
    return partial(filtered_changes, db._pool, passes, scan_max=scan_max)


def _by_function(request: Request, db: Database, path: str) -> Judge:
    design, name = _names(path, "`filter` must be of the form `designname/filtername`")
    _, functions = open_design(request, db, design)
    req = request_object(request, db)
    return lambda docs: functions.filter(name, docs, req)


def _by_view(request: Request, db: Database) -> Judge:
    path = request.query.first("view")
    if path is None:
        raise BadRequest("`view` filter parameter is not provided.", "Give it as `design/view`.")
    design, name = _names(path, "`view` must be of the form `designname/viewname`")
    _, functions = open_design(request, db, design)
    return lambda docs: functions.filter_view(name, docs)


def _names(path: str, malformed: str) -> tuple[str, str]:
    design, slash, name = path.partition("/")
    if not slash or "/" in name:
        raise BadRequest(malformed, f"Got {path!r}.")
    return design, name


def _selector(body: Mapping[str, Any]) -> Callable[[Any], bool]:
    """The selector as a function. Here its errors are plain ``bad_request`` ones."""
    wanted = body.get("selector")
    if not isinstance(wanted, dict):
        raise BadRequest("Selector error: expected a JSON object", "Send it in the body of a POST.")
    try:
        return selector.compile(wanted)
    except BadRequest as exc:
        raise BadRequest(exc.reason, exc.hint) from exc


def _doc_ids(request: Request, body: Mapping[str, Any]) -> list[str]:
    text = request.query.first("doc_ids")
    doc_ids = jsonio.loads(text) if text is not None and request.method != "POST" else body.get("doc_ids")
    if not isinstance(doc_ids, list) or not all(isinstance(doc_id, str) for doc_id in doc_ids):
        raise BadRequest("`doc_ids` filter parameter is not a list of doc ids.", f"Got {doc_ids!r}.")
    return doc_ids
