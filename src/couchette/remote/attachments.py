"""Single attachments on a server: sent while they are read, and read in ranges as files.

A file of an attachment is read by threads, as any file is; what it lacks it has the event loop fetch, a large range at
once. Content that the server does not give in ranges, such as what it stores compressed, is brought as a whole when it
is first read, and kept in a temporary file.
"""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from tempfile import SpooledTemporaryFile
from typing import Any

import anyio.from_thread

from couchette import limits, workers
from couchette.attachment_file import AsyncAttachmentFile, AttachmentFile
from couchette.document.attachment import DEFAULT_TYPE, Attachment, check_described
from couchette.document.docid import LOCAL, check_id
from couchette.document.intake import Intake
from couchette.errors import BadRequest, NotFound
from couchette.remote.calls import Doc, RemoteCalls
from couchette.remote.client import JSON_TYPE, Client, Request
from couchette.remote.repeats import READING, WRITING
from couchette.remote.url import attachment_path, doc_path
from couchette.uploads import is_stream, piece_reader

Call = Callable[[Callable[..., Coroutine[Any, Any, Any]], int, int], Any]
"""Has the event loop run a function, for a thread that waits for it."""


class RemoteAttachments(RemoteCalls):
    """Attachments by themselves."""

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
        """Add or replace one attachment; see :meth:`Database.put_attachment <couchette.Database.put_attachment>`.

        A stream is sent while it is read, so it is read even where the server then says Conflict, and cannot be sent a
        second time where it wants other credentials.
        """
        check_described(name, content_type, encoding)
        client = await self._opened()
        headers = {"Accept": JSON_TYPE, "Content-Type": content_type}
        if encoding is not None:
            headers["Content-Encoding"] = encoding
        address = client.address(attachment_path(_holder(id), name), None if rev is None else {"rev": rev})
        source = _Source(name, data, digest, length)
        if is_stream(data):
            if length is not None:
                headers["Content-Length"] = str(length)
            request = Request("PUT", address, headers, source.open, repeats=WRITING)
        else:
            content = b"".join([piece async for piece in source.open()])
            request = Request("PUT", address, headers, content, repeats=WRITING)
        written: Doc = client.read_json(await client.respond(request), tries=1)
        return written

    async def get_attachment(self, id: str, name: str, *, rev: str | None = None, encoded: bool = False) -> Attachment:
        """One attachment with its content in ``data``; with ``encoded`` as stored, maybe gzip. Raises NotFound."""
        attachment, address = await self._find_attachment(id, name, rev)
        whole = _Whole(await self._opened(), address, encoded=encoded and attachment.encoding is not None)
        chunks = [chunk async for chunk in whole.chunks()]
        return replace(attachment, data=b"".join(chunks))

    async def open_attachment(
        self, id: str, name: str, *, rev: str | None = None, encoded: bool = False
    ) -> AsyncAttachmentFile:
        """One attachment as a file; see :meth:`Database.open_attachment <couchette.Database.open_attachment>`."""
        return AsyncAttachmentFile(await self._open_attachment(_from_worker, id, name, rev, encoded))

    async def remove_attachment(self, id: str, name: str, rev: str | None = None) -> Doc:
        """Remove one attachment, as a new revision; return ``{"ok", "id", "rev"}``. Raises NotFound, Conflict."""
        params = None if rev is None else {"rev": rev}
        removed: Doc = await self._write("DELETE", attachment_path(_holder(id), name), params=params)
        return removed

    async def _open_attachment(self, call: Call, id: str, name: str, rev: str | None, encoded: bool) -> AttachmentFile:
        """The file, which reads by ``call``: it is the caller's way from a thread to the loop."""
        attachment, address = await self._find_attachment(id, name, rev)
        whole = _Whole(await self._opened(), address, encoded=encoded and attachment.encoding is not None)
        return AttachmentFile(attachment, _Raw(whole, attachment, call))

    async def _find_attachment(self, id: str, name: str, rev: str | None) -> tuple[Attachment, str]:
        """What the document says of it, and the address of exactly this content."""
        given: Doc = {} if rev is None else {"rev": rev}
        doc = await self._object("GET", doc_path(_holder(id)), params={**given, "att_encoding_info": True})
        stub = doc.get("_attachments", {}).get(name)
        if stub is None:
            raise NotFound("Document is missing attachment", f"{id!r} has no attachment {name!r}.")
        attachment = Attachment(
            name=name,
            content_type=stub.get("content_type", DEFAULT_TYPE),
            revpos=stub.get("revpos", 0),
            digest=stub.get("digest", ""),
            length=stub.get("length", 0),
            encoding=stub.get("encoding"),
            encoded_length=stub.get("encoded_length"),
        )
        return attachment, self._client.address(attachment_path(id, name), {"rev": doc["_rev"]})


class _Source:
    """Content on its way to a server, checked against what is announced of it while it is sent."""

    def __init__(self, name: str, data: Any, digest: str | None, length: int | None) -> None:
        self._name = name
        self._data = data
        self._digest, self._length = digest, length
        self._was_read = False

    async def open(self) -> AsyncGenerator[bytes, None]:
        """The content in pieces. Raises BadRequest, DigestMismatch."""
        if self._was_read and is_stream(self._data):
            hint = f"The server asked again for {self._name!r}, which was read already; put it once more."
            raise BadRequest("The content cannot be read a second time.", hint)
        self._was_read = True
        intake = Intake(self._name, DEFAULT_TYPE, digest=self._digest, length=self._length)
        next_piece = piece_reader(self._name, self._data)
        while (piece := await next_piece()) is not None:
            for chunk in intake.feed(piece):
                yield bytes(chunk)
        for chunk in intake.finish():
            yield bytes(chunk)


class _Whole:
    """The content at an address; ``encoded``: its gzip bytes."""

    def __init__(self, client: Client, address: str, *, encoded: bool) -> None:
        self._client = client
        self._address = address
        self._encoding = "gzip" if encoded else "identity"

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """All of it."""
        async with self._client.stream(self._request({})) as answer:
            async for chunk in answer.chunks:
                yield chunk

    async def fetch(self, start: int, end: int) -> bytes | SpooledTemporaryFile[bytes]:
        """The bytes of a range; or all there are in a file, where the range is empty or the server knows none."""
        request = self._request({"Range": f"bytes={start}-{end - 1}"} if end > start else {})
        async with self._client.stream(request) as answer:
            if answer.status == 206:
                return b"".join([chunk async for chunk in answer.chunks])
            spool: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=limits.REMOTE_RANGE_BYTES)  # noqa: SIM115
            try:
                async for chunk in answer.chunks:
                    await workers.in_thread(spool.write, chunk)
            except BaseException:
                spool.close()
                raise
            return spool

    def _request(self, headers: Doc) -> Request:
        headers = {"Accept": "*/*", "Accept-Encoding": self._encoding, **headers}
        return Request("GET", self._address, headers, repeats=READING)


class _Raw(io.RawIOBase):
    """The content as a raw file, of which a range is in memory."""

    def __init__(self, whole: _Whole, attachment: Attachment, call: Call) -> None:
        self._whole = whole
        self._call = call
        self._length = attachment.length
        # No server gives ranges of what it has to unpack first.
        self._measured = attachment.encoding is None
        self._at = 0
        self._first, self._range = 0, b""
        self._spool: SpooledTemporaryFile[bytes] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END and not self._measured:
            self._load()
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position: {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        if self._measured and self._at >= self._length:
            return 0
        if self._spool is None and not self._first <= self._at < self._first + len(self._range):
            self._load()
        if self._spool is not None:
            self._spool.seek(self._at)
            piece = self._spool.read(len(buffer))
        else:
            offset = self._at - self._first
            piece = self._range[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()
        super().close()

    def _load(self) -> None:
        """Fetch the range from here on, or everything."""
        if self._spool is not None:
            return
        end = min(self._at + limits.REMOTE_RANGE_BYTES, self._length) if self._measured else 0
        found = self._call(self._whole.fetch, self._at, end)
        if isinstance(found, bytes):
            self._first, self._range = self._at, found
        else:
            self._spool = found
            self._length = found.seek(0, io.SEEK_END)
            self._measured = True


def _holder(id: str) -> str:
    """The id of a document that may have attachments. Raises BadRequest."""
    if check_id(id).startswith(LOCAL):
        raise BadRequest("_local documents do not accept attachments.", "Put them into another document.")
    return id


def _from_worker(async_fn: Callable[..., Coroutine[Any, Any, Any]], *args: int) -> Any:
    """From a worker thread of the loop that opened the file."""
    return anyio.from_thread.run(async_fn, *args)
