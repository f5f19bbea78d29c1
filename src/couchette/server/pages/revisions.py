"""The revision tree of a document: drawn, its revisions shown and compared, its conflict ended."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from couchette.database import Database
from couchette.errors import NotFound
from couchette.server.pages.differences import differences
from couchette.server.pages.document import crumbs_to
from couchette.server.pages.drawing import draw, kind_of, words_of
from couchette.server.pages.rendering import page, pretty, short_rev
from couchette.server.pages.visit import Visit

Revision = dict[str, Any]


def show(visit: Visit) -> Response:
    """The tree, the leaves as a list, and the revision that was chosen."""
    name, doc_id, rev = visit.given("db"), visit.given("id"), visit.optional("rev")
    db = visit.database("GET", doc_id)
    revisions = db.history(doc_id)
    chosen = next((one for one in revisions if one["rev"] == rev), None)
    if rev is not None and chosen is None:
        raise NotFound("missing", f"{doc_id!r} has no revision {rev}.")
    return page(
        visit,
        "revisions.html",
        title=f"Revisions of {doc_id}",
        crumbs=crumbs_to(visit, "Revisions"),
        database=name,
        section="documents",
        doc_id=doc_id,
        drawing=draw(revisions, whole=visit.optional("whole") is not None),
        whole=visit.optional("whole"),
        live=_live(revisions),
        deleted=[one for one in revisions if one["leaf"] and one["deleted"]],
        chosen=chosen,
        words=words_of(chosen) if chosen else "",
        parent=_stored_parent(revisions, chosen),
        doc=db.get(doc_id, rev=rev) if chosen and chosen["available"] else None,
    )


def compare(visit: Visit) -> Response:
    """Two revisions side by side."""
    name, doc_id, a, b = (visit.given(one) for one in ("db", "id", "a", "b"))
    db = visit.database("GET", doc_id)
    revisions = db.history(doc_id)
    live = _live(revisions)
    sides = [next((one for one in revisions if one["rev"] == rev), {"rev": rev}) for rev in (a, b)]
    left, right = (pretty(visit.shown(_content(db, doc_id, rev))) for rev in (a, b))
    return page(
        visit,
        "compare.html",
        title=f"{short_rev(a)} and {short_rev(b)}",
        crumbs=[*crumbs_to(visit, "Compare")],
        database=name,
        section="documents",
        doc_id=doc_id,
        sides=[{**one, "words": words_of(one), "kind": kind_of(one)} if len(one) > 1 else one for one in sides],
        pairs=differences(left, right),
        are_equal=left == right,
        can_keep=[one["rev"] for one in live] if len(live) > 1 else [],
    )


def keep(visit: Visit) -> Response:
    """End the conflict: what this leaf holds stands, and the other live leaves are deleted."""
    name, doc_id, rev = visit.given("db"), visit.given("id"), visit.given("rev")
    done = visit.database("POST", "_bulk_docs").resolve(doc_id, keep=rev)
    deleted = ", ".join(map(short_rev, done["deleted"]))
    text = f"Kept {short_rev(rev)}, as revision {short_rev(done['rev'])}. Deleted: {deleted}."
    if not deleted:
        text = "There was no conflict any more."
    return visit.go(visit.link("revisions", db=name, id=doc_id), text)


def _live(revisions: list[Revision]) -> list[Revision]:
    """The live leaves, the winner first."""
    live = [one for one in revisions if one["leaf"] and not one["deleted"]]
    return sorted(live, key=lambda one: not one["winner"])


def _stored_parent(revisions: list[Revision], chosen: Revision | None) -> str | None:
    """The revision that the chosen one follows, while its content is stored."""
    stored = {one["rev"] for one in revisions if one["available"]}
    return next((rev for rev in chosen["parents"] if rev in stored), None) if chosen else None


def _content(db: Database, doc_id: str, rev: str) -> Revision:
    """A revision's content, in which attachments are named by what they hold."""
    doc: Revision = db.get(doc_id, rev=rev)
    del doc["_id"], doc["_rev"]
    for name, stub in doc.get("_attachments", {}).items():
        doc["_attachments"][name] = {one: stub[one] for one in ("content_type", "digest", "length")}
    return doc


ROUTES: Final = {
    ("GET", "revisions"): show,
    ("GET", "revisions/compare"): compare,
    ("POST", "revisions/keep"): keep,
}
