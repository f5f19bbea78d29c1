"""HTTP over connections of our own to a server, with no proxy between: httpx's transport, but with larger reads.

httpx leaves connections to httpcore, which reads 64 KB at a time: then the way of each piece through the layers above
costs more than the piece. What is read at once can only be said where the connections are made.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self

import anyio
import httpcore
import httpx
import sniffio

from couchette import limits

_ERRORS = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)


class DirectTransport(httpx.AsyncBaseTransport):
    """A transport with a pool of at most ``connections``; ``tls`` is for https."""

    def __init__(self, tls: SSLContext | None, connections: int) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=connections,
            keepalive_expiry=limits.HTTP_KEEPALIVE_S,
            network_backend=_Backend(),
        )

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        with _as_httpx():
            await self._pool.__aexit__(kind, value, traceback)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx():
            answer = await self._pool.handle_async_request(sent)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        with _as_httpx():
            await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of an answer as it arrives."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for piece in self._stream:
                yield piece

    async def aclose(self) -> None:
        with _as_httpx():
            await self._stream.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    """Opens connections by the event loop that runs."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        trio = sniffio.current_async_library() == "trio"
        backend: httpcore.AsyncNetworkBackend = httpcore.TrioBackend() if trio else httpcore.AnyIOBackend()
        return _Stream(await backend.connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that reads more at once than it is asked for, which nobody minds: what comes is parsed as it is."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max(max_bytes, limits.HTTP_READ_BYTES), timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


@contextmanager
def _as_httpx() -> Iterator[None]:
    """httpcore's errors as httpx's, whose names are the same."""
    try:
        yield
    except _ERRORS as exc:
        raise getattr(httpx, type(exc).__name__)(str(exc)) from exc
