"""Connections without a proxy between: they read much at once, under both event loops, and fail as httpx's own do."""

from __future__ import annotations

import httpcore
import httpx
import pytest

from couchette.limits import HTTP_READ_BYTES
from couchette.remote.client import Client
from couchette.remote.direct import DirectTransport
from couchette.remote.url import DatabaseUrl

pytestmark = pytest.mark.anyio


class Recording(httpcore.AsyncMockStream):
    """A stream that notes how much was asked of it."""

    def __init__(self, pieces):
        super().__init__(pieces)
        self.asked = []

    async def read(self, max_bytes, timeout=None):
        self.asked.append(max_bytes)
        return await super().read(max_bytes, timeout)


class Opening(httpcore.AsyncMockBackend):
    """Gives one stream, whatever it is asked to open."""

    def __init__(self, stream):
        super().__init__([])
        self.stream = stream

    async def connect_tcp(self, *args, **options):
        return self.stream


def answer(*pieces):
    length = sum(map(len, pieces))
    return [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length, *pieces]


@pytest.fixture
def opening(monkeypatch):
    """Has connections be a stream of what is given."""

    def open_to(*pieces):
        stream = Recording(list(pieces))
        for name in ("TrioBackend", "AnyIOBackend"):
            monkeypatch.setattr(httpcore, name, lambda: Opening(stream))
        return stream

    return open_to


async def test_much_is_read_at_once(opening):
    stream = opening(*answer(b"x" * HTTP_READ_BYTES, b"y" * 7))
    async with httpx.AsyncClient(transport=DirectTransport(None, 1)) as client:
        response = await client.get("http://localhost/")
    assert response.content == b"x" * HTTP_READ_BYTES + b"y" * 7
    assert set(stream.asked) == {HTTP_READ_BYTES}


async def test_a_body_that_is_cut_is_an_error_of_httpx(opening):
    opening(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b"")
    async with httpx.AsyncClient(transport=DirectTransport(None, 1)) as client:
        with pytest.raises(httpx.RemoteProtocolError, match="closed connection"):
            await client.get("http://localhost/")


@pytest.mark.parametrize(
    ("url", "error"), [("http://127.0.0.1:1/", "ConnectError"), ("ftp://h/", "UnsupportedProtocol")]
)
async def test_what_cannot_be_asked_is_an_error_of_httpx(url, error):
    async with httpx.AsyncClient(transport=DirectTransport(None, 1)) as client:
        with pytest.raises(getattr(httpx, error)):
            await client.get(url)


@pytest.mark.parametrize(
    "name", ["NetworkError", "ProtocolError", "ProxyError", "TimeoutException", "UnsupportedProtocol"]
)
def test_every_error_of_a_connection_has_its_name_in_httpx(name):
    for kind in (getattr(httpcore, name), *getattr(httpcore, name).__subclasses__()):
        assert issubclass(getattr(httpx, kind.__name__), httpx.TransportError)


@pytest.mark.parametrize(
    ("url", "environment", "direct"),
    [
        ("http://couch.invalid/db", {}, True),
        ("http://couch.invalid/db", {"HTTP_PROXY": "http://proxy.invalid"}, False),
        ("http://localhost/db", {"HTTP_PROXY": "http://proxy.invalid"}, True),
    ],
)
def test_connections_are_our_own_where_no_proxy_may_be_between(monkeypatch, url, environment, direct):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (Client(DatabaseUrl.parse(url))._direct(None) is not None) == direct
