"""Calls an ASGI app as a server would, with the request's target exactly as it is written."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

HOST = "couch.example:5984"


@dataclass(frozen=True)
class Answer:
    """What the app answered; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Exchange:
    """A request under way: its answer piece by piece, and a client that may leave."""

    def __init__(self, body: bytes = b"") -> None:
        self._requests = [{"type": "http.request", "body": body, "more_body": False}]
        self._gone = anyio.Event()
        self._put, self._messages = anyio.create_memory_object_stream[Any](float("inf"))

    async def receive(self) -> Any:
        """ASGI's receive."""
        if self._requests:
            return self._requests.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """ASGI's send."""
        self._put.send_nowait(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._gone.set()

    def leave(self) -> None:
        """The client closes its connection."""
        self._gone.set()

    async def start(self) -> tuple[int, dict[str, str]]:
        """Status and headers; one that is repeated has a line for each."""
        message = await self._messages.receive()
        headers: dict[str, str] = {}
        for key, value in message["headers"]:
            name, text = key.decode().lower(), value.decode("latin-1")
            headers[name] = f"{headers[name]}\n{text}" if name in headers else text
        return message["status"], headers

    async def chunk(self) -> bytes:
        """The next piece of the body."""
        content: bytes = (await self._messages.receive())["body"]
        return content

    async def rest(self) -> bytes:
        """The pieces that are still to come."""
        content = b""
        while True:
            message = await self._messages.receive()
            content += message["body"]
            if not message.get("more_body"):
                return content

    def close(self) -> None:
        """Forget what was not read."""
        self._put.close()
        self._messages.close()


def scope(method: str, target: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The ASGI scope of a request."""
    raw_path, _, query = target.encode().partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": raw_path.decode("latin-1"),
        "raw_path": raw_path,
        "query_string": query,
        "headers": [(k.lower().encode(), v.encode()) for k, v in {"host": HOST, **(headers or {})}.items()],
    }


async def call(
    app: Any, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Answer:
    """Send one request and take its whole answer."""
    exchange = Exchange(body)
    try:
        await app(scope(method, target, headers), exchange.receive, exchange.send)
        status, shown = await exchange.start()
        return Answer(status, shown, await exchange.rest())
    finally:
        exchange.close()


async def call_json(app: Any, method: str, target: str, value: Any = None) -> Answer:
    """Send one request with a JSON body."""
    body = b"" if value is None else json.dumps(value).encode()
    return await call(app, method, target, {"content-type": "application/json"}, body)


@asynccontextmanager
async def calling(app: Any, method: str, target: str) -> AsyncIterator[Exchange]:
    """A request that is still being answered while the block runs; it must be answered, or left, before the end."""
    exchange = Exchange()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, scope(method, target), exchange.receive, exchange.send)
            yield exchange
    finally:
        exchange.close()
