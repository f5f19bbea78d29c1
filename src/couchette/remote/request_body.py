"""The body of a request while it is sent, closed when the request has ended, however it ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable

import httpx

Body = bytes | Callable[[], AsyncIterable[bytes]]
"""Content of a request; a stream is made anew for each repeat."""


class RequestBody(httpx.AsyncByteStream):
    """The body of one try, which is closed with it.

    httpx wraps any body in a generator, which a line that breaks while it is sent leaves to the garbage collector
    together with the content that is open in it; trio warns of that.
    """

    def __init__(self, content: Body | None) -> None:
        self._content = content
        self._sources: list[AsyncIterable[bytes]] = []

    def __aiter__(self) -> AsyncIterator[bytes]:
        """From the beginning: an ``httpx.Auth`` may have a request sent twice."""
        if not callable(self._content):
            return _Piece(self._content)
        self._sources.append(self._content())
        return aiter(self._sources[-1])

    async def aclose(self) -> None:
        for source in self._sources:
            if isinstance(source, AsyncGenerator):
                await source.aclose()


class _Piece:
    """An asynchronous iterator of one piece, or none."""

    def __init__(self, piece: bytes | None) -> None:
        self._rest = [piece] if piece else []

    def __aiter__(self) -> _Piece:
        return self

    async def __anext__(self) -> bytes:
        if not self._rest:
            raise StopAsyncIteration
        return self._rest.pop()
