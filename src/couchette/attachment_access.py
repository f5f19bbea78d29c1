"""The facades' methods for single attachments: put, get, open and remove one without sending the document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from couchette import store, workers
from couchette.attachment_file import AsyncAttachmentFile, AttachmentFile, open_attachment
from couchette.document.attachment import DEFAULT_TYPE, Attachment
from couchette.uploads import Uploads, is_async, is_stream

if TYPE_CHECKING:
    from couchette.pool import Pool

Doc = dict[str, Any]


class AttachmentAccess:
    """What :class:`~couchette.Database` can do with single attachments."""

    _pool: Pool

    def put_attachment(
        self,
        id: str,
        name: str,
        data: Any,
        content_type: str = DEFAULT_TYPE,
        *,
        rev: str | None = None,
        encoding: str | None = None,
        digest: str | None = None,
        length: int | None = None,
    ) -> Doc:
        """Add or replace one attachment, as a new revision; return ``{"ok", "id", "rev"}``.

        Without ``rev`` the document is made. The attachment appears as a whole, when all of it is stored: until then
        nobody sees anything of it, others may write, and nothing of it stays when the call raises.

        Args:
            data: bytes, a binary file, or an iterable of bytes; it may be larger than memory.
            encoding: ``"gzip"`` says that ``data`` is gzip already.
            digest: ``"md5-"`` and the base64 md5 of ``data`` as it is given, to be checked.
            length: its bytes, to be checked.

        Raises:
            Conflict: the document exists and ``rev`` is not its leaf.
            DigestMismatch, BadRequest: ``data`` is not what ``digest`` and ``length`` say, or not bytes.
        """
        if is_stream(data):
            # Better known now than after all of it was read.
            self._pool.read(store.check_base, id, name, rev)
        with Uploads(self._pool) as uploads:
            received = uploads.take(name, data, content_type, encoding=encoding, digest=digest, length=length)
            return self._pool.write(store.put_attachment, id, name, received, content_type, rev=rev)

    def get_attachment(self, id: str, name: str, *, rev: str | None = None, encoded: bool = False) -> Attachment:
        """One attachment with its content in ``data``; with ``encoded`` as stored, maybe gzip. Raises NotFound."""
        return self._pool.read(store.get_attachment, id, name, rev=rev, encoded=encoded)

    def open_attachment(self, id: str, name: str, *, rev: str | None = None, encoded: bool = False) -> AttachmentFile:
        """One attachment as a binary file to read, seekable, of which only the part that is read is in memory.

        Its ``attachment`` says what :meth:`get_attachment` would, without the content; its
        ``chunks(start, end)`` iterates over a range. With ``encoded`` it gives the stored bytes, maybe gzip. It
        shows the content that was there when it was opened, and blocks nobody; a read raises NotFound when
        compaction has freed that content since.

        Raises:
            NotFound: there is no such document or attachment.
        """
        return open_attachment(self._pool, id, name, rev=rev, encoded=encoded)

    def remove_attachment(self, id: str, name: str, rev: str | None = None) -> Doc:
        """Remove one attachment, as a new revision; return ``{"ok", "id", "rev"}``.

        Raises:
            NotFound: there is no such attachment.
            Conflict: ``rev`` is not a leaf, or none was given.
        """
        return self._pool.write(store.remove_attachment, id, name, rev)


class AsyncAttachmentAccess:
    """What :class:`~couchette.AsyncDatabase` can do with single attachments."""

    database: AttachmentAccess

    async def put_attachment(
        self,
        id: str,
        name: str,
        data: Any,
        content_type: str = DEFAULT_TYPE,
        *,
        rev: str | None = None,
        encoding: str | None = None,
        digest: str | None = None,
        length: int | None = None,
    ) -> Doc:
        """Async :meth:`Database.put_attachment`; ``data`` may also be an asynchronous iterable or file.

        A cancellation while such a source is waited for leaves nothing behind.
        """
        announced: dict[str, Any] = {"encoding": encoding, "digest": digest, "length": length}
        if not is_async(data):
            put = self.database.put_attachment
            return await workers.in_thread(put, id, name, data, content_type, rev=rev, **announced)
        pool = self.database._pool
        await workers.in_thread(pool.read, store.check_base, id, name, rev)
        async with Uploads(pool) as uploads:
            received = await uploads.take_async(name, data, content_type, **announced)
            return await workers.in_thread(pool.write, store.put_attachment, id, name, received, content_type, rev=rev)

    async def get_attachment(self, id: str, name: str, *, rev: str | None = None, encoded: bool = False) -> Attachment:
        """Async :meth:`Database.get_attachment`."""
        return await workers.in_thread(self.database.get_attachment, id, name, rev=rev, encoded=encoded)

    async def open_attachment(
        self, id: str, name: str, *, rev: str | None = None, encoded: bool = False
    ) -> AsyncAttachmentFile:
        """Async :meth:`Database.open_attachment`; iterating over it, or over its ``chunks``, gives bytes."""
        return AsyncAttachmentFile(
            await workers.in_thread(self.database.open_attachment, id, name, rev=rev, encoded=encoded)
        )

    async def remove_attachment(self, id: str, name: str, rev: str | None = None) -> Doc:
        """Async :meth:`Database.remove_attachment`."""
        return await workers.in_thread(self.database.remove_attachment, id, name, rev)
