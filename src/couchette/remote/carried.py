"""HTTP over a line that is not the network: the transport of clients whose surroundings carry requests otherwise.

It behaves as a real transport does: silence ends by httpx's own timeouts, and a broken line raises what httpx
raises for one, so a client cannot tell the difference.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager

import anyio
import httpx

from couchette import surroundings
from couchette.surroundings import Carrier, Incoming, Outgoing


def transport() -> httpx.AsyncBaseTransport | None:
    """The transport for a new client: None for the network."""
    carrier = surroundings.current().carrier
    return None if carrier is None else _Carried(carrier)


class _Carried(httpx.AsyncBaseTransport):
    """Hands requests to a carrier."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, AsyncIterable)
        silence_s = request.extensions.get("timeout", {}).get("read")
        outgoing = Outgoing(request.method, str(request.url), request.headers.raw, request.stream)
        with _as_httpx(request), anyio.fail_after(silence_s):
            incoming = await self._carrier.carry(outgoing)
        body = _Body(incoming, request, silence_s)
        return httpx.Response(incoming.status, headers=incoming.headers, stream=body)


class _Body(httpx.AsyncByteStream):
    """The body of an answer; silence longer than the timeout ends it."""

    def __init__(self, incoming: Incoming, request: httpx.Request, silence_s: float | None) -> None:
        self._incoming = incoming
        self._request = request
        self._silence_s = silence_s

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with _as_httpx(self._request), anyio.fail_after(self._silence_s):
            chunk = await self._incoming.read()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        await self._incoming.aclose()


@contextmanager
def _as_httpx(request: httpx.Request) -> Iterator[None]:
    """The line's errors as httpx knows them."""
    try:
        yield
    except TimeoutError as exc:
        raise httpx.ReadTimeout("The server is silent.", request=request) from exc
    except ConnectionRefusedError as exc:
        raise httpx.ConnectError(str(exc), request=request) from exc
    except ConnectionError as exc:
        raise httpx.ReadError(str(exc), request=request) from exc
