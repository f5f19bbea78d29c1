"""Large attachments of a database of this process, on their way out and in, without ever being held in memory.

Reading gives a :class:`StoredContent` for each, whose chunks the target asks for as it writes. Writing takes what the
source gives into uploads first, each piece as it arrives, and then writes the documents that name them, all inside
one :class:`~couchette.uploads.Uploads` block: what no document came to name is forgotten.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from couchette import limits, workers
from couchette.attachment_file import AsyncAttachmentFile, open_attachment
from couchette.errors import NotFound
from couchette.pool import Pool
from couchette.uploads import Uploads
from couchette.wire.content import Content, ContentGone, streamed
from couchette.wire.stubs import fill
from couchette.wire.transfer import Document, Refusal


class StoredContent:
    """The stored bytes of one attachment, a :class:`~couchette.wire.content.Content`."""

    def __init__(self, pool: Pool, doc: Document, name: str, length: int) -> None:
        self.length = length
        self._pool = pool
        self._id, self._rev, self._name = doc["_id"], doc["_rev"], name

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read from the beginning, a chunk of the store at a time."""
        try:
            opened = await workers.in_thread(
                open_attachment, self._pool, self._id, self._name, rev=self._rev, encoded=True
            )
        except NotFound as exc:
            raise ContentGone(exc.reason, exc.hint) from exc
        async with AsyncAttachmentFile(opened) as file, aclosing(_chunks(file)) as chunks:
            yield chunks


async def _chunks(file: AsyncAttachmentFile) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in file:
            yield chunk
    except NotFound as exc:
        raise ContentGone(exc.reason, exc.hint) from exc


def has_large(doc: Document, names: Sequence[str]) -> bool:
    """Whether one of these attachments is to be streamed."""
    attachments = doc["_attachments"]
    return any(attachments[name]["length"] > limits.ATTACHMENT_INLINE_BYTES_MAX for name in names)


async def fill_from_store(pool: Pool, doc: Document, names: Sequence[str]) -> None:
    """Give these attachments of a document, which are stubs, their data: bytes, or a Content where they are large.

    Raises NotFound if the revision is gone.
    """
    for name in names:
        await workers.in_thread(_fill_one, pool, doc, name)


def _fill_one(pool: Pool, doc: Document, name: str) -> None:
    with open_attachment(pool, doc["_id"], name, rev=doc["_rev"], encoded=True) as file:
        attachment = file.attachment
        entry = doc["_attachments"][name]
        length = attachment.length
        if attachment.encoding:
            assert attachment.encoded_length is not None
            length = attachment.encoded_length
            entry |= {"encoding": attachment.encoding, "encoded_length": length}
        large = length > limits.ATTACHMENT_INLINE_BYTES_MAX
        fill(doc, name, StoredContent(pool, doc, name, length) if large else file.read())


async def receive_contents(uploads: Uploads, docs: Sequence[Document]) -> tuple[list[Document], list[Refusal]]:
    """The documents with each Content read into an upload, and those whose content is gone."""
    received: list[Document] = []
    refused: list[Refusal] = []
    for doc in docs:
        try:
            received.append(await _received(uploads, doc) if streamed(doc) else doc)
        except ContentGone as exc:
            refused.append(Refusal(doc["_id"], doc["_rev"], exc.error, exc.reason))
    return received, refused


async def _received(uploads: Uploads, doc: Document) -> Document:
    attachments: dict[str, Any] = dict(doc["_attachments"])
    for name, entry in attachments.items():
        content = entry.get("data")
        if isinstance(content, Content):
            async with content.open() as chunks:
                data = await uploads.take_async(
                    name,
                    chunks,
                    entry.get("content_type", "application/octet-stream"),
                    encoding=entry.get("encoding"),
                    length=content.length,
                )
            kept = {key: value for key, value in entry.items() if key != "digest"}
            attachments[name] = {**kept, "data": data}
    return {**doc, "_attachments": attachments}
