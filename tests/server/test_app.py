"""The app as a whole: what it makes of requests before and after a resource answers them."""

from __future__ import annotations

import logging
import sys

import pytest

from couchette.errors import MissingExtra
from couchette.limits import REQUEST_BYTES_MAX, REQUEST_TARGET_BYTES_MAX
from couchette.server import create_app
from tests.server.asgi import Exchange, call, scope

pytestmark = pytest.mark.anyio


async def test_the_welcome_names_the_environment(app, environment):
    answer = await call(app, "GET", "/")
    assert answer.status == 200
    assert answer.json()["uuid"] == environment.uuid
    assert answer.json()["vendor"]["name"] == "couchette"
    assert answer.headers["server"].startswith("couchette/")


async def test_head_has_the_length_of_a_body_that_it_does_not_send(app):
    get, head = [await call(app, method, "/db") for method in ("GET", "HEAD")]
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(get.body))


async def test_databases_are_listed(app):
    await call(app, "PUT", "/a%2Fb")
    assert (await call(app, "GET", "/_all_dbs")).json() == ["a/b", "db"]


async def test_an_app_mounted_below_a_path_knows_its_own_urls(app):
    exchange = Exchange()
    await app({**scope("PUT", "/couch%20db/other"), "root_path": "/couch db"}, exchange.receive, exchange.send)
    status, headers = await exchange.start()
    exchange.close()
    assert (status, headers["location"]) == (201, "http://couch.example:5984/couch%20db/other")


async def test_a_server_that_gives_no_raw_path_is_served_by_the_path(app):
    exchange = Exchange()
    request = scope("GET", "/db")
    del request["raw_path"]
    await app(request, exchange.receive, exchange.send)
    assert (await exchange.start())[0] == 200
    exchange.close()


async def test_a_body_that_is_too_large_is_refused_unread(app):
    answer = await call(app, "PUT", "/db/a", {"content-length": str(REQUEST_BYTES_MAX + 1)}, b"{}")
    assert (answer.status, answer.json()["error"]) == (413, "too_large")


async def test_a_body_that_grows_too_large_is_refused(app, monkeypatch):
    monkeypatch.setattr(app.node.settings, "request_bytes_max", 3)
    assert (await call(app, "PUT", "/db/a", body=b'{"a":1}')).status == 413


async def test_a_path_that_is_too_long_is_refused_so_that_a_replicator_asks_for_less(app):
    answer = await call(app, "GET", f'/db/a?open_revs=["{"x" * REQUEST_TARGET_BYTES_MAX}"]')
    assert (answer.status, answer.json()["error"]) == (414, "request_uri_too_long")


async def test_a_client_that_leaves_in_its_request_gets_no_answer(app):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await app(scope("PUT", "/db/a"), receive, send)
    assert sent == []


async def test_a_fault_of_ours_is_logged_and_answered_without_its_details(app, monkeypatch, caplog):
    monkeypatch.setattr("couchette.server.app.dispatch", lambda request: 1 / 0)
    with caplog.at_level(logging.ERROR):
        answer = await call(app, "GET", "/db")
    assert (answer.status, answer.json()["error"]) == (500, "unknown_error")
    assert b"division" not in answer.body
    assert "ZeroDivisionError" in caplog.text


async def test_lifespan_is_answered_and_ends_the_feeds(app):
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_websocket_is_refused(app):
    sent = []

    async def send(message):
        sent.append(message)

    await app({"type": "websocket"}, None, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_a_missing_extra_names_the_command_that_installs_it(environment, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("couchette.server.", "starlette"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(MissingExtra, match=r"pip install 'couchette\[server\]'"):
        create_app(environment)
