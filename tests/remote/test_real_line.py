"""What only a real line shows, on this machine's loopback and with the real clock."""

from __future__ import annotations

import gc
import logging
from contextlib import aclosing

import anyio
import pytest

import couchette
from couchette import Environment, errors
from couchette.remote import RemotePeer
from couchette.server import background

pytestmark = pytest.mark.anyio

SECRET = "s3cret"


async def test_a_feed_over_a_real_line_brings_a_change_and_leaves_nothing_behind_when_it_is_closed(recwarn):
    with Environment(":memory:") as environment:
        database = environment.create("db")
        database.put({"_id": "a"})
        with background(environment) as url:
            async with RemotePeer(f"{url}/db") as peer, aclosing(peer.live_changes(0, 100)) as feed:
                assert (await anext(feed)).leaves.keys() == {"a"}
                database.put({"_id": "b"})
                assert (await anext(feed)).leaves.keys() == {"b"}
            gc.collect()
    assert list(recwarn) == []


async def test_a_session_s_cookie_is_taken_out_of_what_the_http_library_logs(caplog):
    async def serve(stream):
        async with stream:
            await stream.receive()
            body = b'{"ok":true}'
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nSet-Cookie: AuthSession=s3cret; Path=/\r\n\r\n"
            await stream.send(head.encode() + body)

    caplog.set_level(logging.DEBUG)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with RemotePeer(f"http://127.0.0.1:{port}/db", couchette.SessionAuth("ann", SECRET)) as peer:
            with pytest.raises(errors.CouchetteError):
                await peer.info()
        tasks.cancel_scope.cancel()
    assert "AuthSession=..." in caplog.text
    assert SECRET not in caplog.text
