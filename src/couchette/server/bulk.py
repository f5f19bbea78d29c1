"""Many documents at once: ``_bulk_docs``, ``_bulk_get``, ``_revs_diff`` and ``_missing_revs``."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from couchette.database import Database
from couchette.errors import BadRequest, ExpectationFailed, IllegalDocId
from couchette.server import answers
from couchette.server.request import Request
from couchette.wire import multipart


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
    return answers.json_answer(db.bulk_docs(docs, new_edits=new_edits), 201)


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
        return answers.json_answer(db.bulk_get(docs, **options))
    found = db.bulk_get(docs, **{**options, "attachments": True, "binary": True})
    parts = [_bulk_get_part(row) for result in found["results"] for row in result["docs"]]
    return answers.multipart_answer(multipart.write(kind, parts))


def _bulk_get_part(row: dict[str, Any]) -> multipart.Part:
    if "ok" not in row:
        return multipart.json_part(row["error"], error=True)
    doc = row["ok"]
    if not multipart.has_attachments(doc):
        return multipart.json_part(doc)
    return multipart.related(doc).as_part({"X-Doc-Id": doc["_id"], "X-Rev-Id": doc["_rev"]})


def revs_diff(request: Request, db: Database) -> Response:
    """``POST /{db}/_revs_diff``."""
    request.require_json()
    return answers.json_answer(db.revs_diff(request.json_object()))


def missing_revs(request: Request, db: Database) -> Response:
    """``POST /{db}/_missing_revs``: the older form of ``_revs_diff``."""
    request.require_json()
    diff = db.revs_diff(request.json_object())
    return answers.json_answer({"missing_revs": {doc_id: found["missing"] for doc_id, found in diff.items()}})
