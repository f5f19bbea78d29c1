"""One document: shown, written as JSON, and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from couchette.database import Database
from couchette.document.docid import LOCAL
from couchette.errors import BadRequest, Conflict, CouchetteError, NotFound
from couchette.functions import check_written
from couchette.server.pages.attachments import described
from couchette.server.pages.differences import differences
from couchette.server.pages.documents import parse_object
from couchette.server.pages.rendering import Crumb, page, pretty, short_rev
from couchette.server.pages.visit import Visit

Doc = dict[str, Any]
SPECIAL: Final = ("_id", "_rev", "_attachments")
"""Members that stand beside the text to edit."""


def crumbs_to(visit: Visit, *rest: str) -> list[Crumb]:
    """The way to a page about a document."""
    name, doc_id = visit.given("db"), visit.given("id")
    steps: list[Crumb] = [(name, visit.link("documents", db=name))]
    if not rest:
        return [*steps, (doc_id, None)]
    return [*steps, (doc_id, visit.link("document", db=name, id=doc_id)), *((text, None) for text in rest)]


def show(visit: Visit) -> Response:
    """A document, or one of its revisions; of a deleted one what is known of its revisions."""
    name, doc_id, rev = visit.given("db"), visit.given("id"), visit.optional("rev")
    db = visit.database("GET", doc_id)
    try:
        doc = db.get(doc_id, rev=rev)
    except NotFound as exc:
        if exc.reason != "deleted":
            raise
        return visit.go(visit.link("revisions", db=name, id=doc_id))
    revisions = [] if doc_id.startswith(LOCAL) else db.history(doc_id)
    return page(
        visit,
        "document.html",
        title=doc_id,
        crumbs=crumbs_to(visit),
        database=name,
        section="documents",
        doc={"_id": doc.pop("_id"), "_rev": doc["_rev"], **doc},
        known=next((one for one in revisions if one["rev"] == doc["_rev"]), None),
        revisions=revisions,
        conflicts=[one["rev"] for one in revisions if one["leaf"] and not one["deleted"] and not one["winner"]],
        attachments=described(doc),
    )


def edit(visit: Visit) -> Response:
    """The JSON text of a revision, to be changed."""
    doc_id = visit.given("id")
    doc = visit.database("GET", doc_id).get(doc_id, rev=visit.optional("rev"))
    return _editor(visit, rev=doc["_rev"], text=pretty(_editable(doc)))


def save(visit: Visit) -> Response:
    """Store the text as the revision that follows ``rev``, or as a new document where that is missing.

    What is wrong with it is shown beside it. After a conflict both versions are, and saving again replaces
    the newer one.
    """
    doc_id, rev, text = visit.given("id"), visit.optional("rev"), visit.form.fields.get("text", "")
    try:
        doc = _read(text)
        reader = visit.database("GET", doc_id)
        written = _put(visit, reader, {**doc, "_id": doc_id, **({} if rev is None else {"_rev": rev})})
    except Conflict as exc:
        return _in_conflict(visit, text, exc)
    except CouchetteError as exc:
        return _editor(visit, rev=rev, text=text, problem=str(exc), status=exc.status)
    target = visit.link(
        "document", db=visit.given("db"), id=doc_id, rev=None if rev is None else _shown(visit, written)
    )
    return visit.go(target, f"Saved as revision {short_rev(written['rev'])}.")


def _shown(visit: Visit, written: Doc) -> str | None:
    """The revision to show after it was written: the winner needs no name, another leaf does."""
    doc_id = visit.given("id")
    if doc_id.startswith(LOCAL):
        return None
    rev: str = written["rev"]
    winner = next(one["rev"] for one in visit.database("GET", doc_id).history(doc_id) if one["winner"])
    return None if winner == rev else rev


def _put(visit: Visit, reader: Database, doc: Doc) -> Doc:
    """Write a document; attachments stay as they are unless the text has some."""
    if "_attachments" not in doc and "_rev" in doc:
        stubs = reader.get(doc["_id"], rev=doc["_rev"]).get("_attachments")
        doc = doc if stubs is None else {**doc, "_attachments": stubs}
    check_written(doc, new_edits=True, partitioned=reader._partitioned)
    return visit.database("POST", "_bulk_docs").put(doc)


def _read(text: str) -> Doc:
    doc = parse_object(text)
    for member in ("_id", "_rev"):
        if member in doc:
            raise BadRequest(f"The text has a member {member!r}.", "Leave it out: it stands above the text.")
    return doc


def _editable(doc: Mapping[str, Any]) -> Doc:
    return {name: value for name, value in doc.items() if name not in SPECIAL}


def _in_conflict(visit: Visit, text: str, exc: Conflict) -> Response:
    """The editor beside what somebody else has saved meanwhile."""
    doc_id = visit.given("id")
    try:
        current: Doc | None = visit.database("GET", doc_id).get(doc_id)
    except NotFound:
        current = None
    theirs = "" if current is None else pretty(_editable(current))
    ours = pretty(_read(text))
    return _editor(
        visit,
        rev=None if current is None else current["_rev"],
        text=text,
        problem="Somebody has deleted the document meanwhile. Save again to restore it as it is here."
        if current is None
        else f"Somebody has saved revision {short_rev(current['_rev'])} meanwhile. Below you see how yours differs from"
        " it. Take over what you need, then save again: it replaces theirs.",
        changed=differences(theirs, ours),
        status=exc.status,
    )


def _editor(
    visit: Visit, *, rev: str | None, text: str, problem: str = "", changed: Any = None, status: int = 200
) -> Response:
    name, doc_id = visit.given("db"), visit.given("id")
    return page(
        visit,
        "edit.html",
        title=f"Edit {doc_id}",
        crumbs=crumbs_to(visit, "Edit"),
        database=name,
        section="documents",
        status=status,
        doc_id=doc_id,
        rev=rev,
        text=text,
        problem=problem,
        changed=changed,
    )


def new(visit: Visit) -> Response:
    """An empty document to fill in."""
    return _new(visit, doc_id="", text="{\n  \n}")


def create(visit: Visit) -> Response:
    """Store a new document; without an id it is given one."""
    name, doc_id, text = visit.given("db"), visit.form.fields.get("id", ""), visit.form.fields.get("text", "")
    try:
        doc = _read(text)
        db = visit.database("POST", "_bulk_docs")
        if doc_id:
            check_written({**doc, "_id": doc_id}, new_edits=True, partitioned=db._partitioned)
            written = db.put({**doc, "_id": doc_id})
        else:
            written = db.post(doc)
    except Conflict as exc:
        problem = f"There is a document {doc_id!r} already. Choose another id, or edit that one."
        return _new(visit, doc_id=doc_id, text=text, problem=problem, status=exc.status)
    except CouchetteError as exc:
        return _new(visit, doc_id=doc_id, text=text, problem=str(exc), status=exc.status)
    return visit.go(visit.link("document", db=name, id=written["id"]), "Created the document.")


def _new(visit: Visit, *, doc_id: str, text: str, problem: str = "", status: int = 200) -> Response:
    name = visit.given("db")
    visit.database("GET", "_all_docs")
    return page(
        visit,
        "new.html",
        title="New document",
        crumbs=[(name, visit.link("documents", db=name)), ("New document", None)],
        database=name,
        section="documents",
        status=status,
        doc_id=doc_id,
        text=text,
        problem=problem,
    )


def ask_to_delete(visit: Visit) -> Response:
    """Say what deleting a revision leads to, before it is done."""
    doc_id = visit.given("id")
    db = visit.database("GET", doc_id)
    doc = db.get(doc_id, rev=visit.optional("rev"))
    revisions = [] if doc_id.startswith(LOCAL) else db.history(doc_id)
    others = [one["rev"] for one in revisions if one["leaf"] and not one["deleted"] and one["rev"] != doc["_rev"]]
    return page(
        visit,
        "delete_document.html",
        title=f"Delete {doc_id}",
        crumbs=crumbs_to(visit, "Delete"),
        database=visit.given("db"),
        section="documents",
        doc=doc,
        others=others,
    )


def delete(visit: Visit) -> Response:
    """Delete a leaf of a document."""
    name, doc_id, rev = visit.given("db"), visit.given("id"), visit.given("rev")
    visit.database("POST", "_bulk_docs").remove(doc_id, rev)
    return visit.go(visit.link("documents", db=name), f"Deleted {doc_id}, revision {short_rev(rev)}.")


ROUTES: Final = {
    ("GET", "document"): show,
    ("GET", "document/edit"): edit,
    ("POST", "document/save"): save,
    ("GET", "document/new"): new,
    ("POST", "document/create"): create,
    ("GET", "document/delete"): ask_to_delete,
    ("POST", "document/delete"): delete,
}
