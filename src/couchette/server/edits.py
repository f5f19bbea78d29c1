"""Writing documents: POST to a database, PUT, DELETE and COPY of a document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp

from couchette.async_database import AsyncDatabase
from couchette.database import Database
from couchette.document.docid import check_id
from couchette.document.revision import normal_rev
from couchette.errors import BadRequest
from couchette.functions import check_written
from couchette.server import answers
from couchette.server.multipart_in import read_related, receive_related
from couchette.server.request import Request
from couchette.server.streams import Streamed
from couchette.wire import names
from couchette.wire.parameters import Query

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def post(request: Request, db: Database) -> Response:
    """``POST /{db}``: a new document, whose id is made when it has none."""
    request.require_json()
    doc = _require_document(request.json())
    if "_id" in doc:
        check_id(doc["_id"])
    check_written(doc, new_edits=True, partitioned=db._partitioned)
    written = db.post(doc)
    location = {"Location": request.url(request.database_name(), written["id"])}
    if request.is_batch():
        return answers.json_answer({"ok": True, "id": written["id"]}, 202, location)
    return answers.json_answer(written, 201, location)


def put(request: Request, db: Database, doc_id: str) -> ASGIApp:
    """``PUT /{db}/{id}``. The id in the path wins over one in the body, which must be a legal one all the same."""
    new_edits = request.query.first("new_edits") != "false"
    if not request.is_streamed:
        doc = _addressed(request, _read_document(request), doc_id)
        check_written(doc, new_edits=new_edits, partitioned=db._partitioned)
        return _written(request, db.put(doc, new_edits=new_edits), _status(doc))

    async def receive() -> Response:
        limit = request.node.settings.attachment_bytes_max
        related = await receive_related(request.headers["content-type"], request.stream, limit)
        doc = _addressed(request, _require_document(related), doc_id)
        check_written(doc, new_edits=new_edits, partitioned=db._partitioned)
        return _written(request, await AsyncDatabase(db).put(doc, new_edits=new_edits), _status(doc))

    return Streamed(request, receive)


def _addressed(request: Request, doc: dict[str, Any], doc_id: str) -> dict[str, Any]:
    """The document with the id and the revision that the request gives it."""
    if "_id" in doc:
        check_id(doc["_id"])
    doc["_id"] = doc_id
    rev = given_rev(request, doc)
    if rev is not None:
        doc["_rev"] = rev
    return doc


def _status(doc: Mapping[str, Any]) -> int:
    return 200 if doc.get("_deleted") is True else 201


def delete(request: Request, db: Database, doc_id: str) -> Response:
    """``DELETE /{db}/{id}``."""
    removed = db.remove(doc_id, given_rev(request, {}))
    if request.is_batch():
        return answers.json_answer({"ok": True, "id": doc_id}, 202)
    return answers.json_answer(removed, 200, {"ETag": answers.quoted(removed["rev"])})


def copy(request: Request, db: Database, doc_id: str) -> Response:
    """``COPY /{db}/{id}``: the document, or the revision ``?rev=``, under the id in the Destination header."""
    target_id, target_rev = _destination(request)
    if target_id.startswith("_design/"):
        source = db.get(doc_id, rev=request.query.first("rev"))
        check_written({**source, "_id": target_id}, new_edits=True, partitioned=db._partitioned)
    copied = db.copy(doc_id, target_id, rev=request.query.first("rev"), target_rev=target_rev)
    return _written(request, copied, 201)


def post_form(request: Request, db: Database, doc_id: str) -> Response:
    """``POST /{db}/{id}``: CouchDB's form upload, which it refuses without a Referer and we refuse at all."""
    if "referer" not in request.headers:
        raise BadRequest("Referer header required.", "To write a document, PUT it.")
    raise answers.method_not_allowed("DELETE,GET,HEAD,PUT,COPY")


def given_rev(request: Request, doc: Mapping[str, Any]) -> str | None:
    """The revision to edit: from the body, the query string or If-Match. Those that are given must agree."""
    rev = normal_rev(doc["_rev"]) if "_rev" in doc else None
    if (text := request.query.first("rev")) is not None:
        queried = normal_rev(text)
        if rev not in (None, queried):
            raise BadRequest(
                "Document rev from request body and query string have different values",
                f"The body has {rev!r}, the query string {queried!r}.",
            )
        rev = queried
    if (text := request.if_match()) is not None:
        matched = normal_rev(text)
        if rev not in (None, matched):
            raise BadRequest(
                "Document rev and etag have different values", f"If-Match has {matched!r}, the document {rev!r}."
            )
        rev = matched
    return rev


def _read_document(request: Request) -> dict[str, Any]:
    """The document that a PUT carries; any Content-Type but multipart is taken for JSON."""
    media_type = request.media_type()
    if media_type == "multipart/related":
        return _require_document(read_related(request.headers["content-type"], request.body))
    if media_type.startswith("multipart/"):
        raise BadRequest(
            "The Content-Type of a document is application/json or multipart/related.", f"Got {media_type!r}."
        )
    return _require_document(request.json())


def _require_document(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRequest("Document must be a JSON object", f"It is a JSON {type(value).__name__}.")
    return value


def _written(request: Request, written: Mapping[str, Any], status: int) -> Response:
    headers = {"Location": request.url(request.database_name(), written["id"])}
    if request.is_batch():
        return answers.json_answer({"ok": True, "id": written["id"]}, 202, headers)
    return answers.json_answer(written, status, {**headers, "ETag": answers.quoted(written["rev"])})


def _destination(request: Request) -> tuple[str, str | None]:
    """Id and revision that a Destination header names: ``id`` or ``id?rev=..``, escaped as in a path."""
    destination = request.headers.get("destination")
    if destination is None:
        raise BadRequest("Destination header is mandatory for COPY.", "Give the new document's id.")
    if _URL.match(destination):
        raise BadRequest("Destination URL must be relative.", f"Give the id alone, not {destination!r}.")
    path, _, query_string = destination.encode().partition(b"?")
    rev = Query(query_string).first("rev")
    return check_id(names.decode_id(names.unquote(path))), None if rev is None else normal_rev(rev)
