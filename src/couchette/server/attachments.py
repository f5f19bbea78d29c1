"""Attachments by themselves: ``/{db}/{id}/{name}``, where the name may hold slashes."""

from __future__ import annotations

from starlette.responses import Response

from couchette.database import Database
from couchette.document.attachment import DEFAULT_TYPE, Attachment
from couchette.errors import BadContentType
from couchette.server import answers
from couchette.server.edits import given_rev
from couchette.server.request import Request
from couchette.wire import conditions, multipart


def get(request: Request, db: Database, doc_id: str, name: str) -> Response:
    """``GET /{db}/{id}/{name}``. What is stored as gzip goes out so, if the client accepts it."""
    as_stored = conditions.accepts_gzip(request.headers.get("accept-encoding"))
    attachment = db.get_attachment(doc_id, name, rev=request.query.first("rev"), encoded=as_stored)
    etag = answers.quoted(attachment.digest.removeprefix("md5-"))
    not_modified = answers.unless_modified(request.headers.get("if-none-match"), etag)
    if not_modified is not None:
        return not_modified
    assert attachment.data is not None
    # CouchDB refuses a senseless range of a compressed attachment as well, but ignores a good one.
    ranges = conditions.read_ranges(request.headers.get("range"), attachment.length)
    headers = {
        "Content-Type": attachment.content_type,
        "ETag": etag,
        # Scripts in an attachment must not act for the user who looks at it.
        "Content-Security-Policy": "sandbox",
        "Accept-Ranges": "none" if attachment.encoding else "bytes",
    }
    if attachment.encoding:
        if as_stored:
            headers["Content-Encoding"] = attachment.encoding
        return answers.answer(attachment.data, 200, headers)
    if ranges is None:
        return answers.answer(attachment.data, 200, headers)
    return _partial(attachment, attachment.data, ranges, headers)


def _partial(attachment: Attachment, data: bytes, ranges: list[tuple[int, int]], headers: dict[str, str]) -> Response:
    """One range, or several as ``multipart/byteranges``."""
    spans = [(f"bytes {first}-{last}/{len(data)}", data[first : last + 1]) for first, last in ranges]
    if len(spans) == 1:
        [(content_range, content)] = spans
        return answers.answer(content, 206, {**headers, "Content-Range": content_range})
    parts = [
        multipart.Part({"Content-Type": attachment.content_type, "Content-Range": content_range}, content)
        for content_range, content in spans
    ]
    body = multipart.write("multipart/byteranges", parts)
    return answers.answer(body.content, 206, {**headers, "Content-Type": body.content_type})


def put(request: Request, db: Database, doc_id: str, name: str) -> Response:
    """``PUT /{db}/{id}/{name}``; makes the document when there is none."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise BadContentType("Only gzip and identity content-encodings are supported", f"Got {encoding!r}.")
    written = db.put_attachment(
        doc_id,
        name,
        request.body,
        request.headers.get("content-type", DEFAULT_TYPE),
        rev=given_rev(request, {}),
        encoding="gzip" if encoding == "gzip" else None,
    )
    location = {"Location": request.url(request.database_name(), doc_id, name)}
    if request.is_batch():
        return answers.json_answer({"ok": True, "id": doc_id}, 202, location)
    return answers.json_answer(written, 201, location)


def delete(request: Request, db: Database, doc_id: str, name: str) -> Response:
    """``DELETE /{db}/{id}/{name}``."""
    removed = db.remove_attachment(doc_id, name, given_rev(request, {}))
    return answers.json_answer(removed, 200)
