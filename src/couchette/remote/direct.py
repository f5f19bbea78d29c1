"""HTTP over connections of our own to a server, with no proxy between: httpx's transport, but with larger reads.

httpcore does it, over our sockets; for content so large that each step of a byte counts it is
:mod:`couchette.remote.straight`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self

import httpcore
import httpx

from couchette import limits
from couchette.remote.sockets import Backend, as_httpx
from couchette.remote.straight import LARGE, StraightLines


class DirectTransport(httpx.AsyncBaseTransport):
    """A transport with a pool of at most ``connections``; ``tls`` is for https."""

    def __init__(self, tls: SSLContext | None, connections: int) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=connections,
            keepalive_expiry=limits.HTTP_KEEPALIVE_S,
            network_backend=Backend(),
        )
        self._straight = StraightLines(tls)

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._straight.aclose()
        with as_httpx():
            await self._pool.__aexit__(kind, value, traceback)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if LARGE in request.extensions:
            return await self._straight.get(request)
        url = request.url
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with as_httpx():
            answer = await self._pool.handle_async_request(sent)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        await self._straight.aclose()
        with as_httpx():
            await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of an answer as it arrives."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with as_httpx():
            async for piece in self._stream:
                yield piece

    async def aclose(self) -> None:
        with as_httpx():
            await self._stream.aclose()
