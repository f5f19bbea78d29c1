"""Large content, straight from the socket: whole, checked for its length, and over connections that are used again."""

from __future__ import annotations

import ssl

import anyio
import anyio.lowlevel
import httpcore
import httpx
import pytest

from couchette.remote.client import Client, Request
from couchette.remote.direct import DirectTransport
from couchette.remote.straight import LARGE
from couchette.remote.url import DatabaseUrl

pytestmark = pytest.mark.anyio

URL = "http://host/db/a/x"


class Stream(httpcore.AsyncMockStream):
    """A stream that gives these pieces, and keeps what is said to it."""

    def __init__(self, *pieces):
        super().__init__(list(pieces))
        self.sent = b""
        self.tls_name = None
        self.readable = False

    @property
    def closed(self):
        return self._closed

    async def read(self, max_bytes, timeout=None):
        await anyio.lowlevel.checkpoint()
        piece = await super().read(max_bytes, timeout)
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def write(self, buffer, timeout=None):
        self.sent += buffer

    async def start_tls(self, ssl_context, server_hostname=None, timeout=None):
        self.tls_name = server_hostname
        return self

    def get_extra_info(self, info):
        return self.readable if info == "is_readable" else None


@pytest.fixture
def opening(monkeypatch):
    """Has each connection be the next of some streams; gives the list of places they were opened to."""

    def open_to(*streams):
        waiting, places = list(streams), []

        class Opens(httpcore.AsyncMockBackend):
            async def connect_tcp(self, host, port, *args, **options):
                places.append((host, port))
                return waiting.pop(0)

        for name in ("TrioBackend", "AnyIOBackend"):
            monkeypatch.setattr(httpcore, name, lambda: Opens([]))
        return places

    return open_to


@pytest.fixture
async def client():
    async with httpx.AsyncClient(transport=DirectTransport(ssl.create_default_context(), 1)) as client:
        yield client


def head(length, *headers):
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % length, *headers, b"", b""])


async def get(client, url=URL):
    async with client.stream("GET", url, extensions={LARGE: True}) as answer:
        return [piece async for piece in answer.aiter_raw()]


async def test_pieces_are_those_that_the_socket_gave(client, opening):
    pieces = [b"b" * 70_000, b"c" * 256]
    opening(Stream(head(3 + 70_256) + b"aaa", *pieces))
    got = await get(client)
    assert got == [b"aaa", *pieces]
    assert got[1] is pieces[0]
    assert got[2] is pieces[1]


async def test_a_request_says_what_it_was_told_to_say(client, opening):
    stream = Stream(head(0))
    assert opening(stream) == []
    async with client.stream(
        "GET", URL, params={"rev": "1-a"}, headers={"Range": "bytes=5-"}, extensions={LARGE: True}
    ):
        pass
    first, *headers = stream.sent.split(b"\r\n")
    assert first == b"GET /db/a/x?rev=1-a HTTP/1.1"
    assert {b"Host: host", b"Range: bytes=5-"} <= set(headers)


async def test_a_connection_is_used_again_when_all_of_an_answer_was_read(client, opening):
    places = opening(Stream(head(1) + b"a", head(2), b"b", b"b"))
    assert await get(client) == [b"a"]
    assert await get(client) == [b"b", b"b"]
    assert places == [("host", 80)]


async def test_another_server_gets_a_connection_of_its_own(client, opening):
    places = opening(Stream(head(1) + b"a"), Stream(head(1) + b"b"))
    await get(client)
    await get(client, "http://other:5984/db/a/x")
    assert places == [("host", 80), ("other", 5984)]


@pytest.mark.parametrize(
    "pieces",
    [
        [head(1, b"Connection: close") + b"a"],
        [b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na"],
        [head(1) + b"a, and more than was announced"],
        [head(1), b"a, and more than was announced"],
    ],
    ids=["closed", "http-1.0", "more", "more-later"],
)
async def test_a_connection_that_cannot_go_on_is_closed(client, opening, pieces):
    first = Stream(*pieces)
    places = opening(first, Stream(head(1) + b"b"))
    assert await get(client) == [b"a"]
    assert first.closed
    assert await get(client) == [b"b"]
    assert len(places) == 2


async def test_a_connection_that_the_server_closed_meanwhile_is_left(client, opening):
    first = Stream(head(1) + b"a")
    places = opening(first, Stream(head(1) + b"b"))
    await get(client)
    first.readable = True
    assert await get(client) == [b"b"]
    assert first.closed
    assert len(places) == 2


async def test_a_connection_that_was_idle_for_long_is_left(client, opening, monkeypatch):
    monkeypatch.setattr("couchette.limits.HTTP_KEEPALIVE_S", -1.0)
    first = Stream(head(1) + b"a")
    opening(first, Stream(head(1) + b"b"))
    await get(client)
    assert await get(client) == [b"b"]
    assert first.closed


async def test_who_leaves_in_the_middle_leaves_no_connection_behind(opening):
    first = Stream(head(3), b"a", b"b", b"c")
    places = opening(first, Stream(head(1) + b"d"))
    request = Request("GET", "http://localhost/db/a/x", large=True)
    async with Client(DatabaseUrl.parse("http://localhost/db")) as client:
        async with client.stream(request) as answer:
            assert await anext(answer.chunks) == b"a"
        assert first.closed
        async with client.stream(request) as answer:
            assert await anext(answer.chunks) == b"d"
    assert len(places) == 2


async def test_idle_connections_end_with_the_client_and_later_ones_with_their_answer(opening):
    idle, used = Stream(head(1) + b"a"), Stream(head(1), b"b")
    opening(used, idle)
    transport = DirectTransport(None, 1)
    async with httpx.AsyncClient(transport=transport) as client:
        async with client.stream("GET", URL, extensions={LARGE: True}) as answer:
            await get(client)
            await transport.aclose()
            assert idle.closed
            assert not used.closed
            assert await answer.aread() == b"b"
        assert used.closed


async def test_an_answer_without_a_length_is_parsed(client, opening):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
    opening(Stream(chunked, b"1\r\nc\r\n0\r\n\r\n"))
    assert b"".join(await get(client)) == b"abc"


async def test_an_answer_without_content_ends_with_its_head(client, opening):
    opening(Stream(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"))
    assert await get(client) == []


async def test_what_a_server_says_before_its_answer_is_passed_over(client, opening):
    opening(Stream(b"HTTP/1.1 103 Early Hints\r\n\r\n", head(1) + b"a"))
    assert await get(client) == [b"a"]


@pytest.mark.parametrize(
    ("pieces", "error", "said"),
    [
        ([head(5), b"ab"], httpx.RemoteProtocolError, "3 bytes before the end"),
        ([], httpx.RemoteProtocolError, "without an answer"),
        ([b"nonsense\r\n\r\n"], httpx.RemoteProtocolError, "status line"),
        ([head(5), httpcore.ReadTimeout("silent")], httpx.ReadTimeout, "silent"),
        ([head(5), httpcore.ReadError("broke")], httpx.ReadError, "broke"),
        ([httpcore.ReadError("broke")], httpx.ReadError, "broke"),
    ],
)
async def test_a_line_that_breaks_is_an_error_of_httpx_and_is_closed(client, opening, pieces, error, said):
    stream = Stream(*pieces)
    opening(stream)
    with pytest.raises(error, match=said):
        await get(client)
    assert stream.closed


async def test_a_cancellation_closes_the_connection(client, opening):
    class Silent(Stream):
        async def read(self, max_bytes, timeout=None):
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        stream = Silent()
        opening(stream)
        tasks.start_soon(get, client)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert stream.closed


async def test_https_names_the_host(client, opening):
    stream = Stream(head(1) + b"a")
    assert opening(stream) == []
    assert await get(client, "https://host/x") == [b"a"]
    assert stream.tls_name == "host"


async def test_a_server_that_is_not_there_is_an_error_of_httpx(client):
    with pytest.raises(httpx.ConnectError):
        await get(client, "http://127.0.0.1:1/")


async def test_a_client_asks_so_for_what_is_large(opening):
    whole = [b"x" * 1000, b"y" * 1000]
    opening(Stream(head(2000), *whole))
    request = Request("GET", "http://localhost/db/a/x", large=True)
    async with Client(DatabaseUrl.parse("http://localhost/db")) as client, client.stream(request) as answer:
        got = [piece async for piece in answer.chunks]
    assert [piece is part for piece, part in zip(got, whole, strict=True)] == [True, True]
