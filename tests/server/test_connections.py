"""Clients that send nothing, or little, or read nothing, and more of them than there is room for; on real sockets.

The server looks through its connections when the test says so, at a time that the test gives.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trustme
import uvicorn
from uvicorn.server import ServerState

from couchette import limits
from couchette.server import connections

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HALF_HEAD = b"GET / HTTP/1.1\r\nHos"
HALF_BODY = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nxx"
LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def anyio_backend():
    """uvicorn is asyncio's."""
    return "asyncio"


class Server:
    """A uvicorn of bounded connections whose app waits, with or without having read the request."""

    def __init__(self, most):
        self.state = ServerState()
        self.answer = asyncio.Event()
        config = uvicorn.Config(
            self._app, http=connections.bounded_protocol(most), interface="asgi3", lifespan="off", log_config=None
        )
        config.load()
        protocol: Any = config.http_protocol_class
        self._make = lambda: protocol(config=config, server_state=self.state, app_state={})
        self._server: Any = None
        self.clients = []
        self.tls = None

    async def _app(self, scope, receive, send):
        message: dict[str, Any] = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
        if message["type"] == "http.disconnect":
            return
        if scope["path"] != "/large":
            await self.answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        size = 64 * 1024 * 1024 if scope["path"] == "/large" else 2
        for at in range(0, size, 1024 * 1024):
            await send({"type": "http.response.body", "body": bytes(min(1024 * 1024, size - at)), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def connect(self, sent=b""):
        """A client that has sent this, as soon as the server has it."""
        before = set(self.state.connections)
        reader, writer = await self.open()
        await until(lambda: self.state.connections != before)
        if sent:
            await self.send(writer, sent)
        return reader, writer

    async def open(self):
        """A client of which the server may want nothing."""
        options = {} if self.tls is None else {"ssl": self.tls, "server_hostname": "localhost"}
        reader, writer = await asyncio.open_connection(*self.address, limit=1024, **options)
        self.clients.append(writer)
        return reader, writer

    async def send(self, writer, content):
        arrived = self.arrived
        writer.write(content)
        await until(lambda: self.arrived >= arrived + len(content))

    @property
    def address(self):
        return self._server.sockets[0].getsockname()

    @property
    def arrived(self):
        connected: Any = self.state.connections
        return sum(one._arrived for one in connected)

    def look(self, now):
        connections.look_through([object(), *self.state.connections], now)

    async def stop(self):
        for writer in self.clients:
            writer.transport.abort()
        self._server.close()
        self.answer.set()
        await until(lambda: not self.state.connections and not self.state.tasks)


async def until(condition):
    with anyio.fail_after(10):
        while not condition():
            await asyncio.sleep(0)


@asynccontextmanager
async def serving(most=10, tls=(None, None)):
    server = Server(most)
    ours, server.tls = tls
    server._server = await asyncio.get_running_loop().create_server(server._make, sock=_listener(), ssl=ours)
    try:
        yield server
    finally:
        await server.stop()


def _listener():
    listener = connections.Listener(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    return listener


async def ended(reader):
    try:
        return await reader.read(1000)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    ("sent", "patience_s"),
    [
        (b"", limits.REQUEST_HEAD_S),
        (HALF_HEAD, limits.REQUEST_HEAD_S),
        (HALF_BODY, limits.REQUEST_SILENCE_S),
    ],
    ids=["nothing", "half a head", "half a body"],
)
async def test_who_stops_sending_is_left_after_a_while(sent, patience_s):
    async with serving() as server:
        now = asyncio.get_running_loop().time() + 1
        reader, _ = await server.connect(sent)
        server.look(now)
        server.look(now + patience_s - 1)
        assert len(server.state.connections) == 1
        server.look(now + patience_s)
        assert await ended(reader) == b""
        await until(lambda: not server.state.connections)


async def test_a_head_that_trickles_is_not_waited_for_longer():
    async with serving() as server:
        now = asyncio.get_running_loop().time() + 1
        reader, writer = await server.connect(HALF_HEAD)
        for second in range(int(limits.REQUEST_HEAD_S)):
            server.look(now + second)
            await server.send(writer, b"t: t" * limits.REQUEST_BODY_BYTES_LEAST if second == 20 else b"t")
        server.look(now + limits.REQUEST_HEAD_S)
        assert await ended(reader) == b""


async def test_a_body_may_be_slow_but_must_go_on():
    async with serving() as server:
        now = asyncio.get_running_loop().time() + 1
        reader, writer = await server.connect(HALF_BODY)
        for _ in range(3):
            server.look(now)
            now += limits.REQUEST_SILENCE_S - 1
            await server.send(writer, bytes(limits.REQUEST_BODY_BYTES_LEAST))
        server.look(now)
        await server.send(writer, bytes(limits.REQUEST_BODY_BYTES_LEAST - 1))
        server.look(now + limits.REQUEST_SILENCE_S)
        assert await ended(reader) == b""


async def test_a_request_that_is_being_answered_may_take_as_long_as_it_likes():
    async with serving() as server:
        now = asyncio.get_running_loop().time() + 1
        reader, _ = await server.connect(GET)
        for day in range(3):
            server.look(now + day * 86_400)
        server.answer.set()
        assert b"200 OK" in await reader.read(1000)


async def test_a_connection_is_used_again_after_an_answer():
    async with serving() as server:
        server.answer.set()
        now = asyncio.get_running_loop().time() + 1
        reader, writer = await server.connect()
        for second in range(0, 120, 20):
            await server.send(writer, GET)
            while b"\r\n0\r\n\r\n" not in await reader.read(1000):
                pass
            server.look(now + second)
        server.look(now + 100 + limits.REQUEST_HEAD_S)
        assert await ended(reader) == b""


async def test_who_reads_nothing_is_left_and_who_reads_slowly_is_not():
    async with serving() as server:
        now = asyncio.get_running_loop().time() + 1
        reader, writer = await server.connect(LARGE)
        [connection] = server.state.connections
        writer.transport.pause_reading()
        await until(lambda: connection.flow.write_paused)
        server.look(now)
        server.look(now + limits.REQUEST_SILENCE_S - 1)
        assert server.state.connections
        resumed = connection._resumed
        writer.transport.resume_reading()
        while connection._resumed == resumed:
            await reader.read(1024 * 1024)
        writer.transport.pause_reading()
        await until(lambda: connection.flow.write_paused)
        server.look(now + limits.REQUEST_SILENCE_S)
        assert server.state.connections
        server.look(now + 2 * limits.REQUEST_SILENCE_S)
        await until(lambda: not server.state.connections)


async def test_who_has_waited_longest_makes_room_for_others():
    async with serving(most=3) as server:
        now = asyncio.get_running_loop().time()
        server.answer.set()
        silent, _ = await server.connect()
        server.look(now + 1)
        others = [await server.connect(sent) for sent in (HALF_HEAD, HALF_BODY)]
        server.look(now + 2)
        reader, writer = await server.connect()
        assert await ended(silent) == b""
        assert len(server.state.connections) == 3
        await server.send(writer, GET)
        assert b"200 OK" in await reader.read(1000)
        assert all(not reader.at_eof() for reader, _ in others)


async def test_an_idle_client_does_not_keep_a_server_with_tls_from_stopping():
    authority = trustme.CA()
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(ours)
    theirs = ssl.create_default_context()
    authority.configure_trust(theirs)
    async with serving(tls=(ours, theirs)) as server:
        server.answer.set()
        reader, writer = await server.connect(GET)
        while b"\r\n0\r\n\r\n" not in await reader.read(1000):
            pass
        writer.transport.pause_reading()
        [connection] = server.state.connections
        connection.shutdown()
        await until(lambda: not server.state.connections)
        assert connection.transport.is_closing()


async def test_where_all_are_being_answered_another_one_is_told_so():
    async with serving(most=2) as server:
        feeds = [await server.connect(GET) for _ in range(2)]
        reader, _ = await server.open()
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(b'{"error":"service_unavailable","reason":"The server has too many connections."}\n')
        server.answer.set()
        for feed, _ in feeds:
            assert b"200 OK" in await feed.read(1000)


async def test_connections_leave_descriptors_for_databases(monkeypatch):
    async with serving() as server:
        await server.connect()
        [connection] = server.state.connections
        number = connection.transport.get_extra_info("socket").fileno()
        monkeypatch.setattr(connections, "descriptors", lambda: number + limits.DESCRIPTORS_KEPT)
        refused, _ = await server.open()
        assert await ended(refused) == b""
        assert len(server.state.connections) == 1
        monkeypatch.setattr(connections, "descriptors", lambda: None)
        await server.connect()
        assert len(server.state.connections) == 2


@pytest.mark.parametrize(
    ("descriptors", "most"),
    [(1024, 512), (4096, limits.CONNECTIONS_MAX), (1_000_000, limits.CONNECTIONS_MAX), (None, limits.CONNECTIONS_MAX)],
)
def test_connections_take_no_more_than_half_of_the_descriptors(monkeypatch, descriptors, most):
    monkeypatch.setattr(connections, "descriptors", lambda: descriptors)
    assert connections.most_connections() == most
