"""The sockets below our HTTP: opened by the event loop that runs, read in large pieces, and failing as httpx's do.

What is read at once can only be said where the connections are made. httpcore, which does HTTP over them, asks for
64 KB at a time: then the way of each piece through the layers above costs more than the piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ssl import SSLContext
from typing import Any

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


class Backend(httpcore.AsyncNetworkBackend):
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
def as_httpx() -> Iterator[None]:
    """httpcore's errors as httpx's, whose names are the same."""
    try:
        yield
    except _ERRORS as exc:
        raise getattr(httpx, type(exc).__name__)(str(exc)) from exc
