"""Attachments by themselves: ``/{db}/{id}/{name}``, where the name may hold slashes."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp

from couchette.async_database import AsyncDatabase
from couchette.attachment_file import AttachmentFile
from couchette.database import Database
from couchette.document.attachment import DEFAULT_TYPE, too_large
from couchette.errors import BadContentType
from couchette.server import answers
from couchette.server.edits import given_rev
from couchette.server.request import Request
from couchette.server.streams import Segment, Streamed, file_answer, unmeasured_answer
from couchette.wire import conditions, multipart


def get(request: Request, db: Database, doc_id: str, name: str) -> Response:
    """``GET /{db}/{id}/{name}``. What is stored as gzip goes out so, if the client accepts it."""
    as_stored = conditions.accepts_gzip(request.headers.get("accept-encoding"))
    file = db.open_attachment(doc_id, name, rev=request.query.first("rev"), encoded=as_stored)
    attachment = file.attachment
    etag = answers.quoted(attachment.digest.removeprefix("md5-"))
    not_modified = answers.unless_modified(request.headers.get("if-none-match"), etag)
    if not_modified is not None:
        return not_modified
    # CouchDB refuses a senseless range of a compressed attachment as well, but ignores a good one.
    ranges = conditions.read_ranges(request.headers.get("range"), attachment.length)
    headers = {
        "Content-Type": attachment.content_type,
        "ETag": etag,
        # Scripts in an attachment must not act for the user who looks at it.
        "Content-Security-Policy": "sandbox",
        "Accept-Ranges": "none" if attachment.encoding else "bytes",
    }
    head = request.method == "HEAD"
    if attachment.encoding:
        if not as_stored:
            return unmeasured_answer(file, headers, head=head)
        assert attachment.encoded_length is not None
        headers["Content-Encoding"] = attachment.encoding
        return file_answer(file, [(0, attachment.encoded_length)], 200, headers, head=head)
    if ranges is None:
        return file_answer(file, [(0, attachment.length)], 200, headers, head=head)
    return _partial(file, ranges, headers, head)


def _partial(file: AttachmentFile, ranges: list[tuple[int, int]], headers: dict[str, str], head: bool) -> Response:
    """One range, or several as ``multipart/byteranges``."""
    length, content_type = file.attachment.length, file.attachment.content_type
    spans = [(first, last + 1) for first, last in ranges]
    shown = [f"bytes {first}-{last}/{length}" for first, last in ranges]
    if len(spans) == 1:
        return file_answer(file, spans, 206, {**headers, "Content-Range": shown[0]}, head=head)
    frame = multipart.frame(
        "multipart/byteranges", [{"Content-Type": content_type, "Content-Range": one} for one in shown]
    )
    segments: list[Segment] = [one for pair in zip(frame.heads, spans, strict=True) for one in pair]
    headers = {**headers, "Content-Type": frame.content_type}
    return file_answer(file, [*segments, frame.end], 206, headers, head=head)


def put(request: Request, db: Database, doc_id: str, name: str) -> ASGIApp:
    """``PUT /{db}/{id}/{name}``; makes the document when there is none."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise BadContentType("Only gzip and identity content-encodings are supported", f"Got {encoding!r}.")
    limit = request.node.settings.attachment_bytes_max
    if limit is not None:
        request.stream.bound(limit, too_large(name, limit))
    content_type = request.headers.get("content-type", DEFAULT_TYPE)
    options: dict[str, Any] = {"rev": given_rev(request, {}), "encoding": "gzip" if encoding == "gzip" else None}
    if not request.is_streamed:
        return _written(request, name, db.put_attachment(doc_id, name, request.body, content_type, **options))

    async def receive() -> Response:
        put = AsyncDatabase(db).put_attachment
        return _written(request, name, await put(doc_id, name, request.stream, content_type, **options))

    return Streamed(request, receive)


def _written(request: Request, name: str, written: dict[str, Any]) -> Response:
    doc_id = written["id"]
    location = {"Location": request.url(request.database_name(), doc_id, name)}
    if request.is_batch():
        return answers.json_answer({"ok": True, "id": doc_id}, 202, location)
    return answers.json_answer(written, 201, location)


def delete(request: Request, db: Database, doc_id: str, name: str) -> Response:
    """``DELETE /{db}/{id}/{name}``."""
    removed = db.remove_attachment(doc_id, name, given_rev(request, {}))
    return answers.json_answer(removed, 200)
