"""How documents are written to a server: in few requests, none larger than a server may take.

Documents go by ``_bulk_docs`` with ``new_edits: false`` in requests of bounded size, small attachments inline as
base64; stubs stand for what the target holds. A request that is too large all the same (413), or that is refused as a
whole because of one document (400), is halved, down to that document. A document with a large attachment goes alone,
as ``multipart/related``, straight from where its content is to the socket; a server that does not take that gets it
inline, if it takes so much at once. So does a server that would not keep gzip as such, where any of it is gzip.

A server that cannot fill a stub says 412 (MissingStub), and the replication sends everything.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from couchette import limits
from couchette.errors import BadRequest, CouchetteError, TooLarge
from couchette.remote.client import JSON_TYPE, Client, Request
from couchette.remote.url import doc_path
from couchette.remote.welcome import holds_gzip, keeps_gzip
from couchette.wire.content import Content, ContentGone, streamed
from couchette.wire.multipart import StreamedMultipart, streamed_related
from couchette.wire.stubs import encode
from couchette.wire.transfer import Document, Refusal, portions, read_bulk_docs

NO_MULTIPART: Final = frozenset({400, 405, 414, 415, 501})
"""Answers of a server that does not take ``multipart/related``, or this path, or perhaps not this document at all."""
REFUSED: Final = frozenset({401, 403, 413})
"""Answers to the PUT of one document that are about this document, as CouchDB's replicator reads them."""


class Writer:
    """Writes documents through ``client``."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keeps_gzip: bool | None = None

    async def write(self, docs: Sequence[Document]) -> list[Refusal]:
        """Store documents under their own revisions; return those refused.

        MissingStub stores nothing of the request that it answers, and means that the stubs must be replaced.
        """
        refused: list[Refusal] = []
        encoded: list[tuple[Document, bytes]] = []
        alone = [doc for doc in docs if streamed(doc)]
        for doc in docs:
            if not streamed(doc):
                try:
                    encoded.append((doc, encode(doc)))
                except (
                    TooLarge
                ):  # Its attachments are gzip that becomes far longer than they say. As it is, it is small.
                    alone.append(doc)
        for portion in portions(encoded, lambda pair: len(pair[1]), limits.BATCH_BYTES):
            refused.extend(await self._write_portion(portion))
        for doc in alone:
            refused.extend(await self._write_streamed(doc))
        return refused

    async def _write_portion(self, portion: list[tuple[Document, bytes]]) -> list[Refusal]:
        """One ``_bulk_docs``; where the server does not take that, two halves, down to single documents."""
        body = b'{"new_edits":false,"docs":[' + b",".join(encoded for _, encoded in portion) + b"]}"
        try:
            return read_bulk_docs(await self._client.request("POST", "_bulk_docs", body=body))
        except (BadRequest, TooLarge) as exc:
            if len(portion) == 1:
                return [_refusal(portion[0][0], exc)]
            half = len(portion) // 2
            return await self._write_portion(portion[:half]) + await self._write_portion(portion[half:])

    async def _write_streamed(self, doc: Document) -> list[Refusal]:
        """PUT one document with its attachments behind it, read while they are sent."""
        if holds_gzip(doc):
            if self._keeps_gzip is None:
                self._keeps_gzip = await keeps_gzip(self._client)
            if not self._keeps_gzip:
                return await self._write_inline(doc)
        body = streamed_related(doc)
        headers = {"Accept": JSON_TYPE, "Content-Type": body.content_type, "Content-Length": str(body.length)}
        address = self._client.address(doc_path(doc["_id"]), {"new_edits": False})
        try:
            self._client.read_json(await self._client.respond(Request("PUT", address, headers, lambda: _sent(body))))
        except ContentGone as exc:
            return [_refusal(doc, exc)]
        except CouchetteError as exc:
            if exc.status in NO_MULTIPART:
                return await self._write_inline(doc)
            if exc.status in REFUSED:
                return [_refusal(doc, exc)]
            raise
        return []

    async def _write_inline(self, doc: Document) -> list[Refusal]:
        """Write one document with all its attachments as base64."""
        try:
            encoded = encode(await _in_memory(doc))
        except TooLarge as exc:
            return [_refusal(doc, exc)]
        return await self._write_portion([(doc, encoded)])


async def _sent(body: StreamedMultipart) -> AsyncGenerator[bytes, None]:
    for piece in body.pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        async with piece.open() as chunks:
            async for chunk in chunks:
                yield chunk


async def _in_memory(doc: Document) -> Document:
    """``doc`` with all its attachments read."""
    attachments = dict(doc["_attachments"])
    for name, entry in attachments.items():
        if isinstance(entry.get("data"), Content):
            async with entry["data"].open() as chunks:
                attachments[name] = {**entry, "data": b"".join([chunk async for chunk in chunks])}
    return {**doc, "_attachments": attachments}


def _refusal(doc: Document, exc: CouchetteError) -> Refusal:
    return Refusal(doc["_id"], doc["_rev"], exc.error, exc.reason)
