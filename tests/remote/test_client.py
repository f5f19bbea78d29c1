"""Requests to a scripted server: repeats, and the error that each bad answer means."""

from __future__ import annotations

import base64
import logging

import httpx
import pytest
import trio.testing

from couchette import errors, limits
from couchette.remote.client import Client
from couchette.remote.url import DatabaseUrl
from tests.remote.scripted import Script, answer, couch_error

URL = DatabaseUrl("http://host:5984/db", ("ann", "secret"))


class Asked(Script):
    """A script of the answers to one client's single request."""

    async def ask(self, method="GET", path="", **options):
        async with self.client("http://ann:secret@host:5984/db") as client:
            return await client.request(method, path, **options)


@pytest.fixture
def anyio_backend():
    """Pauses pass at once: the clock jumps when every task waits."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.mark.anyio
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_passing_trouble_is_met_with_a_repeat(status):
    script = Asked(answer(status), httpx.ReadTimeout("slow"), answer(200, {"db_name": "db"}))
    assert await script.ask() == {"db_name": "db"}
    assert 0.5 <= trio.current_time() / (limits.HTTP_RETRY_PAUSE_S * 3) <= 1.01


@pytest.mark.anyio
async def test_repeats_are_bounded_and_the_pauses_grow():
    script = Asked(*[answer(503) for _ in range(limits.HTTP_RETRIES + 1)])
    with pytest.raises(errors.RemoteError, match=r"http://host:5984/db failed 5 times"):
        await script.ask()
    assert script.answers == []
    assert 0.5 <= trio.current_time() / (limits.HTTP_RETRY_PAUSE_S * 15) <= 1.01


@pytest.mark.anyio
async def test_a_line_that_stays_broken_is_unreachable():
    script = Asked(*[httpx.ReadError("reset") for _ in range(limits.HTTP_RETRIES + 1)])
    with pytest.raises(errors.Unreachable, match=r"http://host:5984/db: reset\. Check the address"):
        await script.ask()


@pytest.mark.anyio
async def test_a_host_that_never_answered_is_reported_at_once():
    script = Asked(httpx.ConnectError("refused"))
    with pytest.raises(errors.Unreachable):
        await script.ask()
    assert trio.current_time() == 0


@pytest.mark.anyio
async def test_a_host_that_has_answered_may_be_away_for_a_while():
    script = Asked(answer(200), httpx.ConnectError("refused"), answer(200, {"n": 2}))
    async with Client(URL, transport=httpx.MockTransport(script)) as client:
        await client.request("GET")
        assert await client.request("GET") == {"n": 2}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        (
            couch_error(401, "unauthorized", "Name or password is incorrect."),
            errors.Unauthorized,
            "check user and",
        ),
        (httpx.Response(401, html="<h1>no</h1>"), errors.Unauthorized, "http://host:5984/db"),
        (couch_error(403, "forbidden", "You are not allowed."), errors.Forbidden, "_security"),
        (couch_error(404, "not_found", "Database does not exist."), errors.DatabaseNotFound, "create_target"),
        (couch_error(404, "not_found", "no_db_file"), errors.DatabaseNotFound, "create_target"),
        (couch_error(404, "not_found", "missing"), errors.NotFound, "http://host:5984/db"),
        (couch_error(409, "conflict", "Document update conflict."), errors.Conflict, ""),
        (couch_error(412, "missing_stub", "x"), errors.MissingStub, ""),
        (httpx.Response(413, text="too large"), errors.TooLarge, ""),
        (httpx.Response(200, html="<h1>hello</h1>"), errors.NotCouchDB, "instead of JSON"),
        (httpx.Response(404, html="<h1>hello</h1>"), errors.NotCouchDB, "check the address"),
        (
            httpx.Response(301, headers={"location": "https://ann:secret@host/db"}),
            errors.NotCouchDB,
            "https://host/db",
        ),
    ],
)
async def test_a_bad_answer_is_the_error_it_means(given, kind, told):
    with pytest.raises(kind) as caught:
        await Asked(given).ask()
    assert type(caught.value) is kind
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.anyio
async def test_credentials_go_into_the_header_and_nowhere_else(caplog):
    caplog.set_level(logging.DEBUG)
    script = Asked(answer(200))
    await script.ask()
    (request,) = script.requests
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"ann:secret").decode()
    assert "secret" not in str(request.url)
    assert "secret" not in caplog.text
    assert "secret" not in repr(Client(URL).__dict__["url"])


@pytest.mark.anyio
async def test_a_body_of_bytes_is_sent_as_it_is_and_anything_else_as_json():
    script = Asked(answer(200), answer(200), answer(200))
    await script.ask("POST", "_bulk_docs", body=b'{"docs":[]}')
    await script.ask("POST", "_revs_diff", body={"ü": [1.0]})
    await script.ask("POST", "_ensure_full_commit")
    assert [request.content for request in script.requests] == [b'{"docs":[]}', '{"ü":[1.0]}'.encode(), b""]
    assert all(request.headers["content-type"] == "application/json" for request in script.requests)


@pytest.mark.anyio
async def test_plain_bytes_are_asked_for_uncompressed():
    script = Asked(httpx.Response(200, content=b"\x00\xff"), couch_error(404, "not_found", "missing"))
    async with Client(URL, transport=httpx.MockTransport(script)) as client:
        assert await client.get_bytes("a/b", params={"rev": "1-x"}) == b"\x00\xff"
        with pytest.raises(errors.NotFound):
            await client.get_bytes("a/b")
    assert script.requests[0].headers["accept-encoding"] == "identity"
    assert str(script.requests[0].url) == "http://host:5984/db/a/b?rev=1-x"
