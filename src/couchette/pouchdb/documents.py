"""Operations on documents and their attachments, one or many at once, in PouchDB's shapes."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final

from couchette import jsonio
from couchette.errors import BadRequest, Conflict, NotFound
from couchette.pouchdb.arguments import attachment_data, document, document_id, is_on, json_value, known
from couchette.pouchdb.core import DatabaseCore
from couchette.pouchdb.errors import from_word
from couchette.pouchdb.results import plain

Doc = dict[str, Any]

GET: Final = (
    "rev",
    "revs",
    "revs_info",
    "open_revs",
    "latest",
    "conflicts",
    "deleted_conflicts",
    "local_seq",
    "attachments",
    "att_encoding_info",
)
ALL_DOCS: Final = (
    "key",
    "keys",
    "start_key",
    "end_key",
    "inclusive_end",
    "descending",
    "skip",
    "limit",
    "include_docs",
    "conflicts",
    "attachments",
    "update_seq",
)


# -- One document ---------------------------------------------------------------------------------


def get(core: DatabaseCore, /, docid: str, **options: Any) -> Any:
    """Retrieve a document.

    Options: ``rev``, ``revs``, ``revs_info``, ``open_revs`` (``"all"`` or a list of revs: the answer is then a list),
    ``latest``, ``conflicts``, ``attachments``, and ``binary`` for attachments as bytes instead of base64 text.

    Raises the error 404 ``not_found``.
    """
    if not options:
        return core.database.get(docid)
    answer = core.database.get(document_id(docid), **known(options, GET))
    if is_on(options, "binary"):
        for doc in [row["ok"] for row in answer if "ok" in row] if isinstance(answer, list) else [answer]:
            decode_attachments(doc)
    return answer


def put(core: DatabaseCore, /, doc: Any, id: str | None = None, rev: str | None = None, **options: Any) -> Doc:
    """Create a document, or a new revision of one, which has to name the revision it replaces: ``_rev`` or ``rev``.

    Returns ``{"ok", "id", "rev"}``. With the option ``new_edits=False`` the document brings its own revision; with
    ``force=True`` it replaces the current revision whichever that is.

    Raises the error 409 ``conflict`` when the document has changed.
    """
    made = document(doc)
    chosen = known(options, ("new_edits", "force")) if options else {}
    if id is not None:
        document_id(id)
    if chosen.pop("force", False):
        saved = dict(made)
        saved.pop("_rev", None)
        core.database[document_id(id or made.get("_id"))] = saved
        return {"ok": True, "id": saved["_id"], "rev": saved["_rev"]}
    answer: Doc = core.database.put(made, id=id, rev=rev, **chosen)
    return answer


def post(core: DatabaseCore, /, doc: Any, **options: Any) -> Doc:
    """Create a document under an id that is made for it, unless it has one. Returns ``{"ok", "id", "rev"}``."""
    made = document(doc)
    if made.get("_id") is not None:
        document_id(made["_id"])
    answer: Doc = core.database.post(made)
    return answer


def remove(core: DatabaseCore, /, doc: Any, rev: str | None = None, **options: Any) -> Doc:
    """Delete a document: give it, with its ``_id`` and ``_rev``, or its id and rev. Returns ``{"ok", "id", "rev"}``.

    Further members of the document are not kept. Raises the error 404 ``not_found`` for one that is not there, 409
    ``conflict`` when it has changed.
    """
    if isinstance(doc, str) and rev is not None:
        answer: Doc = core.database.remove(doc, rev)
        return answer
    hint = "Give the document with its `_id` and `_rev`, or its id and rev."
    if not (isinstance(doc, str) and doc.lstrip()[:1] != "{"):
        given = document(doc)
        doc, rev = given.get("_id"), rev or given.get("_rev")
        if isinstance(doc, str) and rev is None:
            core.database.get(doc)
            raise Conflict(hint=hint)
    if not isinstance(doc, str) or rev is None:
        raise NotFound("deleted", hint)
    removed: Doc = core.database.remove(doc, rev)
    return removed


def save(core: DatabaseCore, /, docId: str, doc: Any) -> Doc:
    """Put a document under an id, on top of the current revision where it names none; return it as it is stored."""
    saved = document(doc)
    if saved is doc:
        saved = dict(saved)
    core.database[document_id(docId)] = saved
    return saved


def remove_current(core: DatabaseCore, /, docId: str) -> None:
    """Delete a document in its current revision. Raises NotFound."""
    del core.database[docId]


# -- Attachments ----------------------------------------------------------------------------------


def put_attachment(
    core: DatabaseCore, /, docId: str, attachmentId: str, doc: Any, type: str, rev: str | None = None
) -> Doc:
    """Attach content to a document, which is made if there is no ``rev``. Returns ``{"ok", "id", "rev"}``.

    ``doc`` is the content: bytes, a binary file or an iterable of bytes. Text is taken for base64, as in PouchDB.

    Raises the error 409 ``conflict`` when the document has changed.
    """
    data = attachment_data(doc)
    answer: Doc = core.database.put_attachment(document_id(docId), attachmentId, data, type, rev=rev)
    return answer


def get_attachment(core: DatabaseCore, /, docId: str, attachmentId: str, **options: Any) -> Doc:
    """An attachment: ``{"data": bytes, "type": content type}``; of another revision with the option ``rev``.

    Raises the error 404 ``not_found``.
    """
    found = core.database.get_attachment(document_id(docId), attachmentId, **known(options, ("rev",)))
    return {"data": found.data, "type": found.content_type}


def remove_attachment(core: DatabaseCore, /, docId: str, attachmentId: str, rev: str) -> Doc | None:
    """Delete an attachment from a document. Returns ``{"ok", "id", "rev"}``.

    One that is not there changes nothing, and None is returned. Raises the error 404 ``not_found`` where there is no
    such document, 409 ``conflict`` when it has changed.
    """
    try:
        removed: Doc = core.database.remove_attachment(document_id(docId), attachmentId, rev)
        return removed
    except (NotFound, Conflict):
        # CouchDB calls it a conflict, too, where there is no document that the revision could be of.
        doc = core.database.get(docId)
    if doc["_rev"] != rev:
        raise Conflict(hint=f"The current revision of {docId!r} is {doc['_rev']}.")
    return None


def decode_attachments(doc: Mapping[str, Any]) -> None:
    """Give a document its attachments' content as bytes."""
    for attachment in doc.get("_attachments", {}).values():
        if "data" in attachment:
            attachment["data"] = b64decode(attachment["data"])


# -- Many documents -------------------------------------------------------------------------------


def all_docs(core: DatabaseCore, /, **options: Any) -> Doc:
    """Fetch documents by id: ``{"total_rows", "offset", "rows": [{"id", "key", "value": {"rev"}, "doc"?}]}``.

    Deleted documents are there only if ``keys`` names them. Options: ``include_docs``, ``conflicts``, ``attachments``,
    ``binary``, ``startkey``, ``endkey``, ``inclusive_end``, ``limit``, ``skip``, ``descending``, ``key``, ``keys``,
    ``update_seq``.
    """
    answer: Doc = core.database.all_docs(**known(options, ALL_DOCS))
    if is_on(options, "binary"):
        for row in answer["rows"]:
            decode_attachments(row.get("doc") or {})
    if answer["offset"] is None:
        answer["offset"] = known(options, ("skip",)).get("skip", 0)
    if "update_seq" in answer:
        answer["update_seq"] = sequence(answer["update_seq"], is_remote=core.is_remote)
    return answer


def bulk_docs(core: DatabaseCore, /, docs: Any, **options: Any) -> list[Doc]:
    """Create, change or delete many documents, in one transaction: a list, or ``{"docs": [...], "new_edits"?}``.

    Returns a row for each: ``{"ok", "id", "rev"}``, or the error as ``{"error": True, "status", "name", "message",
    "id"}``, which leaves the others alone. With ``new_edits=False`` the documents bring their revisions, and only
    errors have rows.
    """
    listed, new_edits = bulk_request(docs, options)
    rows: list[Doc] = core.database.bulk_docs(listed, new_edits=new_edits)
    return [row if "error" not in row else error_row(row) for row in rows]


def bulk_request(docs: Any, options: Mapping[str, Any]) -> tuple[list[Doc], bool]:
    """The documents, and whether they are new edits, of the two forms of a bulk request. Raises BadRequest."""
    given = jsonio.loads(docs) if isinstance(docs, str) else docs
    new_edits = known(options, ("new_edits",)).get("new_edits", True) if options else True
    if isinstance(given, Mapping):
        new_edits = given.get("new_edits", new_edits)
        given = given.get("docs")
    if not isinstance(given, (list, tuple)):
        raise BadRequest("Missing JSON list of 'docs'", f"Give a list of documents, not {type(given).__name__}.")
    return [document(doc) for doc in given], bool(new_edits)


def error_row(row: Mapping[str, Any]) -> Doc:
    """CouchDB's row for a document that was not written, ``{"id", "error", "reason"}``, as PouchDB's."""
    return {**from_word(row["error"], row["reason"]).as_json(), "id": row["id"]}


def bulk_get(core: DatabaseCore, /, docs: Any = None, **options: Any) -> Doc:
    """Many revisions at once: ``docs`` is ``{"docs": [{"id", "rev"?}, ...]}`` or the list.

    Returns ``{"results": [{"id", "docs": [{"ok": doc} | {"error": {...}}]}]}``. Options: ``revs``, ``latest``,
    ``attachments``, ``binary``.
    """
    given = json_value(docs if docs is not None else options.get("docs"))
    if isinstance(given, Mapping):
        given = given.get("docs")
    if not isinstance(given, (list, tuple)):
        raise BadRequest("Missing JSON list of 'docs'", f"Give a list of ids, not {type(given).__name__}.")
    answer: Doc = core.database.bulk_get(plain(given), **known(options, ("revs", "latest", "attachments")))
    shown = [one for result in answer["results"] for one in result["docs"]]
    for one in shown:
        if "error" in one:
            error = one["error"]
            one["error"] = {**from_word(error["error"], error["reason"]).as_json(), "docId": error["id"]}
        elif is_on(options, "binary"):
            decode_attachments(one["ok"])
    return answer


def revs_diff(core: DatabaseCore, /, diff: Any) -> Doc:
    """Which of ``{id: [rev, ...]}`` are not stored: ``{id: {"missing": [rev, ...], "possible_ancestors"?}}``."""
    answer: Doc = core.database.revs_diff(json_value(diff))
    return answer


def shown_change(core: DatabaseCore, row: Doc, *, binary: bool) -> Doc:
    """A change as PouchDB has it; ``binary`` has attachments as bytes."""
    row["seq"] = sequence(row["seq"], is_remote=core.is_remote)
    if binary:
        decode_attachments(row.get("doc") or {})
    return row


def sequence(seq: Any, *, is_remote: bool) -> Any:
    """A sequence as PouchDB has it: a number for its own databases, and for a server's what the server says."""
    if is_remote or not isinstance(seq, str):
        return seq
    number = seq.partition("-")[0]
    return int(number) if number.isdigit() else seq
