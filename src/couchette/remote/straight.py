"""GET of large content, whose bytes go straight from the socket to who asked for them.

Parsing costs each byte of a body four copies on the way through httpcore and h11, which takes longer than to receive
it. But an answer that says its length needs no parsing after its head. So h11 reads heads here, each with a parser of
its own that is given up there, and what follows is counted. An answer that comes in any other way is h11's as ever.

Connections are kept for the next content, apart from those of other requests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from ssl import SSLContext
from typing import Final

import anyio
import h11
import httpcore
import httpx

from couchette import limits
from couchette.remote.sockets import Backend, as_httpx

LARGE: Final = "couchette.large"
"""The extension of a request for large content; its value means nothing."""

_BODILESS: Final = frozenset({204, 304})
_Origin = tuple[str, str, int]


class StraightLines:
    """Connections that large content comes by, as many as are asked for at a time; ``tls`` is for https."""

    def __init__(self, tls: SSLContext | None) -> None:
        self._tls = tls
        self._idle: defaultdict[_Origin, list[tuple[httpcore.AsyncNetworkStream, float]]] = defaultdict(list)
        self._closed = False

    async def get(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request without a body. Raises httpx's errors, here and while the answer is read."""
        line = await self._open(request)
        try:
            head = await line.ask(request)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await line.aclose()
            raise
        return httpx.Response(head.status_code, headers=head.headers.raw_items(), stream=line)

    async def aclose(self) -> None:
        """Close the connections that nobody uses; those in use are closed when they are done with."""
        self._closed = True
        idle = [stream for streams in self._idle.values() for stream, _ in streams]
        self._idle.clear()
        for stream in idle:
            await stream.aclose()

    async def _open(self, request: httpx.Request) -> _Line:
        """A connection to where the request goes: one that is there, or a new one."""
        url, waits = request.url, request.extensions["timeout"]
        origin = url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)
        while self._idle[origin]:
            stream, expires_at = self._idle[origin].pop()
            # A server has nothing to say on an idle connection but that it closed it.
            if anyio.current_time() < expires_at and not stream.get_extra_info("is_readable"):
                return _Line(self, origin, stream, waits["read"])
            await stream.aclose()
        with as_httpx():
            stream = await Backend().connect_tcp(origin[1], origin[2], waits["connect"])
            if url.scheme == "https":
                assert self._tls is not None
                self._tls.set_alpn_protocols(["http/1.1"])
                stream = await stream.start_tls(self._tls, origin[1], waits["connect"])
        return _Line(self, origin, stream, waits["read"])

    async def take_back(self, line: _Line) -> None:
        """Keep the connection of a line that is done with, or close it."""
        if line.reusable and not self._closed:
            self._idle[line.origin].append((line.stream, anyio.current_time() + limits.HTTP_KEEPALIVE_S))
        else:
            await line.stream.aclose()


class _Line(httpx.AsyncByteStream):
    """One connection while it is used, and the body that comes by it."""

    def __init__(
        self, lines: StraightLines, origin: _Origin, stream: httpcore.AsyncNetworkStream, silence_s: float | None
    ) -> None:
        self.origin = origin
        self.stream = stream
        self.reusable = False
        """Whether the answer was read to its end, and the connection may serve another one."""
        self._lines = lines
        self._silence_s = silence_s
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=limits.HTTP_READ_BYTES)
        self._length: int | None = None
        self._persists = False
        self._closed = False

    async def ask(self, request: httpx.Request) -> h11.Response:
        """Send the request and read the answer's head."""
        target = request.url.raw_path
        with _as_httpx():
            head = h11.Request(method=request.method, target=target, headers=request.headers.raw)
            sent = (self._parser.send(head) or b"") + (self._parser.send(h11.EndOfMessage()) or b"")
            await self.stream.write(sent, request.extensions["timeout"]["write"])
            while not isinstance(event := await self._next_event(), h11.Response):
                continue  # It said that it goes on.
        headers = dict(event.headers)
        if event.status_code not in _BODILESS and b"transfer-encoding" not in headers and b"content-length" in headers:
            self._length = int(headers[b"content-length"])
        self._persists = event.http_version >= b"1.1" and b"close" not in headers.get(b"connection", b"").lower()
        return event

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            if self._length is None:
                async for piece in self._parsed():
                    yield piece
                return
            left = self._length
            piece, _ = self._parser.trailing_data
            while left > 0:
                if not piece:
                    piece = await self.stream.read(limits.HTTP_READ_BYTES, self._silence_s)
                    if not piece:
                        raise httpx.RemoteProtocolError(
                            f"The server closed the connection {left} bytes before the end."
                        )
                left -= len(piece)
                yield piece if left >= 0 else piece[:left]
                piece = b""
            # More than was announced is no beginning of another answer: nothing else was asked for.
            self.reusable = self._persists and left == 0 and not piece

    async def _parsed(self) -> AsyncIterator[bytes]:
        """A body whose length only parsing tells."""
        while not isinstance(event := await self._next_event(), h11.EndOfMessage):
            assert isinstance(event, h11.Data)
            yield bytes(event.data)

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            event = self._parser.next_event()
            if event is not h11.NEED_DATA:
                return event
            piece = await self.stream.read(limits.HTTP_READ_BYTES, self._silence_s)
            if not piece and self._parser.their_state is h11.SEND_RESPONSE:
                raise httpx.RemoteProtocolError("The server closed the connection without an answer.")
            self._parser.receive_data(piece)

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await self._lines.take_back(self)


@contextmanager
def _as_httpx() -> Iterator[None]:
    """The errors of a connection, and of what came by it, as httpx's."""
    try:
        with as_httpx():
            yield
    except h11.RemoteProtocolError as exc:
        raise httpx.RemoteProtocolError(str(exc)) from exc
    except h11.LocalProtocolError as exc:
        raise httpx.LocalProtocolError(str(exc)) from exc
