"""Documents with large attachments, which are read while they are sent: as base64 in JSON, or beside it in multipart.

A document is read with stubs first, which say how much there is to come. What is small is answered as ever, in one
piece; beyond ``limits.BODY_HELD_BYTES`` no more than a chunk is held for each client.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Any, Final

from starlette.responses import Response

from couchette import jsonio
from couchette.database import Database
from couchette.limits import ATTACHMENT_HOP_BYTES, BODY_HELD_BYTES
from couchette.replication.contents import StoredContent
from couchette.server import answers
from couchette.server.streams import made_answer, sent
from couchette.wire.multipart import StreamedMultipart, streamed_related
from couchette.wire.stubs import attachment_bytes, fill

Doc = dict[str, Any]
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
    return made_answer(gathered(_parts(db, doc, end=b"\n")), {**JSON, **headers}, head=head)


def multipart_with_contents(db: Database, doc: Doc, headers: dict[str, str], *, head: bool) -> Response:
    """The answer with a document, given with stubs that tell their encoding, and its attachments behind it."""
    filled = {**doc, "_attachments": {name: dict(stub) for name, stub in doc["_attachments"].items()}}
    for name, stub in doc["_attachments"].items():
        length = stub["encoded_length"] if "encoding" in stub else stub["length"]
        fill(filled, name, StoredContent(db._pool, doc, name, length))
    body = streamed_related(filled, digests=True)
    headers = {"Content-Type": body.content_type, "Content-Length": str(body.length), **headers}
    return answers.answer(b"", 200, headers) if head else sent(_pieces(body), 200, headers)


def bulk_get_chunks(db: Database, found: Doc) -> Iterator[bytes]:
    """The text of an answer to ``_bulk_get`` that was read with stubs, with the attachments as base64."""

    def parts() -> Iterator[bytes]:
        between = b'{"results":['
        for result in found["results"]:
            yield b'%b{"id":%b,"docs":[' % (between, jsonio.dumps(result["id"]))
            for place, row in enumerate(result["docs"]):
                yield b"," if place else b""
                if "ok" in row:
                    yield b'{"ok":'
                    yield from _parts(db, row["ok"])
                    yield b"}"
                else:
                    yield jsonio.dumps(row)
            between = b"]},"
        yield b"]}]}\n"

    return gathered(parts())


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


def _parts(db: Database, doc: Doc, *, end: bytes = b"") -> Iterator[bytes]:
    """The text of a document with the contents of its attachments, and ``end``."""
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
