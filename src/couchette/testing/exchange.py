"""One request on its way through an ASGI app: the part that a server such as uvicorn plays, without a socket.

The app runs in a task of its own, so that an answer may be read while it is still being made, as a continuous
feed is. Both bodies travel piece by piece, and neither side runs far ahead of the other.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio
import trio

from couchette import surroundings
from couchette.surroundings import Headers, Outgoing, Surroundings

MESSAGES_AHEAD = 16
"""What an app may say before anyone listens, as into a socket's buffer: it may answer without reading the request."""

logger = logging.getLogger(__name__)

AsgiApp = Callable[[dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class Exchange:
    """A request and its answer; it is an ``Incoming`` once :meth:`open` has returned."""

    def __init__(self, app: AsgiApp, request: Outgoing, *, where: Surroundings, open_exchanges: set[Exchange]) -> None:
        """``where`` are the surroundings of the app, which are not those of the client.

        While the app works on it, the exchange is one of ``open_exchanges``.
        """
        self.status = 0
        self.headers: Headers = []
        self._app = app
        self._request = request
        self._where = where
        self._open_exchanges = open_exchanges
        self._serving = anyio.CancelScope()
        self._hung_up = anyio.Event()
        self._body_ended = False
        """Whether the app knows that it has the whole request."""
        self._ended = False
        self._upload, self._arriving = anyio.create_memory_object_stream[bytes](0)
        self._leaving, self._download = anyio.create_memory_object_stream[Any](MESSAGES_AHEAD)

    async def open(self, *, torn_after: int | None = None) -> None:
        """Send the request and wait for the answer's head. Raises ConnectionResetError.

        ``torn_after``: break off after so many bytes of the request's body.
        """
        self._open_exchanges.add(self)
        trio.lowlevel.spawn_system_task(self._serve, name=self._request.url, context=self._context())
        try:
            await self._send_body(self._request.body, torn_after)
            message = await self._receive_message()
        except BaseException:
            await self.aclose()
            raise
        self.status = message["status"]
        self.headers = [(bytes(name), bytes(value)) for name, value in message["headers"]]

    async def read(self) -> bytes:
        """The next piece of the answer's body; empty at its end. Raises ConnectionResetError."""
        while not self._ended:
            message = await self._receive_message()
            self._ended = not message.get("more_body", False)
            if message.get("body"):
                return bytes(message["body"])
        return b""

    async def drain(self) -> None:
        """Read the answer to its end, and forget it."""
        while await self.read():
            pass

    async def aclose(self) -> None:
        """Hang up: the app learns it when it next asks."""
        self._hung_up.set()
        self._upload.close()
        self._download.close()

    def kill(self) -> None:
        """End the app's task where it stands: the server's process is gone."""
        self._serving.cancel()

    def _context(self) -> Context:
        context = copy_context()
        context.run(surroundings.enter, self._where)
        return context

    # -- The client's side ----------------------------------------------------------------------------

    async def _send_body(self, body: AsyncIterable[bytes], torn_after: int | None) -> None:
        left = torn_after
        chunks = aiter(body)
        try:
            async for chunk in chunks:
                if left is not None and len(chunk) >= left:
                    await self._upload.send(chunk[:left])
                    await self._tear()
                left = None if left is None else left - len(chunk)
                await self._upload.send(chunk)
            if left is not None:
                await self._tear()
        except anyio.BrokenResourceError:
            return  # The app has answered without reading all of it, or is gone: the answer will tell.
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        self._upload.close()

    async def _tear(self) -> None:
        await self.aclose()
        raise ConnectionResetError("The line broke in the middle of the request.")

    async def _receive_message(self) -> Any:
        try:
            return await self._download.receive()
        except anyio.EndOfStream:
            raise ConnectionResetError("The server closed the connection before the end of its answer.") from None

    # -- The app's side -------------------------------------------------------------------------------

    async def _serve(self) -> None:
        try:
            with self._serving:
                await self._app(_scope(self._request), self._receive, self._send)
        except Exception:
            # What a server does: the client sees a broken connection, the log has the cause.
            logger.exception("%s %s failed in the app", self._request.method, self._request.url)
        finally:
            self._open_exchanges.discard(self)
            self._arriving.close()
            self._leaving.close()

    async def _receive(self) -> Any:
        try:
            return {"type": "http.request", "body": await self._arriving.receive(), "more_body": True}
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            if not self._hung_up.is_set() and not self._body_ended:
                self._body_ended = True
                return {"type": "http.request", "body": b"", "more_body": False}
        await self._hung_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        try:
            await self._leaving.send(message)
        except anyio.BrokenResourceError:
            return  # The client is gone; an app that does not listen for it may go on.


def _scope(request: Outgoing) -> dict[str, Any]:
    """The request as ASGI describes it, its path exactly as it was sent."""
    url = urlsplit(request.url)
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": unquote(url.path),
        "raw_path": url.path.encode("ascii"),
        "query_string": url.query.encode("ascii"),
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers],
        "server": (url.hostname, url.port or 80),
        "client": ("127.0.0.1", 50000),
    }
