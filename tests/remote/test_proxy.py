"""Requests through a proxy, named or from the environment."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

import couchette
from couchette import errors
from couchette.remote import RemotePeer

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio"


@asynccontextmanager
async def proxy(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + b'{"db_name":"db"}'):
    """A proxy that answers for every host; gives its address and the requests' heads."""
    heads = []

    async def serve(stream):
        heads.append(await stream.receive_some(65536))
        await stream.send_all(answer)

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield f"127.0.0.1:{listener.socket.getsockname()[1]}", heads
        nursery.cancel_scope.cancel()


async def info(url="http://couch.invalid/db", **options):
    async with RemotePeer(url, **options) as peer:
        return await peer.info()


async def test_a_proxy_gets_the_requests_and_its_own_credentials():
    async with proxy() as (address, heads):
        await info(proxy=f"http://ann:s3cret@{address}")
    assert heads[0].startswith(b"GET http://couch.invalid/db HTTP/1.1")
    assert b"Proxy-Authorization: Basic" in heads[0]


async def test_the_environment_names_a_proxy_too(monkeypatch):
    async with proxy() as (address, heads):
        monkeypatch.setenv("HTTP_PROXY", f"http://{address}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        await info()
    assert len(heads) == 1


async def test_this_machine_is_never_asked_through_the_environment_s_proxy(monkeypatch):
    async with proxy() as (address, heads):
        monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
        await info(f"http://{address}/db")
    assert heads[0].startswith(b"GET /db HTTP/1.1")


async def test_a_proxy_that_wants_credentials_says_so():
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with proxy(answer) as (address, _):
        for url in ("https://couch.invalid/db", "http://couch.invalid/db"):
            with pytest.raises(errors.Unauthorized, match="proxy wants credentials") as caught:
                await info(url, proxy=f"http://ann:s3cret@{address}", tls=couchette.TLS(verify=False))
            assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("given", ["ftp://ann:s3cret@host", "nonsense s3cret"])
async def test_what_is_no_proxy_is_refused_without_showing_it(given):
    with pytest.raises(errors.BadRequest, match="Invalid proxy") as caught:
        await info(proxy=given)
    assert "s3cret" not in str(caught.value)


async def test_a_socks_proxy_without_its_package_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(errors.MissingExtra, match=r"pip install 'couchette\[socks\]'"):
        await info(proxy="socks5://host:1080")
