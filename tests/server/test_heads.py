"""Requests whose heads, or trailers, do not end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from couchette.limits import REQUEST_HEAD_BYTES_MAX
from couchette.server.heads import HeadBounded

pytestmark = pytest.mark.anyio

BEGIN = b"PUT /db/doc HTTP/1.1\r\nHost: x\r\n"
CHUNKED = BEGIN + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"


@pytest.fixture(scope="module")
def anyio_backend():
    """uvicorn is asyncio's."""
    return "asyncio"


class Line(asyncio.Transport):
    """A transport that remembers what is written."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.closing = False

    def write(self, data):
        self.written += data

    def close(self):
        self.closing = True

    def is_closing(self):
        return self.closing

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


class Asked:
    """A connection, and the sizes of the bodies that its app was given to their ends."""

    def __init__(self):
        self.bodies = []
        config = uvicorn.Config(self._app, interface="asgi3", lifespan="off", log_config=None)
        config.load()
        self.state = ServerState()
        self.protocol = HeadBounded(config, self.state, {})
        self.line = Line()
        self.protocol.connection_made(self.line)

    async def _app(self, scope, receive, send):
        size = 0
        message: dict[str, Any] = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            size += len(message.get("body", b""))
        if message["type"] == "http.request":
            self.bodies.append(size)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})

    def send(self, *parts):
        """Let these parts arrive, one after the other, until the server hangs up."""
        for part in parts:
            if not self.line.closing:
                self.protocol.data_received(part)

    async def end(self):
        """Hang up; the status lines of the answers until then."""
        while self.state.tasks and not self.line.closing:
            await asyncio.sleep(0)
        self.protocol.connection_lost(None)
        while self.state.tasks:
            await asyncio.sleep(0)
        return [line for line in self.line.written.split(b"\r\n") if line.startswith(b"HTTP/1.1")]


HALF = b"y" * (REQUEST_HEAD_BYTES_MAX // 2)
ENDLESS = {
    "a line": [b"PUT /", HALF, HALF, HALF],
    "a header": [BEGIN + b"A: ", HALF, HALF, HALF],
    "headers": [BEGIN, *[b"A: " + HALF + b"\r\n"] * 3],
    "trailers": [CHUNKED + b"0\r\n", *[b"A: " + HALF + b"\r\n"] * 3],
    "an extension of a chunk": [CHUNKED + b"1;", HALF, HALF, HALF],
}


@pytest.mark.parametrize("parts", ENDLESS.values(), ids=ENDLESS)
async def test_what_does_not_end_is_refused(parts):
    asked = Asked()
    asked.send(*parts)
    assert asked.line.closing
    assert (await asked.end(), asked.bodies) == ([b"HTTP/1.1 400 Bad Request"], [])


async def test_bodies_and_many_requests_may_be_as_long_as_they_like():
    asked = Asked()
    asked.send(BEGIN + b"Content-Length: %d\r\n\r\n" % (8 * len(HALF)), *[HALF] * 8)
    asked.send(CHUNKED, *[b"%x\r\n%b\r\n" % (len(HALF), HALF)] * 8, b"0\r\nA: b\r\n\r\n")
    asked.send(*[BEGIN + b"A: " + HALF + b"\r\n\r\n"] * 4)
    assert not asked.line.closing
    assert await asked.end() == [b"HTTP/1.1 200 OK"] * 6
    assert asked.bodies == [8 * len(HALF), 1 + 8 * len(HALF), 0, 0, 0, 0]
