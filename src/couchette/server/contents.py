"""Documents with large attachments, which are read while they are sent: as base64 in JSON, or beside it in multipart.

A document is read with stubs first, which say how much there is to come. What is small is answered as ever, in one
piece; beyond ``limits.BODY_HELD_BYTES`` no more than a chunk is held for each client.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from typing import Any, Final

from starlette.responses import Response

from couchette import jsonio
from couchette.database import Database
from couchette.limits import ATTACHMENT_HOP_BYTES, BODY_HELD_BYTES
from couchette.replication.contents import StoredContent
from couchette.server import answers
from couchette.server.streams import made_answer, sent
from couchette.store import Later
from couchette.wire import multipart
from couchette.wire.multipart import StreamedMultipart, streamed_related
from couchette.wire.stubs import attachment_bytes, fill

Doc = dict[str, Any]
MultipartRow = tuple[dict[str, str], Doc]
"""Headers of a part with attachments, and the row of a revision: ``ok``, ``error`` or ``missing``."""
JSON: Final = {"Content-Type": "application/json"}

_ENCODED_BYTES: Final = ATTACHMENT_HOP_BYTES // 3 * 3
"""Content that becomes base64 at once; only the last piece may be no multiple of three bytes."""
_OF_STUBS: Final = frozenset(("stub", "length", "encoded_length"))
"""Members that an attachment with its data does not have in JSON."""


def are_large(docs: Iterable[Doc]) -> bool:
    """Whether the attachments of these documents, which are stubs, are too much to be held."""
    held = [doc for doc in docs if "_attachments" in doc]
    return sum(attachment_bytes(doc, doc["_attachments"]) for doc in held) > BODY_HELD_BYTES


def json_with_contents(db: Database, doc: Doc, headers: dict[str, str], *, head: bool) -> Response:
    """The answer with a document, given with stubs, and its attachments as base64."""
    return made_answer(gathered(document_parts(db, doc, end=b"\n")), {**JSON, **headers}, head=head)


def multipart_with_contents(db: Database, doc: Doc, headers: dict[str, str], *, head: bool) -> Response:
    """The answer with a document, given with stubs that tell their encoding, and its attachments behind it."""
    filled = {**doc, "_attachments": {name: dict(stub) for name, stub in doc["_attachments"].items()}}
    for name, stub in doc["_attachments"].items():
        length = stub["encoded_length"] if "encoding" in stub else stub["length"]
        fill(filled, name, StoredContent(db._pool, doc, name, length))
    body = streamed_related(filled, digests=True)
    headers = {"Content-Type": body.content_type, "Content-Length": str(body.length), **headers}
    return answers.answer(b"", 200, headers) if head else sent(_pieces(body), 200, headers)


def related_answer(db: Database, doc: Doc, headers: dict[str, str], *, head: bool) -> Response:
    """The answer with a document and its attachments behind it; their ``data`` is as in :func:`rows_multipart`."""
    body = streamed_related(doc, digests=True)
    headers = {"Content-Type": body.content_type, "Content-Length": str(body.length), **headers}
    return made_answer(gathered(_stored_pieces(db, doc, body)), headers, head=head)


def rows_multipart(db: Database, kind: str, rows: Iterable[MultipartRow], *, head: bool) -> Response:
    """The answer with revisions as parts, those with attachments as multipart themselves.

    The attachments' ``data`` are bytes, or :class:`~couchette.store.Later` where they are to be read as they are sent.
    """
    content_type, body = multipart.streamed_parts(kind, (_row_part(db, headers, row) for headers, row in rows))
    return made_answer(gathered(body), {"Content-Type": content_type}, head=head)


def _row_part(db: Database, headers: dict[str, str], row: Doc) -> tuple[Mapping[str, str], Iterable[bytes]]:
    doc = row.get("ok")
    if doc is None or not multipart.has_attachments(doc):
        part = multipart.json_part(row.get("error", row) if doc is None else doc, error=doc is None)
        return part.headers, (part.content,)
    body = streamed_related(doc, digests=True)
    return {**headers, "Content-Type": body.content_type}, _stored_pieces(db, doc, body)


def _stored_pieces(db: Database, doc: Doc, body: StreamedMultipart) -> Iterator[bytes]:
    """The text of a document with its attachments behind it."""
    later = (name for name, member in doc["_attachments"].items() if isinstance(member.get("data"), Later))
    for piece in body.pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        with db.open_attachment(doc["_id"], next(later), rev=doc["_rev"], encoded=True) as file:
            yield from file.chunks()


def open_revs_chunks(db: Database, rows: list[Doc]) -> Iterator[bytes]:
    """The text of an answer with several revisions that were read with stubs, with the attachments as base64."""

    def parts() -> Iterator[bytes]:
        between = b"["
        for row in rows:
            yield between
            yield from _row_parts(db, row)
            between = b","
        yield b"]\n"

    return gathered(parts())


def results_parts(db: Database, results: list[Doc]) -> Iterator[bytes]:
    """The text of some results of ``_bulk_get`` that were read with stubs, with the attachments as base64."""
    between = b""
    for result in results:
        yield b'%b{"id":%b,"docs":[' % (between, jsonio.dumps(result["id"]))
        for place, row in enumerate(result["docs"]):
            yield b"," if place else b""
            yield from _row_parts(db, row)
        between = b"]},"
    yield b"]}"


def _row_parts(db: Database, row: Doc) -> Iterator[bytes]:
    if "ok" in row:
        yield b'{"ok":'
        yield from document_parts(db, row["ok"])
        yield b"}"
    else:
        yield jsonio.dumps(row)


def gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that are worth a hop to a thread each."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= ATTACHMENT_HOP_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def document_parts(db: Database, doc: Doc, *, end: bytes = b"") -> Iterator[bytes]:
    """The text of a document, given with stubs, with the contents of its attachments as base64; and ``end``."""
    attachments = doc.get("_attachments") or {}
    text = jsonio.dumps({name: value for name, value in doc.items() if name != "_attachments"})
    if not attachments:
        yield text + end
        return
    between = text[:-1] + b',"_attachments":{'
    for name, stub in attachments.items():
        entry = {key: value for key, value in stub.items() if key not in _OF_STUBS}
        yield b'%b%b:%b,"data":"' % (between, jsonio.dumps(name), jsonio.dumps(entry)[:-1])
        with db.open_attachment(doc["_id"], name, rev=doc["_rev"]) as file:
            while content := file.read(_ENCODED_BYTES):
                yield b64encode(content)
        between = b'"},'
    yield b'"}}}' + end


async def _pieces(body: StreamedMultipart) -> AsyncGenerator[bytes, None]:
    for piece in body.pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        async with piece.open() as chunks:
            async for chunk in chunks:
                yield chunk
