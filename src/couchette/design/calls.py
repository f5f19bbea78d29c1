"""Shows, lists and updates: which document a function is given, and what becomes of its answer.

A caller opens the design document, asks, and makes of the answer what it needs: an HTTP answer, or a value. Answers are
CouchDB's response objects, which :func:`couchette.functions.checked_response` reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from couchette.design.designs import Designs
from couchette.design.request import DesignRequest, request_object
from couchette.errors import IllegalDocId, NotFound
from couchette.functions import DesignFunctions, Response, check_written, checked_response
from couchette.limits import FUNCTION_REVISIONS_MAX
from couchette.wire import parameters

if TYPE_CHECKING:
    from couchette.database import Database

Doc = dict[str, Any]


@dataclass(frozen=True)
class Design:
    """A design document as it is now, and its functions."""

    name: str
    """Without ``_design/``."""
    doc: Doc
    functions: DesignFunctions


def open_design(db: Database, designs: Designs, name: str) -> Design:
    """A design document and its functions. Raises NotFound; FunctionFailed for one that is not in JavaScript."""
    doc = db.get(f"_design/{name}")
    return Design(name, doc, designs.functions(db, doc))


def function_doc(db: Database, doc_id: str | None) -> Doc | None:
    """A document as functions see it, with its history and conflicts; None where there is none, or no such id."""
    if doc_id is None:
        return None
    try:
        doc: Doc = db.get(doc_id, conflicts=True, revs=True)
    except (NotFound, IllegalDocId):
        return None
    if "_revisions" in doc:
        doc["_revisions"]["ids"] = doc["_revisions"]["ids"][:FUNCTION_REVISIONS_MAX]
    return doc


def show(
    db: Database, design: Design, name: str, doc_id: str | None, doc: Doc | None, asked: DesignRequest
) -> Response:
    """What a show function answers, given ``doc``, which :func:`function_doc` found under ``doc_id``."""
    return checked_response(design.functions.show(name, doc, request_object(asked, db, doc_id)))


def render_list(
    db: Database,
    design: Design,
    name: str,
    view: tuple[str, str],
    asked: DesignRequest,
    body: Mapping[str, Any] | None = None,
) -> Response:
    """What a list function makes of a view's rows.

    Args:
        view: its design document and its name. One that is named ``_all_docs`` is that listing.
        body: options of the view beside those in the query, as in the body of a POST.

    The function is over before this returns, so one that fails has sent nothing.
    """
    if view[1] == "_all_docs":
        found = db.all_docs(**parameters.all_docs_options(asked.query, body), exact_offset=True)
    else:
        found = db.query(view, **parameters.view_options(asked.query, body), exact_offset=True)
    rows = found.pop("rows")
    listing = design.functions.list(name, found, rows, request_object(asked, db))
    head: dict[str, Any] = {member: listing.head[member] for member in ("code", "headers") if member in listing.head}
    return checked_response(head, text="".join(listing.chunks))


@dataclass(frozen=True)
class Updated:
    """What an update function did.

    Attributes:
        doc: the document as the function gave it; None if it wrote none.
        written: ``{"ok", "id", "rev"}`` of what was written, or None.
        response: what it answered; its code is 201 where something was written and the function said nothing else.
    """

    doc: Doc | None
    written: Doc | None
    response: Response


def update(db: Database, design: Design, name: str, doc_id: str | None, asked: DesignRequest) -> Updated:
    """Write what an update function makes of a request and the document as it is now.

    If another edit comes between, this one is a conflict. Raises what ``put`` raises, and IllegalDocId for a document
    without an id.
    """
    doc = function_doc(db, doc_id)
    edited, answer = design.functions.update(name, doc, request_object(asked, db, doc_id))
    if not isinstance(edited, dict):
        return Updated(None, None, checked_response({"code": 200, **answer}))
    if not edited.get("_id"):
        raise IllegalDocId("Document id must not be empty", f"{name} of _design/{design.name} made a document without.")
    check_written(edited, new_edits=True, partitioned=db._partitioned)
    written = db.put(edited)
    return Updated(edited, written, checked_response({"code": 201, **answer}))
