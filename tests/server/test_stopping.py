"""A server that stops: what takes long is ended, and said so."""

from __future__ import annotations

import pytest

from couchette import stopping
from couchette.server.app import App
from couchette.server.policy import Policy
from tests.server.asgi import Exchange, call, call_json, scope

pytestmark = pytest.mark.anyio


@pytest.fixture
def db(environment):
    database = environment["db"]
    database.put({"_id": "a"})
    views = {"v": {"map": "function(doc) { emit(doc._id) }"}}
    filters = {"f": "function() { return true }"}
    shows = {"s": "function() { return 'x' }"}
    database.put({"_id": "_design/d", "views": views, "filters": filters, "shows": shows})
    return database


@pytest.mark.parametrize("path", ["_design/d/_view/v", "_changes?filter=d/f", "_changes?filter=_view&view=d/v"])
async def test_what_takes_long_is_unavailable(app, db, path):
    app.stop()
    answer = await call(app, "GET", f"/db/{path}")
    assert (answer.status, answer.json()["reason"]) == (503, "The server is stopping.")
    assert (await call(app, "GET", "/db/a")).status == 200


async def test_a_compaction_that_is_ended_is_no_fault(app, db, caplog):
    db.put(db["a"])
    app.stop()
    answer = await call_json(app, "POST", "/db/_compact", {})
    assert (answer.status, caplog.text) == (202, "")


async def test_the_environment_outlives_its_server(app, db, environment):
    app.stop()
    assert len(db.query("d/v")["rows"]) == 1
    assert (await call(App(environment, Policy()), "GET", "/db/_design/d/_view/v")).status == 200


async def test_a_server_that_starts_again_serves_all(app, db):
    app.stop()
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive():
        if len(messages) == 1:
            assert (await call(app, "GET", "/db/_design/d/_view/v")).status == 200
        return messages.pop(0)

    async def send(message):
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert (await call(app, "GET", "/db/_design/d/_show/s")).status == 503


@pytest.mark.parametrize("stops", [True, False])
async def test_an_answer_that_is_cut_short_ends_when_its_client_is_gone_and_is_no_fault(app, monkeypatch, stops):
    async def broken(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if stops:
            app.stop()
            stopping.check()
        raise ValueError("a fault")

    monkeypatch.setattr(App, "_serve", broken)
    exchange = Exchange()
    exchange.leave()
    if stops:
        await app(scope("GET", "/"), exchange.receive, exchange.send)
    else:
        with pytest.raises(ValueError, match="a fault"):
            await app(scope("GET", "/"), exchange.receive, exchange.send)
    exchange.close()
