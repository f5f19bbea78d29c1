"""Attachment content of any size on its way into a database, from files, iterators and their asynchronous kin.

A document's write is one transaction, but a source may be slow and long. So content goes to the store ahead of
the document, in short transactions, and no lock is held while the source is waited for. What comes back,
:class:`~couchette.document.attachment.Received`, stands for the bytes as an attachment's ``data``; writing the
document then only names it. :class:`Uploads` is the block around both: what no document has named when it ends, for
whatever reason, is forgotten. Content that is no larger than one portion is not sent ahead at all.

An asynchronous source is awaited in the event loop; all else happens in worker threads, by the same code. While one
portion is stored the next is read and hashed, by another core.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from types import TracebackType
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from couchette import store, workers
from couchette.document.attachment import DEFAULT_TYPE, Received
from couchette.document.intake import Bytes, Intake
from couchette.errors import BadRequest, StoreError
from couchette.limits import (
    ATTACHMENT_CHUNK_BYTES,
    ATTACHMENT_PORTION_CHUNKS,
    UPLOAD_CACHED_BYTES,
    UPLOAD_TOUCH_S,
)
from couchette.pool import Pool

_BYTES = (bytes, bytearray, memoryview)
_PORTION_BYTES = ATTACHMENT_PORTION_CHUNKS * ATTACHMENT_CHUNK_BYTES
Doc = dict[str, Any]


class Uploads:
    """The uploads that belong to one write of documents: a context manager, or an asynchronous one.

    Write the documents inside the block. The first document that is written with an upload adopts it, so one
    upload cannot be used for two documents; where the write failed, it can be tried again.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._started: list[_Upload] = []

    def take(self, name: str, data: Any, content_type: str = DEFAULT_TYPE, **announced: Any) -> Received:
        """Take in ``data``: bytes, a binary file, or an iterable of bytes. Blocks while the source does.

        Args:
            name: the attachment's, for messages.
            data: what to take in.
            content_type: decides whether it is stored compressed.
            announced: ``encoding="gzip"`` if the bytes are gzip; ``digest`` and ``length`` of the bytes, which are
                checked.

        Raises:
            BadRequest, DigestMismatch: the content is not as announced, or not bytes.
            StoreError: its source was idle for so long that compaction took the upload for interrupted.
        """
        upload = self._begin(name, content_type, announced)
        for piece in _pieces(name, data):
            upload.write(piece)
        return upload.finish()

    async def take_async(self, name: str, data: Any, content_type: str = DEFAULT_TYPE, **announced: Any) -> Received:
        """Async :meth:`take`; ``data`` may also be an asynchronous iterable, or a file whose ``read`` is awaited."""
        if not is_async(data):
            return await workers.in_thread(self.take, name, data, content_type, **announced)
        upload = self._begin(name, content_type, announced)
        pieces_out, pieces_in = anyio.create_memory_object_stream[list[Any]](0)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_write_pieces, upload, pieces_in)
                await _gather_pieces(data, pieces_out)
        except BaseExceptionGroup as group:
            failure = workers.single_failure(group)
        else:
            return await workers.in_thread(upload.finish)
        raise failure from failure.__cause__

    def _begin(self, name: str, content_type: str, announced: Mapping[str, Any]) -> _Upload:
        upload = _Upload(self._pool, Intake(name, content_type, **announced))
        self._started.append(upload)
        return upload

    def discard(self) -> None:
        """Forget the uploads that no document has adopted; the end of the block does so."""
        for upload in self._started:
            upload.stop()
        keys = [upload.key for upload in self._started if upload.key is not None]
        self._started.clear()
        if keys:
            self._pool.write(store.discard_uploads, keys)

    def __enter__(self) -> Uploads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is None:
            self.discard()
        else:
            # The block's error is what matters; compaction frees what cannot be freed now.
            with suppress(StoreError):
                self.discard()

    async def __aenter__(self) -> Uploads:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await workers.in_thread(self.__exit__, kind, exc, traceback)


class _Upload:
    """One content under way: collects portions and stores each in a transaction."""

    def __init__(self, pool: Pool, intake: Intake) -> None:
        self.key: int | None = None
        """Its key in the store, once something of it is there."""
        self._pool = pool
        self._intake = intake
        self._waiting: list[Bytes] = []
        self._sent_chunks = 0
        self._thread: ThreadPoolExecutor | None = None
        self._storing: Future[None] | None = None
        self._touched = time.monotonic()

    def write(self, *pieces: Any) -> None:
        """Take the next pieces of the content."""
        self._waiting += self._intake.feed(*pieces)
        slow = self.key is not None and time.monotonic() - self._touched > UPLOAD_TOUCH_S
        if slow or len(self._waiting) >= ATTACHMENT_PORTION_CHUNKS:
            self._store_waiting(beside=not slow)

    def finish(self) -> Received:
        """Check the whole and settle it in the store."""
        self._waiting += self._intake.finish()
        intake = self._intake
        digest, size = intake.digest, intake.size
        if self.key is None:
            return Received(b"".join(self._waiting), digest, size, intake.length, intake.encoding)
        self._store_waiting(beside=False)
        self.stop()
        self._pool.write(store.shrink_cache)
        while True:
            looked_at, equal = self._pool.read(store.compare_upload, self.key, digest, size)
            if self._pool.write(store.settle, self.key, digest, size, looked_at, equal):
                return Received(self.key, digest, size, intake.length, intake.encoding)

    def stop(self) -> None:
        """Wait until nothing is being stored any more."""
        if self._thread is not None:
            self._thread.shutdown()

    def _store_waiting(self, *, beside: bool) -> None:
        """Store what waits when the portion before it is stored, whose failure it raises; ``beside`` only begins it."""
        chunks, first = self._waiting, self._sent_chunks
        self._await_stored()
        self._waiting = []
        self._sent_chunks += len(chunks)
        # The first portion shows whether this thread may write at all; a transaction is its own thread's.
        if self.key is None or self._pool.in_transaction or not beside:
            self._store(first, chunks)
        else:
            self._thread = self._thread or ThreadPoolExecutor(1, "couchette-upload")
            self._storing = self._thread.submit(copy_context().run, self._store, first, chunks)

    def _await_stored(self) -> None:
        if self._storing is not None:
            self._storing.result()
            self._storing = None

    def _store(self, first: int, chunks: list[Bytes]) -> None:
        self.key = self._pool.write(store.append_upload, self.key, first, chunks)
        self._touched = time.monotonic()
        if not self._pool.in_transaction:
            self._pool.wrote(len(chunks) * ATTACHMENT_CHUNK_BYTES)
        cached = UPLOAD_CACHED_BYTES // ATTACHMENT_CHUNK_BYTES
        if first // cached != (first + len(chunks)) // cached:
            self._pool.write(store.shrink_cache)


async def _gather_pieces(data: Any, pieces: MemoryObjectSendStream[list[Any]]) -> None:
    """Read a source and hand on what is worth a hop to a thread, a portion; the next is read while that is stored."""
    next_piece = _async_reader(data)
    gathered: list[Any] = []
    size = 0
    async with pieces:
        while (piece := await next_piece()) is not None:
            gathered.append(piece)
            size += len(piece) if isinstance(piece, _BYTES) else ATTACHMENT_CHUNK_BYTES
            if size >= _PORTION_BYTES:
                if not await _handed_on(gathered, pieces):
                    return
                gathered, size = [], 0
        await _handed_on(gathered, pieces)


async def _handed_on(gathered: list[Any], pieces: MemoryObjectSendStream[list[Any]]) -> bool:
    """Whether somebody took the pieces: not where storing failed, which is the failure to be told."""
    try:
        await pieces.send(gathered)
    except anyio.BrokenResourceError:
        return False
    return True


async def _write_pieces(upload: _Upload, pieces: MemoryObjectReceiveStream[list[Any]]) -> None:
    async with pieces:
        async for some in pieces:
            await workers.in_thread(upload.write, *some)


# -- Sources ------------------------------------------------------------------------------------------


def is_async(data: Any) -> bool:
    """Whether an event loop must wait for this source."""
    return hasattr(data, "__aiter__") or inspect.iscoroutinefunction(getattr(data, "read", None))


def is_stream(data: Any) -> bool:
    """Whether ``data`` of an attachment is a source to be read, and not the content itself."""
    if data is None or isinstance(data, (str, Mapping, Received, *_BYTES)):
        return False
    return hasattr(data, "read") or hasattr(data, "__aiter__") or isinstance(data, Iterable)


def _pieces(name: str, data: Any) -> Iterator[Any]:
    """The content of a synchronous source; each piece is a bytes-like object, or the intake refuses it."""
    if isinstance(data, _BYTES):
        view = memoryview(data)
        view = view.cast("B") if view.c_contiguous else memoryview(bytes(view))
        for start in range(0, len(view), ATTACHMENT_CHUNK_BYTES):
            yield view[start : start + ATTACHMENT_CHUNK_BYTES]
    elif not is_stream(data) or is_async(data):
        hint = f"Give bytes, a binary file or an iterable of bytes, not {type(data).__name__}."
        raise BadRequest(f"Invalid attachment data for {name}", hint)
    elif hasattr(data, "read"):
        while (piece := data.read(ATTACHMENT_CHUNK_BYTES)) != b"":
            if not piece:
                hint = f"read() gave {piece!r}; open the file in binary mode, for blocking reads."
                raise BadRequest(f"Invalid attachment data for {name}", hint)
            yield piece
    else:
        yield from data


def _async_reader(data: Any) -> Callable[[], Awaitable[Any]]:
    """What gives the next piece of an asynchronous source, and None at its end."""
    if inspect.iscoroutinefunction(getattr(data, "read", None)):

        async def read() -> Any:
            return await data.read(ATTACHMENT_CHUNK_BYTES) or None

        return read
    pieces = aiter(data)

    async def advance() -> Any:
        return await anext(pieces, None)

    return advance


def piece_reader(name: str, data: Any) -> Callable[[], Awaitable[Any]]:
    """What gives the next piece of any source, and None at its end; one that blocks is read in worker threads."""
    if is_async(data):
        return _async_reader(data)
    pieces = _pieces(name, data)

    async def advance() -> Any:
        return await workers.in_thread(next, pieces, None)

    return advance


# -- Documents whose attachments are streams ----------------------------------------------------------


def take_all(uploads: Uploads, doc: Mapping[str, Any]) -> Doc:
    """The document with its streamed attachments taken in; it is not changed itself."""
    members = {}
    for name, member in _streamed(doc).items():
        members[name] = {**member, "data": uploads.take(name, member["data"], **_announced(member))}
    return {**doc, "_attachments": {**doc["_attachments"], **members}}


async def take_all_async(uploads: Uploads, doc: Mapping[str, Any]) -> Doc:
    """Async :func:`take_all`."""
    members = {}
    for name, member in _streamed(doc).items():
        members[name] = {**member, "data": await uploads.take_async(name, member["data"], **_announced(member))}
    return {**doc, "_attachments": {**doc["_attachments"], **members}}


def has_streams(doc: Any) -> bool:
    """Whether any attachment of a document has a stream for its data."""
    return isinstance(doc, Mapping) and "_attachments" in doc and bool(_streamed(doc))


def _streamed(doc: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    members = doc["_attachments"]
    if not isinstance(members, Mapping):
        return {}
    return {name: member for name, member in members.items() if isinstance(member, Mapping) and _is_streamed(member)}


def _is_streamed(member: Mapping[str, Any]) -> bool:
    return member.get("stub") is not True and is_stream(member.get("data"))


def _announced(member: Mapping[str, Any]) -> dict[str, Any]:
    """What the member says of its bytes; with an encoding, ``length`` is that of the plain content."""
    encoding = member.get("encoding")
    return {
        "content_type": member.get("content_type", DEFAULT_TYPE),
        "encoding": encoding,
        "digest": member.get("digest"),
        "length": member.get("encoded_length" if encoding else "length"),
    }
