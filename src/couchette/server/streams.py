"""Large bodies: requests that are answered while they arrive, and answers that are sent as they are made.

What fits in ``limits.BODY_HELD_BYTES`` is held in memory and takes one hop to a worker thread, as any other
request. Beyond that, a resource that stores what it receives gets the body piece by piece, and no thread waits for
the client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from couchette import workers
from couchette.attachment_file import AsyncAttachmentFile, AttachmentFile
from couchette.limits import BODY_HELD_BYTES
from couchette.server import answers
from couchette.server.request import Disconnected, Request

Chunk = bytes | Sequence[bytes]
"""A part of an answer that is made at once; in pieces where it is large, since each of them is copied on its way out,
and memory for a small one is at hand, for a large one it is asked of the system."""

Segment = bytes | tuple[int, int]
"""A piece of an answer: bytes, or a part of a file, from the first position up to the second."""

_ToTheEnd = tuple[int, None]


class Streamed:
    """An answer that is made while the request's body arrives, and sent when all of that is there.

    It is an ASGI app, as any answer is.
    """

    def __init__(self, request: Request, make: Callable[[], Awaitable[ASGIApp]]) -> None:
        self._request = request
        self._make = make

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._make()
        except Disconnected:
            return
        except Exception as exc:
            response = answers.failure(exc, self._request)
        with suppress(Disconnected):
            await self._request.stream.skip()
            await response(scope, receive, send)


def file_answer(
    file: AttachmentFile, segments: Sequence[Segment], status: int, headers: Mapping[str, str], *, head: bool
) -> Response:
    """Send these segments, at once where they are small; ``head`` says that no body is needed."""
    length = sum(len(one) if isinstance(one, bytes) else one[1] - one[0] for one in segments)
    if length <= BODY_HELD_BYTES:
        return answers.answer(b"".join(_read(file, one) for one in segments), status, headers)
    headers = {**headers, "Content-Length": str(length)}
    return answers.answer(b"", status, headers) if head else sent(_Segments(file, segments), status, headers)


def unmeasured_answer(file: AttachmentFile, headers: Mapping[str, str], *, head: bool) -> Response:
    """Send a file whose length only reading it can tell."""
    first = file.read(BODY_HELD_BYTES)
    if len(first) < BODY_HELD_BYTES:
        return answers.answer(first, 200, headers)
    return sent(_Segments(file, [] if head else [(0, None)]), 200, headers)


def _read(file: AttachmentFile, segment: Segment) -> bytes:
    return segment if isinstance(segment, bytes) else b"".join(file.chunks(*segment))


def sent(content: AsyncIterator[Chunk], status: int, headers: Mapping[str, str]) -> Response:
    """Send what an asynchronous iterator gives."""
    return _ReadAhead(content, status, answers.all_headers(headers))  # type: ignore[arg-type] # It sends pieces itself.


class _ReadAhead(StreamingResponse):
    """Reads or makes the next chunk while one is sent: neither the disk nor the client has to wait for the other."""

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        made, chunks = anyio.create_memory_object_stream[Any](0)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._make, made)
                async with chunks:
                    async for chunk in chunks:
                        for piece in (chunk,) if isinstance(chunk, bytes) else chunk:
                            await send({"type": "http.response.body", "body": piece, "more_body": True})
        except BaseExceptionGroup as group:
            failure = workers.single_failure(group)
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        raise failure from failure.__cause__

    async def _make(self, chunks: MemoryObjectSendStream[Any]) -> None:
        async with chunks:
            async for chunk in self.body_iterator:
                await chunks.send(chunk)


def made_answer(
    chunks: Iterator[Chunk], headers: Mapping[str, str], *, head: bool, may_be_slow: bool = False
) -> Response:
    """Send what an iterator makes, each chunk in a worker thread, when the one before is sent.

    Call it in such a thread, too: it makes the first chunk, so what fails there still has a status, and an answer that
    is but one chunk is sent whole. A failure later on breaks the answer off, which HTTP lets the client see.
    What ``may_be_slow``, such as a filter, is done in a side thread, and keeps no others' answers waiting.
    """
    first, second = next(chunks), next(chunks, b"")
    if not second:
        return answers.answer(first if isinstance(first, bytes) else b"".join(first), 200, headers)
    hop = workers.in_side_thread if may_be_slow else workers.in_lean_thread
    return sent(_Made([], iter(()), hop) if head else _Made([second, first], chunks, hop), 200, headers)


class _Made:
    """The chunks of an iterator that blocks, after those that are ``there``, the last first."""

    def __init__(self, there: list[Chunk], chunks: Iterator[Chunk], hop: Callable[..., Awaitable[Chunk]]) -> None:
        self._there = there
        self._chunks = chunks
        self._hop = hop

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        if self._there:
            return self._there.pop()
        chunk = await self._hop(next, self._chunks, b"")
        if not chunk:
            raise StopAsyncIteration
        return chunk


class _Segments:
    """The segments' bytes, in chunks."""

    def __init__(self, file: AttachmentFile, segments: Sequence[Segment | _ToTheEnd]) -> None:
        self._file = AsyncAttachmentFile(file)
        self._segments = list(reversed(segments))
        self._chunks: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while True:
            chunk = b"" if self._chunks is None else await anext(self._chunks, b"")
            if chunk:
                return chunk
            if not self._segments:
                raise StopAsyncIteration
            segment = self._segments.pop()
            if isinstance(segment, bytes):
                return segment
            self._chunks = self._file.chunks(*segment)
