"""The plug-in that validates: writes that the design documents' ``validate_doc_update`` functions judge, as in CouchDB.

All operations take the options of those that they are named after, and these:

* ``userCtx``: who writes, ``{"db", "name", "roles"}``; an administrator without it;
* ``secObj``: the security object that the functions are shown; the database's own without it;
* ``checkHttp``: validate here, too, what is written to a server. CouchDB does so itself.

A refusal is the error 403 ``forbidden`` or 401 ``unauthorized`` with the function's sentence. A function that throws
anything else is an error of that name (``ReferenceError``), one that is none ``compilation_error``. Design documents
are not validated.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

from couchette.design.request import admin_context
from couchette.document.docid import DESIGN, LOCAL, new_id
from couchette.errors import CouchetteError, FunctionFailed, NotFound
from couchette.functions import DesignFunctions
from couchette.pouchdb import documents
from couchette.pouchdb.arguments import document, document_id, known
from couchette.pouchdb.core import DatabaseCore
from couchette.pouchdb.errors import from_couchette
from couchette.pouchdb.function_errors import plugin_errors

Doc = dict[str, Any]

NOBODY: Final[Doc] = {"names": [], "roles": []}


def validating_put(
    core: DatabaseCore, /, doc: Any, id: str | None = None, rev: str | None = None, **options: Any
) -> Doc:
    """As ``put``, but validates as CouchDB does. Returns ``{"ok", "id", "rev"}``."""
    made = document(doc)
    edit = {**made, **({} if id is None else {"_id": id}), **({} if rev is None else {"_rev": rev})}
    with plugin_errors():
        return documents.put(_judged(core, options, edit), made, id, rev, **options)


def validating_post(core: DatabaseCore, /, doc: Any, **options: Any) -> Doc:
    """As ``post``, but validates as CouchDB does. Returns ``{"ok", "id", "rev"}``."""
    (made,) = _named([document(doc)])
    with plugin_errors():
        return documents.post(_judged(core, options, made), made, **options)


def validating_remove(core: DatabaseCore, /, doc: Any, rev: str | None = None, **options: Any) -> Doc:
    """As ``remove``, but validates as CouchDB does. Returns ``{"ok", "id", "rev"}``."""
    is_id = isinstance(doc, str) and doc.lstrip()[:1] != "{"
    given = {"_id": doc} if is_id else document(doc)
    edit = {**given, **({} if rev is None else {"_rev": rev}), "_deleted": True}
    with plugin_errors():
        return documents.remove(_judged(core, options, edit), doc, rev, **options)


def validating_bulk_docs(core: DatabaseCore, /, docs: Any, **options: Any) -> list[Doc]:
    """As ``bulkDocs``, but validates as CouchDB does: a document that is refused has an error in its row.

    The rows are in the order of the documents. Those that may be written are, whatever becomes of the others.
    """
    listed, new_edits = documents.bulk_request(docs, options)
    named = _named(listed)
    if core.is_remote:
        return _bulk_to_server(core, named, new_edits, options)
    judged = _judged(core, options)
    try:
        return documents.bulk_docs(judged, named, new_edits=new_edits)
    except FunctionFailed:
        # A function fails, so nothing was written: each document gets an answer of its own.
        return [row for doc in named for row in _one_by_one(judged, doc, new_edits)]


def validating_put_attachment(
    core: DatabaseCore,
    /,
    docId: str,
    attachmentId: str,
    doc: Any,
    type: str,
    rev: str | None = None,
    **options: Any,
) -> Doc:
    """As ``putAttachment``, but validates as CouchDB does. Returns ``{"ok", "id", "rev"}``."""
    with plugin_errors():
        if _is_checked_here(core, options):
            found = _stored(core, docId, rev) or {"_id": document_id(docId)}
            member = {"content_type": type, "stub": True}
            edit = {**found, "_attachments": {**found.get("_attachments", {}), attachmentId: member}}
            judged = _judged(core, options, edit)
        else:
            judged = _judged(core, options)
        return documents.put_attachment(judged, docId, attachmentId, doc, type, rev)


def validating_remove_attachment(
    core: DatabaseCore, /, docId: str, attachmentId: str, rev: str, **options: Any
) -> Doc | None:
    """As ``removeAttachment``, but validates as CouchDB does. Returns ``{"ok", "id", "rev"}``."""
    with plugin_errors():
        judged = _judged(core, options)
        if _is_checked_here(core, options) and (found := _stored(core, docId, rev)) is not None:
            kept = {name: one for name, one in found.get("_attachments", {}).items() if name != attachmentId}
            judged = _judged(core, options, {**found, "_attachments": kept})
        return documents.remove_attachment(judged, docId, attachmentId, rev)


# -- Who writes -----------------------------------------------------------------------------------


def database_name(core: DatabaseCore) -> str:
    """The database's name, as functions are told it."""
    name: str = core.database.name if core.is_remote else core.name
    return name


def user_context(core: DatabaseCore, given: Mapping[str, Any]) -> Doc:
    """The ``userCtx``: the one that is given, or an administrator's."""
    name = database_name(core)
    asked = known(given, ("user_ctx",))
    return {"db": name, **asked["user_ctx"]} if asked else admin_context(name)


def security_object(core: DatabaseCore, given: Mapping[str, Any]) -> Doc:
    """The ``secObj``: the one that is given, or the database's, in which everybody is named by nobody at first."""
    asked = known(given, ("sec_obj",))
    shown: Doc = asked["sec_obj"] if asked else core.database.get_security() or {}
    return shown or {"admins": copy.deepcopy(NOBODY), "members": copy.deepcopy(NOBODY)}


def validated(core: DatabaseCore, given: Mapping[str, Any]) -> DatabaseCore:
    """The same local database, whose writes are judged for the user that the options name."""
    judged = copy.copy(core)
    judged.__dict__["database"] = core.database.as_user(user_context(core, given), security_object(core, given))
    return judged


def _judged(core: DatabaseCore, options: Mapping[str, Any], edit: Doc | None = None) -> DatabaseCore:
    """Where to write: the database where it judges itself, or that of a server once the edit was judged here.

    Raises the refusal of such an edit.
    """
    if not core.is_remote:
        return validated(core, options)
    if edit is not None and _is_checked_here(core, options):
        (refusal,) = _refusals(core, [edit], options)
        if refusal is not None:
            raise refusal
    return core


def _is_checked_here(core: DatabaseCore, options: Mapping[str, Any]) -> bool:
    """Whether it is a server's database that is validated before anything is sent."""
    return core.is_remote and bool(known(options, ("check_http",)).get("check_http"))


def _named(docs: Sequence[Doc]) -> list[Doc]:
    """The documents, those without an id with a new one, so that functions and rows can tell it."""
    return [doc if doc.get("_id") is not None else {**doc, "_id": new_id()} for doc in docs]


def _one_by_one(judged: DatabaseCore, doc: Doc, new_edits: bool) -> list[Doc]:
    try:
        with plugin_errors():
            return documents.bulk_docs(judged, [doc], new_edits=new_edits)
    except FunctionFailed as exc:
        return [_row(doc, exc)]


def _row(doc: Mapping[str, Any], refusal: CouchetteError) -> Doc:
    return {**from_couchette(refusal).as_json(), "id": doc["_id"]}


# -- Validation of what a server is sent ----------------------------------------------------------


def _bulk_to_server(core: DatabaseCore, docs: list[Doc], new_edits: bool, options: Mapping[str, Any]) -> list[Doc]:
    refused: dict[int, Doc] = {}
    if _is_checked_here(core, options):
        with plugin_errors():
            refusals = _refusals(core, docs, options)
        refused = {at: _row(docs[at], refusal) for at, refusal in enumerate(refusals) if refusal is not None}
    rows = documents.bulk_docs(core, [doc for at, doc in enumerate(docs) if at not in refused], new_edits=new_edits)
    if not new_edits:
        return [*rows, *refused.values()]
    written = iter(rows)
    return [refused[at] if at in refused else next(written) for at in range(len(docs))]


def _refusals(core: DatabaseCore, docs: Sequence[Doc], options: Mapping[str, Any]) -> list[CouchetteError | None]:
    """What the functions of a server's design documents say of edits, run here; None of one that they let pass."""
    refusals: list[CouchetteError | None] = [None] * len(docs)
    judged = [at for at, doc in enumerate(docs) if not str(doc.get("_id")).startswith((DESIGN, LOCAL))]
    rows = core.database.all_docs(start_key=DESIGN, end_key="_design0", include_docs=True)["rows"]
    designs = [row["doc"] for row in rows if "validate_doc_update" in row["doc"]]
    if not designs or not judged:
        return refusals
    edits = [_edit(core, docs[at]) for at in judged]
    user_ctx, sec_obj = user_context(core, options), security_object(core, options)
    for design in designs:
        functions = DesignFunctions(design)
        try:
            found = functions.validate_all(edits, user_ctx, sec_obj)
        finally:
            functions.close()
        for at, refusal in zip(judged, found, strict=True):
            refusals[at] = refusals[at] or refusal
    return refusals


def _edit(core: DatabaseCore, doc: Doc) -> tuple[Doc, Doc | None]:
    """A document and its predecessor as a validation function is given them."""
    old = _stored(core, doc["_id"], None) if "_id" in doc else None
    revisions = old["_revisions"] if old is not None else {"start": 0, "ids": []}
    shown = {**doc, "_revisions": revisions}
    if isinstance(members := doc.get("_attachments"), Mapping):
        shown["_attachments"] = {name: _stub(member) for name, member in members.items()}
    return shown, old


def _stub(member: Any) -> Any:
    """An attachment without its content, which may be no JSON."""
    if not isinstance(member, Mapping):
        return member
    return {**{name: value for name, value in member.items() if name != "data"}, "stub": True}


def _stored(core: DatabaseCore, doc_id: str, rev: str | None) -> Doc | None:
    try:
        doc: Doc = core.database.get(doc_id, revs=True, **({} if rev is None else {"rev": rev}))
    except NotFound:
        return None
    return doc
