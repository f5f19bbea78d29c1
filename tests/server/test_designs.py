"""Design functions that the server keeps compiled."""

from __future__ import annotations

import pytest

from tests.server.asgi import call

FILTERS = {"f": "function() { return true }"}


@pytest.mark.anyio
async def test_a_servers_end_ends_their_threads(app):
    db = app.environment["db"]
    db.put({"_id": "_design/d", "filters": FILTERS})
    assert (await call(app, "GET", "/db/_changes?filter=d/f")).status == 200
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent = []

    async def receive():
        return next(messages)

    async def send(message):
        sent.append(message["type"])

    [functions] = app.designs._kept.values()
    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert not functions._engine._thread.is_alive()
