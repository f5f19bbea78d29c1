"""Attachments as files: content read piece by piece, from any place in it, however large it is.

Content never changes, so no transaction is held open while somebody reads: each chunk is one short read, and tells
by the digest that it is of the content that was opened. When compaction frees that content meanwhile, since no
revision names it any more, the next read raises NotFound.

Two raw files do the work. One gives the stored bytes and is truly seekable; over it the standard library's gzip
gives the plain bytes of compressed content, where seeking means to read on, or once more from the start.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any

from couchette import store, workers
from couchette.document.attachment import Attachment, digest_bytes
from couchette.errors import BadRequest, NotFound
from couchette.limits import ATTACHMENT_CACHED_BYTES, ATTACHMENT_CHUNK_BYTES, ATTACHMENT_HOP_BYTES
from couchette.pool import Pool


class AttachmentFile(io.BufferedReader):
    """The content of one attachment as a binary file to read. Not for several threads at a time.

    Attributes:
        attachment: what the document says of it; its ``data`` is None.
    """

    def __init__(self, attachment: Attachment, raw: io.RawIOBase) -> None:
        super().__init__(raw, ATTACHMENT_CHUNK_BYTES)
        self.attachment = attachment

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` up to, not including, ``end``, in pieces of bounded size; all by default."""
        self.seek(start)
        left = None if end is None else end - start
        while left is None or left > 0:
            chunk = self.read(ATTACHMENT_HOP_BYTES if left is None else min(left, ATTACHMENT_HOP_BYTES))
            if not chunk:
                return
            yield chunk
            if left is not None:
                left -= len(chunk)


class AsyncAttachmentFile:
    """An :class:`AttachmentFile` whose methods are awaited. Iterating over it gives chunks, not lines."""

    def __init__(self, file: AttachmentFile) -> None:
        self.attachment = file.attachment
        self._file = file

    async def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size``; all that are left by default. Empty at the end."""
        return await workers.in_thread(self._file.read, size)

    async def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to another place; return it."""
        return await workers.in_thread(self._file.seek, offset, whence)

    def tell(self) -> int:
        """The place where the next read begins."""
        return self._file.tell()

    def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Async :meth:`AttachmentFile.chunks`: ``async for chunk in file.chunks()``."""
        return _AsyncChunks(self._file.chunks(start, end))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.chunks()

    async def aclose(self) -> None:
        """Close it."""
        self._file.close()

    async def __aenter__(self) -> AsyncAttachmentFile:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class _AsyncChunks:
    """The chunks of a file. It is no generator, so nothing has to be closed when its reader leaves off."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await workers.in_thread(next, self._chunks, b"")
        if not chunk:
            raise StopAsyncIteration
        return chunk


def open_attachment(pool: Pool, id: str, name: str, *, rev: str | None = None, encoded: bool = False) -> AttachmentFile:
    """Open the content of an attachment, with ``encoded`` as it is stored. Raises NotFound."""
    attachment, att = pool.read(store.find_attachment, id, name, rev=rev)
    raw: io.RawIOBase = _Stored(pool, attachment, att)
    return AttachmentFile(attachment, _Unpacked(raw, attachment) if attachment.encoding and not encoded else raw)


class _Stored(io.RawIOBase):
    """The bytes as they are stored."""

    def __init__(self, pool: Pool, attachment: Attachment, att: int) -> None:
        stored_length = attachment.encoded_length if attachment.encoding else attachment.length
        assert stored_length is not None
        self._pool = pool
        self._name = attachment.name
        self._content = att, digest_bytes(attachment.digest), stored_length
        self._length = stored_length
        self._read_chunk = store.read_chunk_of_many if stored_length > ATTACHMENT_CACHED_BYTES else store.read_chunk
        self._at = 0
        self._number, self._chunk = -1, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position: {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        number, offset = divmod(self._at, ATTACHMENT_CHUNK_BYTES)
        if self._at >= self._length:
            return 0
        if number != self._number:
            self._number, self._chunk = number, self._read(number)
        piece = memoryview(self._chunk)[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _read(self, number: int) -> bytes:
        chunk = self._pool.read_one(self._read_chunk, *self._content, number)
        if chunk is None:
            hint = "Compaction freed it, as no revision names it any more. Open the attachment of the current revision."
            raise NotFound(f"The content of the attachment {self._name!r} is not there any more.", hint)
        return chunk


class _Unpacked(io.RawIOBase):
    """The plain bytes of content that is stored as gzip."""

    def __init__(self, raw: io.RawIOBase, attachment: Attachment) -> None:
        self._name = attachment.name
        self._gzip = gzip.GzipFile(fileobj=io.BufferedReader(raw, ATTACHMENT_CHUNK_BYTES), mode="rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset < 0:
            raise ValueError(f"negative position: {offset}")
        return self._checked(self._gzip.seek, offset, whence)

    def tell(self) -> int:
        return self._gzip.tell()

    def readinto(self, buffer: Any, /) -> int:
        return self._checked(self._gzip.readinto1, buffer)

    def _checked(self, call: Any, *args: Any) -> int:
        try:
            result: int = call(*args)
        except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
            hint = f"{self._name!r} was uploaded so; open it with encoded=True."
            raise BadRequest("The attachment is marked as gzip but is not.", hint) from exc
        return result
