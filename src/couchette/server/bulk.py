"""Many documents at once: ``_bulk_docs``, ``_bulk_get``, ``_revs_diff`` and ``_missing_revs``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any

from starlette.responses import Response

from couchette import jsonio, store
from couchette.database import Database
from couchette.document.partition import check_partitioned_id
from couchette.document.stored import StoredDoc
from couchette.errors import BadRequest, CouchetteError, ExpectationFailed, IllegalDocId
from couchette.functions import check_written
from couchette.limits import BODY_HELD_BYTES, BULK_GET_PAGE, LISTING_PAGE_BYTES, LISTING_PAGE_ROWS
from couchette.server import answers
from couchette.server.contents import JSON, MultipartRow, are_large, gathered, results_parts, rows_multipart
from couchette.server.readable import revisions_readable
from couchette.server.request import Request
from couchette.server.streams import made_answer


def bulk_docs(request: Request, db: Database) -> Response:
    """``POST /{db}/_bulk_docs``."""
    request.require_json()
    body = request.json_object()
    if "docs" not in body:
        raise BadRequest("POST body must include `docs` parameter.")
    docs = body["docs"]
    if not isinstance(docs, list):
        raise BadRequest("`docs` parameter must be an array.", f"It is a JSON {type(docs).__name__}.")
    new_edits = body.get("new_edits", True)
    if not isinstance(new_edits, bool):
        raise BadRequest("`new_edits` parameter must be a boolean.", f"It is {new_edits!r}.")
    if body.get("all_or_nothing") is True and docs:
        raise ExpectationFailed("all_or_nothing is not supported", "Leave it out.")
    for doc in docs:
        if not isinstance(doc, dict):
            raise BadRequest("Document must be a JSON object", f"One is a JSON {type(doc).__name__}.")
    return answers.json_answer(_write(db, docs, new_edits), 201)


def _write(db: Database, docs: list[dict[str, Any]], new_edits: bool) -> list[dict[str, Any]]:
    """The rows of the answer; a design document that is refused has one too."""
    refused: dict[int, CouchetteError] = {}
    for place, doc in enumerate(docs):
        try:
            check_written(doc, new_edits=new_edits, partitioned=db._partitioned)
        except CouchetteError as exc:
            refused[place] = exc
    rows = iter(db.bulk_docs([doc for place, doc in enumerate(docs) if place not in refused], new_edits=new_edits))
    if not refused:
        return list(rows)
    return [
        {"id": doc["_id"], **refused[place].as_json()} if place in refused else next(rows)
        for place, doc in enumerate(docs)
    ]


def bulk_get(request: Request, db: Database) -> Response:
    """``POST /{db}/_bulk_get``; multipart only for a client that accepts nothing else."""
    request.require_json()
    body = request.json_object()
    if "docs" not in body:
        raise BadRequest("Missing JSON list of 'docs'.")
    docs = body["docs"]
    if not isinstance(docs, list):
        raise BadRequest("`docs` parameter must be an array.", f"It is a JSON {type(docs).__name__}.")
    for entry in docs:
        if isinstance(entry, dict) and "id" in entry and not isinstance(entry["id"], str):
            raise IllegalDocId("Document id must be a string", f"Got {entry['id']!r}.")
    options: dict[str, Any] = {name: True for name in ("revs", "latest", "attachments") if request.query.flag(name)}
    accepted = request.accepted()
    kind = next((kind for kind in ("multipart/mixed", "multipart/related") if kind in accepted), None)
    if kind is None or "application/json" in accepted or "*/*" in accepted:
        return made_answer(gathered(_parts(db, docs, **options)), JSON, head=False)
    return rows_multipart(db, kind, _multipart_rows(db, docs, options), head=False)


def _multipart_rows(db: Database, docs: list[Any], options: dict[str, Any]) -> Iterator[MultipartRow]:
    """The revisions, read some at a time, of whose attachments little is held."""
    for first in range(0, len(docs), BULK_GET_PAGE):
        held = store.Held(BODY_HELD_BYTES)
        asked = docs[first : first + BULK_GET_PAGE]
        found = _found(db, db.bulk_get, asked, **{**options, "attachments": True, "binary": held})
        for result in found["results"]:
            for row in result["docs"]:
                doc = row.get("ok")
                yield ({} if doc is None else {"X-Doc-Id": doc["_id"], "X-Rev-Id": doc["_rev"]}), row


def _parts(db: Database, docs: list[Any], *, attachments: bool = False, **options: Any) -> Iterator[bytes]:
    """The text of the answer, for which the revisions are read until they make a page, each time."""
    # What replicators ask for: no document need be read.
    stored = options == {"revs": True, "latest": True} and db._may_read is None and not attachments
    yield b'{"results":['
    at = 0
    while at < len(docs):
        some = docs[at : at + LISTING_PAGE_ROWS]
        since = attachments and any(isinstance(entry, dict) and entry.get("atts_since") for entry in some)
        results = _page(db, some, **options, stored=stored, attachments=since)
        yield b"," if at else b""
        at += len(results)
        if attachments and not since:
            if are_large([row["ok"] for result in results for row in result["docs"] if "ok" in row]):
                yield from results_parts(db, results)
                continue
            # They are read again, with what little there is of attachments.
            results = _found(db, db.bulk_get, some[: len(results)], **options, attachments=True)["results"]
        yield b",".join(map(_result_text, results)) if stored else jsonio.dumps(results)[1:-1]
    yield b"]}\n"


def _page(db: Database, docs: list[Any], **options: Any) -> list[dict[str, Any]]:
    """The results of the first of these entries, as many as make a page."""
    found = _found(
        db, lambda docs, **how: db._pool.read(store.bulk_get, docs, **how, room=LISTING_PAGE_BYTES), docs, **options
    )
    results: list[dict[str, Any]] = revisions_readable(db, found)["results"]
    return results


def _found(db: Database, read: Callable[..., Any], docs: list[Any], **options: Any) -> dict[str, Any]:
    """What ``read`` finds of these revisions, and for an id that a partitioned database cannot hold, why it cannot."""
    refused = _refused_ids(docs) if db._partitioned else {}
    found: dict[str, Any] = read([doc for place, doc in enumerate(docs) if place not in refused], **options)
    if refused:
        rows = iter(found["results"])
        placed = (refused.get(place) or next(rows, None) for place in range(len(docs)))
        found["results"] = list(takewhile(bool, placed))
    return found


def _refused_ids(docs: list[Any]) -> dict[int, dict[str, Any]]:
    """The results of those entries that name no partition, by their places; an illegal id is the store's to refuse."""
    refused = {}
    for place, entry in enumerate(docs):
        doc_id = entry.get("id") if isinstance(entry, dict) else None
        try:
            if doc_id and not doc_id.startswith("_"):
                check_partitioned_id(doc_id)
        except CouchetteError as exc:
            refused[place] = {"id": doc_id, "docs": [{"error": {"id": doc_id, "rev": None, **exc.as_json()}}]}
    return refused


def _result_text(result: dict[str, Any]) -> bytes:
    """The text of a result, made around the documents' own."""
    return b'{"id":%b,"docs":[%b]}' % (jsonio.dumps(result["id"]), b",".join(map(_row_text, result["docs"])))


def _row_text(row: dict[str, Any]) -> bytes:
    doc = row.get("ok")
    return b'{"ok":%b}' % doc.json() if isinstance(doc, StoredDoc) else jsonio.dumps(row)


def revs_diff(request: Request, db: Database) -> Response:
    """``POST /{db}/_revs_diff``."""
    request.require_json()
    return answers.json_answer(db.revs_diff(request.json_object()))


def missing_revs(request: Request, db: Database) -> Response:
    """``POST /{db}/_missing_revs``: the older form of ``_revs_diff``."""
    request.require_json()
    return answers.json_answer(db.missing_revs(request.json_object()))
